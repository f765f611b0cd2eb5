//! A worker of a farm.

fn main() {}
