//! The scripts. Each makes one change whole, with the comparison of the proof in the same step.

use redis::Script;

/// Compiled once; sent to the server when it does not know them.
pub(super) struct Scripts {
    pub submit: Script,
    pub renew: Script,
    pub release: Script,
    pub take_over: Script,
    pub append: Script,
    pub archive: Script,
    pub restore: Script,
    pub say: Script,
    pub measured: Script,
    pub note_worker: Script,
    pub workers: Script,
    pub lead: Script,
    pub led: Script,
}

impl Scripts {
    pub fn new() -> Scripts {
        Scripts {
            submit: Script::new(include_str!("submit.lua")),
            renew: Script::new(include_str!("renew.lua")),
            release: Script::new(include_str!("release.lua")),
            take_over: Script::new(include_str!("take_over.lua")),
            append: Script::new(include_str!("append.lua")),
            archive: Script::new(include_str!("archive.lua")),
            restore: Script::new(include_str!("restore.lua")),
            say: Script::new(include_str!("say.lua")),
            measured: Script::new(include_str!("measured.lua")),
            note_worker: Script::new(include_str!("note_worker.lua")),
            workers: Script::new(include_str!("workers.lua")),
            lead: Script::new(include_str!("lead.lua")),
            led: Script::new(include_str!("led.lua")),
        }
    }
}
