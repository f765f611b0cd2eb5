//! Whole farms under simulated time, faults and network.
