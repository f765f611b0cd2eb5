//! All that was said, wherever: the last word on each setting.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::UsageError;
use super::flag::{FLAGS, Flag, Role, Setting};
use super::options::{ProgressChoice, SandboxChoice};
use super::scan::{Given, Origin};
use super::server_choice::ServerChoice;
use super::value::ValueKind;

/// All that was said, in the order of growing weight: environment, GOFLAGS, command line.
pub(super) struct Said<'a> {
    given: Vec<&'a Given>,
    /// The last word on each setting.
    last: BTreeMap<Setting, &'a Given>,
    environment: &'a Environment,
}

impl<'a> Said<'a> {
    pub fn new(
        goflags: &'a [Given],
        command_line: &'a [Given],
        environment: &'a Environment,
    ) -> Said<'a> {
        let given: Vec<&Given> = goflags.iter().chain(command_line).collect();
        let last = given
            .iter()
            .filter_map(|given| Some((given.flag.setting()?, *given)))
            .collect();
        Said {
            given,
            last,
            environment,
        }
    }

    /// The last word counts here, too: `-pkgdir=` takes back what GOFLAGS says.
    pub fn refuse_unsupported(&self) -> Result<(), UsageError> {
        for flag in FLAGS {
            let Role::Refused { refuses, why } = flag.role else {
                continue;
            };
            let last = self
                .given
                .iter()
                .rev()
                .find(|given| given.flag.name == flag.name);
            if let Some(given) = last.filter(|given| refuses(&given.value)) {
                return Err(UsageError::unsupported(&written(given), why));
            }
        }
        Ok(())
    }

    pub fn refuse_for_verify(&self, output: Option<&Given>) -> Result<(), UsageError> {
        // An -o of GOFLAGS is meant for builds, and verify does well without it.
        if let Some(given) = output.filter(|given| given.origin == Origin::CommandLine) {
            let message = format!(
                "gofarm: {} cannot be given to verify: it compares programs and keeps none",
                written(given)
            );
            return Err(UsageError::new(message));
        }
        match self
            .go(Setting::DryRun)
            .filter(|given| given.value == "true")
        {
            Some(given) => Err(UsageError::new(format!(
                "gofarm: {} cannot be given to verify: it compares what was built",
                written(given)
            ))),
            None => Ok(()),
        }
    }

    /// What is written at the end of a build has nobody who writes it.
    pub fn refuse_for_detach(&self, verify: bool) -> Result<(), UsageError> {
        if verify {
            return Err(UsageError::new(
                "gofarm: --detach cannot be given to verify: it compares what was built",
            ));
        }
        for setting in [Setting::SummaryJson, Setting::Events] {
            if let Some(given) = self.on_command_line(setting) {
                return Err(UsageError::new(format!(
                    "gofarm: {given} cannot be given with --detach, which ends before the build does; give it to gofarm attach"
                )));
            }
        }
        Ok(())
    }

    /// --server and its like.
    pub fn server(&self) -> Result<ServerChoice, UsageError> {
        let path = |setting| -> Result<Option<PathBuf>, UsageError> {
            Ok(self.text(setting)?.map(|(path, _)| path.into()))
        };
        let word = |setting| -> Result<Option<String>, UsageError> {
            Ok(self.text(setting)?.map(|(word, _)| word))
        };
        // A script's variable that is not set, most likely: without the token the farm would refuse, for another reason.
        if self
            .go(Setting::TokenFile)
            .is_some_and(|given| given.value.is_empty())
        {
            return Err(UsageError::new(
                "gofarm: --token-file needs the name of a file, and none is given; leave the flag out if the farm asks for no token",
            ));
        }
        Ok(ServerChoice {
            server: self.text(Setting::Server)?,
            token_file: path(Setting::TokenFile)?,
            ca: path(Setting::Ca)?,
            user: word(Setting::User)?,
            pool: word(Setting::Pool)?,
        })
    }

    /// The last word of the command line, as it was written.
    pub fn on_command_line(&self, setting: Setting) -> Option<String> {
        self.go(setting)
            .filter(|given| given.origin == Origin::CommandLine && !given.value.is_empty())
            .map(written)
    }

    /// The last word of -toolexec.
    pub fn toolexec(&self) -> Option<String> {
        let mut given = self.given.iter().rev();
        let last = given.find(|given| given.flag.name == "toolexec")?;
        (!last.value.is_empty()).then(|| last.value.clone())
    }

    /// What the dry run is to be told.
    pub fn plan_flags(&self, command_line: &[Given], no_output: bool) -> Vec<String> {
        let mut flags: Vec<String> = command_line
            .iter()
            .filter(|given| matches!(given.flag.role, Role::Plan | Role::Refused { .. }))
            // The planner gives its own, and the last one counts.
            .filter(|given| given.flag.name != "debug-actiongraph")
            .map(|given| format!("-{}={}", given.flag.name, given.value))
            .collect();
        let goflags = |setting, is: &dyn Fn(&str) -> bool| {
            self.given.iter().any(|given| {
                given.origin == Origin::Goflags
                    && given.flag.setting() == Some(setting)
                    && is(&given.value)
            })
        };
        let quiet = [
            (Setting::Verbose, "v"),
            (Setting::KeepWork, "work"),
            (Setting::PrintCommands, "x"),
        ];
        for (setting, name) in quiet {
            if goflags(setting, &|value| value == "true") {
                flags.push(format!("-{name}=false"));
            }
        }
        if no_output && goflags(Setting::Output, &|value| !value.is_empty()) {
            flags.push("-o=".to_owned());
        }
        flags
    }

    /// The last word of the flags.
    pub fn go(&self, setting: Setting) -> Option<&'a Given> {
        self.last.get(&setting).copied()
    }

    /// The last word and how it was said; the environment's when no flag says anything. Nothing counts as not said.
    pub fn text(&self, setting: Setting) -> Result<Option<(String, String)>, UsageError> {
        if let Some(given) = self.go(setting).filter(|given| !given.value.is_empty()) {
            return Ok(Some((given.value.clone(), given.flag.spelling())));
        }
        let Some((flag, variable)) = variable_of(setting) else {
            return Ok(None);
        };
        let Some(value) = self.environment.get(variable) else {
            return Ok(None);
        };
        let text = value.to_string_lossy();
        match value
            .to_str()
            .ok_or_else(|| "not UTF-8".to_owned())
            .and_then(|value| flag.value.check(value))
            .map_err(|why| match flag.value {
                // Go's words for a flag; a variable has no usage text that would say more.
                ValueKind::Int => "must be a positive integer".to_owned(),
                ValueKind::Bool => "must be true or false".to_owned(),
                _ => why,
            }) {
            Ok(value) => Ok(Some((value, variable.to_owned()))),
            Err(why) => Err(UsageError::new(format!(
                "gofarm: invalid value {text:?} for {variable}: {why}"
            ))),
        }
    }

    pub fn parsed<T, E: Display>(
        &self,
        setting: Setting,
        parse: fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, UsageError> {
        let Some((text, from)) = self.text(setting)? else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|why| {
            UsageError::new(format!("gofarm: invalid value {text:?} for {from}: {why}"))
        })
    }

    pub fn is_on(&self, setting: Setting, default: bool) -> Result<bool, UsageError> {
        Ok(self
            .text(setting)?
            .map_or(default, |(value, _)| value == "true"))
    }

    /// --workers, -p, GOFARM_WORKERS, GOFLAGS.
    pub fn workers(&self) -> Result<Option<usize>, UsageError> {
        let parallel = self
            .go(Setting::Parallel)
            .map(|given| (given.value.clone(), written(given), given.origin));
        let (value, from) = match (self.go(Setting::Workers), parallel) {
            (None, Some((value, from, Origin::CommandLine))) => (value, from),
            (_, parallel) => match (self.text(Setting::Workers)?, parallel) {
                (Some((value, from)), _) => (value, from),
                (None, Some((value, from, _))) => (value, from),
                (None, None) => return Ok(None),
            },
        };
        match value.parse::<usize>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(UsageError::new(format!(
                "gofarm: {from}: must be a positive integer, not {value}"
            ))),
        }
    }

    pub fn progress(&self) -> Result<ProgressChoice, UsageError> {
        let value = self.text(Setting::Progress)?;
        Ok(match value.as_ref().map(|(value, _)| value.as_str()) {
            Some("tty") => ProgressChoice::Tty,
            Some("plain") => ProgressChoice::Plain,
            Some("none") => ProgressChoice::None,
            _ => ProgressChoice::Auto,
        })
    }

    pub fn sandbox(&self) -> Result<SandboxChoice, UsageError> {
        let value = self.text(Setting::Sandbox)?;
        Ok(match value.as_ref().map(|(value, _)| value.as_str()) {
            Some("required") => SandboxChoice::Required,
            Some("off") => SandboxChoice::Off,
            _ => SandboxChoice::Auto,
        })
    }

    pub fn cache_dir(&self) -> Result<PathBuf, UsageError> {
        if let Some(given) = self
            .go(Setting::CacheDir)
            .filter(|given| !given.value.is_empty())
        {
            return Ok(PathBuf::from(&given.value));
        }
        if let Some(folder) = self.environment.get("GOFARM_CACHE_DIR").map(Path::new) {
            // A relative one would be another folder in each working folder: never what is meant.
            return match folder.is_absolute() {
                true => Ok(folder.to_owned()),
                false => Err(UsageError::new(format!(
                    "gofarm: GOFARM_CACHE_DIR is relative; must be absolute path: {}",
                    folder.display()
                ))),
            };
        }
        // The XDG specification: a relative path is to be ignored.
        let xdg = self
            .environment
            .get("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || {
            self.environment
                .get("HOME")
                .map(|home| Path::new(home).join(".cache"))
        };
        match xdg.or_else(home) {
            Some(folder) => Ok(folder.join("gofarm")),
            None => Err(UsageError::new(
                "gofarm: there is no folder for the cache: neither GOFARM_CACHE_DIR nor XDG_CACHE_HOME nor HOME is set; \
                 name one with --cache-dir",
            )),
        }
    }
}

/// A given flag as a person would write it, and where it is from if that is not the command line.
fn written(given: &Given) -> String {
    let spelling = given.flag.spelling();
    let flag = match given.value.as_str() {
        "true" if given.flag.value.is_bool() => spelling,
        value => format!("{spelling}={value}"),
    };
    match given.origin {
        Origin::CommandLine => flag,
        Origin::Goflags => format!("{flag} (from $GOFLAGS)"),
    }
}

/// The variable that stands for a flag.
fn variable_of(setting: Setting) -> Option<(&'static Flag, &'static str)> {
    FLAGS.iter().find_map(|flag| match flag.role {
        Role::Own(own, Some(variable)) if own == setting => Some((flag, variable)),
        _ => None,
    })
}
