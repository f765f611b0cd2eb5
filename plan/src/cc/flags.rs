//! The C compiler flags that cmd/go adds after asking the compiler, which a dry run does not do.
//!
//! A dry run prints every probe and takes the answer for a no. The real command line is put together here in
//! the order of `compilerCmd` and `ccompile` (cmd/go/internal/work/exec.go).

use crate::cc::pkgconfig::PkgConfigFlags;
use crate::cc::toolchain::Toolchains;
use crate::dryrun::command::Command;
use crate::dryrun::quote::quote;
use crate::error::PlanError;
use crate::gocmd::GoCommand;

/// The seed given with -frandom-seed.
///
/// cmd/go takes the action ID of the compilation. gcc uses the seed only for names that must be unique and
/// cannot be derived otherwise (a C++ file with static initialisers and no external symbol, LTO sections), so a
/// constant gives the same objects and does not tie a C compilation to the Go packages that are imported.
const RANDOM_SEED: &str = "gofarm";

const NO_CARETS: &str = "-fno-caret-diagnostics";
const QUIET: &str = "-Qunused-arguments";
const KEEP_SECTIONS: &str = "-Wl,--no-gc-sections";
const DEBUG_MAP: &str = "-fdebug-prefix-map=a=b";
const FILE_MAP: &str = "-ffile-prefix-map=a=b";
const NO_SWITCHES: &str = "-gno-record-gcc-switches";
const SEED: &str = "-frandom-seed=1";

/// The flags that a compiler is asked about.
const FLAGS: [&str; 7] = [
    NO_CARETS,
    QUIET,
    KEEP_SECTIONS,
    DEBUG_MAP,
    FILE_MAP,
    NO_SWITCHES,
    SEED,
];

/// The command line that asks whether a compiler knows a flag (`gccSupportsFlag`).
fn question(compiler: &[String], flag: &str, package: &PackageFlags<'_>) -> Vec<String> {
    let links = flag.starts_with("-Wl,");
    let defaults = if links {
        package.ldflags
    } else {
        package.cflags
    };
    let mut argv = compiler.to_vec();
    argv.push(flag.to_owned());
    argv.extend_from_slice(defaults);
    if !links {
        argv.push("-c".to_owned());
    }
    argv.extend(["-x", "c", "-", "-o", "/dev/null"].map(str::to_owned));
    argv
}

/// What the flags of one package depend on.
pub(crate) struct PackageFlags<'a> {
    /// `$WORK/b001`.
    pub objdir: &'a str,
    /// -ffile-prefix-map=FROM=TO of the package's own sources, where cmd/go gives one.
    pub source_map: Option<(String, String)>,
    pub pkg_config: &'a PkgConfigFlags,
    /// CGO_CFLAGS and CGO_LDFLAGS of the environment, which the probes are run with.
    pub cflags: &'a [String],
    pub ldflags: &'a [String],
}

/// Completes a C compiler's or C linker's command line.
pub(crate) fn complete(
    command: &mut Command,
    go: &GoCommand,
    toolchains: &mut Toolchains,
    package: &PackageFlags<'_>,
) -> Result<(), PlanError> {
    let Some(at) = command
        .argv
        .iter()
        .position(|arg| arg == "-fmessage-length=0")
    else {
        return Err(PlanError::Inconsistent(format!(
            "a C compiler without -fmessage-length=0: {:?}",
            command.argv
        )));
    };
    // compilerCmd puts -I and the package's folder right behind the compiler.
    let end = command
        .argv
        .iter()
        .position(|arg| arg == "-I")
        .unwrap_or(at);
    let compiler = command.argv[..end].to_vec();
    let questions = FLAGS.map(|flag| question(&compiler, flag, package));
    let answers = toolchains.supports(go, &compiler, &questions)?;
    let supports = |flag: &str| {
        let at = FLAGS.iter().position(|asked| *asked == flag);
        at.is_some_and(|at| answers[at])
    };
    let before: Vec<String> = [NO_CARETS, QUIET, KEEP_SECTIONS]
        .into_iter()
        .filter(|flag| supports(flag))
        .map(str::to_owned)
        .collect();
    let mut after = Vec::new();
    let mut prefix_map = None;
    if supports(DEBUG_MAP) {
        let flag = if supports(FILE_MAP) {
            "-ffile-prefix-map"
        } else {
            "-fdebug-prefix-map"
        };
        after.push(format!("{flag}={}=/tmp/go-build", package.objdir));
        prefix_map = Some(flag);
    }
    if supports(NO_SWITCHES) {
        after.push(NO_SWITCHES.to_owned());
    }
    let seed = supports(SEED);

    let compiles = command.argv.iter().any(|arg| arg == "-c");
    let mut tail = Vec::new();
    if compiles {
        if let (Some(flag), Some((from, to))) = (prefix_map, &package.source_map) {
            tail.push(format!("{flag}={from}={to}"));
        }
        if seed {
            tail.push(format!("-frandom-seed={RANDOM_SEED}"));
        }
        insert_before_objdir(&mut command.argv, at, &command.cwd, package)?;
        let output = command
            .argv
            .iter()
            .rposition(|arg| arg == "-o")
            .ok_or_else(|| PlanError::Inconsistent(format!("no -o in {:?}", command.argv)))?;
        command.argv.splice(output..output, tail);
    } else {
        command
            .argv
            .extend(package.pkg_config.ldflags.iter().cloned());
    }
    command.argv.splice(at + 1..at + 1, after);
    command.argv.splice(at..at, before);
    Ok(())
}

/// Puts pkg-config's flags where runCgo does: behind CPPFLAGS, before the object folder.
fn insert_before_objdir(
    argv: &mut Vec<String>,
    from: usize,
    cwd: &str,
    package: &PackageFlags<'_>,
) -> Result<(), PlanError> {
    if package.pkg_config.cflags.is_empty() {
        return Ok(());
    }
    let is_objdir = |arg: &String| {
        let path = if arg == "./" { cwd } else { arg.as_str() };
        path.trim_end_matches('/') == package.objdir
    };
    let at = (from..argv.len() - 1)
        .find(|&at| argv[at] == "-I" && is_objdir(&argv[at + 1]))
        .ok_or_else(|| {
            PlanError::Inconsistent(format!("no -I of the object folder in {argv:?}"))
        })?;
    argv.splice(at..at, package.pkg_config.cflags.iter().cloned());
    Ok(())
}

/// Completes a run of cgo with what pkg-config said.
pub(crate) fn complete_cgo(
    command: &mut Command,
    package: &PackageFlags<'_>,
) -> Result<(), PlanError> {
    let Some(dashes) = command.argv.iter().position(|arg| arg == "--") else {
        return Ok(());
    };
    insert_before_objdir(&mut command.argv, dashes, &command.cwd, package)?;
    if package.pkg_config.ldflags.is_empty() {
        return Ok(());
    }
    let quoted = package
        .pkg_config
        .ldflags
        .iter()
        .map(|flag| quote(flag))
        .collect::<Vec<_>>()
        .join(" ");
    match command.argv[..dashes]
        .iter_mut()
        .find(|arg| arg.starts_with("-ldflags="))
    {
        Some(flags) => {
            flags.push(' ');
            flags.push_str(&quoted);
        }
        None => {
            command.argv.insert(dashes, format!("-ldflags={quoted}"));
            command.env.push(("CGO_LDFLAGS".to_owned(), String::new()));
        }
    }
    Ok(())
}
