//! Histories of the whole core.
