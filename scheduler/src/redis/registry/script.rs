//! The scripts. Each makes one change whole, with the comparison of the proof in the same step.

use std::sync::LazyLock;

use redis::Script;

use crate::redis::script::script;

pub(super) static SUBMIT: LazyLock<Script> = script!(""; "lua/submit.lua");
pub(super) static RENEW: LazyLock<Script> = script!(""; "lua/renew.lua");
pub(super) static RELEASE: LazyLock<Script> = script!(""; "lua/release.lua");
pub(super) static TAKE_OVER: LazyLock<Script> = script!(""; "lua/take_over.lua");
pub(super) static APPEND: LazyLock<Script> = script!(""; "lua/append.lua");
pub(super) static ARCHIVE: LazyLock<Script> = script!(""; "lua/archive.lua");
pub(super) static RESTORE: LazyLock<Script> = script!(""; "lua/restore.lua");
pub(super) static SAY: LazyLock<Script> = script!(""; "lua/say.lua");
pub(super) static MEASURED: LazyLock<Script> = script!(""; "lua/measured.lua");
pub(super) static NOTE_WORKER: LazyLock<Script> = script!(""; "lua/note_worker.lua");
pub(super) static WORKERS: LazyLock<Script> = script!(""; "lua/workers.lua");
pub(super) static LEAD: LazyLock<Script> = script!(""; "lua/lead.lua");
pub(super) static LED: LazyLock<Script> = script!(""; "lua/led.lua");
