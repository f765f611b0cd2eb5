//! C, C++ and assembly: what a dry run does not ask and does not list.

pub(crate) mod flags;
pub(crate) mod includes;
pub(crate) mod memory;
pub(crate) mod pkgconfig;
pub(crate) mod toolchain;
