//! Where programs and archives go, and what they must not be written over.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gofarm_plan::PlanError;

use crate::outline::Outline;

/// Where each program, or archive, of a build goes.
///
/// With -o as cmd/go says; otherwise into `./bin/`, by the name that `go build` would give it, or by import path, with `_`
/// for `/`, where two programs would get the same.
pub fn targets(outline: &Outline, cwd: &Path) -> BTreeMap<usize, PathBuf> {
    if outline.output.is_none() {
        return programs_in(outline, &cwd.join("bin"));
    }
    let nodes = outline.nodes.iter().enumerate();
    nodes
        .filter_map(|(index, node)| Some((index, cwd.join(node.target.as_ref()?))))
        .collect()
}

/// Where each program goes when all go into one folder.
pub fn programs_in(outline: &Outline, folder: &Path) -> BTreeMap<usize, PathBuf> {
    let mut targets = BTreeMap::new();
    let names: Vec<(usize, String)> = outline
        .programs()
        .map(|index| {
            let path = &outline.nodes[index].import_path;
            (index, program_name(path, &outline.packages))
        })
        .collect();
    for (index, name) in &names {
        let clashes = names
            .iter()
            .any(|(other, same)| other != index && same == name);
        // Not a folder for each element: one program's name may be the beginning of another's path.
        let name = if clashes {
            outline.nodes[*index].import_path.replace('/', "_")
        } else {
            name.clone()
        };
        targets.insert(*index, folder.join(format!("{name}{}", outline.exe_suffix)));
    }
    targets
}

/// `DefaultExecName` (cmd/go/internal/load/pkg.go): the last element, or the one before a major version.
fn program_name(import_path: &str, packages: &[String]) -> String {
    if import_path == "command-line-arguments" {
        let file = packages.iter().find(|name| name.ends_with(".go"));
        return file
            .and_then(|file| Path::new(file).file_stem())
            .map_or_else(
                || "main".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            );
    }
    let mut elements = import_path.rsplit('/');
    let last = elements.next().unwrap_or(import_path);
    let is_version = last.strip_prefix('v').is_some_and(|number| {
        number.bytes().all(|b| b.is_ascii_digit())
            && !matches!(number, "" | "0" | "1")
            && !number.starts_with('0')
    });
    match elements.next() {
        Some(before) if is_version => before.to_owned(),
        _ => last.to_owned(),
    }
}

/// Refuses to write over what is no program, or to a pipe, in the words of cmd/go (`checkDstOverwrite` in
/// cmd/go/internal/work/shell.go, and who adds to its error on the way up).
pub fn check_target(outline: &Outline, node: usize, target: &Path) -> anyhow::Result<()> {
    let import_path = &outline.nodes[node].import_path;
    if let Some(named) = &outline.nodes[node].target
        && outline.output.is_some()
        && let Some((folder, _)) = named.rsplit_once('/')
        && let Some(problem) = no_folder(Path::new(&outline.folder), &format!("{folder}/"))
    {
        let text = format!("{import_path}: go build {import_path}: {problem}");
        return Err(PlanError::Go { text, exit_code: 1 }.into());
    }
    let Ok(metadata) = fs::metadata(target) else {
        return Ok(());
    };
    let problem = if metadata.is_dir() {
        "is a directory"
    } else if metadata.is_file() && metadata.len() > 0 && !is_object(target) {
        "is not an object file"
    } else if metadata.file_type().is_fifo() {
        // cmd/go waits until somebody reads it, for ever if nobody does.
        "is a named pipe"
    } else {
        return Ok(());
    };
    let relative = target.strip_prefix(&outline.folder).unwrap_or(target);
    let shown = match &outline.nodes[node].target {
        Some(named) if outline.output.is_some() => named.clone(),
        _ => relative.display().to_string(),
    };
    let problem = format!("build output {shown:?} already exists and {problem}");
    let text = match outline.output {
        Some(_) => format!("{import_path}: go build {import_path}: {problem}"),
        None => format!("go: {problem}"),
    };
    Err(PlanError::Go { text, exit_code: 1 }.into())
}

/// Why a folder that `spelled` names from `cwd` cannot be made, where something else stands in its way: in the words of os.MkdirAll, and
/// with the folder that this stops at.
fn no_folder(cwd: &Path, spelled: &str) -> Option<String> {
    let path = cwd.join(spelled);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return None,
        Ok(_) => return Some(format!("mkdir {spelled}: not a directory")),
        Err(_) => {}
    }
    let bare = spelled.trim_end_matches('/');
    let parent = bare.rsplit_once('/').map(|(parent, _)| parent);
    if let Some(problem) = parent
        .filter(|parent| !parent.is_empty())
        .and_then(|parent| no_folder(cwd, parent))
    {
        return Some(problem);
    }
    // mkdir(2) follows no link at the end of a name.
    let is_taken = fs::symlink_metadata(cwd.join(bare)).is_ok_and(|metadata| !metadata.is_dir());
    is_taken.then(|| format!("mkdir {spelled}: file exists"))
}

/// The beginnings of what linkers and archivers write (`objectMagic` in cmd/go/internal/work/exec.go).
fn is_object(path: &Path) -> bool {
    const MAGIC: [&[u8]; 15] = [
        b"!<arch>\n",
        b"<bigaf>\n",
        b"\x7fELF",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"MZ\x90\x00\x03\x00",
        b"MZ\x78\x00\x01\x00",
        b"\x00\x00\x01\xeb",
        b"\x00\x00\x8a\x97",
        b"\x00\x00\x06\x47",
        b"\x00asm",
        b"\x01\xdf",
        b"\x01\xf7",
    ];
    let mut start = [0; 8];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|length| MAGIC.iter().any(|magic| start[..length].starts_with(magic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_as_go_build_names_them() {
        for (path, name) in [
            ("cmd/gofmt", "gofmt"),
            ("example.com/tool/v2", "tool"),
            ("example.com/tool/v1", "v1"),
            ("tool", "tool"),
        ] {
            assert_eq!(program_name(path, &[]), name);
        }
        assert_eq!(
            program_name("command-line-arguments", &["./a/serve.go".into()]),
            "serve"
        );
    }
}
