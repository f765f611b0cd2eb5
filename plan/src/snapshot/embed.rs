//! What //go:embed patterns ask of the file system (cmd/go/internal/load/pkg.go, `resolveEmbed`).
//!
//! cmd/go's trace says which folders it listed, and not that every name in them counted. These are questions of cmd/go's, which
//! sees the file system through the overlay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gofarm_proto::v1;

use crate::lookups::{ANY, Question};
use crate::node::PlannedNode;
use crate::overlay::Overlay;

/// A tree with more folders than this is not remembered; it is planned anew each time.
const MAX_FOLDERS: usize = 50_000;

/// The questions of a package's patterns; `None` when there are too many to remember.
pub(super) fn questions(overlay: &Overlay, node: &PlannedNode) -> Option<BTreeSet<Question>> {
    let mut questions = BTreeSet::new();
    let config = node.action.steps.iter().find_map(|step| match &step.step {
        Some(v1::step::Step::WriteFile(file)) if file.path.ends_with("/embedcfg") => {
            serde_json::from_slice::<serde_json::Value>(&file.content).ok()
        }
        _ => None,
    });
    let patterns = config
        .as_ref()
        .and_then(|config| config.get("Patterns")?.as_object());
    for pattern in patterns.into_iter().flat_map(|patterns| patterns.keys()) {
        let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
        expand(overlay, Path::new(&node.folder), pattern, &mut questions)?;
    }
    Some(questions)
}

fn expand(
    overlay: &Overlay,
    folder: &Path,
    pattern: &str,
    questions: &mut BTreeSet<Question>,
) -> Option<()> {
    let mut places = vec![folder.to_path_buf()];
    for name in pattern.split('/') {
        let mut next = Vec::new();
        for place in places {
            if !name.contains(['*', '?', '[', '\\']) {
                let path = place.join(name);
                questions.insert(Question::Entry(path.clone()));
                next.push(path);
                continue;
            }
            for there in overlay.names(&place) {
                if matches(name, &there.to_string_lossy()) {
                    next.push(place.join(there));
                }
            }
            questions.insert(Question::Names(place, name.to_owned()));
        }
        places = next;
    }
    // What a pattern names and is a folder is taken with all that is below it.
    let mut folders: Vec<PathBuf> = places;
    folders.retain(|path| overlay.is_own_folder(path));
    while let Some(folder) = folders.pop() {
        if questions.len() > MAX_FOLDERS {
            return None;
        }
        let paths = overlay.names(&folder).into_iter();
        folders.extend(
            paths
                .map(|name| folder.join(name))
                .filter(|path| overlay.is_own_folder(path)),
        );
        questions.insert(Question::Names(folder, ANY.to_owned()));
    }
    Some(())
}

/// Whether a name may match a pattern of one name (path.Match). A class of characters counts as any character, so that
/// this says yes too often and never too rarely.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let starts = name.char_indices().map(|(at, _)| at);
            starts
                .chain([name.len()])
                .any(|at| matches(rest.as_str(), &name[at..]))
        }
        Some(c) => {
            let Some(first) = name.chars().next() else {
                return false;
            };
            let fits = match c {
                '?' => true,
                '[' => {
                    skip_class(&mut rest);
                    true
                }
                '\\' => rest.next() == Some(first),
                c => c == first,
            };
            fits && matches(rest.as_str(), &name[first.len_utf8()..])
        }
    }
}

fn skip_class(rest: &mut std::str::Chars<'_>) {
    let mut first = true;
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next();
            }
            '^' if first => continue,
            ']' => return,
            _ => {}
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_path_match_says_or_more() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", ".hidden", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.bak", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "by", false),
            ("[^a]x", "bx", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b*", "xaybz", true),
            ("*a*b*", "xbya", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
