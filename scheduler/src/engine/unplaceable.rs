//! Why no worker can take a task, in words: the queue knows workers by the parts of a pool that they serve.

use std::collections::BTreeMap;

use gofarm_proto::v1;

/// The identity of a C toolchain is a hash, of which the beginning is enough for people.
const DIGITS: usize = 8;

/// What the C toolchains of a graph are called, by identity.
pub(super) fn toolchain_names(graph: &v1::Graph) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for node in &graph.nodes {
        let identity = node.platform.as_ref().map(|at| at.c_toolchain.as_str());
        if let Some(identity) = identity.filter(|identity| !identity.is_empty())
            && !names.contains_key(identity)
        {
            names.insert(identity.to_owned(), node.c_toolchain_name.clone());
        }
    }
    names
}

/// The queue's reason why tasks of a part of a pool (`default:linux/amd64/ID`) have no worker, with what is known of that
/// pool's workers and of what the build's C toolchains are called.
pub(super) fn explained(
    reason: &str,
    part: &str,
    names: &BTreeMap<String, String>,
    workers: &[v1::Worker],
) -> String {
    let (pool, platform) = part.split_once(':').unwrap_or((part, ""));
    let workers: Vec<&v1::Worker> = workers.iter().filter(|other| other.pool == pool).collect();
    let has = |worker: &&&v1::Worker| worker.platforms.iter().any(|other| other == platform);
    let fitting: Vec<&v1::Worker> = workers.iter().filter(has).copied().collect();
    if let Some(first) = fitting.first()
        && fitting.iter().all(|worker| !worker.set_aside.is_empty())
    {
        return format!(
            "each worker of pool {pool:?} that could take it is set aside: {} ({}); mend it and start it again, or start another \
             one; 'gofarm workers' shows them",
            first.name, first.set_aside
        );
    }
    if platform.is_empty() || workers.is_empty() || !fitting.is_empty() {
        return reason.replace(part, pool);
    }
    let Some((machine, identity)) = with_toolchain(platform) else {
        return format!(
            "no worker of pool {pool:?} is for {platform}: {}; start one that is, or choose another pool",
            counted(workers.iter().map(|worker| machines(worker)))
        );
    };
    let ours = named(names.get(identity).map_or("", String::as_str), identity);
    let theirs = workers.iter().map(|worker| toolchains(worker, machine));
    format!(
        "no worker of pool {pool:?} has the C toolchain of the machine that planned the build, {ours}: {}; \
         start a worker on the image of that machine, build on one with a toolchain that the workers have, or build without \
         cgo (CGO_ENABLED=0)",
        counted(theirs)
    )
}

/// `os/arch` and the identity.
fn with_toolchain(platform: &str) -> Option<(&str, &str)> {
    let (at, _) = platform.match_indices('/').nth(1)?;
    Some((&platform[..at], &platform[at + 1..]))
}

fn named(name: &str, identity: &str) -> String {
    let parts = identity.split('+');
    let short: Vec<&str> = parts
        .map(|part| part.get(..DIGITS).unwrap_or(part))
        .collect();
    let short = short.join("+");
    match name {
        "" => format!("one of identity {short}"),
        name => format!("{name} ({short})"),
    }
}

/// The single C toolchains of a worker.
fn toolchains(worker: &v1::Worker, machine: &str) -> String {
    let found = worker.platforms.iter().filter_map(|platform| {
        let (of, identity) = with_toolchain(platform)?;
        let single = of == machine && !identity.contains('+');
        let mut known = worker.c_toolchains.iter();
        let known = known.find(|toolchain| toolchain.identity == identity);
        single.then(|| named(known.map_or("", |known| &known.name), identity))
    });
    let found: Vec<String> = found.collect();
    match found.is_empty() {
        true => "no C compiler".to_owned(),
        false => found.join(" and "),
    }
}

/// The platforms of a worker without their C toolchains.
fn machines(worker: &v1::Worker) -> String {
    let plain = worker.platforms.iter();
    let plain: Vec<&str> = plain
        .filter(|platform| with_toolchain(platform).is_none())
        .map(String::as_str)
        .collect();
    plain.join(" and ")
}

/// How many workers have what.
fn counted(of_each: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in of_each {
        *counts.entry(one).or_default() += 1;
    }
    let told = counts.iter().map(|(what, count)| match count {
        1 => format!("1 worker has {what}"),
        count => format!("{count} workers have {what}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(platforms: &[&str], names: &[(&str, &str)]) -> v1::Worker {
        v1::Worker {
            pool: "default".into(),
            platforms: platforms.iter().map(|&text| text.into()).collect(),
            c_toolchains: names
                .iter()
                .map(|&(identity, name)| v1::CToolchain {
                    identity: identity.into(),
                    name: name.into(),
                })
                .collect(),
            ..v1::Worker::default()
        }
    }

    #[test]
    fn a_c_toolchain_that_nobody_has_is_told_in_words() {
        let other = "b".repeat(64);
        let ours = "a".repeat(64);
        let names = BTreeMap::from([(ours.clone(), "gcc 12.2.0 for x86_64-linux-gnu".into())]);
        let with = format!("linux/amd64/{other}");
        let workers = [
            worker(&["linux/amd64"], &[]),
            worker(
                &["linux/amd64", &with],
                &[(&other, "gcc 14.1.0 for x86_64-linux-gnu")],
            ),
            worker(
                &["linux/amd64", &with],
                &[(&other, "gcc 14.1.0 for x86_64-linux-gnu")],
            ),
        ];
        let part = format!("default:linux/amd64/{ours}");
        let text = explained("no worker", &part, &names, &workers);
        assert_eq!(
            text,
            "no worker of pool \"default\" has the C toolchain of the machine that planned the build, gcc 12.2.0 for \
             x86_64-linux-gnu (aaaaaaaa): 2 workers have gcc 14.1.0 for x86_64-linux-gnu (bbbbbbbb), 1 worker has no C \
             compiler; start a worker on the image of that machine, build on one with a toolchain that the workers have, \
             or build without cgo (CGO_ENABLED=0)"
        );
    }

    #[test]
    fn workers_that_are_set_aside_are_named() {
        let part = "default:linux/amd64";
        let aside = || v1::Worker {
            name: "w1".into(),
            set_aside: "5 tasks in a row came to no end: no disk".into(),
            ..worker(&["linux/amd64"], &[])
        };
        let names = BTreeMap::new();
        let other = worker(&["linux/arm64"], &[]);
        let text = explained("no worker", part, &names, &[aside(), other]);
        assert_eq!(
            text,
            "each worker of pool \"default\" that could take it is set aside: w1 (5 tasks in a row came to no end: no disk); \
             mend it and start it again, or start another one; 'gofarm workers' shows them"
        );
        let able = worker(&["linux/amd64"], &[]);
        assert_eq!(
            explained("no worker", part, &names, &[aside(), able]),
            "no worker"
        );
    }

    #[test]
    fn what_has_to_do_with_no_platform_stays_as_the_queue_says_it() {
        let ours = "a".repeat(64);
        let part = format!("default:linux/amd64/{ours}");
        let reason = format!("no worker of pool {part:?} has asked for tasks for 15 s");
        let plain = "no worker of pool \"default\" has asked for tasks for 15 s";
        let names = BTreeMap::new();
        assert_eq!(explained(&reason, &part, &names, &[]), plain);
        let has = worker(&["linux/amd64", &format!("linux/amd64/{ours}")], &[]);
        assert_eq!(explained(&reason, &part, &names, &[has]), plain);
        let elsewhere = worker(&["linux/amd64"], &[]);
        let text = explained("no worker", "default:linux/arm64", &names, &[elsewhere]);
        assert_eq!(
            text,
            "no worker of pool \"default\" is for linux/arm64: 1 worker has linux/amd64; start one that is, or choose another pool"
        );
    }
}
