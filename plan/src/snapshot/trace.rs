//! What cmd/go asked of the file system, in its own words.
//!
//! With `GODEBUG=gofsystrace=1` every question that goes through cmd/go/internal/fsys is written down, which is nearly all of
//! what loading packages asks, at the cost of one short write each. What cmd/go asks in another way is in [`super::unsaid`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::lookups::Question;

/// The questions of a trace; `None` when there is a word in it that is not known, and so a question that cannot be
/// followed. `cwd` is where cmd/go ran.
pub(super) fn parse(trace: &str, cwd: &Path) -> Option<BTreeSet<Question>> {
    let mut questions = BTreeSet::new();
    for line in trace.lines() {
        // PID gofsystrace OP PATH (cmd/go/internal/fsys/fsys.go, `Trace`).
        let mut words = line.splitn(4, ' ');
        let pid = words.next()?;
        if pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if words.next()? != "gofsystrace" {
            return None;
        }
        let (op, path) = (words.next()?, words.next()?);
        // `..` stays as it is: the system goes up from where a link leads, and so must whoever asks again.
        let path: PathBuf = cwd.join(path).components().collect();
        questions.insert(match op {
            "Stat" | "IsDir" => Question::Kind(path),
            "Lstat" => Question::Entry(path),
            "ReadDir" | "IsGoDir" => Question::Packages(path),
            "Open" | "ReadFile" => Question::Content(path),
            "openIndexPackage" | "indexPackage" => Question::Package(path),
            // A module of the module cache, which is taken to be what its version says.
            "openIndexModule" | "indexModule" => Question::Kind(path),
            // Its parts are told one by one.
            "Glob" => continue,
            _ => return None,
        });
    }
    Some(questions)
}

/// Lines of a trace that are not understood, without what they say about one run: the process and the path.
pub(crate) fn unknown_words(trace: &str) -> BTreeSet<String> {
    trace
        .lines()
        // No line at all is understood, an empty one is not.
        .filter(|line| line.is_empty() || parse(line, Path::new("/")).is_none())
        .map(|line| match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            [_, "gofsystrace", op, _] => op.to_owned(),
            _ => line.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_trace_is_a_question() {
        let trace = "7 gofsystrace Stat /m/go.work\n7 gofsystrace Lstat ./a b/\n7 gofsystrace Glob /m/x*\n\
                     7 gofsystrace openIndexPackage /m/lib\n";
        assert_eq!(
            parse(trace, Path::new("/m")).unwrap(),
            BTreeSet::from([
                Question::Kind("/m/go.work".into()),
                Question::Entry("/m/a b".into()),
                Question::Package("/m/lib".into()),
            ])
        );
    }

    #[test]
    fn unknown_words_are_named_once() {
        let trace = "7 gofsystrace Stat /m\n7 gofsystrace Walk /m\n8 gofsystrace Walk /n\nodd\n";
        assert_eq!(Vec::from_iter(unknown_words(trace)), ["Walk", "odd"]);
    }

    #[test]
    fn a_trace_that_is_not_understood_is_none() {
        for line in [
            "7 gofsystrace Frobnicate /m",
            // A name with a line feed in it.
            "7 gofsystrace Stat /m/a\nb",
            "gofsystrace Stat /m",
            "x gofsystrace Stat /m",
            "7 gofsystrace Stat",
        ] {
            assert_eq!(parse(line, Path::new("/m")), None, "{line}");
        }
    }
}
