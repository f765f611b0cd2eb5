//! What the store keeps.

use std::time::Duration;

use gofarm_amount::{parse_size, parse_time_span};
use gofarm_daemon::Misuse;
use gofarm_store::{GRACE, Retention};

/// Bounds on the farm's store. Without one it keeps everything (a folder: up to `--local-size`).
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RetentionOptions {
    /// Remove from the store what was not used for so long, at least 2h [default: nothing]
    #[arg(long, env = "GOFARM_STORE_AGE", value_name = "TIME", value_parser = parse_time_span)]
    pub store_age: Option<Duration>,

    /// How much the store keeps; what was used least recently goes first, but nothing that was used within two hours [default:
    /// everything, or --local-size where the store is a folder]
    #[arg(long, env = "GOFARM_STORE_SIZE", value_name = "SIZE", value_parser = parse_size)]
    pub store_size: Option<u64>,
}

impl RetentionOptions {
    /// Whether anything is ever removed.
    pub fn bounds(&self) -> bool {
        self.store_age.is_some() || self.store_size.is_some()
    }

    /// The bounds.
    ///
    /// # Errors
    ///
    /// An age that cannot be followed.
    pub fn checked(&self) -> Result<Retention, Misuse> {
        if self.store_age.is_some_and(|age| age < GRACE) {
            let hours = GRACE.as_secs() / 3600;
            return Err(Misuse::new(anyhow::anyhow!(
                "--store-age is less than {hours}h, within which the store keeps everything; give it at least {hours}h"
            )));
        }
        Ok(Retention {
            age: self.store_age,
            bytes: self.store_size,
        })
    }
}
