//! The command line.

use std::path::PathBuf;

use anyhow::Context;
use gofarm_bench::command_line::{self, Parsed, Words};

/// What `--help` prints.
pub const HELP: &str = "\
Measure gofarm against go build, side by side.

usage: gofarm-bench [flags]

	--quick          build cmd/gofmt alone instead of cmd/go, cmd/compile
	                 and cmd/gofmt
	--case a,b       only these: cold, nothing, body, checkout, overhead,
	                 farm; farm needs redis-server, gofarm-scheduler and
	                 gofarm-worker
	-n runs          repetitions of every case; without it 3, and 1 of cold,
	                 overhead and farm
	--go path        the go command; by default that of PATH
	--gofarm path    the gofarm command; by default the one beside this program
	--json file      write everything that was measured there, too
	--dir folder     make the temporary folder there; 3 GB are enough

Nothing outside of the temporary folder is written: the go command and its
GOROOT are copied there first. A bound that is missed is no failure.
";

/// What is measured. In this order, since each leaves caches for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Nothing is cached.
    Cold,
    /// Everything is cached and nothing was edited.
    Nothing,
    /// One function body of `fmt` was edited.
    Body,
    /// The same tree in another folder.
    Checkout,
    /// What an action costs beside its tools.
    Overhead,
    /// A farm on this machine against one process.
    Farm,
}

impl Case {
    const ALL: [Case; 6] = [
        Case::Cold,
        Case::Nothing,
        Case::Body,
        Case::Checkout,
        Case::Overhead,
        Case::Farm,
    ];

    /// What `--case` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Case::Cold => "cold",
            Case::Nothing => "nothing",
            Case::Body => "body",
            Case::Checkout => "checkout",
            Case::Overhead => "overhead",
            Case::Farm => "farm",
        }
    }
}

/// What the user wants measured, and with what.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Build one small program.
    pub quick: bool,
    /// Sorted, without repetitions.
    pub cases: Vec<Case>,
    /// Repetitions, where the user says so.
    pub runs: Option<usize>,
    /// The go command.
    pub go: PathBuf,
    /// The gofarm command, absolute.
    pub gofarm: PathBuf,
    /// Where everything measured is written.
    pub json: Option<PathBuf>,
    /// Where the temporary folder is made.
    pub dir: PathBuf,
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// A word that is not known, a value that is missing or none, or no gofarm.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Parsed<Options>> {
        let mut options = Options {
            quick: false,
            cases: Case::ALL.to_vec(),
            runs: None,
            go: PathBuf::from("go"),
            gofarm: PathBuf::new(),
            json: None,
            dir: std::env::temp_dir(),
        };
        let mut gofarm: Option<PathBuf> = None;
        let mut words = Words::new(words);
        while let Some(flag) = words.flag() {
            match flag.name() {
                _ if flag.is_help() => return Ok(Parsed::Help),
                "quick" if flag.is_bare() => options.quick = true,
                "case" => options.cases = cases(&words.value(&flag)?)?,
                "n" => options.runs = Some(words.number(&flag)? as usize),
                "go" => options.go = words.value(&flag)?.into(),
                "gofarm" => gofarm = Some(words.value(&flag)?.into()),
                "json" => options.json = Some(words.value(&flag)?.into()),
                "dir" => options.dir = words.value(&flag)?.into(),
                _ => return Err(flag.unknown()),
            }
        }
        options.gofarm = command_line::gofarm(gofarm.as_deref())?;
        Ok(Parsed::Run(options))
    }

    /// How often a case is measured that takes minutes.
    pub fn long_runs(&self) -> usize {
        self.runs.unwrap_or(1)
    }

    /// How often any other case is measured.
    pub fn short_runs(&self) -> usize {
        self.runs.unwrap_or(3)
    }

    /// What is built.
    pub fn packages(&self) -> &'static [&'static str] {
        match self.quick {
            true => &["cmd/gofmt"],
            false => &["cmd/go", "cmd/compile", "cmd/gofmt"],
        }
    }
}

fn cases(text: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for name in text.split(',') {
        let known = Case::ALL.into_iter().find(|case| case.name() == name);
        let names = Case::ALL.map(Case::name).join(", ");
        cases.push(known.with_context(|| format!("--case {name:?} is none of {names}"))?);
    }
    cases.sort();
    cases.dedup();
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any file serves as the gofarm command here.
    fn parse(words: &[&str]) -> anyhow::Result<Parsed<Options>> {
        let own = std::env::current_exe().unwrap();
        let named = ["--gofarm".to_owned(), own.display().to_string()];
        Options::parse(
            named
                .into_iter()
                .chain(words.iter().map(|word| (*word).to_owned())),
        )
    }

    fn run(words: &[&str]) -> Options {
        match parse(words).unwrap() {
            Parsed::Run(options) => options,
            Parsed::Help => panic!("asked for help"),
        }
    }

    #[test]
    fn cases_run_in_the_order_in_which_one_leaves_caches_for_the_next() {
        let options = run(&["--case", "body,cold,body", "-n=2", "--quick"]);
        assert_eq!(options.cases, [Case::Cold, Case::Body]);
        assert_eq!((options.long_runs(), options.short_runs()), (2, 2));
        assert_eq!(options.packages(), ["cmd/gofmt"]);
    }

    #[test]
    fn without_flags_everything_is_measured_and_what_is_long_once() {
        let options = run(&[]);
        assert_eq!(options.cases, Case::ALL);
        assert_eq!((options.long_runs(), options.short_runs()), (1, 3));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, text) in [
            (vec!["-n", "0"], "-n 0: not a number above 0"),
            (vec!["--json"], "--json needs a value"),
            (vec!["--cases", "cold"], "\"--cases\" is not known"),
            (
                vec!["--case", "warm"],
                "--case \"warm\" is none of cold, nothing, body, checkout, overhead, farm",
            ),
        ] {
            assert_eq!(parse(&words).unwrap_err().to_string(), text);
        }
        let missing = Options::parse(["--gofarm".to_owned(), "/nowhere/gofarm".to_owned()]);
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .starts_with("there is no gofarm command at /nowhere/gofarm")
        );
    }
}
