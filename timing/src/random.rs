//! Chance, for what need not be secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// From 0 up to 1, but not 1. The keys of a hasher of the standard library are random, and no two hashers have the same.
pub fn random() -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    let drawn = RandomState::new().build_hasher().finish() >> (u64::BITS - BITS);
    drawn as f64 / (1u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_spread() {
        let drawn: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(drawn.iter().all(|drawn| (0.0..1.0).contains(drawn)));
        // Each tenth of them holds a hundred of a thousand. Below 20 or above 200 are ten standard deviations away.
        for tenth in 0..10 {
            let of_tenth = drawn
                .iter()
                .filter(|drawn| (*drawn * 10.0) as usize == tenth);
            let number = of_tenth.count();
            assert!((20..200).contains(&number), "{tenth}: {number}");
        }
    }
}
