//! Names that come and go.

use std::collections::BTreeSet;

use super::things::{Things, base, is_go, join, parent};
use super::{Change, Step};
use crate::random::Random;
use crate::specimen::Written;

/// A new file somewhere.
pub(super) fn appear(_: &Written, things: &Things, random: &mut Random) -> Option<Change> {
    let (path, text) = if random.once_in(2) {
        asked_for(things, random)?
    } else {
        of_a_sort(things, random)?
    };
    if !things.is_free(&path) {
        return None;
    }
    Some(Change::new(
        format!(
            "{path}: appears ({})",
            text.lines().next().unwrap_or("empty")
        ),
        vec![Step::Write {
            path,
            content: text.into_bytes(),
            keep_time: false,
        }],
    ))
}

/// One that something here names and that is not there: a header in another folder, an embedded file.
fn asked_for(things: &Things, random: &mut Random) -> Option<(String, String)> {
    let mut names = BTreeSet::new();
    for (_, content) in &things.files {
        let text = String::from_utf8_lossy(content);
        for line in text.lines() {
            let Some(at) = line.find("include").or_else(|| line.find("//go:embed")) else {
                continue;
            };
            let words = line[at..].split(['"', '<', '>', ' ', '(', ')']);
            names.extend(
                words
                    .filter(|word| word.contains('.') && !word.contains('*'))
                    .map(|word| word.trim_start_matches("../").to_owned()),
            );
        }
    }
    let names: Vec<String> = names.into_iter().collect();
    let name = random.pick(&names)?;
    let folders = things.source_folders();
    let folder = random.pick(&folders)?;
    Some((join(folder, name), "#define VALUE 77\n".to_owned()))
}

fn of_a_sort(things: &Things, random: &mut Random) -> Option<(String, String)> {
    let folders = things.source_folders();
    let folder = *random.pick(&folders)?;
    // A file of the package that is there, or of any.
    let package = things
        .files
        .iter()
        .filter(|(path, _)| parent(path) == folder && path.ends_with(".go"))
        .find_map(|(_, content)| {
            let text = String::from_utf8_lossy(content).into_owned();
            let line = text.lines().find(|line| line.starts_with("package "))?;
            let name = line.split_whitespace().nth(1)?;
            Some(
                name.split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or(name)
                    .to_owned(),
            )
        })
        .unwrap_or_else(|| "added".to_owned());
    let init = format!("package {package}\n\nfunc init() {{ println(\"added\") }}\n");
    let new: [(&str, String); 20] = [
        ("zz_added.go", init.clone()),
        ("zz_added_linux.go", init.clone()),
        ("zz_added_windows.go", init.clone()),
        ("zz_added_test.go", init.clone()),
        ("_added.go", init.clone()),
        (".added.go", init.clone()),
        ("aa_added.go", format!("//go:build extra\n\n{init}")),
        ("added.go", "package different\n".to_owned()),
        ("added/added.go", "package added\n".to_owned()),
        (
            "added/main.go",
            "package main\n\nfunc main() {}\n".to_owned(),
        ),
        ("testdata/added.go", "no Go\n".to_owned()),
        ("added.c", "int added;\n".to_owned()),
        ("added.h", "#define ADDED 1\n".to_owned()),
        ("added.s", "// nothing\n".to_owned()),
        ("added.txt", "added\n".to_owned()),
        (".added.txt", "added\n".to_owned()),
        ("added/added.txt", "added\n".to_owned()),
        ("go.mod", "module example.com/added\n\ngo 1.24\n".to_owned()),
        (
            "go.sum",
            "example.com/added v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".to_owned(),
        ),
        (
            "vendor/modules.txt",
            "# example.com/added v1.0.0\n## explicit\nexample.com/added\n".to_owned(),
        ),
    ];
    let (name, text) = random.pick(&new)?;
    Some((join(folder, name), text.clone()))
}

/// Something is gone, or has another name.
pub(super) fn rename_or_remove(
    written: &Written,
    things: &Things,
    random: &mut Random,
) -> Option<Change> {
    let working = written
        .folder
        .strip_prefix(&written.root)
        .unwrap_or(&written.folder)
        .to_string_lossy()
        .into_owned();
    let mut paths: Vec<&String> = things.files.iter().map(|(path, _)| path).collect();
    paths.extend(things.links.iter().map(|(path, _)| path));
    paths.extend(&things.folders);
    let path = (*random.pick(&paths)?).clone();
    // Without its working folder nothing is built; what is at home matters seldom.
    if (path.starts_with("home/") && !random.once_in(8))
        || working == path
        || working.starts_with(&format!("{path}/"))
        || is_the_users(&path)
        || is_go(&path)
    {
        return None;
    }
    if random.once_in(2) {
        return Some(Change::new(
            format!("{path}: is removed"),
            vec![Step::Remove { path }],
        ));
    }
    let (folder, name) = (parent(&path), base(&path));
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let dot = if extension.is_empty() { "" } else { "." };
    let new = match random.below(9) {
        0 => format!("{}{dot}{extension}", other_case(stem)),
        1 => format!("renamed{dot}{extension}"),
        2 => format!("{stem}.renamed"),
        3 => format!("_{name}"),
        4 => format!(".{name}"),
        6 => format!("$WORK{dot}{extension}"),
        7 => format!("{stem} b{dot}{extension}"),
        5 => format!("{stem}_windows{dot}{extension}"),
        _ => format!("moved/{name}"),
    };
    let to = join(folder, &new);
    things.is_free(&to).then(|| {
        Change::new(
            format!("{path}: is renamed to {to}"),
            vec![Step::Rename { from: path, to }],
        )
    })
}

/// Where programs and settings of the user lie, as a whole.
pub(super) fn is_the_users(path: &str) -> bool {
    matches!(path, "bin" | "home" | "gopath" | "src")
}

fn other_case(name: &str) -> String {
    let upper = name.to_uppercase();
    if upper == name {
        name.to_lowercase()
    } else {
        upper
    }
}
