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

use gofarm_bench::{command_line, process};
use options::Options;

fn main() -> ExitCode {
    let parsed = Options::parse(std::env::args().skip(1));
    command_line::main("gofarm-bench", options::HELP, parsed, run)
}

/// Bounds that are missed are shown, not failed on: a timed test would fail on a busy machine and say nothing.
fn run(options: &Options) -> anyhow::Result<bool> {
    let machine = machine::Machine::of_this(options)?;
    println!("{machine}");
    let mut bench = cases::Bench::prepare(options)?;
    let rows = bench.measure()?;
    print!("{}", report::table(&rows));
    if let Some(path) = &options.json {
        report::write_json(path, &machine, &rows)?;
    }
    Ok(true)
}
