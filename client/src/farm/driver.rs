//! Carries out what the engine of one build in this process wants done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildId, BuildSpec, BuildSummary, News, NodeEvent, NodeId, Outcome,
    Owner, Resolution, Task,
};
use gofarm_engine::{
    Answer, Command, Engine, EngineOptions, Maker, Message, Now, Opening, Question, QueueSeen,
    Recording, TICK, ToQueue, Told, Unplaced,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{Clock, LeaseQueue, MonotonicClock};
use gofarm_store::{DiskStore, Recorded, StoreError};
use gofarm_timing::now_ms;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::farm::ahead::Ahead;
use crate::farm::build::{BuildWatch, Finished, Output, long_log};
use crate::farm::upload::Uploader;

/// How long one question for news waits for an answer.
const WAIT: Duration = Duration::from_millis(100);
/// News taken at once.
const BATCH: usize = 256;
/// What is read of a long log at once.
const LOG_PIECE: usize = 64 << 10;
/// Leases ended in one round of reaping.
const REAP: usize = 1000;

/// Starts whatever executes, once.
pub(super) trait Start: Send {
    /// Called when there will be a task, as soon as that is known: what takes time may begin now.
    fn expect(&mut self);

    /// Called before the first task is put into the queue. Returns what the user should know.
    fn start(&mut self) -> anyhow::Result<Option<String>>;
}

/// Drives one build.
pub(super) struct Driver<'a> {
    engine: Engine,
    clock: MonotonicClock,
    store: &'a DiskStore,
    queue: Arc<dyn LeaseQueue>,
    owner: Owner,
    uploader: Uploader,
    watch: &'a mut dyn BuildWatch,
    start: Option<&'a mut dyn Start>,
    ahead: Ahead,
    results: Vec<Option<Arc<ActionResult>>>,
    executed: Vec<usize>,
    summary: Option<BuildSummary>,
    /// When the queue is to be looked at.
    look: Option<Instant>,
    /// The build is to be ended.
    cancel: CancellationToken,
}

impl<'a> Driver<'a> {
    /// A driver of a build of this graph.
    pub fn new(
        store: &'a DiskStore,
        queue: Arc<dyn LeaseQueue>,
        uploader: Uploader,
        watch: &'a mut dyn BuildWatch,
        start: &'a mut dyn Start,
        graph: &v1::Graph,
    ) -> Driver<'a> {
        let owner: Owner = format!("client-{}", std::process::id()).into();
        let options = EngineOptions::embedded(owner.clone(), this_process());
        Driver {
            engine: Engine::new(options),
            clock: MonotonicClock::new(),
            store,
            queue,
            owner,
            uploader,
            watch,
            start: Some(start),
            ahead: Ahead::new(store.clone(), graph),
            results: vec![None; graph.nodes.len()],
            executed: Vec::new(),
            summary: None,
            look: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Runs a build to its end. When `cancel` is cancelled, what runs is ended and the build is over.
    pub async fn run(
        mut self,
        spec: BuildSpec,
        id: BuildId,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Finished> {
        self.cancel = cancel.clone();
        self.take(Message::Start).await?;
        self.take(Message::Open(Box::new(Opening {
            ownership: None,
            record: v1::Build::default(),
            spec,
            c_toolchains: Default::default(),
        })))
        .await?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cancelled = false;
        loop {
            if let Some(summary) = self.summary.take() {
                // A blob that a client asked for was there when the core looked; nothing of this build is evicted
                // while its session lives.
                return Ok(Finished {
                    uploaded: self.uploader.uploaded(),
                    summary,
                    results: self.results,
                    executed: self.executed,
                });
            }
            let (queue, owner) = (self.queue.clone(), self.owner.clone());
            let look = self.look.unwrap_or_else(|| Instant::now() + TICK);
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.take(Message::Cancel(id)).await?;
                }
                _ = tick.tick() => self.take(Message::Tick).await?,
                () = sleep_until(look), if self.look.is_some() => self.look_at_queue().await?,
                news = queue.news(&owner, BATCH, WAIT) => {
                    let news = news?;
                    // The engine asks again; nothing is new before.
                    if !news.is_empty() {
                        self.take(Message::News(Ok(news))).await?;
                    }
                    self.watch.tick();
                }
            }
        }
    }

    async fn look_at_queue(&mut self) -> anyhow::Result<()> {
        self.look = None;
        let reaped = self.queue.reap(REAP).await?;
        let seen = QueueSeen {
            incarnation: self.queue.incarnation().await?,
            next: reaped.next,
        };
        self.take(Message::QueueSeen(Ok(seen))).await
    }

    fn now(&self) -> Now {
        Now {
            at: self.clock.now(),
            wall_ms: now_ms(),
        }
    }

    /// Tells the engine something, carries out what follows from it, and tells it what came of that.
    async fn take(&mut self, message: Message) -> anyhow::Result<()> {
        let mut pending = VecDeque::from(self.engine.take(message, self.now()));
        while let Some(command) = pending.pop_front() {
            if let Some(answer) = self.carry_out(command).await? {
                pending.extend(self.engine.take(answer, self.now()));
            }
        }
        Ok(())
    }

    /// Does what the engine wants done; the answer, if there is one now.
    async fn carry_out(&mut self, command: Command) -> anyhow::Result<Option<Message>> {
        Ok(Some(match command {
            Command::Tell(told) => {
                if let Told::Event { event, .. } = *told {
                    self.notify(event);
                }
                return Ok(None);
            }
            Command::LookUp(asked) => {
                let answers = asked.into_iter().map(|question| self.answer(question));
                Message::Answers(answers.collect::<anyhow::Result<_>>()?)
            }
            Command::Record(records) => {
                let keys = records.iter().map(|recording| recording.key).collect();
                for recording in &records {
                    self.record(recording)?;
                }
                Message::Recorded(keys)
            }
            Command::TellQueue(said) => {
                self.tell_queue(said).await?;
                Message::QueueTold {
                    at_once: true,
                    refused: Vec::new(),
                }
            }
            Command::Want { build, digests } => Message::Provided(build, self.provide(&digests)?),
            Command::FindMissing(asked) => Message::Missing {
                missing: Ok(self.store.missing(asked.iter())?),
                asked,
            },
            Command::Explain(unplaced) => Message::Explained(as_the_queue_says(*unplaced)),
            // It is listened to all the time.
            Command::ListenToQueue { .. } => return Ok(None),
            Command::LookAtQueue { pause } => {
                self.look = Some(Instant::now() + pause);
                return Ok(None);
            }
            // A build of this process alone is in no registry.
            Command::KeepInUse { .. }
            | Command::ListenToRegistry
            | Command::Renew(_)
            | Command::TakeOver { .. }
            | Command::ReadBuild(_)
            | Command::ReadGraph { .. }
            | Command::Write { .. }
            | Command::Measure(_)
            | Command::Archive(_)
            | Command::HandOver { .. } => return Ok(None),
        }))
    }

    /// Puts tasks into the queue one by one, each after what it reads, so that the first runs while the next is uploaded.
    async fn tell_queue(&mut self, said: Vec<ToQueue>) -> anyhow::Result<()> {
        for said in said {
            match said {
                ToQueue::Enqueue(task) => self.enqueue(*task).await?,
                ToQueue::Cancel(key, run) => self.queue.cancel(&self.owner, &[(key, run)]).await?,
                ToQueue::BackUp(key, run) => self.queue.back_up(&self.owner, &[(key, run)]).await?,
            }
        }
        Ok(())
    }

    async fn enqueue(&mut self, task: Task) -> anyhow::Result<()> {
        if let Some(start) = &mut self.start {
            start.expect();
        }
        self.uploader.upload(&task.definition)?;
        self.watch.task(&task.key, &task.definition);
        if let Some(start) = self.start.take() {
            self.ahead.begin(&self.results);
            if let Some(warning) = start.start()? {
                self.watch.warn(&warning);
            }
        }
        self.queue.enqueue(&self.owner, vec![task]).await?;
        Ok(())
    }

    /// Uploads lost sources again, and says which are not this build's.
    fn provide(&mut self, wanted: &[Digest]) -> anyhow::Result<v1::ProvideRequest> {
        let mut provided = v1::ProvideRequest::default();
        for digest in wanted {
            if !self.uploader.again(digest)? {
                provided.unavailable.push((*digest).into());
            }
        }
        Ok(provided)
    }

    fn answer(&self, question: Question) -> anyhow::Result<Answer> {
        let Question {
            key, verify, known, ..
        } = question;
        let result = match known {
            Some(known) => Some(known),
            None => self.look_up(&key)?,
        };
        let whole = |result: &Arc<ActionResult>| {
            let mut outputs = result.outputs.iter();
            !verify || outputs.all(|output| self.store.check(&output.digest).is_ok())
        };
        Ok(Answer {
            key,
            verify,
            result: result.filter(whole),
        })
    }

    fn look_up(&self, key: &ActionKey) -> anyhow::Result<Option<Arc<ActionResult>>> {
        let Some(entry) = self.store.entry(key)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(ActionResult {
            made: entry.made.map(Arc::new),
            ..ActionResult::try_from(entry.result)?
        })))
    }

    fn record(&mut self, recording: &Recording) -> anyhow::Result<()> {
        let Recording { key, result, made } = recording;
        let message = v1::ActionResult::from(&**result);
        if let Recorded::NonDeterministic { finding, first, .. } =
            self.store.record_action(key, &message, made)?
        {
            let (first, second) = (Maker(first.as_ref()), Maker(Some(made)));
            self.watch.warn(&format!(
                "an action came out differently than before: first by {first}, now by {second}; its tools are not deterministic, or one of the two machines is not sound; both results are kept, one of them as {}",
                finding.display()
            ));
        }
        Ok(())
    }

    fn notify(&mut self, event: BuildEvent) {
        match &event {
            BuildEvent::Node { node, event } => {
                let index = node.0 as usize;
                match event {
                    NodeEvent::Finished { how, result, .. } => {
                        self.results[index] = Some(result.clone());
                        if *how == Resolution::Executed {
                            self.executed.push(index);
                        }
                    }
                    NodeEvent::Reopened { .. } => self.results[index] = None,
                    _ => {}
                }
            }
            BuildEvent::Finished(summary) => self.summary = Some((**summary).clone()),
            BuildEvent::Accepted { .. } => {}
        }
        self.watch.event(&event);
        if let Some((node, log)) = long_log(&event) {
            let shown = self.show(node, &log);
            let why = shown.as_ref().err();
            let end = why.map_or(Output::End, |why| Output::Lost(why));
            self.watch.output(node, end);
        }
    }

    /// Shows all of a long log, or says why not.
    fn show(&mut self, node: NodeId, log: &Digest) -> Result<(), String> {
        let why = |error: StoreError| error.to_string();
        let mut reader = self.store.reader(log, 0).map_err(why)?;
        loop {
            if self.cancel.is_cancelled() {
                return Err("interrupted".to_owned());
            }
            let piece = reader.piece(LOG_PIECE).map_err(why)?;
            if piece.is_empty() {
                return Ok(());
            }
            self.watch.output(node, Output::More(&piece));
        }
    }
}

/// The end of a task that no worker could take, in the words of the queue: there is one worker, and it is here.
fn as_the_queue_says(unplaced: Unplaced) -> News {
    let Unplaced {
        key,
        run,
        worker,
        reason,
        ..
    } = unplaced;
    News::Done {
        key,
        run,
        worker,
        lease: None,
        outcome: Outcome::Unplaceable { reason },
    }
}

/// Who makes results here: this process of this machine.
fn this_process() -> String {
    let system = rustix::system::uname();
    format!(
        "{}/{}",
        system.nodename().to_string_lossy(),
        std::process::id()
    )
}
