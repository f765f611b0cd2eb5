//! Commands that ask a farm: `logs`, `builds`, `status`, `attach`, `cancel`, `workers`.

use std::path::PathBuf;

use gofarm_amount::parse_size;

use super::environment::Environment;
use super::error::{Usage, UsageError};
use super::flag::{Flag, PROGRESS, Setting, go, own};
use super::help;
use super::options::ProgressChoice;
use super::request::DEFAULT_CACHE_SIZE;
use super::said::Said;
use super::scan::{Given, Grammar, scan};
use super::server_choice::ServerChoice;
use super::value::ValueKind;

/// What a farm is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FarmCommand {
    /// What actions of a build have printed.
    Logs {
        /// The beginning of its id.
        build: String,
        /// One action: its label, its number or an import path. None: all.
        action: Option<String>,
        /// Until it is over.
        follow: bool,
    },
    /// Which builds there are.
    Builds {
        /// Only those that are not over.
        open: bool,
    },
    /// How far a build has come.
    Status {
        /// The beginning of its id.
        build: String,
    },
    /// Watches a build and fetches its programs.
    Attach {
        /// The beginning of its id.
        build: String,
    },
    /// Ends a build.
    Cancel {
        /// The beginning of its id.
        build: String,
    },
    /// Which workers there are.
    Workers,
}

/// A command line that asks a farm.
#[derive(Debug)]
pub struct FarmRequest {
    /// What.
    pub command: FarmCommand,
    /// -C: the folder to work in.
    pub chdir: Option<PathBuf>,
    given: Vec<Given>,
}

/// What flags and environment say beside the command itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarmOptions {
    /// --server and what belongs to it.
    pub server: ServerChoice,
    /// --json: for programs.
    pub json: bool,
}

/// What is needed to attach to a build. Relative paths are relative to the working folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOptions {
    /// -o.
    pub output: Option<String>,
    /// -v: print the names of packages that were compiled.
    pub verbose: bool,
    /// --progress.
    pub progress: ProgressChoice,
    /// --summary-json.
    pub summary_json: Option<PathBuf>,
    /// --events.
    pub events: Option<PathBuf>,
    /// --cache-dir: where what is fetched is kept.
    pub cache_dir: PathBuf,
    /// --cache-size: bytes that it may hold.
    pub cache_size: u64,
}

/// How a command is written.
struct Spec {
    name: &'static str,
    synopsis: &'static str,
    help: &'static str,
    /// Beside those of [`COMMON`].
    flags: &'static [&'static str],
    /// Whether a build has to be named.
    names_build: bool,
    /// How many words it takes at most.
    words: usize,
}

/// Flags of all these commands.
const COMMON: [&str; 4] = ["ca", "json", "server", "token-file"];

#[rustfmt::skip]
static SPECS: [Spec; 6] = [
    Spec { name: "logs", synopsis: "[-f] [--json] build [action]", help: help::LOGS,
        flags: &["f", "follow"], names_build: true, words: 2 },
    Spec { name: "builds", synopsis: "[--open] [--json]", help: help::BUILDS,
        flags: &["open"], names_build: false, words: 0 },
    Spec { name: "status", synopsis: "[--json] build", help: help::STATUS,
        flags: &[], names_build: true, words: 1 },
    Spec { name: "attach", synopsis: "[-o output] [-v] [--json] build", help: help::ATTACH,
        flags: &["o", "v", "progress", "summary-json", "events", "cache-dir", "cache-size"], names_build: true, words: 1 },
    Spec { name: "cancel", synopsis: "[--json] build", help: help::CANCEL,
        flags: &[], names_build: true, words: 1 },
    Spec { name: "workers", synopsis: "[--json]", help: help::WORKERS,
        flags: &[], names_build: false, words: 0 },
];

/// Variables stand for these flags as they do for those of `submit`.
#[rustfmt::skip]
static FLAGS: &[Flag] = &[
    own("ca", ValueKind::Text, Setting::Ca, None),
    own("cache-dir", ValueKind::Text, Setting::CacheDir, None),
    own("cache-size", ValueKind::Text, Setting::CacheSize, None),
    own("events", ValueKind::Text, Setting::Events, None),
    go("f", ValueKind::Bool, Setting::Follow),
    own("follow", ValueKind::Bool, Setting::Follow, None),
    own("json", ValueKind::Bool, Setting::Json, None),
    go("o", ValueKind::Text, Setting::Output),
    own("open", ValueKind::Bool, Setting::Open, None),
    own("progress", ValueKind::OneOf(PROGRESS), Setting::Progress, None),
    own("server", ValueKind::Text, Setting::Server, None),
    own("summary-json", ValueKind::Text, Setting::SummaryJson, None),
    own("token-file", ValueKind::Text, Setting::TokenFile, None),
    go("v", ValueKind::Bool, Setting::Verbose),
];

/// The names of these commands.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SPECS.iter().map(|spec| spec.name)
}

/// What a command line of one of these commands asks for.
pub(super) enum Parsed {
    /// This.
    Request(FarmRequest),
    /// Its help text.
    Help(&'static str),
}

/// Reads the words behind the name of a command; `None` when it is none of these.
pub(super) fn parse(
    name: &str,
    chdir: Option<PathBuf>,
    args: Vec<String>,
) -> Option<Result<Parsed, UsageError>> {
    let spec = SPECS.iter().find(|spec| spec.name == name)?;
    Some(spec.parse(chdir, args))
}

impl Spec {
    fn parse(&self, chdir: Option<PathBuf>, args: Vec<String>) -> Result<Parsed, UsageError> {
        let usage = Usage::Of(self.name, self.synopsis);
        let takes = |flag: &&Flag| COMMON.contains(&flag.name) || self.flags.contains(&flag.name);
        let grammar = Grammar {
            flags: FLAGS.iter().filter(takes).collect(),
            usage,
            mixed: true,
        };
        let scanned = scan(args, &grammar)?;
        if scanned.help {
            return Ok(Parsed::Help(self.help));
        }
        if let Some(word) = scanned.words.get(self.words) {
            let message = format!("gofarm {}: unexpected argument {word:?}", self.name);
            return Err(UsageError::new(message).usage(usage));
        }
        let mut words = scanned.words.into_iter();
        let build = match words.next() {
            Some(build) => self.build_id(&build)?,
            None if self.names_build => {
                let message = format!(
                    "gofarm {}: which build? name it by its id, or the beginning of it, as 'gofarm builds' lists them",
                    self.name
                );
                return Err(UsageError::new(message).usage(usage));
            }
            None => String::new(),
        };
        let on = |setting| {
            let last = |given: &&Given| given.flag.setting() == Some(setting);
            let given = scanned.given.iter().rev().find(last);
            given.is_some_and(|given| given.value == "true")
        };
        let command = match self.name {
            "logs" => FarmCommand::Logs {
                build,
                action: words.next(),
                follow: on(Setting::Follow),
            },
            "builds" => FarmCommand::Builds {
                open: on(Setting::Open),
            },
            "status" => FarmCommand::Status { build },
            "attach" => FarmCommand::Attach { build },
            "cancel" => FarmCommand::Cancel { build },
            _ => FarmCommand::Workers,
        };
        Ok(Parsed::Request(FarmRequest {
            command,
            chdir,
            given: scanned.given,
        }))
    }

    /// In lower case and without dashes: UUIDs are written with them, too.
    fn build_id(&self, word: &str) -> Result<String, UsageError> {
        let id = word.replace('-', "").to_ascii_lowercase();
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id.is_empty() || id.len() > 32 || !is_hex {
            return Err(UsageError::new(format!(
                "gofarm {}: {word:?} is not the id of a build: 32 hexadecimal digits, or the first of them",
                self.name
            )));
        }
        Ok(id)
    }
}

impl FarmRequest {
    /// What flags and environment say, for all of these commands.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub fn options(&self, environment: &Environment) -> Result<FarmOptions, UsageError> {
        let said = Said::new(&[], &self.given, environment);
        Ok(FarmOptions {
            server: said.server()?,
            json: said.is_on(Setting::Json, false)?,
        })
    }

    /// What they say for `attach`.
    ///
    /// # Errors
    /// A value that cannot be understood, or no folder for the cache.
    pub fn attach_options(&self, environment: &Environment) -> Result<AttachOptions, UsageError> {
        let said = Said::new(&[], &self.given, environment);
        Ok(AttachOptions {
            output: said.text(Setting::Output)?.map(|(output, _)| output),
            verbose: said.is_on(Setting::Verbose, false)?,
            progress: said.progress()?,
            summary_json: said
                .text(Setting::SummaryJson)?
                .map(|(path, _)| path.into()),
            events: said.text(Setting::Events)?.map(|(path, _)| path.into()),
            cache_dir: said.cache_dir()?,
            cache_size: said
                .parsed(Setting::CacheSize, parse_size)?
                .unwrap_or(DEFAULT_CACHE_SIZE),
        })
    }
}
