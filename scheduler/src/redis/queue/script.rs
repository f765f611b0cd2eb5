//! The scripts: each is one step that nothing else comes between.

use std::sync::LazyLock;

use redis::Script;

use crate::redis::script::script;

/// What every script of the queue stands on. When memory is used up, one that brings new work (`more`) is refused by Redis before its first
/// change, so that none is left half done. All others go on: what ends work frees memory, what is under way ends only when it is given,
/// renewed and told, and each of them adds little.
macro_rules! queue_script {
    (more: $($part:literal),+) => {
        script!("#!lua\n"; "lua/life.lua", $($part),+; told_the_time)
    };
    ($($part:literal),+) => {
        script!("#!lua flags=allow-oom\n"; "lua/life.lua", $($part),+; told_the_time)
    };
}

#[cfg(not(test))]
fn told_the_time(text: &str) -> &str {
    text
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

macro_rules! task_script {
    ($part:literal) => {
        queue_script!(
            "lua/owner.lua",
            "lua/share.lua",
            "lua/worker.lua",
            "lua/task.lua",
            $part
        )
    };
}

pub(super) static BEGIN: LazyLock<Script> = queue_script!("lua/begin.lua");
pub(super) static STATS: LazyLock<Script> = queue_script!("lua/stats.lua");
pub(super) static ENQUEUE: LazyLock<Script> = queue_script!(
    more: "lua/owner.lua",
    "lua/share.lua",
    "lua/worker.lua",
    "lua/task.lua",
    "lua/enqueue.lua"
);
pub(super) static BACK_UP: LazyLock<Script> = task_script!("lua/back_up.lua");
pub(super) static CANCEL: LazyLock<Script> = task_script!("lua/cancel.lua");
pub(super) static LEASE: LazyLock<Script> = queue_script!(
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
pub(super) static REAP: LazyLock<Script> = queue_script!(
    "lua/owner.lua",
    "lua/share.lua",
    "lua/worker.lua",
    "lua/task.lua",
    "lua/idle.lua",
    "lua/reap.lua"
);
pub(super) static FORGET: LazyLock<Script> = queue_script!("lua/idle.lua", "lua/forget.lua");

pub(super) static NEWS: LazyLock<Script> = queue_script!("lua/owner.lua", "lua/news.lua");
