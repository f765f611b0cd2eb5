//! Everything that a build is shown on: the progress display and the file of events, one thread at a time.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gofarm_proto::ActionKey;
use gofarm_worker::TracedCommand;

use crate::farm::WorkerWatch;
use crate::report::{EventLog, Progress};

/// Everything that is written to; one thread at a time.
pub(super) struct Screen {
    pub progress: Progress,
    pub events: Option<EventLog<File>>,
    /// Of the tasks that were put into the queue.
    pub labels: HashMap<ActionKey, String>,
    pub print_commands: bool,
    pub started: Instant,
    /// While the block of an action comes piece by piece: what is to be printed behind it.
    pub behind_block: Option<Vec<u8>>,
}

impl Screen {
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn print(&mut self, text: &[u8]) {
        let now = self.now();
        self.progress.print(text, now);
    }

    pub fn event(&mut self, write: impl FnOnce(&mut EventLog<File>, SystemTime)) {
        if let Some(events) = &mut self.events {
            write(events, SystemTime::now());
        }
    }
}

/// The screen, for workers, which are on other threads.
pub(super) struct SharedScreen(pub Arc<Mutex<Screen>>);

impl WorkerWatch for SharedScreen {
    fn log(&self, key: &ActionKey, chunk: &[u8]) {
        let mut screen = lock(&self.0);
        if let Some(label) = screen.labels.get(key).cloned() {
            screen.event(|events, at| events.log(at, key, &label, chunk));
        }
    }

    fn command(&self, command: &TracedCommand) {
        let mut screen = lock(&self.0);
        if screen.print_commands {
            let line = shell_line(command).into_bytes();
            match &mut screen.behind_block {
                Some(behind) => behind.extend(line),
                None => screen.print(&line),
            }
        }
    }
}

/// A command as a shell would read it, and where it runs.
fn shell_line(command: &TracedCommand) -> String {
    let quote = |text: &str| {
        let plain = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_=./,:+@%".contains(&b));
        if plain {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    let env: Vec<String> = command
        .env
        .iter()
        .map(|(name, value)| format!("{name}={}", quote(value)))
        .collect();
    let argv: Vec<String> = command.argv.iter().map(|arg| quote(arg)).collect();
    format!(
        "\n# {}\n# in {}\ncd {}\n{} {}\n",
        command.label,
        command.exec_root.display(),
        quote(&command.cwd),
        env.join(" "),
        argv.join(" ")
    )
}

pub(super) fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
