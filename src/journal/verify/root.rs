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
        let mut node = leaf(chain);
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

/// Returns the root that a leaf's audit path leads to (RFC 9162 section 2.1.3.2); `None` if the path has another
/// length than one for this place in a tree of this size.
pub(super) fn from_path(
    chain: &[u8; 32],
    index: u64,
    size: u64,
    path: &[[u8; 32]],
) -> Option<[u8; 32]> {
    let mut last = size.checked_sub(1).filter(|last| index <= *last)?;
    let mut at = index;
    let mut node = leaf(chain);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            node = join(sibling, &node);
            // The right edge of a tree that is not full has no sibling on some levels.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = join(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(node)
}

fn leaf(chain: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(chain)
        .finalize()
        .into()
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

    /// RFC 6962 section 2.1.1, word for word.
    fn path(at: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut path, other) = if at < left.len() {
            (path(at, left), right)
        } else {
            (path(at - left.len(), right), left)
        };
        path.push(by_definition(other));
        path
    }

    #[test]
    fn an_audit_path_leads_to_the_root_from_its_own_place_alone() {
        let leaves: Vec<[u8; 32]> = (1..=70_u8).map(|n| [n; 32]).collect();
        let mut refused = 0;
        for size in 1..=70 {
            let root = Some(by_definition(&leaves[..size]));
            for index in 0..size {
                let path = path(index, &leaves[..size]);
                let leads = |leaf: &[u8; 32], index: usize, size: usize, path: &[[u8; 32]]| {
                    from_path(leaf, index as u64, size as u64, path) == root
                };
                assert!(leads(&leaves[index], index, size, &path), "{index} {size}");
                assert!(!leads(&[0; 32], index, size, &path));
                for other in (0..=size).filter(|other| *other != index) {
                    assert!(!leads(&leaves[index], other, size, &path), "{other} {size}");
                    refused += 1;
                }
                assert!(!leads(
                    &leaves[index],
                    index,
                    size,
                    &[&path[..], &[[9; 32]]].concat()
                ));
                for at in 0..path.len() {
                    let mut other = path.clone();
                    other[at][at % 32] ^= 1;
                    assert!(!leads(&leaves[index], index, size, &other));
                    other.remove(at);
                    assert!(!leads(&leaves[index], index, size, &other));
                    refused += 2;
                }
            }
        }
        assert!(refused > 100_000, "{refused}");
        assert_eq!(from_path(&[0; 32], 0, 0, &[]), None);
    }
}
