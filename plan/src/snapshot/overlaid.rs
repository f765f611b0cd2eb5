//! What cmd/go's questions ask of the file system when it sees that through an overlay (cmd/go/internal/fsys/fsys.go).
//!
//! The overlay's own file is a fact, so what the overlay answers by itself needs none: a path that stands for nothing, a
//! folder that is there because of a path below it. A path for which a file stands asks for that file, links followed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::folders::is_planned_file;
use super::header::reads_alike;
use crate::lookups::Question;
use crate::overlay::{Overlay, Seen};

/// The questions to the file system that this question of cmd/go's comes to.
pub(super) fn underlying(overlay: &Overlay, question: Question) -> BTreeSet<Question> {
    match &question {
        Question::Kind(path) | Question::Entry(path) => match overlay.seen(path) {
            Seen::Real => [question].into(),
            // `overlayStat` follows links, whoever asks.
            Seen::File(by) => [Question::Kind(by.to_owned())].into(),
            Seen::Nothing | Seen::Folder => BTreeSet::new(),
        },
        Question::Content(path) => match overlay.seen(path) {
            Seen::Real => [question].into(),
            Seen::File(by) => [content(path, by)].into(),
            Seen::Nothing | Seen::Folder => BTreeSet::new(),
        },
        Question::Whole(path) => match overlay.seen(path) {
            Seen::Real => [question].into(),
            Seen::File(by) => [Question::Whole(by.to_owned())].into(),
            Seen::Nothing | Seen::Folder => BTreeSet::new(),
        },
        Question::Packages(folder) | Question::Names(folder, _) => match overlay.seen(folder) {
            Seen::Real => [question].into(),
            Seen::Folder => listed(overlay, folder, question.clone()),
            Seen::Nothing | Seen::File(_) => BTreeSet::new(),
        },
        Question::Package(folder) => match overlay.seen(folder) {
            Seen::Real => [question].into(),
            Seen::Folder => {
                let files = planned_files(overlay, folder).into_iter();
                let mut questions = listed(overlay, folder, Question::Packages(folder.clone()));
                questions.extend(files.map(|(seen, file)| content(&seen, &file)));
                questions
            }
            Seen::Nothing | Seen::File(_) => BTreeSet::new(),
        },
    }
}

/// A folder in which files of the overlay stand beside those that are there (`ReadDir`). It need not be there; whether it is
/// tells what cannot be listed from what is not there. One of the files that is a folder makes cmd/go refuse all.
fn listed(overlay: &Overlay, folder: &Path, question: Question) -> BTreeSet<Question> {
    let mut questions = BTreeSet::from([question, Question::Kind(folder.to_owned())]);
    let children = overlay.children(folder);
    questions.extend(children.values().filter_map(|seen| match seen {
        Seen::File(by) => Some(Question::Kind((*by).to_owned())),
        _ => None,
    }));
    questions
}

/// What a file says that is read under this name. Its own name may be of another sort, and then all of it counts.
fn content(seen: &Path, file: &Path) -> Question {
    match reads_alike(seen, file) {
        true => Question::Content(file.to_owned()),
        false => Question::Whole(file.to_owned()),
    }
}

/// The files of a package's folder that cmd/go looks at: where it sees each, and which file that is.
pub(super) fn planned_files(overlay: &Overlay, folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let names = overlay.names(folder).into_iter();
    names
        .filter(|name| is_planned_file(&name.to_string_lossy()))
        .filter_map(|name| {
            let seen = folder.join(name);
            let file = overlay.file(&seen)?;
            Some((seen, file))
        })
        .collect()
}

/// What the trace does not say: files of modules that the overlay gives, all of which counts. cmd/go reads some of them in
/// ways that pass the overlay by (to choose the release, for one), so those of the file system are asked for as well.
pub(super) fn module_files(overlay: &Overlay) -> BTreeSet<Question> {
    const ENDS: [&str; 3] = ["mod", "sum", "work"];
    let files = overlay.files().filter(|(seen, _)| {
        let end = seen.extension().unwrap_or_default().to_string_lossy();
        ENDS.contains(&&*end) || seen.ends_with("vendor/modules.txt")
    });
    files
        .map(|(_, file)| Question::Whole(file.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lookups::Lookups;

    struct Place {
        dir: tempfile::TempDir,
        overlay: Overlay,
    }

    impl Place {
        fn new(files: &[&str], json: &str) -> Place {
            let dir = tempfile::tempdir().unwrap();
            for name in files {
                let path = dir.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "package p\n").unwrap();
            }
            fs::write(dir.path().join("o.json"), json).unwrap();
            let flag = ["-overlay=o.json"];
            let overlay = Overlay::of(&Lookups::default(), flag, dir.path()).unwrap();
            Place { dir, overlay }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn asks(&self, question: Question) -> BTreeSet<Question> {
            underlying(&self.overlay, question)
        }
    }

    #[test]
    fn what_the_overlay_answers_asks_nothing() {
        let place = Place::new(
            &["p/a.go", "p/b.go", "alt/a.go"],
            r#"{"Replace": {"p/a.go": "alt/a.go", "p/b.go": "", "q/r/c.go": "alt/a.go"}}"#,
        );
        for path in ["p/b.go", "q", "q/r", "p/a.go/x"] {
            assert!(place.asks(Question::Kind(place.at(path))).is_empty());
            assert!(place.asks(Question::Entry(place.at(path))).is_empty());
            assert!(place.asks(Question::Content(place.at(path))).is_empty());
        }
        let target = place.at("alt/a.go");
        for question in [
            Question::Entry(place.at("p/a.go")),
            Question::Kind(place.at("p/a.go")),
        ] {
            assert_eq!(
                place.asks(question),
                [Question::Kind(target.clone())].into()
            );
        }
        let other = Question::Content(place.at("other.go"));
        assert_eq!(place.asks(other.clone()), [other].into());
    }

    #[test]
    fn a_package_is_read_from_where_its_files_are() {
        let place = Place::new(
            &["p/a.go", "p/b.go", "p/x.txt", "alt/a", "alt/c.go"],
            r#"{"Replace": {"p/a.go": "alt/a", "p/b.go": "", "p/c.go": "alt/c.go", "p/d.go": "gone"}}"#,
        );
        assert_eq!(
            place.asks(Question::Package(place.at("p"))),
            [
                Question::Packages(place.at("p")),
                Question::Kind(place.at("p")),
                Question::Kind(place.at("alt/a")),
                Question::Kind(place.at("alt/c.go")),
                Question::Kind(place.at("gone")),
                Question::Whole(place.at("alt/a")),
                Question::Content(place.at("alt/c.go")),
            ]
            .into()
        );
    }
}
