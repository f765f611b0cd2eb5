//! `gofarm workers`.

use std::time::Duration;

use gofarm_amount::{Size, TimeSpan};
use gofarm_proto::v1;
use serde::Serialize;

use super::asking::{Asking, table};
use crate::cli::ExitCode;
use crate::say;

impl Asking {
    pub(super) fn workers(&self) -> anyhow::Result<ExitCode> {
        let answer = self.ask("list workers", || {
            let mut client = self.connection.farm();
            async move { client.workers(v1::WorkersRequest {}).await }
        })?;
        if self.json {
            let told: Vec<Told> = answer.workers.iter().map(Told::of).collect();
            say::json(&told)?;
        } else {
            say::out(&listed(&answer.workers))?;
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
    /// What the C toolchains among `platforms` are called.
    c_toolchains: Vec<ToldToolchain<'a>>,
}

#[derive(Serialize)]
struct ToldToolchain<'a> {
    identity: &'a str,
    name: &'a str,
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
            c_toolchains: worker
                .c_toolchains
                .iter()
                .map(|toolchain| ToldToolchain {
                    identity: &toolchain.identity,
                    name: &toolchain.name,
                })
                .collect(),
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

/// The platforms of a worker for people: those without a C toolchain, then each single C toolchain by its name and the
/// beginning of its identity, a hash. What is compiled with several of them together needs no line of its own.
fn platforms(worker: &v1::Worker) -> String {
    const DIGITS: usize = 8;
    let mut told: Vec<String> = Vec::new();
    let mut toolchains: Vec<String> = Vec::new();
    for platform in &worker.platforms {
        match platform.splitn(3, '/').collect::<Vec<_>>()[..] {
            [_, _, identity] if identity.contains('+') => {}
            [os, arch, identity] => {
                let mut known = worker.c_toolchains.iter();
                let known = known.find(|toolchain| toolchain.identity == identity);
                let name = known.map(|known| known.name.clone());
                let name = name.filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| format!("a C toolchain for {os}/{arch}"));
                let digits: String = identity.chars().take(DIGITS).collect();
                toolchains.push(format!("{name} ({digits})"));
            }
            _ => told.push(platform.clone()),
        }
    }
    told.extend(toolchains);
    told.join(", ")
}

fn listed(workers: &[v1::Worker]) -> String {
    if workers.is_empty() {
        return "no workers\n".to_owned();
    }
    let header = ["WORKER", "POOL", "RUNNING", "MEMORY", "SEEN", "PLATFORMS"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for worker in workers {
        let mut row = vec![
            worker.name.clone(),
            pool(worker).to_owned(),
            format!("{}/{}", worker.running, worker.slots),
            Size(worker.memory).to_string(),
            format!("{} ago", TimeSpan(Duration::from_millis(worker.seen_ms))),
            platforms(worker),
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
            c_toolchains: vec![v1::CToolchain {
                identity: "0123456789abcdef".into(),
                name: "gcc 12.2.0 for x86_64-linux-gnu".into(),
            }],
        };
        let mut crashing = worker.clone();
        crashing.name = "w2".into();
        crashing.set_aside = "3 tasks in a row crashed".into();
        assert_eq!(
            listed(&[worker.clone(), crashing]),
            "WORKER  POOL     RUNNING  MEMORY   SEEN       PLATFORMS\n\
             w1      default  3/8      16.0 GB  1.20s ago  linux/amd64, gcc 12.2.0 for x86_64-linux-gnu (01234567)\n\
             w2      default  3/8      16.0 GB  1.20s ago  linux/amd64, gcc 12.2.0 for x86_64-linux-gnu (01234567)  set aside: 3 tasks in a row crashed\n"
        );
        assert_eq!(listed(&[]), "no workers\n");
        assert_eq!(
            serde_json::to_value(Told::of(&worker)).unwrap(),
            serde_json::json!({
                "name": "w1", "pool": "default", "platforms": ["linux/amd64", "linux/amd64/0123456789abcdef"],
                "slots": 8, "running": 3, "memory": 16_000_000_000_u64, "seen_ms": 1200, "set_aside": null,
                "c_toolchains": [{"identity": "0123456789abcdef", "name": "gcc 12.2.0 for x86_64-linux-gnu"}],
            })
        );
    }
}
