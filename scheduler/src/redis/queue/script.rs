//! The scripts: each is one step that nothing else comes between.

use std::sync::LazyLock;

use redis::Script;

fn script(text: &str) -> Script {
    #[cfg(test)]
    let text = &told_the_time(text);
    Script::new(text)
}

/// A script for which it is as late as the test has said in a key beside the queue's; the server's clock where it says nothing.
#[cfg(test)]
fn told_the_time(text: &str) -> String {
    let (asked, told) = (
        "call('TIME')",
        "call('GET', PREFIX .. 'clock')
time = time and { math.floor(time / 1000), time % 1000 * 1000 } or call('TIME')",
    );
    assert_eq!(text.matches(asked).count(), 1, "one clock");
    text.replace(asked, told)
}

/// A script with what it stands on. `#!lua` without flags makes Redis refuse it before its first change when memory is
/// used up, so that none is left half done.
macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| {
            script(concat!("#!lua\n", include_str!("lua/life.lua"), $(include_str!($part)),+))
        })
    };
}

macro_rules! task_script {
    ($part:literal) => {
        script!(
            "lua/owner.lua",
            "lua/share.lua",
            "lua/worker.lua",
            "lua/task.lua",
            $part
        )
    };
}

pub(super) static BEGIN: LazyLock<Script> = script!("lua/begin.lua");
pub(super) static STATS: LazyLock<Script> = script!("lua/stats.lua");
pub(super) static ENQUEUE: LazyLock<Script> = task_script!("lua/enqueue.lua");
pub(super) static BACK_UP: LazyLock<Script> = task_script!("lua/back_up.lua");
pub(super) static CANCEL: LazyLock<Script> = task_script!("lua/cancel.lua");
pub(super) static LEASE: LazyLock<Script> = script!(
    "lua/owner.lua",
    "lua/share.lua",
    "lua/worker.lua",
    "lua/task.lua",
    "lua/list.lua",
    "lua/turn.lua",
    "lua/lease.lua"
);
pub(super) static CHECK: LazyLock<Script> = task_script!("lua/check.lua");
pub(super) static RENEW: LazyLock<Script> = task_script!("lua/renew.lua");
pub(super) static LOG: LazyLock<Script> = task_script!("lua/log.lua");
pub(super) static COMPLETE: LazyLock<Script> = task_script!("lua/complete.lua");
pub(super) static REAP: LazyLock<Script> = task_script!("lua/reap.lua");

/// Reading news makes room, so it must go on when there is none.
pub(super) static NEWS: LazyLock<Script> = LazyLock::new(|| {
    script(concat!(
        "#!lua flags=allow-oom\n",
        include_str!("lua/life.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/news.lua")
    ))
});
