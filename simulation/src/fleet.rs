//! Farms of any size in which nothing goes wrong: how long builds take on them, and what that costs their scheduler.
//!
//! One core, one in-process queue, workers with one slot each. Every message between two of client, scheduler, queue,
//! cache and worker takes one *hop*: a question to the action cache two, from enqueueing to the start on a worker two,
//! from the end of an action to the core's hearing of it two. A worker that completes asks for the next task in the
//! same call, as the real one does. A ring of the doorbell wakes as many idle workers as there are tasks.

use std::time::{Duration, Instant};

use gofarm_engine::core::{
    BuildEvent, BuildSpec, BuildSummary, Core, CoreOptions, Effect, Event as CoreEvent, Millis,
    Task,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{Lease, News, QueueError};

use crate::agenda::Agenda;
use crate::crew::Crew;
pub use crate::crew::{Durations, Fleet};

/// News taken at once.
const NEWS: usize = 1_000;

/// Builds that have been played to their end.
#[derive(Debug, Default)]
pub struct Played {
    /// When the last build ended, microseconds.
    pub makespan_us: u64,
    /// Actions executed.
    pub executed: u64,
    /// Time that the core took, on this machine.
    pub core: Duration,
    /// Time that the queue took.
    pub queue: Duration,
    /// How the builds ended, in that order.
    pub summaries: Vec<BuildSummary>,
}

/// No schedule can be faster: the longest chain of actions, or all work shared evenly.
pub fn bound_us(graph: &v1::Graph, durations: &Durations, slots: usize) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(graph.nodes.len());
    let mut work = 0;
    for node in &graph.nodes {
        let start = node
            .inputs
            .iter()
            .map(|edge| ends[edge.node as usize])
            .max();
        let took = duration(node.action.as_ref(), durations);
        work += took;
        ends.push(start.unwrap_or(0) + took);
    }
    let critical = ends.into_iter().max().unwrap_or(0);
    critical.max(work / slots.max(1) as u64)
}

fn duration(definition: Option<&v1::Digest>, durations: &Durations) -> u64 {
    let digest = definition.and_then(|digest| Digest::try_from(digest).ok());
    let took = digest.and_then(|digest| durations.get(&digest));
    took.copied().unwrap_or(0)
}

/// Submits all builds at once and plays them to their end.
///
/// # Errors
///
/// What the queue refused; it has no reason to.
pub fn play(
    builds: Vec<BuildSpec>,
    durations: &Durations,
    fleet: Fleet,
) -> Result<Played, QueueError> {
    let mut farm = Farm::new(durations, fleet);
    for build in builds {
        farm.tell(CoreEvent::Submit(Box::new(build)));
    }
    while let Some(event) = farm.agenda.take() {
        farm.crew.is_at(farm.agenda.now());
        farm.happen(event)?;
    }
    farm.played.queue = farm.crew.took;
    Ok(farm.played)
}

enum Event {
    Answer(ActionKey, bool),
    Enqueue(Vec<Task>),
    Done(usize, Box<Lease>),
    Ring,
}

struct Farm<'a> {
    hop_us: u64,
    agenda: Agenda<Event>,
    core: Core,
    crew: Crew<'a>,
    /// The core is about to ask for news.
    rung: bool,
    played: Played,
}

impl<'a> Farm<'a> {
    fn new(durations: &'a Durations, fleet: Fleet) -> Farm<'a> {
        Farm {
            hop_us: fleet.hop_us,
            agenda: Agenda::new(),
            core: Core::new(CoreOptions::default()),
            crew: Crew::new(durations, fleet),
            rung: false,
            played: Played::default(),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), QueueError> {
        match event {
            Event::Answer(key, verify) => self.tell(CoreEvent::CacheAnswer {
                key,
                verify,
                result: None,
            }),
            Event::Enqueue(tasks) => {
                self.crew.enqueue(tasks)?;
                while self.crew.waiting() > 0
                    && let Some(worker) = self.crew.idle()
                {
                    self.lease(worker)?;
                }
            }
            Event::Done(worker, lease) => {
                self.played.executed += 1;
                self.crew.complete(&lease)?;
                self.ring();
                self.lease(worker)?;
            }
            Event::Ring => {
                self.rung = false;
                let news = self.crew.news(NEWS)?;
                if news.len() == NEWS {
                    self.ring();
                }
                for event in news.into_iter().filter_map(News::event) {
                    self.tell(event);
                }
            }
        }
        Ok(())
    }

    fn ring(&mut self) {
        if !self.rung {
            self.rung = true;
            self.agenda.after(self.hop_us, Event::Ring);
        }
    }

    fn tell(&mut self, event: CoreEvent) {
        let now = Millis(self.agenda.now() / 1000);
        let begin = Instant::now();
        let effects = self.core.step(event, now);
        self.played.core += begin.elapsed();
        let mut tasks = Vec::new();
        for effect in effects {
            match effect {
                Effect::LookUp { key, verify } => {
                    let delay = 2 * self.hop_us;
                    self.agenda.after(delay, Event::Answer(key, verify));
                }
                Effect::Enqueue(task) => tasks.push(task),
                Effect::Notify {
                    event: BuildEvent::Finished(summary),
                    ..
                } => {
                    self.played.makespan_us = self.agenda.now();
                    self.played.summaries.push(*summary);
                }
                Effect::Notify { .. } | Effect::Record { .. } | Effect::CancelTask { .. } => {}
            }
        }
        if !tasks.is_empty() {
            self.agenda.after(self.hop_us, Event::Enqueue(tasks));
        }
    }

    /// Gives a worker its next task, or sends it to wait.
    fn lease(&mut self, worker: usize) -> Result<(), QueueError> {
        if self.crew.waiting() == 0 {
            self.crew.wait(worker);
            return Ok(());
        }
        if let Some((lease, delay)) = self.crew.ask(worker)? {
            self.ring();
            self.agenda.after(delay, Event::Done(worker, lease));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gofarm_engine::core::{BuildId, BuildOptions, BuildResult};

    use super::*;
    use crate::recording;

    #[test]
    fn a_fleet_is_as_fast_as_its_hops_allow() {
        // 0 and 1 at once, then 2: 300 ms and 100 ms, on one worker 500 ms.
        let actions = recording::read("compile 300 a\ncompile 100 b\ncompile 100 c 0 1\n").unwrap();
        let graph = recording::graph(&actions);
        let mut durations = Durations::new();
        for (node, action) in graph.nodes.iter().zip(&actions) {
            let digest = Digest::try_from(node.action.as_ref().unwrap()).unwrap();
            durations.insert(digest, action.duration_ms * 1000);
        }
        let play = |workers, hop_us| {
            let spec = BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
            let fleet = Fleet { workers, hop_us };
            let played = play(vec![spec.unwrap()], &durations, fleet).unwrap();
            assert_eq!(played.summaries[0].result, BuildResult::Succeeded);
            assert_eq!(played.executed, 3);
            played.makespan_us
        };
        assert_eq!(bound_us(&graph, &durations, 1), 500_000);
        assert_eq!(bound_us(&graph, &durations, 2), 400_000);
        assert_eq!(play(1, 0), 500_000);
        assert_eq!(play(2, 0), 400_000);
        // Twice: asking the cache, enqueueing to the start, the end to the hearing of it.
        assert_eq!(play(2, 500), 400_000 + 2 * 6 * 500);
    }
}
