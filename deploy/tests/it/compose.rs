//! The compose file, as Compose reads it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dockerfile;
use crate::process::{command, run};
use crate::program::Accepted;
use crate::{root, tool};

/// The resolved project, with the token set.
pub fn project() -> Value {
    let mut read = command(&tool("compose"));
    read.arg(root().join("docker-compose.yml"));
    read.env("GOFARM_TOKEN", "set");
    read.env_remove("GOFARM_BIND");
    let read = run(read);
    assert!(read.ok, "{}", read.all);
    serde_json::from_str(&read.stdout).unwrap()
}

pub fn words(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

fn services() -> BTreeMap<String, Value> {
    serde_json::from_value(project()["services"].clone()).unwrap()
}

#[test]
fn it_has_the_processes_of_a_farm() {
    let names: Vec<String> = services().into_keys().collect();
    assert_eq!(names, ["redis", "scheduler", "worker-1", "worker-2"]);
}

#[test]
fn a_mistake_in_it_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker-compose.yml");
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    assert!(text.contains("stop_grace_period:"));
    std::fs::write(
        &path,
        text.replace("stop_grace_period:", "stop_grace_time:"),
    )
    .unwrap();
    let mut read = command(&tool("compose"));
    read.arg(&path);
    let read = run(read);
    assert!(
        !read.ok && read.all.contains("stop_grace_time"),
        "{}",
        read.all
    );
}

#[test]
fn programs_have_the_flags_and_variables_that_it_gives_them() {
    for (name, service) in services() {
        let program = match name.as_str() {
            "redis" => continue,
            "scheduler" => "gofarm-scheduler",
            _ => "gofarm-worker",
        };
        let accepted = Accepted::by(program);
        accepted.check_args(&words(&service["command"]));
        for variable in service["environment"].as_object().into_iter().flatten() {
            accepted.check_variable(variable.0);
        }
    }
}

#[test]
fn every_service_is_checked_and_builds_on_a_stage_that_there_is() {
    let stages = dockerfile::read().stages;
    for (name, service) in services() {
        assert!(!words(&service["healthcheck"]["test"]).is_empty(), "{name}");
        if name == "redis" {
            let image = service["image"].as_str().unwrap();
            assert!(image.starts_with("redis:7."), "{image}");
            continue;
        }
        let target = service["build"]["target"].as_str().unwrap();
        assert!(
            name.starts_with(target) && stages.contains_key(target),
            "{name}: {target}"
        );
        assert_eq!(service["read_only"], true, "{name}");
        // What is written to are volumes that the image makes for its user.
        let volumes = stages[target].words("VOLUME");
        let mounts = service["volumes"].as_array().unwrap();
        for mount in mounts {
            assert_eq!(mount["type"], "volume", "{name}");
            assert!(
                volumes.contains(&mount["target"].as_str().unwrap().to_owned()),
                "{name}: {mount}"
            );
        }
        assert_eq!(
            mounts.len(),
            volumes.len(),
            "{name} leaves a volume without a name"
        );
    }
}

#[test]
fn redis_never_evicts() {
    let words = words(&services()["redis"]["command"]);
    let policy = words
        .iter()
        .position(|word| word == "--maxmemory-policy")
        .unwrap();
    assert_eq!(words[policy + 1], "noeviction");
}

#[test]
fn nobody_is_killed_while_it_drains() {
    for (name, service) in services() {
        let words = words(&service["command"]);
        let Some(drain) = words
            .iter()
            .find_map(|word| word.strip_prefix("--drain-timeout="))
        else {
            continue;
        };
        let seconds = |text: &str| text.strip_suffix('s').unwrap().parse::<u32>().unwrap();
        let grace = service["stop_grace_period"].as_str().unwrap();
        assert!(
            seconds(grace) >= seconds(drain) + 10,
            "{name}: {grace}, {drain}"
        );
    }
}

#[test]
fn without_a_token_it_does_not_come_up() {
    let secret = &project()["secrets"]["gofarm_token"];
    assert_eq!(secret["environment"], "GOFARM_TOKEN");
    for (name, service) in services() {
        if name != "redis" {
            assert_eq!(service["secrets"][0]["source"], "gofarm_token", "{name}");
        }
        assert!(!words(&service["command"]).contains(&"--insecure".to_owned()));
    }
}
