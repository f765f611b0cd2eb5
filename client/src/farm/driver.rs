//! Carries out what the scheduler core decides, for one build in this process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::Maker;
use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildId, BuildSpec, BuildSummary, Core, CoreOptions, Effect, Event,
    NodeEvent, NodeId, Outcome, Resolution, Task,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{Clock, LeaseQueue, MonotonicClock, News, Owner};
use gofarm_store::{DiskStore, Recorded, StoreError};
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
/// How often the blobs of one action are uploaded again before their loss counts against the action.
const UPLOADS: u32 = 3;

/// Starts whatever executes, once.
pub(super) trait Start: Send {
    /// Called when there will be a task, as soon as that is known: what takes time may begin now.
    fn expect(&mut self);

    /// Called before the first task is put into the queue. Returns what the user should know.
    fn start(&mut self) -> anyhow::Result<Option<String>>;
}

/// Drives one build.
pub(super) struct Driver<'a> {
    core: Core,
    clock: MonotonicClock,
    store: &'a DiskStore,
    queue: Arc<dyn LeaseQueue>,
    owner: Owner,
    uploader: Uploader,
    watch: &'a mut dyn BuildWatch,
    start: Option<&'a mut dyn Start>,
    ahead: Ahead,
    uploads: HashMap<ActionKey, u32>,
    results: Vec<Option<Arc<ActionResult>>>,
    executed: Vec<usize>,
    summary: Option<BuildSummary>,
    pending: VecDeque<Event>,
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
        Driver {
            core: Core::new(CoreOptions::default()),
            clock: MonotonicClock::new(),
            store,
            queue,
            owner: format!("client-{}", std::process::id()).into(),
            uploader,
            watch,
            start: Some(start),
            ahead: Ahead::new(store.clone(), graph),
            uploads: HashMap::new(),
            results: vec![None; graph.nodes.len()],
            executed: Vec::new(),
            summary: None,
            pending: VecDeque::new(),
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
        self.take(Event::Submit(Box::new(spec))).await?;
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
            tokio::select! {
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.take(Event::Cancel(id)).await?;
                }
                news = queue.news(&owner, BATCH, WAIT) => {
                    for news in news? {
                        self.news(news).await?;
                    }
                    self.watch.tick();
                }
            }
        }
    }

    async fn news(&mut self, mut news: News) -> anyhow::Result<()> {
        if let News::Done {
            outcome: Outcome::Succeeded(result),
            ..
        } = &mut news
        {
            Arc::make_mut(result).made = Some(Arc::new(this_process()));
        }
        if let News::Done {
            key,
            outcome: Outcome::BlobsMissing(digests),
            run,
            worker,
            ..
        } = &news
        {
            let uploads = self.uploads.entry(*key).or_default();
            *uploads += 1;
            if *uploads <= UPLOADS {
                let mut others = Vec::new();
                for digest in digests.iter() {
                    if !self.uploader.again(digest)? {
                        others.push(*digest);
                    }
                }
                let outcome = if others.is_empty() {
                    Outcome::Released
                } else {
                    Outcome::BlobsMissing(others.into())
                };
                return self
                    .take(Event::TaskDone {
                        key: *key,
                        run: *run,
                        worker: worker.clone(),
                        outcome,
                    })
                    .await;
            }
        }
        match news.event() {
            Some(event) => self.take(event).await,
            None => Ok(()),
        }
    }

    /// Gives the core an event and carries out what follows from it.
    async fn take(&mut self, event: Event) -> anyhow::Result<()> {
        self.pending.push_back(event);
        while let Some(event) = self.pending.pop_front() {
            let mut tasks = Vec::new();
            for effect in self.core.step(event, self.clock.now()) {
                match effect {
                    Effect::LookUp { key, verify } => {
                        let result = self.look_up(&key, verify)?;
                        self.pending.push_back(Event::CacheAnswer {
                            key,
                            verify,
                            result,
                        });
                    }
                    Effect::Enqueue(task) => {
                        if let Some(start) = &mut self.start {
                            start.expect();
                        }
                        self.uploader.upload(&task.definition)?;
                        self.watch.task(&task.key, &task.definition);
                        tasks.push(task);
                    }
                    Effect::CancelTask { key, run } => {
                        self.flush(&mut tasks).await?;
                        self.queue.cancel(&self.owner, &[(key, run)]).await?;
                    }
                    Effect::Record { key, result } => self.record(&key, &result)?,
                    Effect::Notify { event, .. } => self.notify(event),
                }
            }
            self.flush(&mut tasks).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, tasks: &mut Vec<Task>) -> anyhow::Result<()> {
        if !tasks.is_empty() {
            if let Some(start) = self.start.take() {
                self.ahead.begin(&self.results);
                if let Some(warning) = start.start()? {
                    self.watch.warn(&warning);
                }
            }
            self.queue
                .enqueue(&self.owner, std::mem::take(tasks))
                .await?;
        }
        Ok(())
    }

    fn look_up(&self, key: &ActionKey, verify: bool) -> anyhow::Result<Option<Arc<ActionResult>>> {
        let Some(entry) = self.store.entry(key)? else {
            return Ok(None);
        };
        let result = ActionResult {
            made: entry.made.map(Arc::new),
            ..ActionResult::try_from(entry.result)?
        };
        if verify
            && result
                .outputs
                .iter()
                .any(|output| self.store.check(&output.digest).is_err())
        {
            return Ok(None);
        }
        Ok(Some(Arc::new(result)))
    }

    fn record(&mut self, key: &ActionKey, result: &ActionResult) -> anyhow::Result<()> {
        let message = v1::ActionResult::from(result);
        let made = result.made.as_deref().cloned().unwrap_or_else(this_process);
        if let Recorded::NonDeterministic { finding, first, .. } =
            self.store.record_action(key, &message, &made)?
        {
            let (first, second) = (Maker(first.as_ref()), Maker(Some(&made)));
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

/// Who makes results here: this machine's process.
fn this_process() -> v1::Provenance {
    let system = rustix::system::uname();
    let accepted = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    v1::Provenance {
        worker: format!(
            "{}/{}",
            system.nodename().to_string_lossy(),
            std::process::id()
        ),
        accepted_ms: u64::try_from(accepted.as_millis()).unwrap_or(u64::MAX),
        ..v1::Provenance::default()
    }
}
