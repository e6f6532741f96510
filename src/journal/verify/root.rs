//! The verifier's own Merkle tree (RFC 6962 section 2.1), one pending subtree a level: memory is the logarithm.

use sha2::{Digest as _, Sha256};

/// A growing tree over chain values.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// `levels[n]`: the root of a complete subtree of 2^n leaves that has no sibling yet.
    levels: Vec<Option<[u8; 32]>>,
}

impl Root {
    /// Adds the entry whose chain value is `chain`.
    pub(super) fn push(&mut self, chain: &[u8; 32]) {
        let mut node: [u8; 32] = Sha256::new()
            .chain_update([0])
            .chain_update(chain)
            .finalize()
            .into();
        for level in &mut self.levels {
            let Some(left) = level.take() else {
                *level = Some(node);
                return;
            };
            node = join(&left, &node);
        }
        self.levels.push(Some(node));
    }

    /// Returns the root over everything pushed so far.
    pub(super) fn value(&self) -> [u8; 32] {
        let mut pending = self.levels.iter().flatten();
        match pending.next() {
            None => Sha256::digest(b"").into(),
            Some(first) => pending.fold(*first, |right, left| join(left, &right)),
        }
    }
}

fn join(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, word for word.
    fn by_definition(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest(b"").into(),
            [one] => Sha256::new()
                .chain_update([0])
                .chain_update(one)
                .finalize()
                .into(),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                join(
                    &by_definition(&leaves[..split]),
                    &by_definition(&leaves[split..]),
                )
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let leaves: Vec<[u8; 32]> = (0..70_u8).map(|n| [n; 32]).collect();
        let mut root = Root::default();
        assert_eq!(root.value(), by_definition(&[]));
        for (n, leaf) in leaves.iter().enumerate() {
            root.push(leaf);
            assert_eq!(root.value(), by_definition(&leaves[..=n]), "{n}");
        }
    }
}
