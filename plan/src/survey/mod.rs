//! What a Go release says that the planner does not know.
//!
//! A plan stops at the first thing that is not understood. A survey goes on and names them all, so that a new release is
//! looked at once. It makes a dry run and nothing else.

mod hashes;
mod known;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gofarm_store::ErrorClass;

use crate::cc::memory::Memory;
use crate::dryrun::{actiongraph, script};
use crate::error::PlanError;
use crate::gocmd::{GoCommand, GoEnv};
use crate::lookups::Lookups;
use crate::plan::{PackageIndex, dry_run, interpret};
use crate::request::PlanRequest;
use crate::snapshot::trace;
use crate::{talking, tool_flags};

/// Something that is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// A line of the dry run that the parser refuses, and why.
    Line(String),
    /// A mode of an action in -debug-actiongraph, or what is wrong with the whole file.
    Mode(String),
    /// A word of the trace: plans are not kept.
    TraceWord(String),
    /// A hash input of a form that is not known.
    HashForm(String),
    /// A hash input that names an action or a file and would be taken as it stands, so that a Go identity would not follow what
    /// it names.
    HashReference(String),
    /// The action ID that the planner computes is not the one that cmd/go has.
    ActionId(String),
    /// A flag of a Go tool that may name a file.
    ToolFlag(String),
    /// A setting of GODEBUG that may make Go's tools write about themselves.
    Setting(String),
    /// What the planner said to a dry run that it could not put together.
    Plan(String),
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, text) = match self {
            Unknown::Line(text) => ("line of the dry run", text),
            Unknown::Mode(text) => ("mode in -debug-actiongraph", text),
            Unknown::TraceWord(text) => ("word of the trace", text),
            Unknown::HashForm(text) => ("form of a hash input", text),
            Unknown::HashReference(text) => ("reference in a hash input", text),
            Unknown::ActionId(text) => ("action ID", text),
            Unknown::ToolFlag(text) => ("flag of a tool", text),
            Unknown::Setting(text) => ("setting of GODEBUG", text),
            Unknown::Plan(text) => ("dry run", text),
        };
        write!(f, "{what}: {text}")
    }
}

/// What a survey found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Each once.
    pub unknown: BTreeSet<Unknown>,
    /// Hash inputs that were looked at.
    pub hashes: usize,
    /// Action IDs that were computed and found equal.
    pub action_ids: usize,
}

/// Makes the dry run of a request and says what in it is not known.
///
/// # Errors
/// go refuses the request, as it would refuse a build, or the machine lacks something: neither is unknown.
pub fn survey(go: &GoCommand, request: &PlanRequest) -> Result<Survey, PlanError> {
    let env = go.go_env()?;
    env.check_version()?;
    let dry_run = dry_run(go, request, PackageIndex::Used)?;
    let mut survey = Survey::default();
    let unknown = &mut survey.unknown;
    if dry_run.output.status.success() {
        let stderr = String::from_utf8_lossy(&dry_run.output.stderr).into_owned();
        let parsed = script::parse_past(&stderr, env.get("GOVERSION"), &[], |error| {
            unknown.insert(Unknown::Line(format!("{:?}: {}", error.line, error.why)));
            Ok(())
        })?;
        let mut ids = BTreeSet::new();
        let graph = dry_run.graph.as_deref().unwrap_or_default();
        match (actiongraph::unknown_modes(graph), actiongraph::parse(graph)) {
            (Ok(modes), Ok(graph)) => {
                unknown.extend(modes.into_iter().map(Unknown::Mode));
                ids.extend(graph.action_ids().map(str::to_owned));
            }
            (Err(error), _) | (_, Err(error)) => {
                unknown.insert(Unknown::Mode(error.to_string()));
            }
        }
        match &dry_run.trace {
            Some(trace) => {
                let words = trace::unknown_words(trace);
                unknown.extend(words.into_iter().map(Unknown::TraceWord));
            }
            None => {
                unknown.insert(Unknown::TraceWord("there is no trace at all".to_owned()));
            }
        }
        let version = env.get("GOVERSION");
        let references = hashes::References::new(&ids, &stderr);
        for hash in &parsed.hashes {
            unknown.extend(hashes::forms(hash, version));
            unknown.extend(references.overlooked(hash));
        }
        survey.hashes = parsed.hashes.len();
        match interpret(
            go,
            &env,
            request,
            Memory::none(),
            dry_run,
            Lookups::default(),
        ) {
            Ok((plan, _)) => {
                let (equal, other) = hashes::action_ids(&plan, &ids);
                survey.action_ids = equal;
                survey.unknown.extend(other);
            }
            // The lines have been told.
            Err(PlanError::Script(_)) => {}
            Err(error) if error.class() == ErrorClass::Bug => {
                survey.unknown.insert(Unknown::Plan(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        return Ok(survey);
    }
    // What go has to say.
    interpret(
        go,
        &env,
        request,
        Memory::none(),
        dry_run,
        Lookups::default(),
    )?;
    Ok(survey)
}

/// Flags of Go's tools and settings of GODEBUG that are not known.
///
/// # Errors
/// go does not say, or its source is not there.
pub fn unknown_of_tools(go: &GoCommand) -> Result<BTreeSet<Unknown>, PlanError> {
    let mut all = BTreeSet::new();
    for name in tool_flags::tools() {
        let help = go.ask(&["tool", name, "-h"])?;
        let flags = tool_flags::unknown(name, &String::from_utf8_lossy(&help.stderr));
        let flags = flags.into_iter().map(|flag| format!("{name} -{flag}"));
        all.extend(flags.map(Unknown::ToolFlag));
    }
    let env = go.go_env()?;
    let source = Path::new(env.get("GOROOT")).join("src");
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).map_err(|source| PlanError::File {
            path: path.display().to_string(),
            source,
        })
    };
    let runtime = read("runtime/runtime1.go")?;
    let settings = talking::unknown(&runtime, &read("internal/godebugs/table.go")?);
    all.extend(settings.into_iter().map(Unknown::Setting));
    Ok(all)
}

/// Variables of `go env` that are not known, and may decide something that the planner does not take into account.
///
/// # Errors
/// `go env` failed.
pub fn unknown_variables(go: &GoCommand) -> Result<BTreeSet<String>, PlanError> {
    let env: GoEnv = go.go_env()?;
    Ok(env
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !known::VARIABLES.contains(name))
        .map(str::to_owned)
        .collect())
}
