//! Git repositories around modules, which are stamped into programs.

use std::io;

use super::{MAIN, quick};
use crate::specimen::Specimen;
use crate::workshop::Workshop;

/// A repository in `src` with a module.
fn repository(w: &mut Workshop) -> io::Result<()> {
    w.module(&[("main.go", MAIN), (".gitignore", "*.log\nbuild/\n")])?;
    w.repository("src")
}

pub(super) const ALL: &[Specimen] = &[
    quick("repository", repository),
    quick("repository_with_changes", |w| {
        repository(w)?;
        w.files(&[("src/.gitignore", "*.log\nbuild/\n# more\n")])
    }),
    quick("repository_with_untracked_files", |w| {
        repository(w)?;
        w.files(&[("src/new.txt", "text 1\n"), ("src/x.log", "text 2\n")])
    }),
    quick("repository_with_ignored_sources", |w| {
        repository(w)?;
        w.files(&[
            ("src/.gitignore", "gen.go\n"),
            ("src/gen.go", "package main\n\nfunc init() { println(1) }\n"),
        ])?;
        w.git("src", &["commit", "-q", "-a", "-m", "second"])
    }),
    quick("repository_with_tags", |w| {
        repository(w)?;
        w.git("src", &["tag", "v1.2.3"])?;
        w.git("src", &["tag", "-a", "-m", "m", "v0.9.0"])?;
        w.git("src", &["commit", "-q", "--allow-empty", "-m", "second"])
    }),
    quick("repository_at_a_tag", |w| {
        repository(w)?;
        w.git("src", &["tag", "v1.2.3"])
    }),
    quick("repository_without_commits", |w| {
        w.module(&[("main.go", MAIN)])?;
        w.git("src", &["init", "-q"])
    }),
    quick("repository_above_the_module", |w| {
        w.work_in("src/sub/module");
        w.files(&[
            ("src/readme", "text 1\n"),
            (
                "src/sub/module/go.mod",
                "module example.com/m/sub/module\n\ngo 1.24\n",
            ),
            ("src/sub/module/main.go", MAIN),
        ])?;
        w.repository("src")?;
        w.git("src", &["tag", "sub/module/v1.0.0"])
    }),
    quick("repository_not_stamped", |w| {
        w.flags(&["-buildvcs=false"]);
        repository(w)
    }),
    quick("submodule", |w| {
        w.files(&[
            ("lib/go.mod", "module example.com/m\n\ngo 1.24\n"),
            ("lib/main.go", MAIN),
        ])?;
        w.repository("lib")?;
        w.files(&[("src/readme", "text 1\n")])?;
        w.repository("src")?;
        w.git("src", &["submodule", "--quiet", "add", "../lib", "sub"])?;
        w.git("src", &["commit", "-q", "-m", "second"])?;
        w.work_in("src/sub");
        Ok(())
    }),
    quick("worktree_inside_its_main_checkout", |w| {
        repository(w)?;
        w.files(&[("src/.gitignore", "trees/\n")])?;
        w.git("src", &["commit", "-q", "-a", "-m", "second"])?;
        w.git("src", &["worktree", "add", "-q", "trees/one", "HEAD~1"])?;
        w.work_in("src/trees/one");
        Ok(())
    }),
    quick("worktree_outside", |w| {
        repository(w)?;
        w.git("src", &["worktree", "add", "-q", "-b", "side", "../tree"])?;
        w.work_in("tree");
        Ok(())
    }),
    quick("repository_in_a_repository", |w| {
        w.files(&[("src/readme", "text 1\n"), ("src/.gitignore", "inner/\n")])?;
        w.repository("src")?;
        w.files(&[
            ("src/inner/go.mod", "module example.com/m\n\ngo 1.24\n"),
            ("src/inner/main.go", MAIN),
        ])?;
        w.repository("src/inner")?;
        w.work_in("src/inner");
        Ok(())
    }),
    quick("repository_of_a_workspace", |w| {
        w.work_in("src/one");
        w.files(&[
            ("src/one/go.mod", "module example.com/m\n\ngo 1.24\n"),
            (
                "src/one/main.go",
                "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Lib) }\n",
            ),
            ("src/lib/go.mod", "module example.com/lib\n\ngo 1.24\n"),
            ("src/lib/lib.go", "package lib\n\nconst Lib = 300\n"),
            ("src/go.work", "go 1.24\n\nuse ./one\nuse ./lib\n"),
        ])?;
        w.repository("src")
    }),
];
