//! The Merkle tree over the entries (RFC 6962 section 2.1), kept as its right edge: memory grows with the logarithm.

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// A growing tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// Roots of complete subtrees, largest first; sizes are the binary digits of `size`.
    edge: Vec<Digest>,
    size: u64,
}

impl Tree {
    /// Adds the entry whose chain value is `hash`.
    pub(crate) fn push(&mut self, hash: Digest) {
        let mut node = sha(&[&[0], &hash.0]);
        let mut size = self.size;
        while size & 1 == 1 {
            // One digit of the size, one subtree on the edge: the invariant of this loop.
            if let Some(left) = self.edge.pop() {
                node = sha(&[&[1], &left.0, &node.0]);
            }
            size >>= 1;
        }
        self.edge.push(node);
        self.size += 1;
    }

    /// Returns the root over all entries.
    pub(crate) fn root(&self) -> Digest {
        let mut subtrees = self.edge.iter().rev();
        let Some(mut root) = subtrees.next().copied() else {
            return Digest::of(b"");
        };
        for left in subtrees {
            root = sha(&[&[1], &left.0, &root.0]);
        }
        root
    }
}

fn sha(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, word for word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => sha(&[&[0], &one.0]),
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                sha(&[
                    &[1],
                    &by_definition(&leaves[..k]).0,
                    &by_definition(&leaves[k..]).0,
                ])
            }
        }
    }

    #[test]
    fn the_edge_gives_the_root_of_the_definition() {
        let leaves: Vec<Digest> = (0..70_u8).map(|n| Digest::of(&[n])).collect();
        let mut tree = Tree::default();
        for (n, leaf) in leaves.iter().enumerate() {
            tree.push(*leaf);
            assert_eq!(tree.root(), by_definition(&leaves[..=n]), "{n}");
        }
    }
}
