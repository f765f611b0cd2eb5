//! What owners have still to hear.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::{News, Owner};
use gofarm_engine::core::Millis;

#[derive(Debug, Default)]
struct Mailbox {
    news: VecDeque<News>,
    /// Bytes of output in it.
    output: usize,
    /// When the owner was last heard of; none once it has been let go of.
    heard: Option<Millis>,
}

#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    all: HashMap<Owner, Mailbox>,
}

impl Mailboxes {
    fn of(&mut self, owner: &Owner) -> &mut Mailbox {
        self.all.entry(owner.clone()).or_default()
    }

    pub fn tell(&mut self, owner: &Owner, news: News) {
        self.of(owner).news.push_back(news);
    }

    /// Tells of so many bytes of output. An owner that does not read loses output, never ends.
    pub fn tell_output(&mut self, owner: &Owner, bytes: usize, limit: usize, news: News) {
        let mailbox = self.of(owner);
        if mailbox.output + bytes <= limit {
            mailbox.output += bytes;
            mailbox.news.push_back(news);
        }
    }

    pub fn take(&mut self, owner: &Owner, max: usize) -> Vec<News> {
        let Some(mailbox) = self.all.get_mut(owner) else {
            return Vec::new();
        };
        let news = mailbox.news.drain(..max.min(mailbox.news.len()));
        let taken: Vec<News> = news.collect();
        for news in &taken {
            if let News::Log { data, .. } = news {
                mailbox.output -= data.len();
            }
        }
        taken
    }

    /// Takes note that this owner is there.
    pub fn hear_of(&mut self, owner: &Owner, now: Millis) {
        self.of(owner).heard = Some(now);
    }

    /// Lets go of owners that were not heard of for so long.
    pub fn let_go(&mut self, ttl: Duration, now: Millis) {
        for mailbox in self.all.values_mut() {
            let gone = |heard| u128::from(now.since(heard)) >= ttl.as_millis();
            if mailbox.heard.is_some_and(gone) {
                *mailbox = Mailbox::default();
                mailbox.news.push_back(News::Forgotten);
            }
        }
    }

    /// Whether the owner was not let go of.
    pub fn knows(&self, owner: &Owner) -> bool {
        let mailbox = self.all.get(owner);
        mailbox.is_some_and(|mailbox| mailbox.heard.is_some())
    }
}
