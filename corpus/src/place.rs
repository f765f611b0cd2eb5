//! Where a program is built: copies of its modules in folders of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gofarm_bench::process::Process;
use serde::Deserialize;

use crate::folder;
use crate::go_command::Release;
use crate::list::Program;

/// A program, ready to be built.
#[derive(Debug)]
pub struct Place {
    /// Where the packages are named from.
    pub folder: PathBuf,
    /// What is built.
    pub packages: Vec<String>,
}

#[derive(Deserialize)]
struct Downloaded {
    #[serde(rename = "Dir")]
    dir: PathBuf,
}

/// Puts a program together in a folder that does not exist yet: downloads, copies, vendors. Afterwards nothing has to be
/// downloaded any more, so that no network is in the times of the builds.
///
/// # Errors
/// A module cannot be downloaded, or does not have what the list says.
pub fn prepare(
    program: &Program,
    release: &Release,
    root: &Path,
    caches: &Path,
) -> anyhow::Result<Place> {
    let go = |folder: &Path| release.process(&release.go, folder, caches);
    fs::create_dir_all(root).with_context(|| format!("making {}", root.display()))?;
    let place = if !program.imports.is_empty() {
        importer(program, go(root)?, root)?
    } else if program.is_workspace() {
        let mut folders = Vec::new();
        for (index, module) in program.modules.iter().enumerate() {
            let name = format!("m{index}");
            folder::copy(&download(go(root)?, module)?, &root.join(&name))?;
            folders.push(format!("./{name}"));
        }
        go(root)?.args(["work", "init"]).args(folders).run()?;
        Place {
            folder: root.to_owned(),
            packages: program.packages.clone(),
        }
    } else {
        let folder = root.join("m");
        folder::copy(&download(go(root)?, &program.modules[0])?, &folder)?;
        if program.vendor {
            go(&folder)?.args(["mod", "vendor"]).run()?;
        }
        Place {
            folder,
            packages: program.packages.clone(),
        }
    };
    // Loads all packages, and so downloads what they import.
    go(&place.folder)?
        .args(["list", "-deps", "-f", ""])
        .args(
            program
                .flags
                .iter()
                .filter(|flag| flag.starts_with("-tags")),
        )
        .args(&place.packages)
        .run()?;
    Ok(place)
}

/// The folder of the module cache that has a module.
fn download(go: Process, module: &str) -> anyhow::Result<PathBuf> {
    let answer = go
        .args(["mod", "download", "-json", module])
        .run()
        .with_context(|| format!("downloading {module}"))?;
    let downloaded: Downloaded = serde_json::from_str(&answer.stdout)
        .with_context(|| format!("go mod download of {module} printed {:?}", answer.stdout))?;
    Ok(downloaded.dir)
}

/// A main package of our own.
fn importer(program: &Program, go: Process, root: &Path) -> anyhow::Result<Place> {
    let imports: String = program
        .imports
        .iter()
        .map(|path| format!("import _ {path:?}\n"))
        .collect();
    let write = |name: &str, text: String| {
        let path = root.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write(
        "main.go",
        format!(
            "package main\n\n{imports}\nfunc main() {{ println({:?}) }}\n",
            program.name
        ),
    )?;
    // A language version that all releases have, and that go get need not raise.
    write(
        "go.mod",
        format!("module example.com/{}\n\ngo 1.24\n", program.name),
    )?;
    go.clone()
        .args(["get"])
        .args(&program.modules)
        .run()
        .and_then(|_| go.args(["get", "."]).run())?;
    Ok(Place {
        folder: root.to_owned(),
        packages: vec![".".to_owned()],
    })
}
