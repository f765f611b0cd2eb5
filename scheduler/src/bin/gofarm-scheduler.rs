//! A scheduler of a farm.

fn main() {}
