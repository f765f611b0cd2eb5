//! Why nothing of a build runs.

use std::collections::HashSet;

use gofarm_proto::v1;

/// What the farm says of a build that needs these platforms, given all workers and all open builds.
pub(super) fn answer(
    build: &v1::Build,
    platforms: &[String],
    workers: Vec<v1::Worker>,
    open: &[v1::Build],
) -> v1::WaitingResponse {
    let pool = pool(build);
    let workers: Vec<v1::Worker> = workers
        .into_iter()
        .filter(|worker| worker.pool == pool)
        .collect();
    let has = |platform: &&String| {
        let mut all = workers.iter();
        all.any(|worker| worker.platforms.contains(*platform))
    };
    let lacking = platforms.iter().filter(|platform| !has(platform)).cloned();
    let before = open.iter().filter(|other| {
        let order = (other.submitted_ms, &other.build) < (build.submitted_ms, &build.build);
        order && self::pool(other) == pool
    });
    let set_aside = workers.iter().filter(|worker| !worker.set_aside.is_empty());
    let mut seen = HashSet::new();
    let c_toolchains = workers.iter().flat_map(|worker| &worker.c_toolchains);
    let c_toolchains = c_toolchains.filter(|known| seen.insert(known.identity.clone()));
    v1::WaitingResponse {
        workers: count(workers.len()),
        set_aside: count(set_aside.count()),
        lacking: lacking.collect(),
        builds_before: count(before.count()),
        c_toolchains: c_toolchains.cloned().collect(),
        store_full: String::new(),
    }
}

fn pool(build: &v1::Build) -> &str {
    let options = build.options.as_ref();
    options.map_or("", |options| &options.pool)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_builds_own_pool_counts() {
        let build = |id: &str, pool: &str, submitted_ms| v1::Build {
            build: id.into(),
            options: Some(v1::BuildOptions {
                pool: pool.into(),
                ..v1::BuildOptions::default()
            }),
            submitted_ms,
            ..v1::Build::default()
        };
        let worker = |pool: &str, platform: &str, set_aside: &str| v1::Worker {
            pool: pool.into(),
            platforms: vec![platform.into()],
            set_aside: set_aside.into(),
            ..v1::Worker::default()
        };
        let ours = build("b", "big", 5);
        let open = [
            build("a", "big", 4),
            build("c", "big", 6),
            build("d", "default", 1),
            ours.clone(),
        ];
        let workers = vec![
            worker("big", "linux/amd64", ""),
            worker("big", "linux/amd64", "crashes"),
            worker("default", "linux/arm64", ""),
        ];
        let asked = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        let told = answer(&ours, &asked, workers, &open);
        assert_eq!(
            (told.workers, told.set_aside, told.builds_before),
            (2, 1, 1)
        );
        assert_eq!(told.lacking, ["linux/arm64"]);
    }
}
