//! A worker that takes its tasks and blobs from a farm.
