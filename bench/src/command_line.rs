//! The command lines of programs that set gofarm beside `go build`: flags take one dash or two and their values behind `=` or as the
//! next word, as those of gofarm do.

use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

/// A wrong command line, as everywhere in gofarm.
const USAGE: u8 = 2;

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Parsed<T> {
    /// To do something.
    Run(T),
    /// To be explained.
    Help,
}

/// One flag as it was given.
#[derive(Debug)]
pub struct Flag {
    word: String,
    /// Without dashes and value; empty for a word that is no flag.
    name: String,
    inline: Option<String>,
}

impl Flag {
    /// Its name without dashes; empty for a word that is no flag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the user asks for help.
    pub fn is_help(&self) -> bool {
        matches!(self.name(), "h" | "help")
    }

    /// True when no value stands behind it: for flags that have none.
    pub fn is_bare(&self) -> bool {
        self.inline.is_none()
    }

    /// Its name as it was given, with dashes.
    fn dashed(&self) -> &str {
        self.word.split('=').next().unwrap_or_default()
    }

    /// The error for a word that means nothing.
    pub fn unknown(&self) -> anyhow::Error {
        anyhow::anyhow!("{:?} is not known", self.word)
    }
}

/// The words behind a program's name.
pub struct Words<I: Iterator<Item = String>>(Peekable<I>);

impl<I: Iterator<Item = String>> Words<I> {
    /// Of these.
    pub fn new(words: impl IntoIterator<IntoIter = I>) -> Words<I> {
        Words(words.into_iter().peekable())
    }

    /// The next word, if it is no flag.
    pub fn plain(&mut self) -> Option<String> {
        self.0.next_if(|word| !word.starts_with('-'))
    }

    /// The next word as a flag; `None` behind the last one.
    pub fn flag(&mut self) -> Option<Flag> {
        let word = self.0.next()?;
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let name = name.strip_prefix("--").or_else(|| name.strip_prefix('-'));
        Some(Flag {
            name: name.unwrap_or_default().to_owned(),
            inline,
            word,
        })
    }

    /// The value of a flag.
    ///
    /// # Errors
    /// There is none.
    pub fn value(&mut self, flag: &Flag) -> anyhow::Result<String> {
        let value = flag.inline.clone().or_else(|| self.0.next());
        value.with_context(|| format!("{} needs a value", flag.dashed()))
    }

    /// The value of a flag that is a number above 0.
    ///
    /// # Errors
    /// There is none, or another one.
    pub fn number(&mut self, flag: &Flag) -> anyhow::Result<u64> {
        let text = self.value(flag)?;
        let number = text.parse().ok().filter(|number| *number > 0);
        number.with_context(|| format!("{} {text}: not a number above 0", flag.dashed()))
    }
}

/// The gofarm command: as named, or beside this program; absolute.
///
/// # Errors
/// There is none.
pub fn gofarm(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(named) => {
            std::path::absolute(named).with_context(|| format!("--gofarm {}", named.display()))?
        }
        None => beside(&format!("gofarm{}", std::env::consts::EXE_SUFFIX))?,
    };
    if !path.is_file() {
        bail!(
            "there is no gofarm command at {}: build it with 'cargo build --release', or name it with --gofarm",
            path.display()
        );
    }
    Ok(path)
}

/// A file in the folder of this program.
///
/// # Errors
/// The system does not say where that is.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's own file")?;
    Ok(own.with_file_name(name))
}

/// The main function: does what was asked for and says how it went. `run` returns whether all was as it should be.
pub fn main<T>(
    program: &str,
    help: &str,
    parsed: anyhow::Result<Parsed<T>>,
    run: impl FnOnce(&T) -> anyhow::Result<bool>,
) -> ExitCode {
    let options = match parsed {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{program}: {error:#}\nrun '{program} --help' for usage");
            return ExitCode::from(USAGE);
        }
    };
    match crate::process::watch_signals().and_then(|()| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_values_are_as_those_of_gofarm() {
        let words = ["list", "-a", "--b=1", "-c", "2", "--d", "x"].map(str::to_owned);
        let mut words = Words::new(words);
        assert_eq!(words.plain().as_deref(), Some("list"));
        assert_eq!(words.plain(), None);
        let a = words.flag().unwrap();
        assert!(a.name() == "a" && a.is_bare());
        let b = words.flag().unwrap();
        assert_eq!((b.name(), words.value(&b).unwrap().as_str()), ("b", "1"));
        let c = words.flag().unwrap();
        assert_eq!(words.number(&c).unwrap(), 2);
        let d = words.flag().unwrap();
        let error = words.number(&d).unwrap_err().to_string();
        assert_eq!(error, "--d x: not a number above 0");
        assert_eq!(
            words.value(&d).unwrap_err().to_string(),
            "--d needs a value"
        );
        assert!(words.flag().is_none());
    }
}
