//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use bolero::check;

use crate::{parse_size, parse_time_span};

/// Sizes and spans of time: never more than what was written.
#[test]
fn amounts() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        if let Ok(bytes) = parse_size(&text) {
            assert_eq!(parse_size(&format!("{bytes}B")), Ok(bytes));
        }
        if let Ok(time) = parse_time_span(&text) {
            let nanos = time.as_nanos();
            assert_eq!(parse_time_span(&format!("{nanos}ns")), Ok(time));
        }
    });
}
