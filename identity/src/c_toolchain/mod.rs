//! The identity of a machine's C toolchain, for the keys of actions that use it, and for workers that say what they have.
//!
//! cmd/go knows a compiler by the version it prints and knows nothing of the system's headers and libraries, so
//! it reuses packages that were compiled against other ones. Here the programs that really do the work are
//! taken by content, and the folders in which they look for headers and libraries by the names, sizes and times of
//! their files, which change with any package upgrade and are the same on machines of one image.

mod folders;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::listing::{Listing, MAX_FILES};
pub use folders::SearchedFolder;
use folders::{of_headers, of_linker, of_loader, outermost, said};

/// Variables that lead a C compiler or linker to files and programs which no action declares, or to do something else: a client refuses to build with them, and a worker
/// does not look through them.
pub const PLACES: [&str; 18] = [
    "CCACHE_COMPILER",
    "CCACHE_PATH",
    "CCACHE_PREFIX",
    "CCACHE_PREFIX_CPP",
    "CCC_OVERRIDE_OPTIONS",
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_COMPARE_DEBUG",
    "GCC_EXEC_PREFIX",
    "GNUTARGET",
    "LDEMULATION",
    "LIBRARY_PATH",
    "OBJC_INCLUDE_PATH",
    "SDKROOT",
    "SUNPRO_DEPENDENCIES",
];

/// A compiler's parts that end up in, or decide over, what it writes. collect2 prefers linkers of the two last names.
const PROGRAMS: [&str; 14] = [
    "cc1",
    "cc1plus",
    "f951",
    "collect2",
    "lto1",
    "lto-wrapper",
    "as",
    "ld",
    "ld.bfd",
    "ld.gold",
    "ld.lld",
    "ld.mold",
    "real-ld",
    "collect-ld",
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
    /// Programs and libraries whose change may change the identity, and places where none is.
    pub files: Vec<PathBuf>,
    /// Its header folders, with what is below them, and its library folders, without.
    pub listings: Vec<Listing>,
    /// The names of these folders, and where they lead. What is in no such folder the identity does not cover.
    pub searched: Vec<SearchedFolder>,
    /// Those of its programs that are no binaries: what they read besides, nobody can say.
    pub scripts: Vec<PathBuf>,
    /// The first program of the command line, where that is no compiler but starts one.
    pub launcher: Option<PathBuf>,
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
    let mut hasher = blake3::Hasher::new_derive_key("gofarm C toolchain v4");
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
    // `ccache gcc`: the driver is another program.
    for word in compiler
        .iter()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
    {
        if let Ok(found) = look_up(path, word)
            && is_program(&found)
        {
            add("driver", &hash_file(&found)?);
            files.push(found);
        }
        programs.push(word.clone());
    }
    let ask = |args: &[&str]| -> Result<Printed, CToolchainError> {
        let mut argv = vec![program.to_string_lossy().into_owned()];
        argv.extend(compiler.iter().skip(1).cloned());
        argv.extend(args.iter().map(|arg| (*arg).to_owned()));
        run(&argv).map_err(|source| CToolchainError::Run {
            program: argv.join(" "),
            source,
        })
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let search = text(ask(&["-print-search-dirs"])?.0);
    let program_folders = BTreeSet::from_iter(self::said(&search, "programs"));
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
        // One that comes to an earlier folder is taken from then on.
        files.extend(program_folders.iter().map(|folder| folder.join(name)));
    }
    for name in FILES {
        let (out, _) = ask(&[&format!("-print-file-name={name}")])?;
        let found = PathBuf::from(String::from_utf8_lossy(&out).trim());
        if found.is_absolute() && found.is_file() {
            add(name, &hash_file(&found)?);
            files.push(found);
        }
    }
    let asked = text(ask(&["-E", "-v", "-x", "c", "/dev/null"])?.1);
    let called = name_of(name, &asked);
    // Which of several versions of gcc clang borrows from, it chooses by the names in these folders.
    let chosen = asked
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Selected GCC installation: "));
    files.extend(chosen.flat_map(|folder| {
        Path::new(folder)
            .ancestors()
            .skip(1)
            .take(2)
            .map(Path::to_owned)
    }));
    let mut headers = of_headers(&asked);
    // Nothing where it compiles no C++.
    headers.extend(of_headers(&text(
        ask(&["-E", "-v", "-x", "c++", "/dev/null"])?.1,
    )));
    // Fortran's, which it does not tell.
    let install = self::said(&search, "install");
    headers.extend(install.iter().map(|folder| folder.join("finclude")));
    let link = [
        "-shared",
        "-nostdlib",
        "-Wl,--verbose",
        "-x",
        "c",
        "/dev/null",
        "-o",
        "/dev/null",
    ];
    let (loader, sources) = of_loader(Path::new("/etc/ld.so.conf"));
    files.extend(sources);
    let mut libraries = self::said(&search, "libraries");
    libraries.extend(of_linker(&text(ask(&link)?.0)));
    libraries.extend(["/usr/local/lib", "/usr/lib", "/lib"].map(PathBuf::from));
    libraries.extend(loader);

    let mut searched = BTreeSet::new();
    let mut lead = |folders: Vec<PathBuf>| -> Vec<PathBuf> {
        let mut led = Vec::new();
        for folder in folders {
            let folder = SearchedFolder::of(&folder);
            led.extend(folder.leads_to.clone().filter(|to| !led.contains(to)));
            searched.insert(folder);
        }
        led
    };
    let (headers, libraries) = (lead(headers), lead(libraries));
    let mut listings = Vec::new();
    let outermost = outermost(&headers);
    for folder in &headers {
        // The order decides which of two headers is taken, and so does whether a folder below another is searched by itself.
        for (at, above) in outermost.iter().enumerate() {
            if let Ok(below) = folder.strip_prefix(above) {
                add("header folder", &(at as u64).to_le_bytes());
                add("within", below.as_os_str().as_bytes());
            }
        }
    }
    for (what, deep, folders) in [
        ("headers", true, outermost),
        ("libraries", false, libraries),
    ] {
        for folder in folders {
            let listing =
                Listing::of(&folder, deep).map_err(|_| CToolchainError::TooMany { folder })?;
            add(what, &listing.digest);
            listings.push(listing);
        }
    }
    let scripts = files.iter().filter(|path| is_program(path));
    let scripts = BTreeSet::from_iter(scripts.filter(|path| !is_binary(path)).cloned());
    let is_launcher = compiler.len() > 1 && {
        let argv = ["-E", "-v", "-x", "c", "/dev/null"].map(str::to_owned);
        let argv = std::iter::once(program.to_string_lossy().into_owned()).chain(argv);
        let argv: Vec<String> = argv.collect();
        run(&argv).map_or(true, |(_, said)| of_headers(&text(said)).is_empty())
    };
    Ok(CToolchain {
        scripts: scripts.into_iter().collect(),
        launcher: is_launcher.then(|| program.clone()),
        name: called,
        identity: hasher.finalize().to_hex().to_string(),
        programs,
        files,
        listings,
        searched: searched.into_iter().collect(),
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

/// Whether a program is code of the machine, in ELF, Mach-O or PE, and no script.
fn is_binary(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    let is_known = matches!(
        magic,
        [0x7f, b'E', b'L', b'F']
            | [0xfe, 0xed, 0xfa, 0xce | 0xcf]
            | [0xce | 0xcf, 0xfa, 0xed, 0xfe]
            | [0xca, 0xfe, 0xba, 0xbe]
            | [b'M', b'Z', _, _]
    );
    read.is_ok() && is_known
}

fn hash_file(path: &Path) -> Result<[u8; 32], CToolchainError> {
    let bytes = std::fs::read(path).map_err(|source| CToolchainError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(*blake3::hash(&bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

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
