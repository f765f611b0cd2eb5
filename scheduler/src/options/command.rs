//! What else the program does than schedule.

use std::time::SystemTime;

use gofarm_proto::ActionKey;
use gofarm_store::TakeBack;

use super::moment::moment;
use super::{Options, RetentionOptions, StoreOptions};

/// Decides what of each build runs, and hands it to workers.
///
/// Any number of these run over one Redis and one store. Every setting can also be given by the variable that stands behind it.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "gofarm-scheduler",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// Of a scheduler.
    #[command(flatten)]
    pub options: Options,
    /// None: be a scheduler.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Work on the store of a farm, while schedulers run or not.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Take back results that are wrong, so that the next build makes them again
    Invalidate(Invalidate),
    /// Remove from the store what its bounds do not keep
    Gc(Gc),
    /// Look at every blob and result of the store, and say what is wrong
    Fsck(Fsck),
}

/// Hashes every blob and reads every result
///
/// Says on stdout what is wrong: blobs with other bytes than their names say, torn results, results whose blobs are missing. Ends
/// with 1 when something is wrong, or was and has been repaired, with 0 when nothing is.
#[derive(Clone, Debug, clap::Args)]
#[command(max_term_width = 100)]
pub struct Fsck {
    /// Set aside what is wrong, and take back results without their blobs: the next build makes them again
    #[arg(long)]
    pub repair: bool,

    /// Write one JSON object to stdout
    #[arg(long)]
    pub json: bool,

    /// The store.
    #[command(flatten)]
    pub place: StoreOptions,
}

/// Removes what was not used for --store-age, and what was used least recently where there is more than --store-size
///
/// The same that schedulers with these settings do every hour. Nothing goes that was used within two hours.
#[derive(Clone, Debug, clap::Args)]
#[command(max_term_width = 100)]
pub struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,

    /// Write one JSON object to stdout
    #[arg(long)]
    pub json: bool,

    /// What stays.
    #[command(flatten)]
    pub retention: RetentionOptions,

    /// The store.
    #[command(flatten)]
    pub place: StoreOptions,
}

/// Takes back the result of an action, or all that a worker made since a time
///
/// Every scheduler knows within 15 seconds. Builds that are under way make again what they have used of it. Stop a worker whose
/// results are taken back before: what it completes later counts as made later.
#[derive(Clone, Debug, clap::Args)]
#[command(max_term_width = 100)]
pub struct Invalidate {
    /// The action key, 64 hex digits, as events and log lines have it
    #[arg(value_name = "KEY", value_parser = key, required_unless_present = "worker", conflicts_with = "worker")]
    pub key: Option<ActionKey>,

    /// All that this worker made
    #[arg(long, value_name = "NAME", requires = "since")]
    pub worker: Option<String>,

    /// Since this time: 2h or 3d (ago), or 2026-11-28T10:00:00Z
    #[arg(long, value_name = "TIME", requires = "worker", value_parser = moment)]
    pub since: Option<SystemTime>,

    /// Only say what would be taken back
    #[arg(long)]
    pub dry_run: bool,

    /// Write one JSON object to stdout
    #[arg(long)]
    pub json: bool,

    /// The store.
    #[command(flatten)]
    pub place: StoreOptions,
}

impl Invalidate {
    /// Which results.
    pub fn what(&self) -> Option<TakeBack> {
        match (self.key, &self.worker, self.since) {
            (Some(key), ..) => Some(TakeBack::Key(key)),
            (None, Some(worker), Some(since)) => Some(TakeBack::MadeBy {
                worker: worker.clone(),
                since,
            }),
            // The parser demands one of the two.
            _ => None,
        }
    }
}

fn key(text: &str) -> Result<ActionKey, String> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key)
        .map_err(|_| "an action key has 64 hex digits".to_owned())?;
    Ok(ActionKey(key))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(args: &[&str]) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from([&["gofarm-scheduler"], args].concat())
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_is_a_scheduler() {
        let line = parse(&["--store=file:///s", "--lease-ttl=1s"]).unwrap();
        assert!(line.command.is_none());
        assert_eq!(line.options.place.store.as_deref(), Some("file:///s"));
    }

    #[test]
    fn a_store_that_stands_before_the_command_is_not_passed_over() {
        let key = "00".repeat(32);
        assert!(parse(&["--store=file:///s", "invalidate", &key]).is_err());
        let line = parse(&["invalidate", "--store=file:///s", &key]).unwrap();
        let Some(Command::Invalidate(it)) = line.command else {
            panic!("{line:?}");
        };
        assert_eq!(it.place.store.as_deref(), Some("file:///s"));
    }

    #[test]
    fn one_result_or_those_of_a_worker_since_a_time() {
        let key = "0a".repeat(32);
        for args in [
            &[][..],
            &["--worker=w"],
            &["--since=1h"],
            &["0a"],
            &[&key, "--worker=w", "--since=1h"],
        ] {
            assert!(
                parse(&[&["invalidate"], args].concat()).is_err(),
                "{args:?}"
            );
        }
        assert!(parse(&["invalidate", "--worker=w", "--since=1h"]).is_ok());
    }
}
