//! The rule that keeps a session ready for the next command: it knows none.

use std::fs;
use std::path::Path;

/// What would tie a session to one command: its files, its options, what it does with programs.
const COMMANDS: [&str; 5] = [
    "commands::",
    "deliver::",
    "SubmitOptions",
    "SubmitRequest",
    "AttachOptions",
];

/// What of these a source names.
fn named(source: &str) -> Vec<&'static str> {
    let named = COMMANDS.into_iter().filter(|word| source.contains(word));
    named.collect()
}

#[test]
fn a_session_knows_no_command() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/session");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("rule_test.rs") {
            let found = named(&fs::read_to_string(&path).unwrap());
            assert!(found.is_empty(), "{} names {found:?}", path.display());
            read += 1;
        }
    }
    assert!(read > 5);
    assert!(!named("use crate::deliver::Programs;").is_empty());
}
