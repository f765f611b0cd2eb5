//! `-work`: what actions had is kept.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Finished, Site};

const LIB: &str = "package lib\n\nfunc F() int { return 1 }\n";

/// A module that no other run has built.
fn module() -> Site {
    let site = Site::new();
    let main = format!(
        "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() {{ println(lib.F(), {:?}) }}\n",
        site.path("").display().to_string()
    );
    let site = site.module(&[("lib/lib.go", LIB)]);
    site.write("main.go", &main);
    site.age();
    site
}

/// The folder that a build says it has kept, which is the first that it says.
fn work(finished: &Finished) -> PathBuf {
    let line = finished.stderr.lines().next().unwrap_or_default();
    let folder = line
        .strip_prefix("WORK=")
        .unwrap_or_else(|| panic!("{line}"));
    PathBuf::from(folder)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_folders_of_actions_that_were_executed_are_kept() {
    let site = module();
    let built = site
        .gofarm(&["submit", "-work", "-o", "out", "."])
        .run()
        .ok();
    let folder = work(&built);
    assert!(folder.starts_with(site.path("tmp")), "{}", folder.display());
    let found = names(&folder);
    assert!(
        found.contains(&"compile-example.com_m".to_owned()),
        "{found:?}"
    );
    assert!(
        found.contains(&"link-example.com_m".to_owned()),
        "{found:?}"
    );
    let link = names(&folder.join("link-example.com_m"));
    assert_eq!(link, ["a.out", "importcfg.link"]);
    let compiled = names(&folder.join("compile-example.com_m"));
    for name in ["importcfg", "pkg.a", "pkg.x"] {
        assert!(compiled.contains(&name.to_owned()), "{compiled:?}");
    }
    // Nothing of the cache is a file of it.
    let program = folder.join("link-example.com_m/a.out");
    fs::write(&program, "").unwrap();
    fs::remove_file(site.src("out")).unwrap();

    // It is the same plan and the same keys as without it, and then there is nothing to be kept.
    let summary = site.submit(&["-o", "out", "."]);
    assert!(summary.plan_reused);
    assert_eq!(summary.actions.executed, 0);
    assert_eq!(site.command(&site.src("out"), &[]).run().ok().stdout, "");
    let again = site
        .gofarm(&["submit", "-work", "-o", "out", "."])
        .run()
        .ok();
    assert_eq!(names(&work(&again)), [""; 0]);
    assert!(
        again
            .stderr
            .contains("came from the cache, and -a executes all"),
        "{}",
        again.stderr
    );
}

#[test]
fn the_folder_of_an_action_that_failed_is_kept() {
    let site = module();
    site.write(
        "lib/lib.go",
        "package lib\n\nfunc F() int { return \"\" }\n",
    );
    let failed = site.gofarm(&["submit", "-work", "."]).run().code(1);
    let kept = names(&work(&failed).join("compile-example.com_m_lib"));
    assert!(kept.contains(&"importcfg".to_owned()), "{kept:?}");
}

#[test]
fn it_is_made_where_go_makes_its_own() {
    let site = module();
    fs::create_dir(site.path("gotmp")).unwrap();
    let built = site
        .gofarm(&["submit", "./lib"])
        .env("GOFLAGS", "-work")
        .env("GOTMPDIR", &site.path("gotmp").to_string_lossy())
        .run()
        .ok();
    assert_eq!(work(&built).parent(), Some(&*site.path("gotmp")));
}

#[test]
fn on_a_farm_it_is_refused() {
    let site = Site::cold().module(&[("lib/lib.go", LIB)]);
    let args = ["submit", "-work", "--server=http://127.0.0.1:1", "./lib"];
    let refused = site.gofarm(&args).run().code(2);
    assert_eq!(
        refused.stderr,
        "gofarm: -work is for embedded builds only, and http://127.0.0.1:1 would build: the folders of actions are on its \
         workers; leave it out, or build here with --server=off\n"
    );
}
