//! The scripts. Each makes one change whole, with the comparison of the proof in the same step.

use std::sync::LazyLock;

use redis::Script;

use crate::redis::script::script;

/// One that brings new builds, or what nothing rests on: when memory is used up, Redis refuses it before its first change.
macro_rules! more {
    ($file:literal) => {
        script!("#!lua\n"; $file)
    };
}

/// One that goes on when memory is used up: open builds end, and what ends is moved to the store, only if their owners hold them, hear what
/// they are told and write what happens.
macro_rules! goes_on {
    ($file:literal) => {
        script!("#!lua flags=allow-oom\n"; $file)
    };
}

pub(super) static SUBMIT: LazyLock<Script> = more!("lua/submit.lua");
pub(super) static MEASURED: LazyLock<Script> = more!("lua/measured.lua");
pub(super) static SAY: LazyLock<Script> = goes_on!("lua/say.lua");
pub(super) static RENEW: LazyLock<Script> = goes_on!("lua/renew.lua");
pub(super) static RELEASE: LazyLock<Script> = goes_on!("lua/release.lua");
pub(super) static TAKE_OVER: LazyLock<Script> = goes_on!("lua/take_over.lua");
pub(super) static APPEND: LazyLock<Script> = goes_on!("lua/append.lua");
pub(super) static ARCHIVE: LazyLock<Script> = goes_on!("lua/archive.lua");
pub(super) static RESTORE: LazyLock<Script> = goes_on!("lua/restore.lua");
pub(super) static NOTE_WORKER: LazyLock<Script> = goes_on!("lua/note_worker.lua");
pub(super) static WORKERS: LazyLock<Script> = goes_on!("lua/workers.lua");
pub(super) static LEAD: LazyLock<Script> = goes_on!("lua/lead.lua");
pub(super) static LED: LazyLock<Script> = goes_on!("lua/led.lua");
