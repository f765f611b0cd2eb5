//! A specimen and one change of it, by number.

use crate::random::Random;
use crate::specimen::Specimen;

/// What a seed stands for.
#[derive(Debug, Clone)]
pub struct Case {
    /// The number.
    pub seed: u64,
    /// The specimen.
    pub specimen: Specimen,
    /// Goes on from the choice of the specimen: the change is chosen with it.
    pub random: Random,
}

impl Case {
    /// The case of a seed among these specimens: all of [`specimens`](crate::specimens) that are not slow, or all; never one of
    /// which links lead to the machine. `None` when there are none.
    pub fn of(seed: u64, among: &[Specimen]) -> Option<Case> {
        let mut random = Random::new(seed);
        let among: Vec<&Specimen> = among.iter().filter(|one| !one.leads_outside).collect();
        let specimen = **random.pick(&among)?;
        Some(Case {
            seed,
            specimen,
            random,
        })
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} ({})", self.seed, self.specimen.name)
    }
}
