//! Every flag of `gofarm submit` and `gofarm verify`, and what becomes of it.

use super::value::ValueKind;

/// A flag.
#[derive(Debug)]
pub(super) struct Flag {
    pub name: &'static str,
    pub value: ValueKind,
    pub role: Role,
}

/// What becomes of a flag.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// `go build` has it, and the dry run gets it as it is.
    Plan,
    /// `go build` has it, and gofarm carries it out itself.
    Go(Setting),
    /// `go build` has it, gofarm cannot carry it out for the values that `refuses` picks, and says why. With other values
    /// the dry run gets it.
    Refused {
        refuses: fn(&str) -> bool,
        why: &'static str,
    },
    /// gofarm's own; a variable of the environment stands for it where one is named.
    Own(Setting, Option<&'static str>),
}

/// What gofarm has to know of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    All,
    Ca,
    CacheDir,
    CacheSize,
    Chdir,
    Detach,
    DryRun,
    Events,
    Fallback,
    Follow,
    Json,
    KeepGoing,
    KeepWork,
    NoCache,
    Open,
    Output,
    Parallel,
    Pool,
    PrintCommands,
    Progress,
    Sandbox,
    Server,
    SummaryJson,
    Timeout,
    TokenFile,
    Trimpath,
    User,
    Verbose,
    Workers,
}

impl Flag {
    /// The flag as the documentation spells it.
    pub fn spelling(&self) -> String {
        let dashes = if self.is_own() { "--" } else { "-" };
        format!("{dashes}{}", self.name)
    }

    pub fn is_own(&self) -> bool {
        matches!(self.role, Role::Own(..))
    }

    pub fn setting(&self) -> Option<Setting> {
        match self.role {
            Role::Go(setting) | Role::Own(setting, _) => Some(setting),
            Role::Plan | Role::Refused { .. } => None,
        }
    }
}

/// The flag with this name.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// Values of --progress.
pub(super) const PROGRESS: &[&str] = &["auto", "tty", "plain", "none"];
/// Values of --sandbox.
pub(super) const SANDBOX: &[&str] = &["auto", "required", "off"];

const fn plan(name: &'static str, value: ValueKind) -> Flag {
    Flag {
        name,
        value,
        role: Role::Plan,
    }
}

pub(super) const fn go(name: &'static str, value: ValueKind, setting: Setting) -> Flag {
    Flag {
        name,
        value,
        role: Role::Go(setting),
    }
}

pub(super) const fn own(
    name: &'static str,
    value: ValueKind,
    setting: Setting,
    variable: Option<&'static str>,
) -> Flag {
    Flag {
        name,
        value,
        role: Role::Own(setting, variable),
    }
}

const fn refused(
    name: &'static str,
    value: ValueKind,
    refuses: fn(&str) -> bool,
    why: &'static str,
) -> Flag {
    Flag {
        name,
        value,
        role: Role::Refused { refuses, why },
    }
}

fn not_empty(value: &str) -> bool {
    !value.is_empty()
}

fn is_true(value: &str) -> bool {
    value == "true"
}

fn is_gccgo(value: &str) -> bool {
    value == "gccgo"
}

/// Unknown modes are left to cmd/go, which knows which ones there are.
fn is_go_library(value: &str) -> bool {
    matches!(value, "plugin" | "shared")
}

const DEBUGGING: &str = "it writes about the go command itself, which only plans here; use --events FILE to see what the build did";
const GCCGO: &str = "gofarm knows the commands of the gc toolchain only; use 'go build' for gccgo";

/// The flags of `go build` are those of cmd/go/internal/work/build.go (AddBuildFlags, AddCoverFlags); Go 1.24 to 1.27 have
/// the same ones.
#[rustfmt::skip]
pub(super) static FLAGS: &[Flag] = &[
    go("C", ValueKind::NotHere, Setting::Chdir),
    go("a", ValueKind::Bool, Setting::All),
    plan("asan", ValueKind::Bool),
    plan("asmflags", ValueKind::PerPackage),
    refused("buildmode", ValueKind::Text, is_go_library,
        "such a library is bound to the very packages it was built with, on one machine; use 'go build' for it"),
    plan("buildvcs", ValueKind::BoolOrAuto),
    refused("compiler", ValueKind::Compiler, is_gccgo, GCCGO),
    plan("cover", ValueKind::Bool),
    plan("covermode", ValueKind::CoverMode),
    plan("coverpkg", ValueKind::Text),
    refused("debug-actiongraph", ValueKind::Text, not_empty, DEBUGGING),
    refused("debug-runtime-trace", ValueKind::Text, not_empty, DEBUGGING),
    refused("debug-trace", ValueKind::Text, not_empty, DEBUGGING),
    refused("gccgoflags", ValueKind::PerPackage, not_empty, GCCGO),
    plan("gcflags", ValueKind::PerPackage),
    refused("installsuffix", ValueKind::Text, not_empty,
        "nothing is installed: packages live in the store by their content; leave it out"),
    refused("json", ValueKind::Bool, is_true,
        "gofarm prints the compiler's text; use --events FILE for what a program can read"),
    plan("ldflags", ValueKind::PerPackage),
    refused("linkshared", ValueKind::Bool, is_true,
        "shared libraries of packages are files outside of the build, which no other machine has; link statically"),
    plan("mod", ValueKind::Text),
    plan("modcacherw", ValueKind::Bool),
    plan("modfile", ValueKind::Text),
    plan("msan", ValueKind::Bool),
    go("n", ValueKind::Bool, Setting::DryRun),
    go("o", ValueKind::Text, Setting::Output),
    plan("overlay", ValueKind::Text),
    go("p", ValueKind::Int, Setting::Parallel),
    plan("pgo", ValueKind::Text),
    refused("pkgdir", ValueKind::Text, not_empty,
        "packages live in the store by their content, not in a folder; leave it out"),
    plan("race", ValueKind::Bool),
    plan("tags", ValueKind::Text),
    plan("toolexec", ValueKind::Text),
    go("trimpath", ValueKind::Bool, Setting::Trimpath),
    go("v", ValueKind::Bool, Setting::Verbose),
    go("work", ValueKind::Bool, Setting::KeepWork),
    go("x", ValueKind::Bool, Setting::PrintCommands),

    own("ca", ValueKind::Text, Setting::Ca, Some("GOFARM_CA")),
    own("cache-dir", ValueKind::Text, Setting::CacheDir, Some("GOFARM_CACHE_DIR")),
    own("cache-size", ValueKind::Text, Setting::CacheSize, Some("GOFARM_CACHE_SIZE")),
    own("detach", ValueKind::Bool, Setting::Detach, None),
    own("events", ValueKind::Text, Setting::Events, None),
    own("fallback", ValueKind::Bool, Setting::Fallback, Some("GOFARM_FALLBACK")),
    own("keep-going", ValueKind::Bool, Setting::KeepGoing, Some("GOFARM_KEEP_GOING")),
    own("no-cache", ValueKind::Bool, Setting::NoCache, Some("GOFARM_NO_CACHE")),
    own("pool", ValueKind::Text, Setting::Pool, Some("GOFARM_POOL")),
    own("progress", ValueKind::OneOf(PROGRESS), Setting::Progress, Some("GOFARM_PROGRESS")),
    own("sandbox", ValueKind::OneOf(SANDBOX), Setting::Sandbox, Some("GOFARM_SANDBOX")),
    own("server", ValueKind::Text, Setting::Server, Some("GOFARM_SERVER")),
    own("summary-json", ValueKind::Text, Setting::SummaryJson, None),
    own("timeout", ValueKind::Text, Setting::Timeout, Some("GOFARM_TIMEOUT")),
    own("token-file", ValueKind::Text, Setting::TokenFile, Some("GOFARM_TOKEN_FILE")),
    own("user", ValueKind::Text, Setting::User, Some("GOFARM_USER")),
    own("workers", ValueKind::Int, Setting::Workers, Some("GOFARM_WORKERS")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_stands_twice() {
        let mut names: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FLAGS.len());
    }
}
