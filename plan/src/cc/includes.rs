//! The files that C and assembly sources include from the module's own folders.
//!
//! cmd/go lists the headers of a package's folder and no others. An action sees only what it declares, so what sources
//! include is followed here: conservatively, taking every file that a line could mean and nothing of the system's own
//! folders. Where a macro says what is included, every string in all sources is taken for a name.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::cc::header_folder::headers;
use crate::cc::named::{self, Name};
use crate::host::Kind;
use crate::lookups::Lookups;

/// What sources include.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Included {
    /// Every file that may be read.
    pub files: BTreeSet<PathBuf>,
    /// Those that are found by their absolute path: a source names them so, or a file that is found so names them
    /// relative to itself.
    pub absolute: BTreeSet<PathBuf>,
    /// Those that lie elsewhere than their paths say: up from where a link leads.
    pub elsewhere: BTreeSet<PathBuf>,
    /// Those that are found by going up from a folder of the user's: the folder, the name that is looked for there, and the file.
    pub above: BTreeSet<(PathBuf, String, PathBuf)>,
    /// Those that are found by going up from a folder in which the compiler looks by itself.
    pub beside: BTreeSet<PathBuf>,
}

/// A source that is read: where it is, and whether it is found by its absolute path.
type Source = (PathBuf, bool);

/// All files that these sources may include, directly or through each other.
///
/// `folders` are where they are looked for beside a source's own folder; `definitions` are `-D` arguments, which may hold
/// names; `searched` are the folders in which the compiler looks by itself.
pub(crate) fn follow(
    lookups: &Lookups,
    sources: &[PathBuf],
    folders: &[PathBuf],
    definitions: &[String],
    searched: &[PathBuf],
) -> Included {
    let mut search = Search {
        lookups,
        folders,
        searched,
        included: Included::default(),
        seen: sources.iter().map(|path| (path.clone(), false)).collect(),
        pending: sources.iter().map(|path| (path.clone(), false)).collect(),
    };
    search.take_shadows();
    let mut computed = false;
    let mut scanned: Vec<Source> = Vec::new();
    loop {
        while let Some(source) = search.pending.pop() {
            let Ok(bytes) = lookups.read(&source.0) else {
                continue;
            };
            let text = String::from_utf8_lossy(&bytes);
            if named::any_includes_by_macro(&text) {
                // Which file a macro names only the compiler knows.
                search.take_headers(&source);
            }
            for name in named::names(&text) {
                match name {
                    Name::Source(name) => search.take(&source, &name, true),
                    Name::Data(name) => search.take(&source, &name, false),
                    Name::Computed => computed = true,
                }
            }
            scanned.push(source);
        }
        if !computed {
            break;
        }
        // Any string in any of them may be the name.
        for (path, _) in &search.seen {
            lookups.counts_whole(path);
        }
        let own = (sources.first().cloned().unwrap_or_default(), false);
        for name in definitions.iter().flat_map(|text| named::strings(text)) {
            search.take(&own, &name, true);
        }
        for source in std::mem::take(&mut scanned) {
            let bytes = lookups.read(&source.0).unwrap_or_default();
            for name in named::strings(&String::from_utf8_lossy(&bytes)) {
                search.take(&source, &name, true);
            }
        }
        if search.pending.is_empty() {
            break;
        }
    }
    search.included
}

struct Search<'a> {
    lookups: &'a Lookups,
    folders: &'a [PathBuf],
    searched: &'a [PathBuf],
    included: Included,
    seen: BTreeSet<Source>,
    pending: Vec<Source>,
}

impl Search<'_> {
    /// Takes every file that a name in a source can mean.
    fn take(&mut self, source: &Source, name: &str, is_source: bool) {
        let own = source.0.parent().unwrap_or(Path::new("/")).to_path_buf();
        if name.starts_with('/') {
            return self.reach(Path::new(name), true, is_source);
        }
        self.reach(&own.join(name), source.1, is_source);
        for folder in self.folders {
            self.reach(&folder.join(name), false, is_source);
        }
        if Path::new(name)
            .components()
            .any(|part| part == Component::ParentDir)
        {
            let own = (!source.1).then_some(&own);
            for folder in own.into_iter().chain(self.folders) {
                let path = normalise(&folder.join(name));
                if self.lookups.is_file(&path) {
                    let above = (folder.clone(), name.to_owned(), path);
                    self.included.above.insert(above);
                }
            }
            for folder in self.searched {
                let path = folder.join(name);
                if self.lookups.is_file(&path) {
                    self.included.beside.insert(normalise(&path));
                }
            }
        }
    }

    /// Takes the file that the compiler finds at a path. `..` leads up from where a link leads; inside an action, where no folder is a
    /// link, from the folder that the path names.
    fn reach(&mut self, spelled: &Path, absolute: bool, is_source: bool) {
        let path = normalise(spelled);
        if self.goes_up_from_a_link(spelled) {
            if !self.lookups.is_file(spelled) {
                return;
            }
            let host = self.lookups.host();
            if host.real_path(spelled) != host.real_path(&path) {
                self.included.elsewhere.insert(spelled.to_owned());
                return;
            }
        }
        self.found(path, absolute, is_source);
    }

    fn goes_up_from_a_link(&self, spelled: &Path) -> bool {
        let mut folder = PathBuf::new();
        let mut goes = false;
        for component in spelled.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    goes |= self.lookups.is_link(&folder);
                    folder.pop();
                }
                other => folder.push(other),
            }
        }
        goes
    }

    /// Takes what stands in a folder of `-I` under the name of a header of the system. No source need name it: headers of the
    /// system, which are not read, include each other by their names, and find this one first.
    fn take_shadows(&mut self) {
        let is_searched =
            |folder: &Path| self.searched.iter().any(|known| folder.starts_with(known));
        let ours = self.folders.iter().filter(|folder| !is_searched(folder));
        let mut pending: Vec<(PathBuf, Vec<PathBuf>)> = ours
            .map(|folder| (folder.clone(), self.searched.to_vec()))
            .collect();
        let host = self.lookups.host().clone();
        while let Some((folder, of_system)) = pending.pop() {
            let listed = of_system
                .iter()
                .flat_map(|folder| host.names(folder).unwrap_or_default());
            let others: BTreeSet<String> = listed
                .filter_map(|(name, _)| name.into_string().ok())
                .filter(|name| !name.contains('.'))
                .collect();
            for (name, kind) in self.lookups.header_names(&folder, &others) {
                let path = folder.join(&name);
                let kind = match kind {
                    Kind::Link if self.lookups.is_dir(&path) => Kind::Folder,
                    Kind::Link if self.lookups.is_file(&path) => Kind::File,
                    kind => kind,
                };
                let alike = of_system.iter().map(|folder| folder.join(&name));
                // What the system has is in the identity of the toolchain.
                let alike: Vec<PathBuf> =
                    alike.filter(|path| host.kind(path) == Some(kind)).collect();
                match kind {
                    _ if alike.is_empty() => {}
                    Kind::Folder => pending.push((path, alike)),
                    _ => self.found(normalise(&path), false, true),
                }
            }
        }
    }

    fn take_headers(&mut self, source: &Source) {
        let own = source.0.parent().unwrap_or(Path::new("/")).to_path_buf();
        for folder in std::iter::once(&own).chain(self.folders) {
            for path in headers(self.lookups, folder) {
                self.found(path, source.1 && folder == &own, true);
            }
        }
    }

    fn found(&mut self, path: PathBuf, absolute: bool, is_source: bool) {
        let source = (path, absolute);
        if self.seen.contains(&source) || !self.lookups.is_file(&source.0) {
            return;
        }
        self.included.files.insert(source.0.clone());
        if absolute {
            self.included.absolute.insert(source.0.clone());
        }
        if is_source {
            self.pending.push(source.clone());
        }
        self.seen.insert(source);
    }
}

/// Resolves `.` and `..` in the text, as the compiler's own path is not resolved through links either.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookups::{HEADERS, Question};

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Tree {
            Tree(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    fn files(source: &Path, folders: &[PathBuf]) -> BTreeSet<PathBuf> {
        follow(
            &Lookups::default(),
            &[source.to_path_buf()],
            folders,
            &[],
            &[],
        )
        .files
    }

    #[test]
    fn includes_are_followed_through_headers_and_folders() {
        let tree = Tree::new();
        let go = tree.write(
            "pkg/a.go",
            "/*\n#include \"sub/b.h\"\n  # include <lib.h>\n#include <stdio.h>\n*/\nimport \"C\"\n",
        );
        let b = tree.write("pkg/sub/b.h", "#include \"../c.h\"\n");
        let c = tree.write("pkg/c.h", "#include \"sub/b.h\"\n");
        let lib = tree.write("inc/lib.h", "");
        tree.write("inc/unused.h", "");
        assert_eq!(files(&go, &[tree.0.path().join("inc")]), [b, c, lib].into());
    }

    #[test]
    fn a_question_for_a_file_and_a_computed_include_are_followed_too() {
        let tree = Tree::new();
        let asks = tree.write(
            "asks/a.c",
            "#if defined(X) || __has_include(\"opt.inc\")\n#endif\n",
        );
        let opt = tree.write("asks/opt.inc", "");
        assert_eq!(files(&asks, &[]), [opt].into());
        let computes = tree.write("computes/a.c", "#define H \"in/m.h\"\n#include H\n");
        let header = tree.write("computes/in/m.h", "");
        assert_eq!(files(&computes, &[]), [header].into());
    }

    #[test]
    fn data_that_the_assembler_takes_in_is_found_wherever_its_name_stands() {
        let tree = Tree::new();
        let blob = tree.write("blob.bin", "#include \"other.h\"\n");
        tree.write("other.h", "");
        for (name, text) in [
            ("a.S", "\t.incbin \"blob.bin\", 1\n"),
            (
                "b.go",
                "/*\n__asm__(\".incbin \\\"blob.bin\\\"\\n\");\n*/\nimport \"C\"\n",
            ),
            ("c.c", "#embed \"blob.bin\"\n"),
        ] {
            assert_eq!(
                files(&tree.write(name, text), &[]),
                [blob.clone()].into(),
                "{name}"
            );
        }
        let macros = tree.write(
            "m.h",
            "#define INCBIN(F) __asm__(\".incbin \\\"\" F \"\\\"\")\n",
        );
        let uses = tree.write("d.c", "#include \"m.h\"\nINCBIN(\"blob.bin\");\n");
        assert!(files(&uses, &[]).is_superset(&[blob, macros].into()));
    }

    #[test]
    fn what_is_included_by_the_way_up_from_a_link_is_what_the_compiler_finds() {
        let tree = Tree::new();
        let source = tree.write("pkg/a.c", "#include \"inc/../x.h\"\n");
        tree.write("pkg/x.h", "");
        let folder = tree.0.path().to_owned();
        std::fs::create_dir_all(folder.join("far/inc")).unwrap();
        std::os::unix::fs::symlink("../far/inc", folder.join("pkg/inc")).unwrap();
        assert_eq!(files(&source, &[]), [].into());
        tree.write("far/x.h", "");
        let included = follow(
            &Lookups::default(),
            std::slice::from_ref(&source),
            &[],
            &[],
            &[],
        );
        assert_eq!(included.elsewhere, [folder.join("pkg/inc/../x.h")].into());
        std::fs::remove_file(folder.join("pkg/inc")).unwrap();
        std::os::unix::fs::symlink("sub/inc", folder.join("pkg/inc")).unwrap();
        std::fs::create_dir_all(folder.join("pkg/sub/inc")).unwrap();
        std::os::unix::fs::symlink("../x.h", folder.join("pkg/sub/x.h")).unwrap();
        assert_eq!(files(&source, &[]), [folder.join("pkg/x.h")].into());
    }

    #[test]
    fn what_a_header_of_the_system_may_find_in_a_folder_of_a_flag_is_included_though_no_source_names_it()
     {
        let tree = Tree::new();
        let source = tree.write("pkg/a.c", "#include <outer.h>\n");
        for header in ["outer.h", "inner.h", "sys/deep.h", "sys/only.h", "vector"] {
            tree.write(&format!("system/{header}"), "");
        }
        let inner = tree.write("inc/inner.h", "#include \"more.h\"\n");
        let more = tree.write("inc/more.h", "");
        let deep = tree.write("inc/sys/deep.h", "");
        tree.write("inc/sys/other.h", "");
        tree.write("inc/unused.h", "");
        tree.write("inc/program", "");
        let vector = tree.write("inc/vector", "");
        let folder = tree.0.path().to_owned();
        let lookups = Lookups::default();
        let folders = [folder.join("inc"), folder.join("system/sys")];
        let included = follow(&lookups, &[source], &folders, &[], &[folder.join("system")]);
        assert_eq!(included.files, [inner, more, deep, vector].into());
        let questions = lookups.into_questions();
        for (asked, others) in [("inc", "/sys/vector"), ("inc/sys", "")] {
            let names = Question::Names(folder.join(asked), format!("{HEADERS}{others}"));
            assert!(questions.contains(&names), "{asked}: {questions:?}");
        }
    }

    #[test]
    fn what_an_absolute_include_includes_is_absolute_too() {
        let tree = Tree::new();
        let y = tree.write("far/y.h", "");
        let x = tree.write("far/x.h", "#include \"y.h\"\n");
        let source = tree.write(
            "a.c",
            &format!("#include \"{}\"\n#include \"z.h\"\n", x.display()),
        );
        let z = tree.write("z.h", "");
        let included = follow(&Lookups::default(), &[source], &[], &[], &[]);
        assert_eq!(included.absolute, [x.clone(), y.clone()].into());
        assert_eq!(included.files, [x, y, z].into());
    }
}
