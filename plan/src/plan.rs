//! A planned build: every action, and what their Go identities are computed from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use gofarm_proto::v1;

use crate::action::assemble::{Choices, assemble, split_quoted};
use crate::cc::memory::Memory;
use crate::dryrun::{actiongraph, script};
use crate::error::PlanError;
use crate::gocmd::{Answer, GoCommand, GoEnv, temporary_folder};
use crate::lookups::{Lookups, Question};
use crate::machine::{ListingFact, SearchedFact};
use crate::node::PlannedNode;
use crate::overlay::Overlay;
use crate::request::{PlanRequest, last_value};
use crate::roots::Roots;
use crate::wrapper::Wrapper;
use crate::{talking, tool_flags, unsayable};

/// A plan, as a dry run gave it. It holds no digests: see [`bind`](Plan::bind).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In topological order.
    pub nodes: Vec<PlannedNode>,
    /// Where the files are.
    pub roots: Roots,
    /// As `go env GOVERSION` has it.
    pub go_version: String,
    /// `.exe` or nothing.
    pub exe_suffix: String,
    /// What cmd/go said to the user while it planned.
    pub notes: Vec<String>,
}

/// What a plan was made from, beside what its request and its environment say.
#[derive(Debug)]
pub(crate) struct Grounds {
    /// What the planner asked of the file system.
    pub questions: BTreeSet<Question>,
    /// What cmd/go asked, as it says itself; `None` when it did not say.
    pub trace: Option<String>,
    /// What pkg-config said.
    pub answers: Vec<Answer>,
    /// Files of the machine that the C toolchain's identity rests on.
    pub machine_files: Vec<PathBuf>,
    /// And folders.
    pub listings: Vec<ListingFact>,
    /// And where their names lead.
    pub searched: Vec<SearchedFact>,
    /// The names of the C compilers that were looked up on PATH.
    pub compilers: Vec<String>,
    /// Through which cmd/go saw the file system.
    pub overlay: Overlay,
}

/// Plans a build by a dry run of cmd/go.
///
/// # Errors
/// [`PlanError::Go`] carries cmd/go's own text for whatever `go build` would have refused before it compiled anything.
pub fn plan(go: &GoCommand, request: &PlanRequest) -> Result<Plan, PlanError> {
    Ok(plan_after(go, request, PackageIndex::Used, Memory::none(), || ())?.plan)
}

/// Whether cmd/go may believe its index of packages, which knows files by name, size and modification time
/// (cmd/go/internal/modindex/read.go, `dirHash`) and so takes another content with the same times for what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageIndex {
    Used,
    /// Every package is read. A third slower.
    Passed,
}

/// A plan, and what was asked on the way to it.
pub(crate) struct Asked<T> {
    pub plan: Plan,
    pub grounds: Grounds,
    pub env: GoEnv,
    /// What `before` has found.
    pub before: T,
}

/// As [`plan`]; `before` is done before the dry run begins. `go env` runs beside both: it asks the C compiler, which takes
/// as long as a dry run, and only what is made of the dry run needs its answer.
pub(crate) fn plan_after<T>(
    go: &GoCommand,
    request: &PlanRequest,
    index: PackageIndex,
    memory: Memory,
    before: impl FnOnce() -> T,
) -> Result<Asked<T>, PlanError> {
    refuse_debugging(go)?;
    talking::refuse(&go.var("GODEBUG"))?;
    let (env, before, dry_run) = std::thread::scope(|scope| {
        let env = scope.spawn(|| go.go_env());
        let before = before();
        let dry_run = dry_run(go, request, index);
        let env = env
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (env, before, dry_run)
    });
    // What `go env` has to say comes first: a release that is too old may understand the dry run's flags in its own way.
    let env = env?;
    env.check_version()?;
    let lookups = Lookups::default();
    let (plan, grounds) = interpret(go, &env, request, memory, dry_run?, lookups)?;
    Ok(Asked {
        plan,
        grounds,
        env,
        before,
    })
}

/// What cmd/go printed and wrote.
pub(crate) struct DryRun {
    pub output: Output,
    pub graph: std::io::Result<String>,
    pub graph_file: PathBuf,
    pub trace: Option<String>,
}

pub(crate) fn dry_run(
    go: &GoCommand,
    request: &PlanRequest,
    index: PackageIndex,
) -> Result<DryRun, PlanError> {
    // Written by cmd/go, under names that are given.
    let folder = temporary_folder()?;
    let graph_file = folder.path().join("graph.json");
    let trace_file = folder.path().join("trace");
    let output = go.build(
        &request.arguments(&graph_file.to_string_lossy()),
        &[(
            "GODEBUG",
            debug_setting(&go.var("GODEBUG"), &trace_file, index),
        )],
    );
    Ok(DryRun {
        output: output?,
        graph: std::fs::read_to_string(&graph_file),
        graph_file,
        trace: std::fs::read_to_string(&trace_file).ok(),
    })
}

/// Makes a plan of what cmd/go printed and of what `lookups` is answered.
pub(crate) fn interpret(
    go: &GoCommand,
    env: &GoEnv,
    request: &PlanRequest,
    memory: Memory,
    dry_run: DryRun,
    lookups: Lookups,
) -> Result<(Plan, Grounds), PlanError> {
    let output = dry_run.output;
    let flags = request.flags_behind(env.get("GOFLAGS"));
    let wrapper = Wrapper::of(&**lookups.host(), go, flags.iter().map(String::as_str))?;
    let words = wrapper.as_ref().map_or(&[][..], Wrapper::words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let code = output.status.code().unwrap_or(1);
        return Err(PlanError::said_by_go(script::said(&stderr, words), code));
    }
    tool_flags::refuse(&flags)?;
    let script = script::parse(&stderr, env.get("GOVERSION"), words)
        .map_err(|error| unsayable::explained(error, &output.stderr))?;
    let graph_text = dry_run.graph.map_err(|source| PlanError::File {
        path: dry_run.graph_file.display().to_string(),
        source,
    })?;
    let graph = actiongraph::parse(&graph_text)
        .map_err(|error| PlanError::Inconsistent(format!("-debug-actiongraph: {error}")))?;
    let notes = script.notes.clone();
    let main = module_root(env);
    let mut roots = Roots::new(env.get("GOROOT"), env.get("GOMODCACHE"), main.as_deref());
    let main = main.as_deref().map(Path::new);
    unsayable::refuse_work_in(&script, &roots)?;
    if let Some(wrapper) = &wrapper {
        wrapper.add_root(&lookups, &mut roots);
    }
    let overlay = Overlay::of(&lookups, flags.iter().map(String::as_str), &go.cwd)?;
    let choices = Choices {
        main,
        trimpath: request.trimpath,
        overlay,
        wrapper,
        lookups,
        memory,
        compilers: request.compilers.clone(),
    };
    let assembled = assemble(go, env, script, &graph, roots, choices)?;
    if assembled.wrapped {
        refuse_split(&assembled.nodes, &flags, request)?;
    }
    let exe_suffix = exe_suffix(env, &assembled.nodes);
    let plan = Plan {
        nodes: assembled.nodes,
        roots: assembled.roots,
        go_version: env.get("GOVERSION").to_owned(),
        exe_suffix,
        notes,
    };
    let grounds = Grounds {
        questions: assembled.questions,
        trace: dry_run.trace,
        answers: assembled.answers,
        machine_files: assembled.machine_files,
        listings: assembled.listings,
        searched: assembled.searched,
        compilers: assembled.compilers,
        overlay: assembled.overlay,
    };
    Ok((plan, grounds))
}

impl Plan {
    /// Indices of the nodes that link programs.
    pub fn programs(&self) -> impl Iterator<Item = usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.action.kind() == v1::Kind::Link)
            .map(|(index, _)| index)
    }

    /// The words of the command lines by which actions run C, C++ and Fortran compilers: what they begin with, and what is named
    /// to Go's own tools.
    pub fn compilers(&self) -> BTreeSet<String> {
        let actions = self.nodes.iter().map(|node| &node.action);
        let mut words = BTreeSet::new();
        for action in actions.filter(|action| action.host_tools) {
            let vars = action.env.iter();
            let vars = vars.filter(|var| matches!(var.name.as_str(), "CC" | "CXX" | "FC"));
            words.extend(vars.flat_map(|var| split_quoted(&var.value)));
            for step in &action.steps {
                if let Some(v1::step::Step::Run(run)) = &step.step {
                    let of_the_machine = run.argv.iter().take_while(|word| {
                        !word.starts_with('-') && !word.starts_with(gofarm_proto::EXEC_ROOT)
                    });
                    words.extend(of_the_machine.cloned());
                }
            }
        }
        words
    }
}

/// Variables that make the compiler write files of its own, or change what it writes, behind the planner's back
/// (`buildActionID` in cmd/go/internal/work/exec.go calls them magic).
fn refuse_debugging(go: &GoCommand) -> Result<(), PlanError> {
    const MAGIC: [&str; 4] = [
        "GOCLOBBERDEADHASH",
        "GOCOMPILEDEBUG",
        "GOSSADIR",
        "GOSSAFUNC",
    ];
    match MAGIC.iter().find(|name| !go.var(name).is_empty()) {
        Some(name) => Err(PlanError::Unsupported {
            what: format!("the environment variable {name}"),
            why: "it debugs the compiler, which runs on a farm; unset it, or use go build"
                .to_owned(),
        }),
        None => Ok(()),
    }
}

/// The user's GODEBUG, with the log of hashes and of questions to the file system on (cmd/go/internal/cache/hash.go,
/// cmd/go/internal/fsys/fsys.go).
fn debug_setting(users: &str, trace: &Path, index: PackageIndex) -> String {
    let mut settings: Vec<&str> = vec![users];
    settings.retain(|users| !users.is_empty());
    settings.push("gocachehash=1");
    let log = format!("gofsystracelog={}", trace.display());
    // A comma ends a setting: below such a folder there is no trace, and no plan is kept.
    if !log.contains(',') {
        settings.extend(["gofsystrace=1", &log]);
    }
    if index == PackageIndex::Passed {
        settings.push("goindex=0");
    }
    settings.join(",")
}

/// Several packages with a default.pgo among them are compiled once for each program (`setPGOProfilePath` in
/// cmd/go/internal/load/pkg.go), and the wrapper is told for which, which the dry run does not say.
fn refuse_split(
    nodes: &[PlannedNode],
    flags: &[String],
    request: &PlanRequest,
) -> Result<(), PlanError> {
    let profiled = nodes
        .iter()
        .any(|node| node.action.kind() == v1::Kind::Preprofile);
    let named = last_value(flags.iter().map(String::as_str), "pgo")
        .is_some_and(|profile| profile != "auto");
    let is_one = match &request.packages[..] {
        [] => true,
        [package] => {
            !package.contains("...") && !["all", "cmd", "std", "tool", "work"].contains(&&**package)
        }
        files => files.iter().all(|file| file.ends_with(".go")),
    };
    if !profiled || named || is_one {
        return Ok(());
    }
    Err(PlanError::Unsupported {
        what: "-toolexec for several packages, with a default.pgo".to_owned(),
        why: "go compiles packages anew for each program and tells the wrapper for which; name one package, or give -pgo=off"
            .to_owned(),
    })
}

/// The workspace's folder, else the main module's.
pub(crate) fn module_root(env: &GoEnv) -> Option<String> {
    [env.get("GOWORK"), env.get("GOMOD")]
        .into_iter()
        .find(|file| !file.is_empty() && *file != "off" && *file != "/dev/null")
        .and_then(|file| Path::new(file).parent())
        .map(|folder| folder.to_string_lossy().into_owned())
}

/// What cmd/go appends to the names of programs (`buildModeInit` in cmd/go/internal/work/init.go).
fn exe_suffix(env: &GoEnv, nodes: &[PlannedNode]) -> String {
    let Some(library) = nodes.iter().find(|node| node.c_library) else {
        return env.get("GOEXE").to_owned();
    };
    let is_archive = library.action.steps.iter().any(|step| match &step.step {
        Some(v1::step::Step::Run(run)) => run.argv.iter().any(|arg| arg == "-buildmode=c-archive"),
        _ => false,
    });
    if is_archive { ".a" } else { "" }.to_owned()
}
