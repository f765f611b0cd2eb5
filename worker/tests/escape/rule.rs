//! The rule that makes the rest hold: what is in an action's tree is reached through `src/tree`, by handles, and nowhere
//! else does the worker reach for files by a path, unless it stands here with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What reaches for a file by its path, or makes a path of two.
const REACHES: [&str; 18] = [
    "std::fs",
    " fs::",
    "(fs::",
    "unix::fs::",
    "tokio::fs",
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions",
    "Folder::open",
    "unistd::",
    "fcntl::",
    "rustix",
    ".join(",
    ".exists()",
    ".is_file()",
    ".is_dir()",
    ".metadata()",
];

/// A file of `src`, what it uses of the above, and why nothing of that leads below an exec root.
type Exception = (&'static str, &'static [&'static str], &'static str);

const EXCEPTIONS: &[Exception] = &[
    (
        "sandbox/host_tree.rs",
        &["std::fs", " fs::", ".is_dir()"],
        "the way to a compiler or a folder of the system, before any action: nothing of the store is shown",
    ),
    (
        "sandbox/launcher.rs",
        &[
            "File::open",
            "std::fs",
            "unistd::",
            ".join(",
            ".is_file()",
            "fcntl::",
        ],
        "its own children in /proc, and programs in the folders of PATH: inside the sandbox, or as the action's own user",
    ),
    (
        "collection/kept_work.rs",
        &["Folder::open"],
        "the folder that the user is told of, which no action sees: what is put into it is reached by its handle",
    ),
    (
        "leasing/machine.rs",
        &["std::fs", " fs::", "unistd::", ".join("],
        "the machine's memory and control groups",
    ),
    (
        "sandbox/tools.rs",
        &["std::fs", " fs::", "unix::fs::", "unistd::", "fcntl::"],
        "which folders a launcher has mounted: their names are the worker's own",
    ),
    (
        "remote/process/name.rs",
        &["std::fs", "File::options", "unistd::", ".join("],
        "the worker's name in its cache folder",
    ),
    (
        "remote/process/run.rs",
        &[".join("],
        "files that the operator names",
    ),
    (
        "remote/servers.rs",
        &[".join("],
        "addresses of a farm, one behind the other",
    ),
    (
        "sandbox/enter.rs",
        &[
            "std::fs",
            " fs::",
            "unix::fs::",
            "unistd::",
            ".join(",
            ".is_dir()",
        ],
        "the new root of a sandbox, before any action is in it; what is mounted is named by the worker",
    ),
    (
        "sandbox/view.rs",
        &[
            "std::fs",
            " fs::",
            "unistd::",
            ".exists()",
            ".is_file()",
            ".is_dir()",
            ".join(",
        ],
        "the system's folders and compilers, and where the user's home is",
    ),
    (
        "staging/shown.rs",
        &["std::fs", " fs::", ".is_file()"],
        "without a sandbox, whether a file of the machine that an action would find is one of its inputs: it is compared and not \
         taken",
    ),
    (
        "tree/action_tree.rs",
        &["std::fs", "unix::fs::"],
        "the types of open files and of permissions",
    ),
    (
        "running/undeclared.rs",
        &[".exists()"],
        "whether a file that a tool missed is one of the machine, which is told to the user and nothing else",
    ),
    (
        "sandbox/workspace.rs",
        &["Folder::open", ".join("],
        "the one folder whose name is told to launchers; what is in it is reached by its handle",
    ),
];

/// What a source, without its tests, uses.
fn used(source: &str) -> BTreeSet<&'static str> {
    let code: Vec<&str> = source
        .split("#[cfg(test)]")
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    REACHES
        .into_iter()
        .filter(|reach| code.contains(reach))
        .collect()
}

/// What is wrong with a file, by the exceptions.
fn offence(file: &str, source: &str) -> Option<String> {
    let allowed: BTreeSet<&str> = EXCEPTIONS
        .iter()
        .filter(|(name, ..)| *name == file)
        .flat_map(|(_, reaches, _)| reaches.iter().copied())
        .collect();
    let used = used(source);
    let more: Vec<_> = used.difference(&allowed).collect();
    let stale: Vec<_> = allowed.difference(&used).collect();
    if more.is_empty() && stale.is_empty() {
        return None;
    }
    Some(format!(
        "src/{file} uses {more:?}: reach files of an action through src/tree, or say here why that is not what it does; \
         no longer used: {stale:?}"
    ))
}

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_other_file_of_the_worker_reaches_into_an_actions_tree() {
    let mut found = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 40);
    for (file, ..) in EXCEPTIONS {
        assert!(found.iter().any(|(name, _)| name == file), "{file} is gone");
    }
    let offences: Vec<String> = found
        .iter()
        .filter_map(|(file, source)| offence(file, source))
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_rule_finds_what_it_is_there_for() {
    for planted in [
        "let file = root.folder().join(&output.path);",
        "use std::fs;",
        "let there = Path::new(&path).exists();",
        "let file = File::open(path)?;",
        "tokio::fs::write(path, content).await",
        "let folder = Folder::open(root.folder())?;",
    ] {
        assert!(
            offence("collection/outputs.rs", planted).is_some(),
            "{planted}"
        );
        let tested = format!("#[cfg(test)]\n{planted}");
        assert_eq!(offence("collection/outputs.rs", &tested), None);
    }
    assert!(
        offence("running/undeclared.rs", "").is_some(),
        "a stale exception"
    );
}
