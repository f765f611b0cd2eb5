//! The command line.

use std::path::PathBuf;

use anyhow::bail;
use gofarm_bench::command_line::{self, Parsed, Words};

/// What `--help` prints.
pub const HELP: &str = "\
Finds kept plans that are stale.

usage: gofarm-freshness audit [--all] [SPECIMEN]...
       gofarm-freshness mutate [--count N] [--first SEED] [--seed SEED] [--only TEXT]
                               [--slow] [--jobs N] [--gofarm FILE] [--cache DIR]

audit      observes how specimens are planned, and prints every path that was asked for and that no
           fact of the kept plan covers, nor a reason; --all prints the others, too, with the reason
mutate     builds specimens, makes random changes of each, builds after each with the kept plan, and
           compares with a fresh go build. A seed stands for a specimen and its changes. --count is how
           many changes are tried (100), of the seeds from --first on; --seed tries those of one seed.
           --only takes specimens with that text in their names, --slow those that compile much of
           the standard library anew, too; both are part of what a seed means. --jobs specimens are
           tried at once. The gofarm command is the one beside this program unless named, and so is the
           folder of caches, gofarm-freshness-cache, which stays for the next run. Ctrl-C ends it after
           the changes that are under way.

The exit code is 0 when nothing was found.
";

/// What is done.
#[derive(Debug)]
pub enum Task {
    /// Hold what planning asks for against the facts of kept plans.
    Audit(Audit),
    /// Make random changes.
    Mutate(Mutate),
}

/// Of `audit`.
#[derive(Debug, Default)]
pub struct Audit {
    /// Print paths that are covered, too.
    pub all: bool,
    /// Specimens; none for all.
    pub names: Vec<String>,
}

impl Audit {
    /// The first name that no specimen has: misspelt, it would be found to be covered.
    pub fn unknown<'a>(&'a self, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let known: Vec<&str> = known.into_iter().collect();
        let mut names = self.names.iter().map(String::as_str);
        names.find(|name| !known.contains(name))
    }
}

/// Of `mutate`.
#[derive(Debug)]
pub struct Mutate {
    /// The first seed.
    pub first: u64,
    /// How many seeds at most.
    pub seeds: u64,
    /// How many changes.
    pub count: u64,
    /// Text in the names of specimens.
    pub only: String,
    /// Specimens that take long, too.
    pub slow: bool,
    /// Specimens at once.
    pub jobs: u64,
    /// As the user names it.
    pub gofarm: Option<PathBuf>,
    /// Where caches stay between runs.
    pub cache: Option<PathBuf>,
}

/// Reads the words behind the program's name.
///
/// # Errors
/// A word that is not known, or a value that is missing or none.
pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Parsed<Task>> {
    let mut words = Words::new(words);
    match words.plain().as_deref() {
        Some("audit") => audit(words),
        Some("mutate") => mutate(words),
        Some(other) => bail!("{other:?} is none of audit, mutate"),
        None => Ok(Parsed::Help),
    }
}

fn audit<I: Iterator<Item = String>>(mut words: Words<I>) -> anyhow::Result<Parsed<Task>> {
    let mut options = Audit::default();
    loop {
        if let Some(name) = words.plain() {
            options.names.push(name);
            continue;
        }
        let Some(flag) = words.flag() else { break };
        match flag.name() {
            _ if flag.is_help() => return Ok(Parsed::Help),
            "all" if flag.is_bare() => options.all = true,
            _ => return Err(flag.unknown()),
        }
    }
    Ok(Parsed::Run(Task::Audit(options)))
}

fn mutate<I: Iterator<Item = String>>(mut words: Words<I>) -> anyhow::Result<Parsed<Task>> {
    let mut options = Mutate {
        first: 1,
        seeds: u64::MAX,
        count: 100,
        only: String::new(),
        slow: false,
        jobs: std::thread::available_parallelism().map_or(2, |cpus| cpus.get() as u64),
        gofarm: None,
        cache: None,
    };
    while let Some(flag) = words.flag() {
        match flag.name() {
            _ if flag.is_help() => return Ok(Parsed::Help),
            "count" => options.count = words.number(&flag)?,
            "first" => options.first = words.number(&flag)?,
            "seed" => {
                options.first = words.number(&flag)?;
                (options.seeds, options.count) = (1, u64::MAX);
            }
            "only" => options.only = words.value(&flag)?,
            "slow" if flag.is_bare() => options.slow = true,
            "jobs" => options.jobs = words.number(&flag)?.min(64),
            "gofarm" => options.gofarm = Some(words.value(&flag)?.into()),
            "cache" => options.cache = Some(words.value(&flag)?.into()),
            _ => return Err(flag.unknown()),
        }
    }
    Ok(Parsed::Run(Task::Mutate(options)))
}

impl Mutate {
    /// The command whose plans are tried.
    ///
    /// # Errors
    /// There is none.
    pub fn gofarm(&self) -> anyhow::Result<PathBuf> {
        command_line::gofarm(self.gofarm.as_deref())
    }

    /// The folder of caches: as named, or beside this program.
    ///
    /// # Errors
    /// Nobody knows where this program is.
    pub fn cache(&self) -> anyhow::Result<PathBuf> {
        match &self.cache {
            Some(cache) => Ok(cache.clone()),
            None => command_line::beside("gofarm-freshness-cache"),
        }
    }
}
