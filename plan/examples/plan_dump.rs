//! Prints the plan of a build: `cargo run -p gofarm-plan --example plan_dump -- [go build flags and packages]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use gofarm_plan::{GoCommand, PlanRequest, plan};

fn main() {
    let (flags, packages): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with('-'));
    let go = GoCommand::new(std::env::current_dir().expect("a working folder"));
    let request = PlanRequest {
        flags,
        packages,
        trimpath: true,
        ..PlanRequest::default()
    };
    let started = std::time::Instant::now();
    let plan = plan(&go, &request).unwrap_or_else(|error| panic!("{error}"));
    for node in &plan.nodes {
        println!("{:#?}", node.action);
    }
    eprintln!("{} nodes in {:?}", plan.nodes.len(), started.elapsed());
}
