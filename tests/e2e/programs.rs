//! Where programs are written, and under which names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::Site;

const MAIN: &str = "package main\n\nfunc main() { println(\"here\") }\n";

fn works(site: &Site, program: &Path) {
    assert_eq!(
        site.command(program, &[]).run().ok().stderr,
        "here\n",
        "{}",
        program.display()
    );
}

fn tiny() -> Site {
    Site::new().module(&[
        ("main.go", MAIN),
        ("lib/lib.go", "package lib\n\nfunc F() int { return 1 }\n"),
    ])
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn without_a_name_they_go_to_bin() {
    let site = tiny();
    site.submit(&["./..."]);
    assert_eq!(names(&site.src("bin")), ["m"]);
    works(&site, &site.src("bin/m"));
}

#[test]
fn a_file_or_a_folder_takes_them() {
    let site = tiny();
    fs::create_dir(site.path("there")).unwrap();
    let there = site.path("there");
    for (output, program) in [
        ("prog", site.src("prog")),
        ("new/", site.src("new/m")),
        (&*there.to_string_lossy(), there.join("m")),
        ("../up", site.path("up")),
    ] {
        site.submit(&["-o", output, "."]);
        works(&site, &program);
        fs::remove_file(program).unwrap();
    }
    assert!(!site.src("bin").exists());
}

#[test]
fn a_program_is_written_like_a_program_of_go() {
    let site = tiny();
    site.submit(&["-o", "ours", "."]);
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .run()
        .ok();
    let mode = |name: &str| fs::metadata(site.src(name)).unwrap().permissions().mode();
    assert_eq!(mode("ours"), mode("theirs"));
    assert!(fs::read(site.src("ours")).unwrap() == fs::read(site.src("theirs")).unwrap());
}

#[test]
fn an_older_program_is_replaced_and_a_running_one_left_alone() {
    let site = Site::new().module(&[("main.go", "package main\n\nimport (\n\t\"io\"\n\t\"os\"\n)\n\nfunc main() { println(\"old\"); io.ReadAll(os.Stdin); println(\"old\") }\n")]);
    site.submit(&[]);
    let before = fs::File::open(site.src("bin/m")).unwrap();
    site.replace("main.go", "println(\"old\") }", "println(\"new\") }");
    site.submit(&[]);
    assert_eq!(
        site.command(&site.src("bin/m"), &[]).run().ok().stderr,
        "old\nnew\n"
    );
    // The file that was open is not the one that is there now.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(before.metadata().unwrap().nlink(), 0);
}

#[test]
fn programs_of_one_name_are_told_apart_by_their_import_paths() {
    let site = Site::new().module(&[
        ("a/tool/main.go", MAIN),
        ("b/tool/main.go", MAIN),
        ("c/other/v2/main.go", MAIN),
    ]);
    site.submit(&["./..."]);
    for program in ["example.com_m_a_tool", "example.com_m_b_tool", "other"] {
        works(&site, &site.src("bin").join(program));
    }
}

#[test]
fn libraries_are_compiled_and_not_written() {
    let site = tiny();
    let finished = site.gofarm(&["submit", "./lib"]).run().ok();
    assert!(
        finished
            .stderr
            .starts_with("gofarm: compiled 1 package in "),
        "{}",
        finished.stderr
    );
    assert_eq!(names(&site.path("src")), ["go.mod", "lib", "main.go"]);
}

#[test]
fn a_library_with_a_name_is_the_archive_of_go() {
    let site = tiny();
    site.submit(&["-o", "ours.a", "./lib"]);
    site.go(&["build", "-trimpath", "-o", "theirs.a", "./lib"])
        .run()
        .ok();
    assert!(fs::read(site.src("ours.a")).unwrap() == fs::read(site.src("theirs.a")).unwrap());
}

#[test]
fn another_folder_to_work_in() {
    let site = tiny();
    let run = |args: &[&str]| site.gofarm(args).folder(&site.path("")).run().ok();
    run(&["submit", "-C", "src", "-o", "here/", "."]);
    works(&site, &site.src("here/m"));
    run(&["-C", "src", "submit"]);
    works(&site, &site.src("bin/m"));
}

#[test]
fn files_that_are_named_one_by_one() {
    let site = tiny();
    site.submit(&["main.go"]);
    works(&site, &site.src("bin/main"));
}
