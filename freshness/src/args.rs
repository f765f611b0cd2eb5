//! The flags of `mutate`.

use std::path::PathBuf;

/// What is to be tried.
pub(crate) struct Args {
    pub first: u64,
    pub count: u64,
    /// Text in the names of specimens.
    pub only: String,
    pub slow: bool,
    pub jobs: usize,
    pub gofarm: Option<PathBuf>,
    pub cache: Option<PathBuf>,
}

impl Args {
    pub fn parse(words: &[String]) -> Result<Args, String> {
        let mut args = Args {
            first: 1,
            count: 100,
            only: String::new(),
            slow: false,
            jobs: std::thread::available_parallelism().map_or(2, usize::from),
            gofarm: None,
            cache: None,
        };
        let mut words = words.iter();
        while let Some(flag) = words.next() {
            if flag == "--slow" {
                args.slow = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{flag} {value}: not a number"))
            };
            match flag.as_str() {
                "--count" => args.count = number()?,
                "--first" => args.first = number()?,
                "--seed" => (args.first, args.count) = (number()?, 1),
                "--jobs" => args.jobs = number()?.clamp(1, 64) as usize,
                "--only" => args.only.clone_from(value),
                "--gofarm" => args.gofarm = Some(value.into()),
                "--cache" => args.cache = Some(value.into()),
                _ => return Err(format!("{flag}: no such flag")),
            }
        }
        Ok(args)
    }
}
