//! Fuzz targets, replayed on their corpora by `cargo test` (see `docs/fuzzing.md`).

use std::collections::HashMap;
use std::path::Path;

use bolero::check;

use crate::action::group;
use crate::cc::named::{self, Name};
use crate::dryrun::quote::{quote, unquote, unquote_prefix};
use crate::dryrun::{actiongraph, script};
use crate::identity::{self, TemplateContext};
use crate::snapshot::{fuzzing, header, trace};

/// The text of a dry run, up to the groups of its commands.
#[test]
fn dry_run() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let mut refused = 0;
        let past = script::parse_past(&text, "go1.27", &[], |_| {
            refused += 1;
            Ok(())
        })
        .unwrap();
        let strict = script::parse(&text, "go1.27", &[]);
        assert_eq!(strict.is_ok(), refused == 0);
        let Ok(script) = strict else { return };
        assert_eq!(script, past);
        let context = TemplateContext {
            nodes: &HashMap::from([("aaaaaaaaaaaaaaaaaaaa".to_owned(), 0)]),
            file: &|name| Some(format!("/virtual/{name}")),
            profile: None,
        };
        for hash in &script.hashes {
            let _ = identity::template(hash, &context);
        }
        let _ = identity::by_action_id(script.hashes);
        if let Ok(groups) = group::group(script.entries, "pkg-config") {
            assert!(groups.iter().all(|group| !group.entries.is_empty()));
        }
    });
}

/// The file of -debug-actiongraph.
#[test]
fn action_graph() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let graph = actiongraph::parse(&text);
        assert_eq!(graph.is_ok(), actiongraph::unknown_modes(&text).is_ok());
        for action in graph.iter().flat_map(|graph| graph.builds.values()) {
            assert!(
                action
                    .package
                    .starts_with(action.import_path().trim_start())
                    || action
                        .package
                        .trim_start()
                        .starts_with(action.import_path())
            );
        }
    });
}

/// cmd/go's trace: understood as a whole, or a word is named.
#[test]
fn go_trace() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let understood = fuzzing::trace(&text, Path::new("/m"));
        assert_eq!(understood, trace::unknown_words(&text).is_empty());
    });
}

/// Go's quoted strings.
#[test]
fn quoted() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        assert_eq!(unquote(&quote(&text)).as_deref(), Some(text.as_bytes()));
        if let Some((_, length)) = unquote_prefix(&text) {
            assert!(text.is_char_boundary(length));
            assert!(text[..length].ends_with('"'));
        }
    });
}

/// A kept plan whose checksum is right: of another version, or made by somebody.
#[test]
fn snapshot() {
    check!().for_each(|input: &[u8]| {
        fuzzing::snapshot(input);
    });
}

/// What of a source file planning depends on. A file's end belongs to it or does not, but its head always does.
#[test]
fn source_header() {
    check!().for_each(|input: &[u8]| {
        for name in ["a.go", "a_test.go", "a.c", "go.mod", "x.def"] {
            let path = Path::new(name);
            let digest = header::header_digest(path, input);
            assert_eq!(digest, header::header_digest(path, input));
            if name == "a.go" && digest != header::header_digest(path, b"") {
                // A first line that no Go file can begin with makes it a file that counts as a whole.
                let changed = [b"package package\n", input].concat();
                assert_ne!(digest, header::header_digest(path, &changed));
            }
        }
    });
}

/// The lines of C sources that name other files.
#[test]
fn c_includes() {
    check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        for name in named::names(&text) {
            if let Name::Source(name) | Name::Data(name) = name {
                assert!(!name.contains('\n'));
            }
        }
    });
}
