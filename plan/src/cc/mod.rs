//! C, C++ and assembly: what a dry run does not ask and does not list.

#[cfg(test)]
mod against_gcc;
pub(crate) mod allowed;
pub(crate) mod arguments;
mod directives;
pub(crate) mod flags;
pub(crate) mod header_folder;
pub(crate) mod includes;
mod linker_words;
pub(crate) mod linking;
pub(crate) mod memory;
pub(crate) mod named;
pub(crate) mod pkgconfig;
pub(crate) mod response_file;
pub(crate) mod system;
pub(crate) mod toolchain;
pub(crate) mod unseen;
