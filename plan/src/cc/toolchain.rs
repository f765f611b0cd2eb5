//! The identity of the machine's C toolchain, for the keys of actions that use it.
//!
//! cmd/go knows a compiler by the version it prints and knows nothing of the system's headers and libraries, so
//! it reuses packages that were compiled against other ones. Here the programs that really do the work are
//! taken by content, and the folders in which they look for headers and libraries by the names, sizes and times of
//! their files, which change with any package upgrade and are the same on machines of one image.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::PlanError;
use crate::gocmd::GoCommand;

/// A compiler's parts that end up in, or decide over, what it writes.
const PROGRAMS: [&str; 8] = [
    "cc1",
    "cc1plus",
    "collect2",
    "lto1",
    "lto-wrapper",
    "as",
    "ld",
    "ld.gold",
];
const FILES: [&str; 6] = [
    "libgcc.a",
    "crt1.o",
    "Scrt1.o",
    "crtbegin.o",
    "libc.so.6",
    "libc.a",
];
/// A header folder with more files than this is an accident, not a toolchain.
const MAX_FILES: usize = 200_000;

/// The identity and the program folders of a C compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CToolchain {
    /// Hex BLAKE3; goes into `Platform.c_toolchain`.
    pub identity: String,
    /// The folder in which the compiler was found.
    pub folder: PathBuf,
    /// Files and folders whose change may change the identity.
    pub files: Vec<PathBuf>,
}

/// Identifies the compiler of a command line such as `gcc` or `ccache clang -m64`.
pub(crate) fn identify(go: &GoCommand, compiler: &[String]) -> Result<CToolchain, PlanError> {
    let program = look_up(go, &compiler[0])?;
    let mut hasher = blake3::Hasher::new_derive_key("gofarm C toolchain v1");
    let mut add = |name: &str, bytes: &[u8]| {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add("command", compiler.join("\0").as_bytes());
    add("driver", &hash_file(&program)?);
    let mut files = vec![program.clone()];
    let ask = |args: &[&str]| -> Result<(Vec<u8>, Vec<u8>), PlanError> {
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend(compiler[1..].iter().cloned());
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        let output = go.run_tool(&argv, &go.cwd)?;
        Ok((output.stdout, output.stderr))
    };
    for name in PROGRAMS {
        let (out, _) = ask(&[&format!("-print-prog-name={name}")])?;
        let path = String::from_utf8_lossy(&out).trim().to_owned();
        if let Ok(path) = look_up(go, &path) {
            add(name, &hash_file(&path)?);
            files.push(path);
        }
    }
    for name in FILES {
        let (out, _) = ask(&[&format!("-print-file-name={name}")])?;
        let path = PathBuf::from(String::from_utf8_lossy(&out).trim());
        if path.is_absolute() && path.is_file() {
            add(name, &hash_file(&path)?);
            files.push(path);
        }
    }
    let (_, search) = ask(&["-E", "-v", "-x", "c", "/dev/null"])?;
    let mut count = 0;
    for folder in header_folders(&String::from_utf8_lossy(&search)) {
        let mut listing = Vec::new();
        list(&folder, &folder, &mut listing, &mut files, &mut count)?;
        listing.sort();
        add("headers", listing.join("\n").as_bytes());
    }
    let (search, _) = ask(&["-print-search-dirs"])?;
    for folder in library_folders(&String::from_utf8_lossy(&search)) {
        let mut listing = Vec::new();
        list_folder(&folder, &mut listing);
        listing.sort();
        add("libraries", listing.join("\n").as_bytes());
        files.push(folder);
    }
    Ok(CToolchain {
        identity: hasher.finalize().to_hex().to_string(),
        files,
        folder: program.parent().map(Path::to_path_buf).unwrap_or_default(),
    })
}

/// Finds a program as exec.LookPath does.
fn look_up(go: &GoCommand, name: &str) -> Result<PathBuf, PlanError> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = go.var("PATH");
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| PlanError::Tool {
            program: name.to_owned(),
            detail: "not found on PATH; install a C compiler, or set CGO_ENABLED=0".to_owned(),
        })
}

fn hash_file(path: &Path) -> Result<[u8; 32], PlanError> {
    let bytes = std::fs::read(path).map_err(|source| PlanError::File {
        path: path.display().to_string(),
        source,
    })?;
    Ok(*blake3::hash(&bytes).as_bytes())
}

/// The folders between `search starts here` and `End of search list` of `cc -E -v`.
fn header_folders(text: &str) -> BTreeSet<PathBuf> {
    text.lines()
        .skip_while(|line| !line.contains("search starts here"))
        .take_while(|line| !line.starts_with("End of search list"))
        .filter_map(|line| line.strip_prefix(' '))
        .filter_map(|path| Path::new(path).canonicalize().ok())
        .collect()
}

/// The folders in which the linker looks for libraries.
fn library_folders(text: &str) -> BTreeSet<PathBuf> {
    text.lines()
        .find_map(|line| line.strip_prefix("libraries: ="))
        .into_iter()
        .flat_map(|folders| folders.split(':'))
        .chain(["/usr/local/lib", "/usr/lib", "/lib"])
        .filter_map(|path| Path::new(path).canonicalize().ok())
        .collect()
}

/// The libraries directly in a folder. Packages keep the times of the files that they bring, so these are the same on
/// machines of one image.
fn list_folder(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(meta) = entry.path().metadata()
            && meta.is_file()
        {
            out.push(describe(&entry.file_name().to_string_lossy(), &meta));
        }
    }
}

fn describe(name: &str, meta: &std::fs::Metadata) -> String {
    format!(
        "{name} {} {}.{}",
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    )
}

fn list(
    root: &Path,
    folder: &Path,
    out: &mut Vec<String>,
    folders: &mut Vec<PathBuf>,
    count: &mut usize,
) -> Result<(), PlanError> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    folders.push(folder.to_owned());
    for entry in entries.flatten() {
        *count += 1;
        if *count > MAX_FILES {
            return Err(PlanError::Tool {
                program: "listing the C compiler's header folders".to_owned(),
                detail: format!("{} holds more than {MAX_FILES} files", root.display()),
            });
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            list(root, &path, out, folders, count)?;
        } else if let Ok(meta) = entry.metadata() {
            let name = path.strip_prefix(root).unwrap_or(&path);
            out.push(describe(&name.to_string_lossy(), &meta));
        }
    }
    Ok(())
}
