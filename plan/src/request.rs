//! What the user asked for, as the planner needs it.

use std::path::Path;

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
}

impl PlanRequest {
    /// The arguments of the dry run.
    pub(crate) fn arguments(&self, action_graph: &str) -> Vec<String> {
        let mut args: Vec<String> = ["build", "-n", "-a"].map(str::to_owned).to_vec();
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
