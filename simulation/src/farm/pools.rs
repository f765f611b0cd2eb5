//! What is built, and by the workers of which pool.

use std::sync::Arc;

use super::Farm;
use crate::random::Random;
use crate::shape::Shape;

/// Most farms have the first one only.
const POOLS: [&str; 2] = ["default", "other"];

/// One to four builds; those after the first often share actions with one before.
pub(super) fn shapes(random: &mut Random) -> Vec<Shape> {
    let count = random.between(1, 4);
    let pools = match random.chance(300) {
        true => &POOLS[..],
        false => &POOLS[..1],
    };
    let size = [3, 10, 25, 40][random.index(4)];
    let mut shapes: Vec<Shape> = Vec::new();
    for _ in 0..count {
        let shape = match shapes.last() {
            Some(last) if random.chance(300) => last.clone(),
            Some(last) if random.chance(500) => last.edited(random),
            _ => Shape::random(random, size),
        };
        // Also one that is like another, but for its pool: they share results and no task.
        shapes.push(shape.of_pool(pools[random.index(pools.len())]));
    }
    shapes
}

impl Farm {
    /// The pools of a worker: of three, one is in both.
    pub(super) fn pools_of(&self, worker: usize) -> Arc<[Arc<str>]> {
        let mut shapes = self.shapes.iter();
        let one = shapes.all(|shape| **shape.pool() == *POOLS[0]);
        let alone = self.workers.len() == 1;
        match worker % 3 {
            _ if one => [POOLS[0].into()].into(),
            0 if !alone => [POOLS[0].into()].into(),
            2 => [POOLS[1].into()].into(),
            _ => [POOLS[1].into(), POOLS[0].into()].into(),
        }
    }
}
