//! Prints what a command asks the file system for: `cargo run -p gofarm-observe --example observe -- ls -l /etc`. With
//! OBSERVE_OUT=FILE the lines go to a file and the command's output is passed on; with OBSERVE_OUT= nothing is written.

#![allow(clippy::unwrap_used, reason = "a tool for experiments")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use gofarm_observe::{LeftBehind, Request, observe};

fn main() {
    let mut args = std::env::args_os().skip(1);
    let name = PathBuf::from(args.next().unwrap());
    let program = if name.components().count() > 1 {
        name
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(&name))
            .find(|file| file.is_file())
            .unwrap()
    };
    let request = Request {
        program,
        args: args.collect(),
        env: std::env::vars_os().collect(),
        folder: std::env::current_dir().unwrap(),
        left_behind: LeftBehind::Wait,
    };
    let mut out = std::env::var_os("OBSERVE_OUT")
        .filter(|file| !file.is_empty())
        .map(|file| BufWriter::new(File::create(file).unwrap()));
    let mut count = 0;
    let begun = Instant::now();
    let observed = observe(&request, &mut |access| {
        count += 1;
        if let Some(out) = &mut out {
            writeln!(
                out,
                "{} {:?} {:?} {}",
                access.process,
                access.kind,
                access.outcome,
                access.path.display()
            )
            .unwrap();
        }
    });
    let took = begun.elapsed();
    if let Some(out) = &mut out {
        out.flush().unwrap();
    }
    match observed {
        Ok(observed) => {
            std::io::stdout().write_all(&observed.stdout).unwrap();
            std::io::stderr().write_all(&observed.stderr).unwrap();
            eprintln!("{count} accesses in {took:?}, {}", observed.status);
            std::process::exit(observed.status.code().unwrap_or(1));
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(3);
        }
    }
}
