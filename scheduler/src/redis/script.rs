//! How scripts are put together: each is one step that nothing else comes between.

/// A script of a header and what it stands on, the files named from the file that says it. Compiled once; sent to a server that
/// does not know it.
macro_rules! script {
    ($header:literal; $($part:literal),+) => {
        std::sync::LazyLock::new(|| {
            redis::Script::new(concat!($header, $(include_str!($part)),+))
        })
    };
}

pub(super) use script;
