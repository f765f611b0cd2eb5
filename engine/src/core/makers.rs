//! Which nodes of a build have made which blobs.
//!
//! A loss is reported by digests, some hundred at a time, in builds of ten thousands of outputs. Whoever would look through
//! the results for each of them keeps everybody else waiting.

use std::collections::{BTreeSet, HashMap};

use gofarm_proto::Digest;

use super::ActionResult;

/// From each blob to the nodes whose result, as last known, has it among its outputs.
///
/// [`Build::set_result`](super::build::Build::set_result) is the one that changes it, together with the results.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Makers {
    /// The hasher is keyed: whoever runs actions chooses what they make.
    of: HashMap<Digest, Nodes>,
}

/// Never none of them: most blobs have one maker, and no allocation for it.
#[derive(Debug, PartialEq)]
enum Nodes {
    One(u32),
    /// An empty file, say, which half of the build may have made. At least two.
    Many(BTreeSet<u32>),
}

impl Makers {
    /// The node has this result from now on.
    pub fn add(&mut self, node: u32, result: &ActionResult) {
        for output in &result.outputs {
            let nodes = self.of.entry(output.digest).or_insert(Nodes::One(node));
            match nodes {
                Nodes::One(other) if *other == node => {}
                Nodes::One(other) => *nodes = Nodes::Many(BTreeSet::from([*other, node])),
                Nodes::Many(nodes) => {
                    nodes.insert(node);
                }
            }
        }
    }

    /// The node has this result no more.
    pub fn remove(&mut self, node: u32, result: &ActionResult) {
        for output in &result.outputs {
            match self.of.get_mut(&output.digest) {
                Some(Nodes::One(only)) if *only == node => {
                    self.of.remove(&output.digest);
                }
                Some(nodes @ Nodes::Many(_)) => {
                    if let Nodes::Many(many) = nodes
                        && many.remove(&node)
                        && many.len() == 1
                        && let Some(left) = many.first()
                    {
                        *nodes = Nodes::One(*left);
                    }
                }
                // Two outputs of one result may be the same blob.
                Some(Nodes::One(_)) | None => {}
            }
        }
    }

    /// The first node that has made this blob.
    pub fn first(&self, digest: &Digest) -> Option<u32> {
        match self.of.get(digest)? {
            Nodes::One(node) => Some(*node),
            Nodes::Many(nodes) => nodes.first().copied(),
        }
    }

    /// All of them, ascending.
    pub fn all(&self, digest: &Digest) -> impl Iterator<Item = u32> + '_ {
        let (one, many) = match self.of.get(digest) {
            Some(Nodes::One(node)) => (Some(*node), None),
            Some(Nodes::Many(nodes)) => (None, Some(nodes)),
            None => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::result;

    fn made(makers: &Makers, content: &str) -> Vec<u32> {
        let digest = Digest::of(content.as_bytes());
        let all: Vec<u32> = makers.all(&digest).collect();
        assert_eq!(makers.first(&digest), all.first().copied());
        all
    }

    #[test]
    fn a_blob_is_known_by_all_of_its_makers_and_forgotten_with_the_last() {
        let mut makers = Makers::default();
        let both = result(&[("a", "same"), ("b", "same"), ("c", "other")]);
        let one = result(&[("a", "same")]);
        makers.add(7, &both);
        makers.add(7, &both);
        assert_eq!(made(&makers, "same"), [7]);
        makers.add(3, &one);
        makers.add(9, &one);
        assert_eq!(made(&makers, "same"), [3, 7, 9]);
        assert_eq!(made(&makers, "other"), [7]);
        assert!(made(&makers, "neither").is_empty());
        makers.remove(7, &both);
        assert_eq!(made(&makers, "same"), [3, 9]);
        assert!(made(&makers, "other").is_empty());
        // What it has not made is not taken from others.
        makers.remove(7, &both);
        makers.remove(3, &one);
        assert_eq!(made(&makers, "same"), [9]);
        makers.remove(3, &one);
        assert_eq!(made(&makers, "same"), [9]);
        makers.remove(9, &one);
        assert_eq!(makers, Makers::default());
    }
}
