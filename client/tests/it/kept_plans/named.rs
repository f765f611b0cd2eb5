//! Changes that once gave what go does not build.

use gofarm_freshness::mutation::Verdict;
use gofarm_specimens::{Change, Step};

use super::{mutator, specimen};

fn changed(name: &str, steps: &[Step]) -> Verdict {
    let change = Change {
        what: format!("{steps:?}"),
        steps: steps.to_vec(),
    };
    mutator().change(&specimen(name), change).unwrap()
}

/// What is built afterwards is what go builds; the plan was kept before, or nothing would be shown.
#[track_caller]
fn is_seen(name: &str, steps: &[Step]) {
    let verdict = changed(name, steps);
    assert!(verdict.kept, "{name}: the plan was not kept");
    assert!(verdict.refused.is_none(), "{:?}", verdict.refused);
    let told: Vec<String> = verdict
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(told.is_empty(), "{name}: {}", told.join("\n"));
}

fn write(path: &str, text: &str) -> Step {
    Step::Write {
        path: path.to_owned(),
        content: text.as_bytes().to_vec(),
        keep_time: false,
    }
}

fn rename(from: &str, to: &str) -> Step {
    Step::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

fn link(path: &str, target: &str) -> Step {
    Step::Link {
        path: path.to_owned(),
        target: target.to_owned(),
    }
}

fn git(folder: &str, args: &[&str]) -> Step {
    Step::Git {
        folder: folder.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
    }
}

const COMMIT: [&str; 5] = ["commit", "-q", "--allow-empty", "-m", "more"];

#[test]
fn an_embedded_file_becomes_a_link() {
    is_seen(
        "embed_a_file",
        &[
            rename("src/f.txt", "outside/f.txt"),
            link("src/f.txt", "../outside/f.txt"),
        ],
    );
}

#[test]
fn the_folder_of_an_embedded_file_becomes_a_link() {
    is_seen(
        "embed_a_file_in_a_folder",
        &[rename("src/d", "outside/d"), link("src/d", "../outside/d")],
    );
}

#[test]
fn a_file_in_an_embedded_folder_becomes_a_link() {
    is_seen(
        "embed_a_folder",
        &[
            rename("src/d/f.txt", "outside/f.txt"),
            link("src/d/f.txt", "../../outside/f.txt"),
        ],
    );
}

#[test]
fn the_repository_above_a_submodule_has_a_new_commit() {
    is_seen("submodule", &[git("src", &COMMIT)]);
}

#[test]
fn the_repository_above_a_submodule_is_modified() {
    is_seen("submodule", &[write("src/readme", "text 2\n")]);
}

#[test]
fn the_main_checkout_around_a_worktree_has_a_new_commit() {
    is_seen("worktree_inside_its_main_checkout", &[git("src", &COMMIT)]);
}

#[test]
fn the_main_checkout_around_a_worktree_is_modified() {
    is_seen(
        "worktree_inside_its_main_checkout",
        &[write("src/main.go", "package main\n\nfunc main() {}\n")],
    );
}

#[test]
fn a_header_of_any_name_includes_another() {
    is_seen(
        "cgo_header_of_any_name",
        &[
            write("src/t.def", "#include \"u.def\"\n#define VALUE U\n"),
            write("src/u.def", "#define U 5\n"),
        ],
    );
}

#[test]
fn a_header_in_any_folder_includes_another() {
    is_seen(
        "cgo_header_in_any_folder",
        &[
            write("src/_inc/t.h", "#include \"more/v.y\"\n#define VALUE V\n"),
            write("src/_inc/more/v.y", "#define V 5\n"),
        ],
    );
}

#[test]
fn a_header_appears_in_an_earlier_include_folder() {
    is_seen(
        "cgo_include_folders_in_order",
        &[write("src/_a/x.h", "#define VALUE 5\n")],
    );
}

#[test]
fn a_header_appears_that_was_asked_for() {
    is_seen(
        "cgo_has_include",
        &[write("src/opt.def", "#define VALUE 5\n")],
    );
}

#[test]
fn a_package_appears_in_gopath_mode() {
    is_seen(
        "gopath",
        &[write(
            "gopath/src/example.com/m/added/main.go",
            "package main\n\nfunc main() {}\n",
        )],
    );
}

#[test]
fn a_plan_that_asked_pkg_config_is_kept() {
    let verdict = changed("cgo_pkg_config", &[]);
    assert!(verdict.kept && verdict.reused, "{verdict:?}");
    assert_eq!(verdict.differences, []);
}

#[test]
fn a_library_of_pkg_config_changes() {
    is_seen(
        "cgo_pkg_config",
        &[write(
            "lib/pkgconfig/base.pc",
            "Name: base\nDescription: its base\nVersion: 1.0\nCflags: -UVALUE -DVALUE=5\n",
        )],
    );
}

#[test]
fn a_compiler_appears_and_c_is_allowed_by_default() {
    is_seen("no_compiler_on_path", &[link("bin/gcc", "/usr/bin/gcc")]);
}

#[test]
fn a_vendor_folder_appears_in_a_module_of_a_workspace() {
    is_seen(
        "workspace_above",
        &[write(
            "src/one/vendor/modules.txt",
            "# example.com/x v1.0.0\n",
        )],
    );
}

#[test]
fn the_folder_of_settings_becomes_a_file() {
    is_seen(
        "plain",
        &[
            Step::Remove {
                path: "home/.config".to_owned(),
            },
            write("home/.config", "no folder\n"),
        ],
    );
}

#[test]
fn a_compiler_of_the_users_own_is_the_one_that_runs() {
    is_seen("tools_of_its_own", &[]);
}

#[test]
fn a_file_that_stands_for_another_changes() {
    is_seen(
        "overlay_of_sources",
        &[write(
            "alt/more.go",
            "package b\n\nfunc init() { println(500) }\n",
        )],
    );
    is_seen(
        "overlay_of_sources",
        &[write(
            "alt/more.go",
            "package b\n\nimport _ \"strings\"\n\nfunc init() { println(500) }\n",
        )],
    );
}

#[test]
fn a_file_for_which_another_stands_changes() {
    let steps = [write("src/main.go", "package main\n\nthis is no Go\n")];
    is_seen("overlay_of_sources", &steps);
    assert!(changed("overlay_of_sources", &steps).reused);
}

#[test]
fn an_overlay_changes() {
    is_seen(
        "overlay_of_sources",
        &[write(
            "overlay.json",
            "{\"Replace\": {\"b/more.go\": \"../alt/more.go\"}}\n",
        )],
    );
}

#[test]
fn a_file_appears_in_a_folder_that_only_the_overlay_had() {
    is_seen(
        "overlay_of_a_folder",
        &[write(
            "src/a/added.go",
            "package a\n\nfunc init() { println(500) }\n",
        )],
    );
}

#[test]
fn a_file_that_stands_for_an_embedded_one_becomes_a_folder() {
    is_seen(
        "overlay_of_embedded_files",
        &[rename("alt/g", "alt/moved"), write("alt/g/x", "text 5\n")],
    );
}
