//! What cmd/go would do, read from its dry run.

pub(crate) mod actiongraph;
pub(crate) mod command;
pub(crate) mod quote;
pub(crate) mod script;
