//! How scripts are put together: each is one step that nothing else comes between.

/// A script of a header and what it stands on, the files named from the file that says it; a function may have the last word on
/// its text. Compiled once; sent to a server that does not know it.
macro_rules! script {
    ($header:literal; $($part:literal),+ $(; $told:path)?) => {
        std::sync::LazyLock::new(|| {
            let text = concat!($header, $(include_str!($part)),+);
            $(let text = $told(text);)?
            redis::Script::new(text.as_ref())
        })
    };
}

pub(super) use script;
