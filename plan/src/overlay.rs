//! `-overlay`: files that stand for others while a build is planned (cmd/go/internal/fsys).
//!
//! cmd/go takes its questions to the overlay first, by the text of the path, and to the file system then. A dry run names the
//! files that are really read, with one exception: hash inputs name a source as its package does. What a question to the
//! overlay asks of the file system is said by [`crate::snapshot`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::cc::includes::normalise;
use crate::error::PlanError;
use crate::lookups::Lookups;
use crate::request::last_value;

/// The replacements of one build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    /// What stands for a path; nothing where the file is to be taken for absent. Paths are absolute. They are compared by
    /// their parts, so a folder stands right before all that is below it, which is the order that cmd/go searches in.
    replaced: BTreeMap<PathBuf, Option<PathBuf>>,
}

/// What cmd/go sees at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// What the file system has there.
    Real,
    /// Nothing.
    Nothing,
    /// This file, links followed.
    File(&'a Path),
    /// A folder, because something stands for a path below it. What the file system has in that folder is in it as well.
    Folder,
}

impl Overlay {
    /// The overlay that these flags name. Its file and all paths in it are relative to `cwd`.
    pub fn of<'a>(
        lookups: &Lookups,
        flags: impl IntoIterator<Item = &'a str>,
        cwd: &Path,
    ) -> Result<Overlay, PlanError> {
        let named = last_value(flags, "overlay");
        let Some(name) = named.filter(|name| !name.is_empty()) else {
            return Ok(Overlay::default());
        };
        let file = cwd.join(name);
        if !lookups.is_file(&file) {
            // cmd/go has read it to its end, so that nothing may be left.
            return Err(PlanError::Unsupported {
                what: format!("-overlay={name}"),
                why: "it is no regular file, and is read more than once; write it into a file"
                    .to_owned(),
            });
        }
        let bytes = lookups
            .read_whole(&file)
            .map_err(|source| PlanError::File {
                path: file.display().to_string(),
                source,
            })?;
        Overlay::parse(&bytes, cwd).map_err(|why| {
            PlanError::Inconsistent(format!(
                "go has read the overlay {name}, gofarm cannot: {why}"
            ))
        })
    }

    fn parse(bytes: &[u8], cwd: &Path) -> Result<Overlay, serde_json::Error> {
        // As encoding/json does with what is no UTF-8.
        let text = String::from_utf8_lossy(bytes);
        let json: Option<OverlayJson> = serde_json::from_str(&text)?;
        let named = json.map(|json| json.0).unwrap_or_default();
        let replaced = named.into_iter().map(|(path, by)| {
            let by = (!by.is_empty()).then(|| normalise(&cwd.join(by)));
            (normalise(&cwd.join(path)), by)
        });
        Ok(Overlay {
            replaced: replaced.collect(),
        })
    }

    /// What cmd/go sees at this path (`stat` in cmd/go/internal/fsys/fsys.go).
    pub fn seen(&self, path: &Path) -> Seen<'_> {
        if self.replaced.is_empty() {
            return Seen::Real;
        }
        let path = normalise(path);
        match self.replaced.get(&path) {
            Some(Some(by)) => return Seen::File(by),
            Some(None) => return Seen::Nothing,
            None => {}
        }
        let mut after = self.replaced.range(path.clone()..);
        if after
            .next()
            .is_some_and(|(named, _)| named.starts_with(&path))
        {
            return Seen::Folder;
        }
        // Only the nearest one is looked at, as cmd/go does.
        let before = self.replaced.range(..path.clone()).next_back();
        match before.is_some_and(|(named, _)| path.starts_with(named)) {
            true => Seen::Nothing,
            false => Seen::Real,
        }
    }

    /// What stands in a folder for something, by name (`children` there): of several paths below one name the first counts,
    /// and one that takes away what is deeper counts nothing.
    pub fn children(&self, folder: &Path) -> BTreeMap<OsString, Seen<'_>> {
        let folder = normalise(folder);
        let mut children = BTreeMap::new();
        let below = self
            .replaced
            .range(folder.clone()..)
            .take_while(|(named, _)| named.starts_with(&folder));
        for (named, by) in below {
            let mut names = named.components().skip(folder.components().count());
            let Some(name) = names.next() else {
                continue;
            };
            let seen = match (names.next(), by) {
                (Some(_), None) => continue,
                (Some(_), Some(_)) => Seen::Folder,
                (None, None) => Seen::Nothing,
                (None, Some(by)) => Seen::File(by),
            };
            children.entry(name.as_os_str().to_owned()).or_insert(seen);
        }
        children
    }

    /// The names that cmd/go sees in a folder; none where it sees no folder.
    pub fn names(&self, folder: &Path) -> Vec<OsString> {
        let real = || {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name())
        };
        match self.seen(folder) {
            Seen::Real => real().collect(),
            Seen::Nothing | Seen::File(_) => Vec::new(),
            Seen::Folder => {
                let children = self.children(folder);
                let mut names: Vec<OsString> =
                    real().filter(|name| !children.contains_key(name)).collect();
                let standing = children.into_iter();
                names.extend(
                    standing
                        .filter(|(_, seen)| *seen != Seen::Nothing)
                        .map(|(name, _)| name),
                );
                names
            }
        }
    }

    /// Whether cmd/go sees a folder here, links of the file system not followed.
    pub fn is_own_folder(&self, path: &Path) -> bool {
        match self.seen(path) {
            Seen::Real => fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()),
            seen => seen == Seen::Folder,
        }
    }

    /// Whether cmd/go sees a folder here, links followed.
    pub fn is_folder(&self, path: &Path) -> bool {
        match self.seen(path) {
            Seen::Real => path.is_dir(),
            seen => seen == Seen::Folder,
        }
    }

    /// Where what is read lies when this path is asked for; nothing where cmd/go sees no file.
    pub fn actual<'a>(&'a self, path: &'a Path) -> Option<&'a Path> {
        match self.seen(path) {
            Seen::Real => Some(path),
            Seen::File(by) => Some(by),
            Seen::Nothing | Seen::Folder => None,
        }
    }

    /// The file that is read when this path is asked for; nothing where there is none.
    pub fn file(&self, path: &Path) -> Option<PathBuf> {
        let file = self.actual(path)?;
        file.is_file().then(|| file.to_owned())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty()
    }

    /// The path for which a file stands, which is its own when it stands for none; nothing when it stands for several.
    pub fn standing_for<'a>(&'a self, file: &'a Path) -> Option<&'a Path> {
        let mut paths = self.files().filter(|(_, by)| *by == file);
        match (paths.next(), paths.next()) {
            (None, _) => Some(file),
            (Some((path, _)), None) => Some(path),
            (Some(_), Some(_)) => None,
        }
    }

    /// Every path for which a file stands, with that file.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let named = self.replaced.iter();
        named.filter_map(|(path, by)| Some((path.as_path(), by.as_deref()?)))
    }
}

/// The file of an overlay, as encoding/json reads it into cmd/go's `overlayJSON`: the name of the field in any case, several
/// of them adding up, the last word of a path counting, and `null` for a file that is to be taken for absent.
#[derive(Default)]
struct OverlayJson(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for OverlayJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OverlayJson, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = OverlayJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a field Replace")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<OverlayJson, A::Error> {
                let mut read = OverlayJson::default();
                while let Some(name) = fields.next_key::<String>()? {
                    if !name.eq_ignore_ascii_case("replace") {
                        fields.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    match fields.next_value::<Option<BTreeMap<String, Option<String>>>>()? {
                        Some(more) => read.0.extend(
                            more.into_iter()
                                .map(|(path, by)| (path, by.unwrap_or_default())),
                        ),
                        None => read.0.clear(),
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(text: &str) -> Overlay {
        Overlay::parse(text.as_bytes(), Path::new("/m")).unwrap()
    }

    fn file(path: &str) -> Seen<'_> {
        Seen::File(Path::new(path))
    }

    #[test]
    fn a_path_is_seen_as_fsys_sees_it() {
        let overlay = overlay(
            r#"{"Replace": {"a.go": "alt/a", "gone.go": "", "sub/x/y.go": "/o/y.go", "d": "", "d/b.go": "b", "./p/../q.go": "q"}}"#,
        );
        for (path, seen) in [
            ("/m/a.go", file("/m/alt/a")),
            ("/m/./z/../a.go", file("/m/alt/a")),
            ("/m/a.go/x", Seen::Nothing),
            ("/m/gone.go", Seen::Nothing),
            ("/m/sub", Seen::Folder),
            ("/m/sub/x", Seen::Folder),
            ("/m/sub/x/y.go", file("/o/y.go")),
            ("/m/sub/x/z.go", Seen::Real),
            ("/m/sub2", Seen::Real),
            ("/m", Seen::Folder),
            ("/", Seen::Folder),
            ("/m/q.go", file("/m/q")),
            ("/m/other.go", Seen::Real),
            // What was taken away is found again behind a file that stands in it, as it is by cmd/go.
            ("/m/d", Seen::Nothing),
            ("/m/d/a.go", Seen::Nothing),
            ("/m/d/b.go", file("/m/b")),
            ("/m/d/c.go", Seen::Real),
        ] {
            assert_eq!(overlay.seen(Path::new(path)), seen, "{path}");
        }
        assert_eq!(Overlay::default().seen(Path::new("/m/a.go")), Seen::Real);
    }

    #[test]
    fn the_children_of_a_folder_are_those_that_fsys_finds() {
        let overlay = overlay(
            r#"{"Replace": {"d": "", "d/b.go": "b", "e/gone.go": "", "f/gone.go": "", "f/g/h.go": "h", "g.go": "g", "h.go": ""}}"#,
        );
        let children = overlay.children(Path::new("/m"));
        let children: Vec<(&str, Seen<'_>)> = children
            .iter()
            .map(|(name, seen)| (name.to_str().unwrap(), *seen))
            .collect();
        assert_eq!(
            children,
            [
                ("d", Seen::Nothing),
                ("f", Seen::Folder),
                ("g.go", file("/m/g")),
                ("h.go", Seen::Nothing)
            ]
        );
        assert_eq!(overlay.children(Path::new("/m/e")).len(), 1);
        assert!(overlay.children(Path::new("/n")).is_empty());
    }

    #[test]
    fn the_file_is_read_as_encoding_json_reads_it() {
        for text in [
            r#"{"Replace": {"a": "b"}}"#,
            r#"{"replace": {"a": "b"}, "Other": [1, {"x": null}]}"#,
            r#"{"Replace": {"x": "y"}, "Replace": null, "REPLACE": {"a": "c", "a": "b"}}"#,
        ] {
            let read = overlay(text);
            assert_eq!(
                read.files().collect::<Vec<_>>(),
                [(Path::new("/m/a"), Path::new("/m/b"))],
                "{text}"
            );
        }
        assert_eq!(
            overlay(r#"{"Replace": {"a": null}}"#).seen(Path::new("/m/a")),
            Seen::Nothing
        );
        for text in ["null", "{}", r#"{"Replace": {}}"#] {
            assert!(overlay(text).replaced.is_empty(), "{text}");
        }
        assert!(Overlay::parse(b"{\"Replace\": {\"a\": 1}}", Path::new("/m")).is_err());
    }
}
