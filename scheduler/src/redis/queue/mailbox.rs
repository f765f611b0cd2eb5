//! What this process has read of an owner's news.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};

use super::link::QueueLink;
use super::pools::Pool;
use super::record::decode_news;
use super::script;
use gofarm_queue::{News, Owner, QueueError};

/// Up to where an owner has read the news of a pool. Told with the next call, and only then are they let go of: an answer
/// that was lost on the way is sent again.
#[derive(Clone, Default)]
struct Read {
    incarnation: u64,
    last: [u8; 8],
    count: usize,
    output: usize,
}

#[derive(Default)]
pub(super) struct Mailbox {
    /// Rung when there is news.
    pub bell: Notify,
    /// By pool. Locked while news are fetched, so that two calls at once do not get the same.
    read: Mutex<HashMap<Arc<str>, Read>>,
}

impl Mailbox {
    /// At most `max` news of these pools.
    ///
    /// # Errors
    ///
    /// When not one of the pools had news and one could not be asked.
    pub async fn fetch(
        &self,
        link: &QueueLink,
        owner: &Owner,
        pools: &[Arc<Pool>],
        max: usize,
    ) -> Result<Vec<News>, QueueError> {
        let mut all = self.read.lock().await;
        let (mut found, mut failed) = (Vec::new(), None);
        for pool in pools {
            if found.len() >= max {
                break;
            }
            let read = all.entry(pool.name.clone()).or_default();
            let room = max - found.len();
            match fetch_from(link, owner, pool, room, read).await {
                Ok(news) => found.extend(news),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

async fn fetch_from(
    link: &QueueLink,
    owner: &Owner,
    pool: &Pool,
    max: usize,
    read: &mut Read,
) -> Result<Vec<News>, QueueError> {
    let answer = link.run(&script::NEWS, pool, |call| {
        call.arg(&**owner).arg(max).arg(read.incarnation);
        call.arg(&read.last[..]).arg(read.count).arg(read.output);
    });
    let (incarnation, entries): (u64, Vec<Vec<u8>>) = answer.await?;
    let mut now = Read {
        incarnation,
        count: entries.len(),
        ..Read::default()
    };
    let mut news = Vec::with_capacity(entries.len());
    for entry in &entries {
        if let Some(number) = entry.first_chunk() {
            now.last = *number;
        }
        match decode_news(entry) {
            Ok(read) => {
                if let News::Log { data, .. } = &read {
                    now.output += data.len();
                }
                news.push(read);
            }
            // Written by a version that knows more. Its owner is of this one and did not ask for it.
            Err(error) => tracing::error!(%error, %owner, "dropping news that cannot be read"),
        }
    }
    // After the last wait: a caller that went away before has not read them.
    *read = now;
    Ok(news)
}
