//! Sets gofarm beside `go build` on what other people wrote: public programs, and new Go releases. `docs/corpus.md` says how to
//! use it.

mod compare;
mod folder;
mod go_command;
mod list;
mod options;
mod place;
mod programs;
mod release;
mod table;

use std::process::ExitCode;

use gofarm_bench::process;
use options::{Options, Parsed};

/// A wrong command line, as everywhere in gofarm.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("gofarm-corpus: {error:#}\nrun 'gofarm-corpus --help' for usage");
            return ExitCode::from(USAGE);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gofarm-corpus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was as it should be.
fn run(options: &Options) -> anyhow::Result<bool> {
    process::watch_signals()?;
    match options.task {
        options::Task::Programs => programs::build(options),
        options::Task::Release => release::try_releases(options),
        options::Task::List => {
            print!("{}", list::text(&options.programs()?));
            Ok(true)
        }
    }
}
