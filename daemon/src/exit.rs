//! Exit codes of a process that could not do its work; the same as those of `gofarm`.

/// The command line or a variable is wrong, or asks for what is not supported. clap has the same.
pub const USAGE: u8 = 2;

/// The machine or the network: something that the process needs is not there.
pub const ENVIRONMENT: u8 = 3;

/// Marks an error as the user's: the command line or a variable is wrong. Errors without the mark are the environment's.
///
/// Shows as what it wraps.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Misuse(anyhow::Error);

impl Misuse {
    /// Whoever has given this setting has to change it.
    pub fn new(error: impl Into<anyhow::Error>) -> Misuse {
        Misuse(error.into())
    }
}

/// What a process ends with that this error has ended.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match error.chain().any(|cause| cause.is::<Misuse>()) {
        true => USAGE,
        false => ENVIRONMENT,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn who_has_to_change_something_decides() {
        assert_eq!(exit_code(&anyhow!("no disk")), ENVIRONMENT);
        let misuse = anyhow::Error::from(Misuse::new(anyhow!("no url").context("--server x")));
        assert_eq!(exit_code(&misuse), USAGE);
        assert_eq!(format!("{misuse:#}"), "--server x: no url");
        let further: anyhow::Result<()> = Err(misuse).context("cannot start");
        assert_eq!(exit_code(&further.unwrap_err()), USAGE);
    }
}
