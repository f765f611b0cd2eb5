//! What the user asked for, as the planner needs it.

use std::path::{Path, PathBuf};

use crate::action::assemble::split_quoted;

/// A build, in the words of `go build`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanRequest {
    /// Flags for `go build`, in order, each as one argument (`-tags=x`). Without -o, -n, -x, -v, -a and -work: what
    /// becomes of the result is not the planner's business.
    pub flags: Vec<String>,
    /// -o of the user: the dry run then says where each program goes.
    pub output: Option<String>,
    /// Package patterns or files; empty means the package in the working folder.
    pub packages: Vec<String>,
    /// False with -trimpath=false. On by default, unlike in `go build`: objects that name this machine's folders can be
    /// used on no other.
    pub trimpath: bool,
    /// Programs that are declared to be C compilers, or parts of one, although they are scripts or start another program: what
    /// they do depends on nothing but their own file and what they are given.
    pub compilers: Vec<PathBuf>,
}

impl PlanRequest {
    /// The flags of GOFLAGS and then of the command line: the order in which cmd/go sets them (`invoke` in cmd/go/main.go).
    pub(crate) fn flags_behind(&self, goflags: &str) -> Vec<String> {
        let mut flags = split_quoted(goflags);
        flags.extend(self.flags.iter().cloned());
        flags
    }

    /// The arguments of the dry run, behind `go build`.
    pub(crate) fn arguments(&self, action_graph: &str) -> Vec<String> {
        let mut args: Vec<String> = ["-n", "-a"].map(str::to_owned).to_vec();
        args.push(format!("-debug-actiongraph={action_graph}"));
        args.push(format!("-trimpath={}", self.trimpath));
        args.extend(self.flags.iter().cloned());
        // Without -o cmd/go would choose a name for a single program in the working folder, and refuse it when a
        // folder of that name is there. With /dev/null it links and moves nothing (cmd/go/internal/work/build.go).
        args.push(format!(
            "-o={}",
            self.output.as_deref().unwrap_or("/dev/null")
        ));
        args.push("--".to_owned());
        args.extend(self.packages.iter().cloned());
        args
    }
}

/// The value that cmd/go has of a flag: the last one that it is given, because each one is set over the one before
/// (`parseOne` in Go's flag/flag.go; `SetFromGOFLAGS` in cmd/go/internal/base/goflags.go). Flags are in the form of
/// [`PlanRequest::flags`], with one dash or two.
pub(crate) fn last_value<'a>(
    flags: impl IntoIterator<Item = &'a str>,
    name: &str,
) -> Option<&'a str> {
    let value = |flag: &'a str| {
        let flag = flag.strip_prefix('-')?;
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        flag.strip_prefix(name)?.strip_prefix('=')
    };
    flags.into_iter().filter_map(value).last()
}

/// All of -o that planning depends on (`runBuild` in cmd/go/internal/work/build.go).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum OutputSort {
    /// No -o, or the null device: packages and programs of any number, and nothing is written.
    Nowhere = 0,
    /// A folder, or a name that ends in a slash: at least one program.
    Folder = 1,
    /// Anything else: one package.
    File = 2,
}

impl PlanRequest {
    /// The sort of -o, which depends on what is there now.
    pub(crate) fn output_sort(&self, cwd: &Path) -> OutputSort {
        match self.output.as_deref() {
            None | Some("" | "/dev/null") => OutputSort::Nowhere,
            Some(output) if output.ends_with('/') || cwd.join(output).is_dir() => {
                OutputSort::Folder
            }
            Some(_) => OutputSort::File,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flag_that_is_given_twice_the_last_counts() {
        let request = PlanRequest {
            flags: ["-overlay=b", "--overlay=c=d", "-overlays=e"]
                .map(str::to_owned)
                .to_vec(),
            ..PlanRequest::default()
        };
        let value = |goflags: &str, name: &str| {
            let flags = request.flags_behind(goflags);
            last_value(flags.iter().map(String::as_str), name).map(str::to_owned)
        };
        assert_eq!(value("-overlay=a -pgo='x y'", "overlay").unwrap(), "c=d");
        assert_eq!(value("-pgo=auto '-pgo=x y'", "pgo").unwrap(), "x y");
        assert_eq!(value("-pgo=off -pgo=", "pgo").unwrap(), "");
        // What only looks like it.
        for goflags in ["", "-pgos=x", "pgo=x", "---pgo=x", "-x=-pgo=x"] {
            assert_eq!(value(goflags, "pgo"), None, "{goflags}");
        }
    }
}
