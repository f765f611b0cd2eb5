//! The chart, as Helm and the Kubernetes API read it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::compose::words;
use crate::process::{Ended, command, run, run_with_input};
use crate::program::{Accepted, is_ours};
use crate::{dockerfile, root, tool};

/// The version whose rules the chart is rendered for; the chart names the oldest that it works with.
const KUBERNETES: &str = "1.31.0";

fn chart() -> PathBuf {
    root().join("helm/gofarm")
}

/// The files of values that stand beside the chart.
fn value_sets() -> Vec<PathBuf> {
    let entries = fs::read_dir(chart().join("ci")).unwrap();
    let mut sets: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    sets.sort();
    assert!(sets.len() >= 3);
    sets
}

fn least() -> PathBuf {
    chart().join("ci/least-values.yaml")
}

fn helm(args: &[&str], values: &[&PathBuf], set: &[&str]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let mut helm = command(&tool("helm"));
    helm.args(args).arg(chart());
    for file in values {
        helm.arg("--values").arg(file);
    }
    for value in set {
        helm.args(["--set-json", value]);
    }
    // Nothing of the user's, and no cluster.
    helm.env("HOME", home.path())
        .env("KUBECONFIG", home.path().join("none"));
    run(helm)
}

fn render(values: &[&PathBuf], set: &[&str]) -> Ended {
    helm(
        &["template", "farm", "--kube-version", KUBERNETES],
        values,
        set,
    )
}

/// What the chart makes of values, checked by the types of the Kubernetes API.
fn objects(values: &PathBuf) -> Vec<Value> {
    let rendered = render(&[values], &[]);
    assert!(rendered.ok, "{}", rendered.all);
    let checked = run_with_input(command(&tool("manifests")), &rendered.stdout);
    assert!(checked.ok, "{}: {}", values.display(), checked.all);
    serde_json::from_str(&checked.stdout).unwrap()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

/// The only container of a Deployment, the stage of the Dockerfile that it runs, and its program.
fn container(deployment: &Value) -> (&Value, &'static str, &'static str) {
    let containers = deployment["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    assert_eq!(containers.len(), 1);
    match deployment["metadata"]["labels"]["app.kubernetes.io/component"].as_str() {
        Some("scheduler") => (&containers[0], "scheduler", "gofarm-scheduler"),
        Some("worker") => (&containers[0], "worker", "gofarm-worker"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn helm_has_nothing_to_say_against_it() {
    for values in value_sets() {
        let linted = helm(&["lint", "--strict"], &[&values], &[]);
        assert!(linted.ok, "{}: {}", values.display(), linted.all);
    }
}

#[test]
fn what_must_be_given_is_asked_for() {
    let refused = render(&[], &[]);
    assert!(!refused.ok);
    for needed in ["redis", "store", "token"] {
        assert!(refused.all.contains(needed), "{needed}: {}", refused.all);
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (set, named) in [
        (r#"redis.url="http://redis""#, "/redis/url"),
        (r#"store.url="ftp://bucket""#, "/store/url"),
        (r#"store.url="file:///var/lib/gofarm""#, "/store"),
        (r#"store.age="a while""#, "/store/age"),
        (r#"store.size="20""#, "/store/size"),
        (r#"token.existingSecret="""#, "/token/existingSecret"),
        (r#"scheduler.replicas=0"#, "/scheduler/replicas"),
        (r#"scheduler.replica=2"#, "/scheduler"),
        (r#"scheduler.localSize="20""#, "/scheduler/localSize"),
        (
            r#"scheduler.image.digest="sha256:12""#,
            "/scheduler/image/digest",
        ),
        (r#"workers=[{"replicas":1}]"#, "/workers/0"),
        (
            r#"workers=[{"pool":"Big","replicas":1}]"#,
            "/workers/0/pool",
        ),
        (
            r#"workers=[{"pool":"big","replicas":1,"slots":"all"}]"#,
            "/workers/0/slots",
        ),
        (
            r#"workerDefaults.cacheSize="20Gi""#,
            "/workerDefaults/cacheSize",
        ),
        (
            r#"workerDefaults.sandbox="maybe""#,
            "/workerDefaults/sandbox",
        ),
        (r#"workerDefaults.replicas=2"#, "/workerDefaults"),
        (r#"log.format="xml""#, "/log/format"),
        (r#"insecure="yes""#, "/insecure"),
        (r#"nameSpace="x""#, "nameSpace"),
    ] {
        let refused = render(&[&least()], &[set]);
        assert!(!refused.ok, "{set} is taken");
        assert!(refused.all.contains(named), "{set}: {}", refused.all);
    }
}

#[test]
fn programs_have_the_flags_and_variables_that_they_are_given() {
    for values in value_sets() {
        let objects = objects(&values);
        for deployment in of_kind(&objects, "Deployment") {
            let (container, _, program) = container(deployment);
            let accepted = Accepted::by(program);
            accepted.check_args(&words(&container["args"]));
            let configured = of_kind(&objects, "ConfigMap")[0]["data"]
                .as_object()
                .unwrap();
            let own = container["env"].as_array().into_iter().flatten();
            let mut names: BTreeSet<String> = own
                .map(|variable| variable["name"].as_str().unwrap().to_owned())
                .collect();
            if program == "gofarm-scheduler" {
                names.extend(configured.keys().cloned());
            }
            for name in names.iter().filter(|name| is_ours(name)) {
                accepted.check_variable(name);
            }
        }
    }
}

#[test]
fn every_named_volume_is_mounted_where_the_program_is_told_to_look() {
    for values in value_sets() {
        for deployment in of_kind(&objects(&values), "Deployment") {
            let (container, stage, _) = container(deployment);
            let named = |list: &Value, field: &str| -> BTreeSet<String> {
                let items = list.as_array().into_iter().flatten();
                items
                    .map(|item| item[field].as_str().unwrap().to_owned())
                    .collect()
            };
            let mounts = named(&container["volumeMounts"], "mountPath");
            let volumes = &deployment["spec"]["template"]["spec"]["volumes"];
            assert_eq!(
                named(&container["volumeMounts"], "name"),
                named(volumes, "name")
            );
            // Nothing but volumes can be written to; the arguments name files and folders below them.
            for arg in words(&container["args"]) {
                let Some((_, path)) = arg
                    .split_once('=')
                    .filter(|(_, value)| value.starts_with('/'))
                else {
                    continue;
                };
                assert!(
                    mounts.iter().any(|mount| path.starts_with(mount.as_str())),
                    "{arg}: {mounts:?}"
                );
            }
            // The image has a folder there that belongs to its user.
            let setup = dockerfile::read().stages[stage].all("RUN").join("\n");
            assert!(setup.contains("/var/cache/gofarm") && mounts.contains("/var/cache/gofarm"));
        }
    }
}

#[test]
fn nothing_runs_with_rights_that_it_does_not_need() {
    for values in value_sets() {
        for deployment in of_kind(&objects(&values), "Deployment") {
            let pod = &deployment["spec"]["template"]["spec"];
            let (container, stage, _) = container(deployment);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            let user = dockerfile::read().stages[stage].all("USER")[0].to_owned();
            let (uid, gid) = (
                &pod["securityContext"]["runAsUser"],
                &pod["securityContext"]["runAsGroup"],
            );
            assert_eq!(user, format!("{uid}:{gid}"));
            assert_eq!(pod["automountServiceAccountToken"], false);
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false);
            assert_eq!(security["readOnlyRootFilesystem"], true);
            assert_eq!(security["capabilities"]["drop"][0], "ALL");
            assert!(container["resources"]["requests"]["memory"].is_string());
        }
    }
}

#[test]
fn everyone_has_the_time_that_draining_takes() {
    for values in value_sets() {
        for deployment in of_kind(&objects(&values), "Deployment") {
            let (container, _, program) = container(deployment);
            let args = words(&container["args"]);
            let drain = args
                .iter()
                .find_map(|arg| arg.strip_prefix("--drain-timeout="))
                .unwrap();
            let drain: u64 = drain.strip_suffix('s').unwrap().parse().unwrap();
            let grace =
                deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
            assert!(grace.unwrap() >= drain + 10, "{program}");
            let hook = words(&container["lifecycle"]["preStop"]["exec"]["command"]);
            match program {
                "gofarm-worker" => assert!(hook.join(" ").contains("kill -TERM 1"), "{hook:?}"),
                _ => assert_eq!(hook, ["sleep", "5"]),
            }
        }
    }
}

#[test]
fn probes_and_ports_are_those_of_the_scheduler() {
    let objects = objects(&least());
    let deployments = of_kind(&objects, "Deployment");
    let (container, _, _) = container(deployments[0]);
    let args = words(&container["args"]);
    for port in container["ports"].as_array().unwrap() {
        let flag = if port["name"] == "grpc" {
            "--listen"
        } else {
            "--http"
        };
        let expected = format!("{flag}=0.0.0.0:{}", port["containerPort"]);
        assert!(args.contains(&expected), "{expected}: {args:?}");
    }
    for (probe, path) in [
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], "http");
    }
    let service = of_kind(&objects, "Service")[0];
    let selector = &service["spec"]["selector"];
    let labels = &deployments[0]["spec"]["template"]["metadata"]["labels"];
    for (name, value) in selector.as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    let worker = deployments[1]["spec"]["template"]["spec"]["containers"][0]["args"][0]
        .as_str()
        .unwrap();
    let name = service["metadata"]["name"].as_str().unwrap();
    assert_eq!(worker, format!("--server=http://{name}:8980"));
}

#[test]
fn with_a_certificate_everything_speaks_tls_and_workers_do_not_see_the_key() {
    let objects = objects(&chart().join("ci/full-values.yaml"));
    for deployment in of_kind(&objects, "Deployment") {
        let (container, _, program) = container(deployment);
        let args = words(&container["args"]).join(" ");
        let volumes = deployment["spec"]["template"]["spec"]["volumes"]
            .as_array()
            .unwrap();
        let tls = volumes
            .iter()
            .find(|volume| volume["name"] == "tls")
            .unwrap();
        if program == "gofarm-scheduler" {
            assert!(
                args.contains(
                    "--tls-cert=/etc/gofarm/tls/tls.crt --tls-key=/etc/gofarm/tls/tls.key"
                )
            );
        } else {
            assert!(
                args.contains("--server=https://")
                    && args.contains("--ca=/etc/gofarm/tls/authority.pem")
            );
            let items = tls["secret"]["items"].as_array().unwrap();
            assert_eq!(items.len(), 1);
            assert_eq!(items[0]["key"], "authority.pem");
        }
    }
}

#[test]
fn pools_say_for_themselves_what_differs() {
    let objects = objects(&chart().join("ci/full-values.yaml"));
    let workers: Vec<Vec<String>> = of_kind(&objects, "Deployment")[1..]
        .iter()
        .map(|deployment| words(&container(deployment).0["args"]))
        .collect();
    assert_eq!(workers.len(), 2);
    let has = |args: &[String], arg: &str| args.iter().any(|other| other == arg);
    assert!(has(&workers[0], "--slots=auto") && has(&workers[0], "--pool=default"));
    assert!(has(&workers[1], "--slots=32") && has(&workers[1], "--pool=big"));
    assert!(has(&workers[0], "--cache-size=20GiB") && has(&workers[1], "--cache-size=500GiB"));
}
