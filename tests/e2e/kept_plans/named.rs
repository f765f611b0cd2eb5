//! Changes that once gave what go does not build.

use std::io::{self, ErrorKind};

use gofarm_freshness::mutation::{Cue, Verdict, When};
use gofarm_specimens::{Change, Step};

use super::{mutator, specimen};

fn try_change(name: &str, steps: &[Step], when: When) -> io::Result<Verdict> {
    let change = Change {
        what: format!("{steps:?}"),
        steps: steps.to_vec(),
    };
    mutator().change(&specimen(name), change, when)
}

fn changed(name: &str, steps: &[Step], when: When) -> Verdict {
    try_change(name, steps, when).unwrap()
}

/// What is built afterwards is what go builds; the plan was kept before, or nothing would be shown.
#[track_caller]
fn is_seen(name: &str, steps: &[Step]) {
    let verdict = changed(name, steps, When::Between);
    assert!(verdict.kept, "{name}: the plan was not kept");
    is_the_same(&verdict);
}

#[track_caller]
fn is_the_same(verdict: &Verdict) {
    assert!(verdict.refused.is_none(), "{:?}", verdict.refused);
    let told: Vec<String> = verdict
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(told.is_empty(), "{verdict}: {}", told.join("\n"));
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

fn variable(name: &str, value: &str) -> Step {
    Step::Variable {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    }
}

fn remove(path: &str) -> Step {
    Step::Remove {
        path: path.to_owned(),
    }
}

fn tool(name: &str, script: &str) -> [Step; 2] {
    let path = format!("bin/{name}");
    [
        write(&path, &format!("#!/bin/sh\n{script}\n")),
        Step::Mode { path, mode: 0o755 },
    ]
}

fn git(folder: &str, args: &[&str]) -> Step {
    Step::Git {
        folder: folder.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        may_refuse: false,
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
    let verdict = changed("cgo_pkg_config", &[], When::Between);
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

/// A go command that was told to be another release, and is this one without a tag.
const PLAIN_RELEASE: &str =
    "unset GOTOOLCHAIN_INTERNAL_SWITCH_VERSION GOROOT\nGOTOOLCHAIN=local exec go \"$@\"";

#[test]
fn another_release_of_the_same_name_is_found_on_path() {
    is_seen("release_on_path", &tool("go1.99.0", PLAIN_RELEASE));
}

#[test]
fn a_release_is_gone_from_path() {
    is_seen("release_of_the_environment", &[remove("bin/go1.99.0")]);
}

#[test]
fn a_release_appears_on_path_before_the_one_that_was_fetched() {
    is_seen("release_from_a_proxy", &tool("go1.99.0", PLAIN_RELEASE));
}

#[test]
fn a_release_is_gone_from_the_module_cache_and_cannot_be_fetched() {
    is_seen(
        "release_from_a_proxy",
        &[remove("gopath/pkg/mod"), remove("proxy")],
    );
}

#[test]
fn a_toolchain_line_switches_the_release() {
    let mod_file = |line: &str| format!("module example.com/m\n\ngo 1.24\n{line}");
    is_seen("release_on_path", &[write("src/go.mod", &mod_file(""))]);
    is_seen(
        "release_of_a_workspace",
        &[write("src/go.work", "go 1.24\n\nuse .\n")],
    );
}

#[test]
fn the_environment_switches_the_release() {
    is_seen("release_on_path", &[variable("GOTOOLCHAIN", "local")]);
}

#[test]
fn a_release_whose_root_lies_in_the_module_cache_builds() {
    is_seen("release_with_a_root_in_the_module_cache", &[]);
}

#[test]
fn a_private_module_is_fetched_with_a_password() {
    is_seen("private_proxy_not_asked_yet", &[]);
    is_seen("private_repository_not_asked_yet", &[]);
}

#[test]
fn a_private_module_is_gone_and_the_password_is_wrong() {
    is_seen(
        "private_proxy",
        &[
            remove("gopath/pkg/mod"),
            write(
                "home/.netrc",
                "machine modules.example.com login me password wrong\n",
            ),
        ],
    );
}

#[test]
fn another_version_of_a_private_module_is_required() {
    is_seen(
        "private_repository_and_newer_sums_are_written",
        &[write(
            "src/go.mod",
            "module example.com/m\n\ngo 1.24\n\nrequire git.example.com/lib v1.1.0\n",
        )],
    );
}

#[test]
fn a_module_is_private_no_more() {
    is_seen(
        "private_repository",
        &[remove("gopath/pkg/mod"), variable("GOPRIVATE", "")],
    );
}

#[test]
fn a_module_cache_is_read_only() {
    let read_only = Step::ReadOnly {
        path: "gopath/pkg/mod".to_owned(),
    };
    // The second lacks what is required.
    let requires = "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.1.0\n";
    for steps in [
        vec![read_only.clone()],
        vec![read_only, write("src/go.mod", requires)],
    ] {
        match try_change("from_a_proxy", &steps, When::Between) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                println!("not tested: {error}");
            }
            verdict => is_the_same(&verdict.unwrap()),
        }
    }
}

#[test]
fn a_module_is_gone_from_the_module_cache() {
    is_seen(
        "from_a_proxy",
        &[remove("gopath/pkg/mod/example.com/deep@v0.2.0")],
    );
}

#[test]
fn two_builds_at_once_leave_one_of_their_two_programs() {
    let steps = [Step::Flags(vec!["-ldflags=-X=main.version=2".to_owned()])];
    let verdict = changed("ldflags", &steps, When::AtOnce);
    is_the_same(&verdict);
}

/// It is put back afterwards, so what came of the new content must not be what is known of the old one.
#[test]
fn a_file_is_saved_between_its_hashing_and_its_staging() {
    for (name, path, text) in [
        (
            "nested_packages",
            "src/main.go",
            "package main\n\nfunc main() { println(5) }\n",
        ),
        ("embed_a_file", "src/f.txt", "text 500\n"),
        ("cgo_header", "src/second.h", "#define SECOND 5\n"),
    ] {
        let when = When::During(Cue::Hashed);
        is_the_same(&changed(name, &[write(path, text)], when));
    }
}

#[test]
fn a_compiler_appears_on_path_before_the_one_that_was_asked() {
    let script = "exec /usr/bin/gcc -DTOOL=7 \"$@\"";
    let verdict = changed("cgo", &tool("gcc", script), When::Between);
    // What a script reads nobody can say.
    assert!(verdict.kept && verdict.refused.is_some(), "{verdict}");
    is_seen("tools_of_its_own", &tool("gcc", script));
}

#[test]
fn the_folder_of_a_header_becomes_a_link_and_what_it_includes_lies_elsewhere() {
    is_seen(
        "cgo_header_in_any_folder",
        &[
            rename("src/_inc", "outside/_inc"),
            link("src/_inc", "../outside/_inc"),
        ],
    );
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
    assert!(changed("overlay_of_sources", &steps, When::Between).reused);
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
