//! Measures gofarm against `go build`, side by side in one run. `docs/benchmarks.md` says how to read it.

mod cases;
mod cpu;
mod events;
mod goroot;
mod loopback;
mod machine;
mod options;
mod report;
mod row;
mod service;
mod sides;

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
            eprintln!("gofarm-bench: {error:#}\nrun 'gofarm-bench --help' for usage");
            return ExitCode::from(USAGE);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gofarm-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Bounds that are missed are shown, not failed on: a timed test would fail on a busy machine and say nothing.
fn run(options: &Options) -> anyhow::Result<()> {
    process::watch_signals()?;
    let machine = machine::Machine::of_this(options)?;
    println!("{machine}");
    let mut bench = cases::Bench::prepare(options)?;
    let rows = bench.measure()?;
    print!("{}", report::table(&rows));
    if let Some(path) = &options.json {
        report::write_json(path, &machine, &rows)?;
    }
    Ok(())
}
