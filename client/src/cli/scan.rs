//! Reads flags exactly as Go's flag package does (src/flag/flag.go, parseOne).

use super::error::{Usage, UsageError};
use super::flag::Flag;
use super::nearest::nearest;

/// What a command takes.
pub(super) struct Grammar {
    /// Its flags.
    pub flags: Vec<&'static Flag>,
    /// What stands below a message.
    pub usage: Usage,
    /// Flags may stand behind words, too. Not for what `go` reads as packages: there, a word ends the flags.
    pub mixed: bool,
}

impl Grammar {
    fn find(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().copied().find(|flag| flag.name == name)
    }

    fn undefined(&self, name: &str) -> UsageError {
        let meant = nearest(name, self.flags.iter().map(|flag| flag.name))
            .and_then(|name| self.find(name))
            .map(Flag::spelling);
        UsageError::new(format!("flag provided but not defined: -{name}"))
            .suggest(meant)
            .usage(self.usage)
    }
}

/// A flag that was given, and its value in canonical spelling.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub flag: &'static Flag,
    pub value: String,
    pub origin: Origin,
}

/// Where a flag was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    CommandLine,
    Goflags,
}

/// A command line, read.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub given: Vec<Given>,
    /// What is no flag: packages, or what a command names.
    pub words: Vec<String>,
    /// -h or -help was met; nothing behind it was read.
    pub help: bool,
}

/// Reads flags up to the first word that is none (unless the two may be mixed), or up to `--`.
pub(super) fn scan(args: Vec<String>, grammar: &Grammar) -> Result<Scanned, UsageError> {
    let usage = grammar.usage;
    let mut scanned = Scanned::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            break;
        }
        let Some(text) = arg.strip_prefix('-').filter(|text| !text.is_empty()) else {
            scanned.words.push(arg);
            if grammar.mixed {
                continue;
            }
            break;
        };
        let text = text.strip_prefix('-').unwrap_or(text);
        if text.is_empty() || text.starts_with(['-', '=']) {
            return Err(UsageError::new(format!("bad flag syntax: {arg}")).usage(usage));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let Some(flag) = grammar.find(name) else {
            if matches!(name, "h" | "help") {
                scanned.help = true;
                return Ok(scanned);
            }
            return Err(grammar.undefined(name));
        };
        let value = match value {
            Some(value) => value,
            None if flag.value.is_bool() => "true".to_owned(),
            None => args.next().ok_or_else(|| {
                UsageError::new(format!("flag needs an argument: {}", flag.spelling())).usage(usage)
            })?,
        };
        let value = flag.value.check(&value).map_err(|why| {
            let spelling = flag.spelling();
            let message = if flag.value.is_bool() {
                format!("invalid boolean value {value:?} for {spelling}: {why}")
            } else {
                format!("invalid value {value:?} for flag {spelling}: {why}")
            };
            UsageError::new(message).usage(usage)
        })?;
        scanned.given.push(Given {
            flag,
            value,
            origin: Origin::CommandLine,
        });
    }
    scanned.words.extend(args);
    Ok(scanned)
}
