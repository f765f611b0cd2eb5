//! `gofarm workers`.

use std::time::Duration;

use gofarm_proto::v1;
use serde::Serialize;

use super::table::table;
use super::{Asking, say, say_json};
use crate::cli::ExitCode;
use crate::report::{Size, Span};

impl Asking {
    pub(super) fn workers(&self) -> anyhow::Result<ExitCode> {
        let answer = self.ask("list workers", || {
            let mut client = self.connection.farm();
            async move { client.workers(v1::WorkersRequest {}).await }
        })?;
        if self.json {
            let told: Vec<Told> = answer.workers.iter().map(Told::of).collect();
            say_json(&told)?;
        } else {
            say(listed(&answer.workers).as_bytes())?;
        }
        Ok(ExitCode::Success)
    }
}

/// A worker, for programs. Fields may be added; those that are here keep their names and their meaning.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    pool: &'a str,
    platforms: &'a [String],
    slots: u32,
    /// Tasks that it holds.
    running: u32,
    /// Bytes for tasks.
    memory: u64,
    /// How long ago it was heard of, milliseconds.
    seen_ms: u64,
    /// Why it is given no tasks for now; null when it is.
    set_aside: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(worker: &'a v1::Worker) -> Told<'a> {
        Told {
            name: &worker.name,
            pool: pool(worker),
            platforms: &worker.platforms,
            slots: worker.slots,
            running: worker.running,
            memory: worker.memory,
            seen_ms: worker.seen_ms,
            set_aside: (!worker.set_aside.is_empty()).then_some(&worker.set_aside),
        }
    }
}

fn pool(worker: &v1::Worker) -> &str {
    if worker.pool.is_empty() {
        "default"
    } else {
        &worker.pool
    }
}

/// The identity of a C toolchain is a hash, of which the beginning is enough for people.
fn short(platform: &str) -> String {
    const DIGITS: usize = 8;
    match platform.splitn(3, '/').collect::<Vec<_>>()[..] {
        [os, arch, toolchain] => {
            let toolchain: String = toolchain.chars().take(DIGITS).collect();
            format!("{os}/{arch}/{toolchain}")
        }
        _ => platform.to_owned(),
    }
}

fn listed(workers: &[v1::Worker]) -> String {
    if workers.is_empty() {
        return "no workers\n".to_owned();
    }
    let header = ["WORKER", "POOL", "RUNNING", "MEMORY", "SEEN", "PLATFORMS"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for worker in workers {
        let platforms: Vec<String> = worker.platforms.iter().map(|name| short(name)).collect();
        let mut row = vec![
            worker.name.clone(),
            pool(worker).to_owned(),
            format!("{}/{}", worker.running, worker.slots),
            Size(worker.memory).to_string(),
            format!("{} ago", Span(Duration::from_millis(worker.seen_ms))),
            platforms.join(" "),
        ];
        if !worker.set_aside.is_empty() {
            row.push(format!("set aside: {}", worker.set_aside));
        }
        rows.push(row);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_listed() {
        let worker = v1::Worker {
            name: "w1".into(),
            pool: String::new(),
            slots: 8,
            running: 3,
            memory: 16_000_000_000,
            seen_ms: 1_200,
            platforms: vec!["linux/amd64".into(), "linux/amd64/0123456789abcdef".into()],
            set_aside: String::new(),
            c_toolchains: Vec::new(),
        };
        let mut crashing = worker.clone();
        crashing.name = "w2".into();
        crashing.set_aside = "3 tasks in a row crashed".into();
        assert_eq!(
            listed(&[worker.clone(), crashing]),
            "WORKER  POOL     RUNNING  MEMORY   SEEN       PLATFORMS\n\
             w1      default  3/8      16.0 GB  1.20s ago  linux/amd64 linux/amd64/01234567\n\
             w2      default  3/8      16.0 GB  1.20s ago  linux/amd64 linux/amd64/01234567  set aside: 3 tasks in a row crashed\n"
        );
        assert_eq!(listed(&[]), "no workers\n");
        assert_eq!(
            serde_json::to_value(Told::of(&worker)).unwrap(),
            serde_json::json!({
                "name": "w1", "pool": "default", "platforms": ["linux/amd64", "linux/amd64/0123456789abcdef"],
                "slots": 8, "running": 3, "memory": 16_000_000_000_u64, "seen_ms": 1200, "set_aside": null,
            })
        );
    }
}
