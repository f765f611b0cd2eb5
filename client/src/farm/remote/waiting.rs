//! What a build waits for of which nothing runs, told to whoever watches it.

use std::time::Duration;

use gofarm_proto::v1;
use gofarm_rpc::Connection;
use gofarm_timing::{Backoff, random};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::story::{Need, Story};

/// Between two actions there is always a moment in which nothing runs.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two questions; longer and longer, since many builds may wait for long.
const BETWEEN: Backoff = Backoff::between(Duration::from_secs(2), Duration::from_secs(15));
/// A question is given up after this time: the next one will do.
const ANSWER: Duration = Duration::from_secs(5);

/// The questions of one watcher.
pub(super) struct Waiting {
    connection: Connection,
    build: String,
    /// Since when nothing runs and something waits.
    since: Option<Instant>,
    next: Instant,
    backoff: Backoff,
    asking: JoinSet<Option<String>>,
}

impl Waiting {
    pub fn new(connection: Connection, build: String) -> Waiting {
        Waiting {
            connection,
            build,
            since: None,
            next: Instant::now(),
            backoff: BETWEEN,
            asking: JoinSet::new(),
        }
    }

    /// Asks when it is time to, and tells what the answer is. To be called several times a second.
    pub fn look(&mut self, story: &mut Story<'_>) {
        let now = Instant::now();
        let needs = story.waits_for();
        if needs.is_empty() {
            self.since = None;
            self.backoff.reset();
            self.next = now;
            self.asking.abort_all();
        }
        while let Some(answer) = self.asking.try_join_next() {
            if let (Ok(Some(words)), false) = (answer, needs.is_empty()) {
                story.watch().waits_for(&words);
            }
        }
        if needs.is_empty() || now < *self.since.get_or_insert(now) + PATIENCE {
            return;
        }
        if now >= self.next && self.asking.is_empty() {
            self.next = now + self.backoff.pause(random());
            self.ask(needs);
        }
    }

    fn ask(&mut self, needs: Vec<Need>) {
        let mut client = self.connection.builds();
        let request = v1::WaitingRequest {
            build: self.build.clone(),
            platforms: needs.iter().map(|need| need.platform.clone()).collect(),
        };
        self.asking.spawn(async move {
            let answer = timeout(ANSWER, client.waiting(request)).await;
            // A farm that cannot say it is no reason to bother anybody; one that is away is noticed elsewhere.
            let answer = answer.ok()?.ok()?.into_inner();
            Some(words(&answer, &needs))
        });
    }
}

/// The first reason that is true, the most telling first.
fn words(answer: &v1::WaitingResponse, needs: &[Need]) -> String {
    if !answer.store_full.is_empty() {
        return format!(
            "waiting for room in the farm's store: {}",
            answer.store_full
        );
    }
    if answer.workers == 0 {
        return "waiting for a worker: none is connected".to_owned();
    }
    if let Some(lacking) = answer.lacking.first() {
        let need = needs.iter().find(|need| need.platform == *lacking);
        return match need.map(|need| need.c_toolchain.as_str()) {
            Some("") | None => format!("waiting for a worker for {lacking}"),
            Some(name) => format!("waiting for a worker with the C compiler {name}"),
        };
    }
    if answer.set_aside == answer.workers {
        return format!(
            "waiting for a worker: all {} are set aside (gofarm workers says why)",
            answer.workers
        );
    }
    match answer.builds_before {
        0 => "waiting for a worker".to_owned(),
        1 => "waiting for room: 1 build before this one".to_owned(),
        before => format!("waiting for room: {before} builds before this one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_in_words() {
        let need = |platform: &str, c_toolchain: &str| Need {
            platform: platform.into(),
            c_toolchain: c_toolchain.into(),
        };
        let needs = [
            need("linux/amd64", ""),
            need("linux/amd64/00ff", "gcc 12.2.0 for x86_64-linux-gnu"),
        ];
        let answer = |workers, set_aside, lacking: &[&str], builds_before| v1::WaitingResponse {
            workers,
            set_aside,
            lacking: lacking.iter().map(|&text| text.into()).collect(),
            builds_before,
            c_toolchains: Vec::new(),
            store_full: String::new(),
        };
        for (answer, told) in [
            (
                answer(0, 0, &["linux/amd64"], 3),
                "waiting for a worker: none is connected",
            ),
            (
                answer(2, 0, &["linux/amd64/00ff"], 0),
                "waiting for a worker with the C compiler gcc 12.2.0 for x86_64-linux-gnu",
            ),
            (
                answer(2, 0, &["linux/amd64"], 0),
                "waiting for a worker for linux/amd64",
            ),
            (
                answer(2, 2, &[], 0),
                "waiting for a worker: all 2 are set aside (gofarm workers says why)",
            ),
            (
                answer(2, 1, &[], 3),
                "waiting for room: 3 builds before this one",
            ),
            (answer(2, 1, &[], 0), "waiting for a worker"),
        ] {
            assert_eq!(words(&answer, &needs), told);
        }
    }
}
