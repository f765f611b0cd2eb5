//! A planned build: every action, and what their Go identities are computed from.

use std::path::{Path, PathBuf};
use std::process::Output;

use gofarm_proto::v1;

use crate::action::assemble::{Choices, assemble};
use crate::dryrun::{actiongraph, script};
use crate::error::PlanError;
use crate::gocmd::{GoCommand, GoEnv};
use crate::node::PlannedNode;
use crate::overlay::Overlay;
use crate::request::PlanRequest;
use crate::roots::Roots;

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
    /// pkg-config was asked: its answer can change without a file of the module changing.
    pub(crate) asked_pkg_config: bool,
    /// Files and folders of the machine that the C toolchain's identity rests on.
    pub(crate) machine_files: Vec<PathBuf>,
    /// The names of the C compilers that were looked up on PATH.
    pub(crate) compilers: Vec<String>,
}

/// Plans a build by a dry run of cmd/go.
///
/// # Errors
/// [`PlanError::Go`] carries cmd/go's own text for whatever `go build` would have refused before it compiled anything.
pub fn plan(go: &GoCommand, request: &PlanRequest) -> Result<Plan, PlanError> {
    Ok(plan_after(go, request, || ())?.plan)
}

/// A plan, and what was asked on the way to it.
pub(crate) struct Asked<T> {
    pub plan: Plan,
    pub env: GoEnv,
    /// What `before` has found.
    pub before: T,
}

/// As [`plan`]; `before` is done before the dry run begins. `go env` runs beside both: it asks the C compiler, which takes
/// as long as a dry run, and only what is made of the dry run needs its answer.
pub(crate) fn plan_after<T>(
    go: &GoCommand,
    request: &PlanRequest,
    before: impl FnOnce() -> T,
) -> Result<Asked<T>, PlanError> {
    refuse_debugging(go)?;
    let (env, before, dry_run) = std::thread::scope(|scope| {
        let env = scope.spawn(|| go.go_env());
        let before = before();
        let dry_run = dry_run(go, request);
        let env = env
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (env, before, dry_run)
    });
    // What `go env` has to say comes first: a release that is too old may understand the dry run's flags in its own way.
    let env = env?;
    env.check_version()?;
    let plan = interpret(go, &env, request, dry_run?)?;
    Ok(Asked { plan, env, before })
}

/// What cmd/go printed and wrote.
struct DryRun {
    output: Output,
    graph: std::io::Result<String>,
    graph_file: PathBuf,
}

fn dry_run(go: &GoCommand, request: &PlanRequest) -> Result<DryRun, PlanError> {
    let folder = std::env::temp_dir().join(format!("gofarm-plan-{}", std::process::id()));
    let graph_file = unique(&folder);
    let output = go.run(
        &request.arguments(&graph_file.to_string_lossy()),
        &[("GODEBUG", debug_setting(&go.var("GODEBUG")))],
    );
    let graph = std::fs::read_to_string(&graph_file);
    let _ = std::fs::remove_file(&graph_file);
    Ok(DryRun {
        output: output?,
        graph,
        graph_file,
    })
}

fn interpret(
    go: &GoCommand,
    env: &GoEnv,
    request: &PlanRequest,
    dry_run: DryRun,
) -> Result<Plan, PlanError> {
    let output = dry_run.output;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(PlanError::Go {
            text: script::said(&stderr),
            exit_code: output.status.code().unwrap_or(1),
        });
    }
    let script = script::parse(&stderr, env.get("GOVERSION"))?;
    let graph_text = dry_run.graph.map_err(|source| PlanError::File {
        path: dry_run.graph_file.display().to_string(),
        source,
    })?;
    let graph = actiongraph::parse(&graph_text)
        .map_err(|error| PlanError::Inconsistent(format!("-debug-actiongraph: {error}")))?;
    let notes = script.notes.clone();
    let main = module_root(env);
    let roots = Roots::new(env.get("GOROOT"), env.get("GOMODCACHE"), main.as_deref());
    let main = main.as_deref().map(Path::new);
    let goflags = env.get("GOFLAGS").split_whitespace();
    let flags = goflags.chain(request.flags.iter().map(String::as_str));
    let overlay = Overlay::of(flags, &go.cwd)?;
    let choices = Choices {
        main,
        trimpath: request.trimpath,
        overlay,
    };
    let assembled = assemble(go, env, script, &graph, roots, choices)?;
    let exe_suffix = exe_suffix(env, &assembled.nodes);
    Ok(Plan {
        nodes: assembled.nodes,
        roots: assembled.roots,
        asked_pkg_config: assembled.asked_pkg_config,
        machine_files: assembled.machine_files,
        compilers: assembled.compilers,
        go_version: env.get("GOVERSION").to_owned(),
        exe_suffix,
        notes,
    })
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

/// A name for a temporary file that no other plan of this process uses.
fn unique(stem: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(format!("{}-{number}.json", stem.display()))
}

/// The user's GODEBUG with the hash log on.
fn debug_setting(users: &str) -> String {
    if users.is_empty() {
        "gocachehash=1".to_owned()
    } else {
        format!("{users},gocachehash=1")
    }
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
