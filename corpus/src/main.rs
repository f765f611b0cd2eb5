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

use gofarm_bench::command_line;
use options::Options;

fn main() -> ExitCode {
    let parsed = Options::parse(std::env::args().skip(1));
    command_line::main("gofarm-corpus", options::HELP, parsed, run)
}

/// Whether all was as it should be.
fn run(options: &Options) -> anyhow::Result<bool> {
    match options.task {
        options::Task::Programs => programs::build(options),
        options::Task::Release => release::try_releases(options),
        options::Task::List => {
            let programs = options.programs()?;
            let text = match options.json {
                true => list::json(&programs)?,
                false => list::text(&programs),
            };
            print!("{text}");
            Ok(true)
        }
    }
}
