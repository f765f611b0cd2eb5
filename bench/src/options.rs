//! The command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

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

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// To measure.
    Run(Options),
    /// To be explained.
    Help,
}

impl Options {
    /// Reads the words behind the program's name; flags take one dash or two, as those of gofarm do.
    ///
    /// # Errors
    /// A word that is not known, a value that is missing or none, or no gofarm.
    pub fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Parsed> {
        let mut options = Options {
            quick: false,
            cases: Case::ALL.to_vec(),
            runs: None,
            go: PathBuf::from("go"),
            gofarm: PathBuf::new(),
            json: None,
            dir: std::env::temp_dir(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let flag = name.strip_prefix("--").or_else(|| name.strip_prefix('-'));
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| words.next())
                    .with_context(|| format!("{name} needs a value"))
            };
            match flag {
                Some("h" | "help") => return Ok(Parsed::Help),
                Some("quick") if inline.is_none() => options.quick = true,
                Some("case") => options.cases = cases(&value()?)?,
                Some("n") => {
                    let text = value()?;
                    let runs = text.parse().ok().filter(|runs| *runs > 0);
                    options.runs =
                        Some(runs.with_context(|| format!("-n {text}: not a number above 0"))?);
                }
                Some("go") => options.go = value()?.into(),
                Some("gofarm") => options.gofarm = value()?.into(),
                Some("json") => options.json = Some(value()?.into()),
                Some("dir") => options.dir = value()?.into(),
                _ => bail!("{word:?} is not known"),
            }
        }
        options.gofarm = gofarm(&options.gofarm)?;
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

/// The command to measure: as named, or beside this program.
fn gofarm(named: &Path) -> anyhow::Result<PathBuf> {
    let path = if named.as_os_str().is_empty() {
        std::env::current_exe()
            .context("finding this program's own file")?
            .with_file_name(format!("gofarm{}", std::env::consts::EXE_SUFFIX))
    } else {
        std::path::absolute(named).with_context(|| format!("--gofarm {}", named.display()))?
    };
    if !path.is_file() {
        bail!(
            "there is no gofarm command at {}: build it with 'cargo build --release', or name it with --gofarm",
            path.display()
        );
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any file serves as the gofarm command here.
    fn parse(words: &[&str]) -> anyhow::Result<Parsed> {
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
