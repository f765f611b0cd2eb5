//! What Redis answers to a replica.

use gofarm_engine::Message;
use gofarm_engine::core::{News, Outcome};

use super::super::wire::{Answer, Sender};
use super::super::{Farm, brief, brief_all};
use crate::flaw::Flaw;

impl Farm {
    pub(in crate::farm) fn hear(&mut self, sender: Sender, answer: Answer) {
        let Sender {
            replica: at,
            life,
            id,
            tried,
        } = sender;
        let replica = &self.replicas[at];
        let heard = replica.heard;
        let asked = replica.asked.get(&id);
        // What comes of an earlier try comes too late.
        if !replica.up || replica.life != life || asked.is_none_or(|asked| asked.tried != tried) {
            return;
        }
        if let Answer::News(news) = &answer
            && news.iter().all(|(number, _)| *number <= heard)
            && self.waits_on(at, id)
        {
            return;
        }
        let Some(asked) = self.replicas[at].asked.remove(&id) else {
            return;
        };
        let at_once = !asked.failed;
        let message = match answer {
            Answer::Told => Message::QueueTold {
                at_once,
                refused: Vec::new(),
            },
            Answer::News(news) => return self.hear_news(at, news),
            Answer::Seen(seen) if self.is_flawed(Flaw::NoRepublish) => {
                Message::QueueSeen(Ok(gofarm_engine::QueueSeen {
                    incarnation: 1,
                    ..seen
                }))
            }
            Answer::Seen(seen) => Message::QueueSeen(Ok(seen)),
            Answer::Tenures(tenures) => Message::Renewed(Ok(tenures)),
            Answer::Taken(taken) => {
                if !taken.is_empty() {
                    self.report.takeovers += taken.len() as u64;
                    self.note(|| format!("s{at} takes over {taken:?}"));
                }
                Message::Taken(Ok(taken))
            }
            Answer::Left(ownership, left) => Message::BuildRead(ownership, left),
            Answer::Written(written) => Message::Written(written),
        };
        self.tell(at, message);
    }

    /// The end of a run that was heard before must change nothing.
    fn hear_news(&mut self, at: usize, mut news: Vec<(u64, News)>) {
        let heard = self.replicas[at].heard;
        news.retain(|(number, _)| *number > heard);
        if let Some((last, _)) = news.last() {
            self.replicas[at].heard = *last;
        }
        let news: Vec<News> = news.into_iter().map(|(_, news)| news).collect();
        for news in &news {
            self.note(|| format!("s{at}: hears {}", told(news)));
        }
        let replica = &mut self.replicas[at];
        let mut again = 0;
        for news in &news {
            let News::Done {
                key, run, outcome, ..
            } = news
            else {
                continue;
            };
            if let Outcome::Succeeded(_) = outcome {
                replica.was_told(*key);
            }
            // Words for it are found first, or sources that it lacks: it is no end yet.
            let ends = !matches!(
                outcome,
                Outcome::Unplaceable { .. } | Outcome::BlobsMissing(_)
            );
            if ends && !replica.ended.insert(*run) {
                again += 1;
            }
        }
        let stale = |farm: &Farm| {
            let engine = farm.replicas[at].engine.as_ref();
            engine.map_or(0, |engine| engine.ignored().stale_run)
        };
        let before = stale(self);
        self.tell(at, Message::News(Ok(news)));
        if stale(self) < before + again {
            self.violated(format!("replica {at} accepted two ends of one run"));
        }
    }
}

fn told(news: &News) -> String {
    match news {
        News::Started { key, run, worker } => {
            format!("{} run {} started on {worker}", brief(&key.0), run.0)
        }
        News::Joined { key, run } => format!("{} run {} joined", brief(&key.0), run.0),
        News::Log { .. } => "output".to_owned(),
        News::Forgotten => "that it was forgotten".to_owned(),
        News::Done {
            key, run, outcome, ..
        } => {
            let how = match outcome {
                Outcome::Succeeded(_) => "succeeded".to_owned(),
                Outcome::BlobsMissing(digests) => format!("misses {:?}", brief_all(digests)),
                other => format!("{other:?}").chars().take(60).collect(),
            };
            format!("{} run {} over: {how}", brief(&key.0), run.0)
        }
    }
}
