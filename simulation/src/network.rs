//! Messages that are late, lost, doubled and out of order, and hosts that cannot reach each other.

use crate::random::Random;

/// A machine of the farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A scheduler replica.
    Replica(usize),
    /// A worker.
    Worker(usize),
    /// What holds the lease queue.
    Queue,
    /// What holds blobs and the action cache.
    Store,
}

/// How bad the network is. Probabilities in a thousand, times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// A message is lost.
    pub drop: u64,
    /// A message comes twice.
    pub duplicate: u64,
    /// Longest delay of an ordinary message.
    pub delay: u64,
    /// A message is held up.
    pub slow: u64,
    /// Longest delay of a message that is held up.
    pub slow_delay: u64,
}

/// A link, or with one end all links of a host, that lets nothing through.
pub type Cut = (Host, Option<Host>);

/// All links.
#[derive(Debug)]
pub struct Network {
    quality: Quality,
    cuts: Vec<Cut>,
}

impl Network {
    /// All links whole.
    pub fn new(quality: Quality) -> Network {
        Network {
            quality,
            cuts: Vec::new(),
        }
    }

    /// Nothing is lost any more, and nothing takes long.
    pub fn calm(&mut self) {
        self.cuts.clear();
        self.quality = Quality {
            delay: 5,
            ..Quality::default()
        };
    }

    /// Lets nothing through.
    pub fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// Undoes one [`cut`](Self::cut).
    pub fn heal(&mut self, cut: Cut) {
        if let Some(at) = self.cuts.iter().position(|other| *other == cut) {
            self.cuts.swap_remove(at);
        }
    }

    /// Whether the link between two hosts is whole.
    pub fn reaches(&self, from: Host, to: Host) -> bool {
        !self.cuts.iter().any(|(one, other)| match other {
            None => *one == from || *one == to,
            Some(other) => (*one, *other) == (from, to) || (*one, *other) == (to, from),
        })
    }

    /// After how long a message arrives: not at all, once, or twice.
    pub fn send(&self, from: Host, to: Host, random: &mut Random) -> [Option<u64>; 2] {
        if !self.reaches(from, to) || random.chance(self.quality.drop) {
            return [None, None];
        }
        let first = self.delay(random);
        let second = random.chance(self.quality.duplicate);
        [Some(first), second.then(|| self.delay(random))]
    }

    /// How long one message takes.
    pub fn delay(&self, random: &mut Random) -> u64 {
        match random.chance(self.quality.slow) {
            true => random.below(self.quality.slow_delay + 1),
            false => random.below(self.quality.delay + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_both_ways_and_heals() {
        let mut network = Network::new(Quality::default());
        let (worker, link) = (
            (Host::Worker(1), None),
            (Host::Queue, Some(Host::Replica(0))),
        );
        network.cut(worker);
        network.cut(link);
        assert!(!network.reaches(Host::Worker(1), Host::Store));
        assert!(!network.reaches(Host::Store, Host::Worker(1)));
        assert!(!network.reaches(Host::Replica(0), Host::Queue));
        assert!(network.reaches(Host::Replica(1), Host::Queue));
        network.heal(worker);
        assert!(network.reaches(Host::Worker(1), Host::Store));
        assert!(!network.reaches(Host::Replica(0), Host::Queue));
    }
}
