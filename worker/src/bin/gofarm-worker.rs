//! A worker of a farm.

use std::process::ExitCode;

use clap::Parser;
use gofarm_daemon::live;
use gofarm_worker::launcher_main;
use gofarm_worker::remote::{Arguments, run};

/// How the worker starts itself as the launcher of an action's tools.
const LAUNCHER_COMMAND: &str = "__sandbox";

fn main() -> ExitCode {
    // First of all: a launcher has one thread.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == LAUNCHER_COMMAND)
    {
        return launcher_main();
    }
    let arguments = Arguments::parse();
    live(arguments.log_format, || {
        run(arguments, vec![LAUNCHER_COMMAND.into()])
    })
}
