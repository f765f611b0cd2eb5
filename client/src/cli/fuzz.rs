//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use std::ffi::OsString;
use std::path::Path;

use bolero::check;

use super::{goflags, parse, quoted, settings_file};

/// The text of `gofarm.toml`: taken, or refused in a text that names the file.
#[test]
fn farm_toml() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        if let Err(error) = settings_file::understand(&text, Path::new("/repo/gofarm.toml")) {
            assert!(error.to_string().contains("/repo/gofarm.toml"), "{error}");
        }
    });
}

/// A command line, each line a word, and GOFLAGS.
#[test]
fn command_line() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let words = text.lines().map(OsString::from);
        let _ = parse(words);
        let _ = goflags::read(&text);
        if let Ok(words) = quoted::split(&text) {
            assert!(words.iter().map(String::len).sum::<usize>() <= text.len());
        }
    });
}
