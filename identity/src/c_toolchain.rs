//! The identity of a machine's C toolchain, for the keys of actions that use it, and for workers that say what they have.
//!
//! cmd/go knows a compiler by the version it prints and knows nothing of the system's headers and libraries, so
//! it reuses packages that were compiled against other ones. Here the programs that really do the work are
//! taken by content, and the folders in which they look for headers and libraries by the names, sizes and times of
//! their files, which change with any package upgrade and are the same on machines of one image.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::listing::{Listing, MAX_FILES};

/// Variables that lead a C compiler to files which no action declares: a client refuses to build with them, and a worker
/// does not look through them.
pub const PLACES: [&str; 9] = [
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "OBJC_INCLUDE_PATH",
    "SDKROOT",
];

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
/// The identity and the program folders of a C compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CToolchain {
    /// Hex BLAKE3; goes into `Platform.c_toolchain`.
    pub identity: String,
    /// What people call it: `gcc 12.2.0 for x86_64-linux-gnu`. Different toolchains may have one name; it is in no key.
    pub name: String,
    /// The folder in which the compiler was found.
    pub folder: PathBuf,
    /// The names under which the compiler and its parts were looked for: on PATH, those that are no paths.
    pub programs: Vec<String>,
    /// Programs and libraries whose change may change the identity.
    pub files: Vec<PathBuf>,
    /// Its header and library folders.
    pub listings: Vec<Listing>,
}

/// Why a C toolchain has no identity.
#[derive(Debug, thiserror::Error)]
pub enum CToolchainError {
    /// There is no such program on PATH.
    #[error("{program} not found on PATH; install a C compiler, or set CGO_ENABLED=0")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// The compiler could not be started.
    #[error("{program} cannot be run: {source}")]
    Run {
        /// The command line.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A part of the compiler cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The part.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler takes headers from a folder that is no header folder.
    #[error("the C compiler's header folder {} holds more than {MAX_FILES} files", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
    },
}

/// What a program has printed: standard output and standard error.
pub type Printed = (Vec<u8>, Vec<u8>);

/// Identifies the compiler of a command line such as `gcc` or `ccache clang -m64`. Not empty.
///
/// `path` is the value of PATH; `run` runs a program with that PATH and `LC_ALL=C` to its end, whatever its exit code.
/// Equal machines give equal identities, whoever asks.
///
/// # Errors
///
/// See [`CToolchainError`].
pub fn identify(
    compiler: &[String],
    path: &str,
    run: &dyn Fn(&[String]) -> io::Result<Printed>,
) -> Result<CToolchain, CToolchainError> {
    let name = compiler.first().map(String::as_str).unwrap_or_default();
    let program = look_up(path, name)?;
    let mut hasher = blake3::Hasher::new_derive_key("gofarm C toolchain v3");
    let mut add = |name: &str, bytes: &[u8]| {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add("command", compiler.join("\0").as_bytes());
    add("driver", &hash_file(&program)?);
    let mut files = vec![program.clone()];
    let mut programs = vec![name.to_owned()];
    let ask = |args: &[&str]| -> Result<Printed, CToolchainError> {
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend(compiler.iter().skip(1).cloned());
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        run(&argv).map_err(|source| CToolchainError::Run {
            program: argv.join(" "),
            source,
        })
    };
    for name in PROGRAMS {
        let (out, _) = ask(&[&format!("-print-prog-name={name}")])?;
        let said = String::from_utf8_lossy(&out).trim().to_owned();
        if let Ok(found) = look_up(path, &said) {
            add(name, &hash_file(&found)?);
            files.push(found);
        }
        if !said.is_empty() {
            programs.push(said);
        }
    }
    for name in FILES {
        let (out, _) = ask(&[&format!("-print-file-name={name}")])?;
        let found = PathBuf::from(String::from_utf8_lossy(&out).trim());
        if found.is_absolute() && found.is_file() {
            add(name, &hash_file(&found)?);
            files.push(found);
        }
    }
    let (_, search) = ask(&["-E", "-v", "-x", "c", "/dev/null"])?;
    let search = String::from_utf8_lossy(&search);
    let called = name_of(name, &search);
    let mut listings = Vec::new();
    let searched = searched_folders(&search);
    let outermost = outermost(&searched);
    for folder in &searched {
        // The order decides which of two headers is taken, and so does whether a folder below another is searched by itself.
        for (at, above) in outermost.iter().enumerate() {
            if let Ok(below) = folder.strip_prefix(above) {
                add("header folder", &(at as u64).to_le_bytes());
                add("within", below.as_os_str().as_bytes());
            }
        }
    }
    for folder in outermost {
        let listing =
            Listing::of(&folder, true).map_err(|_| CToolchainError::TooMany { folder })?;
        add("headers", &listing.digest);
        listings.push(listing);
    }
    let (search, _) = ask(&["-print-search-dirs"])?;
    for folder in library_folders(&String::from_utf8_lossy(&search)) {
        let listing =
            Listing::of(&folder, false).map_err(|_| CToolchainError::TooMany { folder })?;
        add("libraries", &listing.digest);
        listings.push(listing);
    }
    Ok(CToolchain {
        name: called,
        identity: hasher.finalize().to_hex().to_string(),
        programs,
        files,
        listings,
        folder: program.parent().map(Path::to_path_buf).unwrap_or_default(),
    })
}

/// The identity of several compilers together, in the order in which an action uses them: that of
/// `Platform.c_toolchain` for an action which compiles C and C++. A compiler that follows itself counts once.
pub fn joined<'a>(identities: impl IntoIterator<Item = &'a str>) -> String {
    let mut identities: Vec<&str> = identities.into_iter().collect();
    identities.dedup();
    identities.join("+")
}

/// The names of several compilers together, as [`joined`] has their identities.
pub fn joined_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.dedup();
    names.join(" with ")
}

/// Program, version and target, from what the compiler says of itself with `-v`: `gcc version 12.2.0 (Debian ...)` or
/// `clang version 14.0.6`, and `Target: x86_64-linux-gnu`. The program alone where it says neither.
fn name_of(program: &str, said: &str) -> String {
    let program = program.rsplit('/').next().unwrap_or(program);
    let version = said.lines().find_map(|line| {
        let (_, after) = line.split_once(" version ")?;
        let version = after.split_whitespace().next()?;
        version
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(version)
    });
    let target = said
        .lines()
        .find_map(|line| line.strip_prefix("Target: "))
        .map(str::trim);
    let mut name = program.to_owned();
    if let Some(version) = version {
        name = format!("{name} {version}");
    }
    if let Some(target) = target {
        name = format!("{name} for {target}");
    }
    name
}

/// Finds a program as exec.LookPath does.
fn look_up(path: &str, name: &str) -> Result<PathBuf, CToolchainError> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
        .ok_or_else(|| CToolchainError::NotFound {
            program: name.to_owned(),
        })
}

/// Whether it is a file that somebody may start.
fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn hash_file(path: &Path) -> Result<[u8; 32], CToolchainError> {
    let bytes = std::fs::read(path).map_err(|source| CToolchainError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(*blake3::hash(&bytes).as_bytes())
}

/// The folders between `search starts here` and `End of search list` of `cc -E -v`, in this order.
fn searched_folders(text: &str) -> Vec<PathBuf> {
    text.lines()
        .skip_while(|line| !line.contains("search starts here"))
        .take_while(|line| !line.starts_with("End of search list"))
        .filter_map(|line| line.strip_prefix(' '))
        .filter_map(|path| Path::new(path).canonicalize().ok())
        .collect()
}

/// Those that are below no other one: a listing of a folder has what is below it.
fn outermost(folders: &[PathBuf]) -> Vec<PathBuf> {
    let folders: BTreeSet<&PathBuf> = folders.iter().collect();
    let is_below = |folder: &Path| {
        let mut above = folder.ancestors().skip(1);
        above.any(|above| folders.iter().any(|known| *known == above))
    };
    folders
        .iter()
        .filter(|folder| !is_below(folder))
        .map(|folder| (*folder).clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_folders_are_searched_in_their_order_and_listed_once() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for name in ["lib/include", "usr/include/multi"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let said = format!(
            "#include \"...\" search starts here:\n#include <...> search starts here:\n {0}/usr/include/multi\n {0}/gone\n \
             {0}/usr/include\n {0}/lib/include\nEnd of search list.\n {0}\n",
            root.display()
        );
        let searched = searched_folders(&said);
        let at =
            |names: &[&str]| -> Vec<PathBuf> { names.iter().map(|name| root.join(name)).collect() };
        assert_eq!(
            searched,
            at(&["usr/include/multi", "usr/include", "lib/include"])
        );
        assert_eq!(outermost(&searched), at(&["lib/include", "usr/include"]));
    }

    #[test]
    fn a_compiler_is_called_by_its_version_and_target() {
        for (program, said, name) in [
            (
                "gcc",
                "Using built-in specs.\nTarget: x86_64-linux-gnu\nThread model: posix\n\
                 gcc version 12.2.0 (Debian 12.2.0-14+deb12u1) \n",
                "gcc 12.2.0 for x86_64-linux-gnu",
            ),
            (
                "/usr/bin/clang-14",
                "Debian clang version 14.0.6\nTarget: aarch64-unknown-linux-gnu\n",
                "clang-14 14.0.6 for aarch64-unknown-linux-gnu",
            ),
            ("tcc", "usage: tcc\n", "tcc"),
        ] {
            assert_eq!(name_of(program, said), name);
        }
        let both = ["gcc 12 for a", "g++ 12 for a"];
        assert_eq!(joined_names(both), "gcc 12 for a with g++ 12 for a");
    }
}
