//! What gofarm says about a build: `--summary-json` and `--events`.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The part of `--summary-json` that is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    /// The whole command, milliseconds.
    pub wall_ms: u64,
    /// Of that: planning, and the digests of all files.
    pub plan_ms: u64,
    /// No dry run was made.
    pub plan_reused: bool,
    /// The longest chain of executions that had to wait for each other, milliseconds: what no number of CPUs saves.
    pub critical_path_ms: u64,
    /// How the actions ended.
    pub actions: Actions,
}

/// Actions by how they ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Actions {
    /// All.
    pub total: u64,
    /// Run for this build.
    pub executed: u64,
}

impl Summary {
    /// Reads the file that gofarm wrote.
    pub fn read(path: &Path) -> anyhow::Result<Summary> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        parse(&text).with_context(|| format!("{} is no summary of gofarm", path.display()))
    }

    /// What was done, for people.
    pub fn note(&self) -> String {
        let planned = if self.plan_reused {
            "plan reused"
        } else {
            "planned"
        };
        let Actions { executed, total } = self.actions;
        format!(
            "{executed} of {total} actions executed, {planned} in {} ms, critical path {} ms",
            self.plan_ms, self.critical_path_ms
        )
    }
}

/// What all executed actions of a build cost together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Costs {
    /// How many there are.
    pub executed: u64,
    /// From the first step's start to the last one's end, milliseconds.
    pub steps_ms: f64,
    /// Staging inputs, milliseconds.
    pub stage_ms: f64,
    /// Collecting outputs, milliseconds.
    pub collect_ms: f64,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    what: String,
    #[serde(default)]
    how: String,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    wall_ms: u64,
    stage_us: u64,
    collect_us: u64,
}

impl Costs {
    /// Adds up the `action_finished` lines of an `--events` file. Cached actions carry the usage of the build that
    /// executed them, so they do not count.
    pub fn read(path: &Path) -> anyhow::Result<Costs> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Costs::of(&text)
            .with_context(|| format!("{} is no list of gofarm's events", path.display()))
    }

    fn of(text: &str) -> anyhow::Result<Costs> {
        let mut costs = Costs::default();
        for line in text.lines() {
            let line: Line = parse(line)?;
            if line.what != "action_finished" || line.how != "executed" {
                continue;
            }
            let usage = line.usage.context("an executed action without usage")?;
            costs.executed += 1;
            costs.steps_ms += usage.wall_ms as f64;
            costs.stage_ms += usage.stage_us as f64 / 1000.0;
            costs.collect_ms += usage.collect_us as f64 / 1000.0;
        }
        Ok(costs)
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_of_executed_actions() {
        let usage = r#""usage":{"wall_ms":120,"user_ms":100,"system_ms":10,"peak_memory":4096,"stage_us":700,"collect_us":800}"#;
        let finished =
            |how: &str| format!(r#"{{"seq":1,"type":"action_finished","how":"{how}",{usage}}}"#);
        let text = [
            r#"{"seq":0,"type":"action_started","node":1,"label":"compile fmt","worker":"embedded"}"#.to_owned(),
            finished("executed"),
            finished("cached"),
            finished("executed"),
        ];
        let costs = Costs::of(&text.join("\n")).unwrap();
        assert_eq!(
            (costs.executed, costs.steps_ms, costs.stage_ms),
            (2, 240.0, 1.4)
        );
        assert!(Costs::of("{\"type\":\"action_finished\",\"how\":\"executed\"}").is_err());
    }
}
