//! Which worker runs what.

use std::thread;
use std::time::{Duration, Instant};

use super::under_way::Build;
use crate::harness::{FARM, Farm, Site, Size, is_what_go_builds, summary};

/// Says 1 when it is recorded how long the slow package takes.
const RECORDED: &str = r#"EVAL "for _, key in ipairs(redis.call('KEYS', '*:history:*')) do for _, field in ipairs(redis.call('HKEYS', key)) do if string.find(field, 'example.com/m/slow0', 1, true) then return 1 end end end return 0" 0"#;

#[test]
fn an_action_that_stands_still_is_run_by_another_worker_as_well() {
    let site = Site::new().slow_module(1);
    let farm = Farm::start(
        &site,
        Size {
            schedulers: 1,
            workers: 2,
            ..FARM
        },
    );
    farm.submit(&site, &[]).run().ok();
    let begun = Instant::now();
    while farm.redis.command(RECORDED) != ":1" {
        assert!(begun.elapsed() < Duration::from_secs(60), "not recorded");
        thread::sleep(Duration::from_millis(20));
    }
    site.replace(
        "slow0/slow.go",
        "\nvar Text = ",
        "\nvar New = 1\n\nvar Text = ",
    );
    // In this order, since the farm goes before its site.
    let Build {
        site,
        farm,
        worker,
        compiler,
        running,
    } = Build::on(site, farm);
    // Its worker is well and keeps the lease; only the compiler stands still, for as long as nobody else is done.
    running.wait().ok();
    is_what_go_builds(&site, "bin/m");
    let summary = summary(&site);
    // The package, what imports it, and the link; each once.
    assert_eq!(summary.actions.executed, 3, "{summary:#?}");
    let action = "action=\"compile example.com/m/slow0\"";
    let other = &farm.workers[1 - worker];
    other.says(&["reported", action, "outcome=\"succeeded\"", "counts=true"]);
    // The worker that is overtaken hears of it with its next renewal.
    compiler.assert_gone();
    let late = farm.workers[worker].lines_with(&["reported", action, "counts=true"]);
    let runs = other.lines_with(&["reported", action, "counts=true"]);
    assert_eq!(late.len() + runs.len(), 2, "{late:?} {runs:?}");
}
