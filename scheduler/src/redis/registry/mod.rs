//! The registry of a farm with any number of replicas.

mod keys;
mod link;
mod script;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gofarm_proto::{Message, MovingAverage, v1};
use gofarm_timing::now_ms;
use redis::Client;

use self::keys::Keys;
use self::link::RegistryLink;
use crate::redis::doorbell::{self, Rung, Subscription, literal};
use crate::registry::bells::Bells;
use crate::registry::{
    Append, Appended, Bounds, Duty, Measurement, OWNERSHIP_TTL, Ownership, REMEMBERED, Registry,
    RegistryError, Restore, Tenure, WORKER_LISTED, record_id,
};
use gofarm_engine::core::{BuildId, Estimate};

/// Builds renewed by one call of a script, and actions asked for by one command: a server does nothing else meanwhile.
const BATCH: usize = 256;
/// After Redis has lost its data, the owner of a build writes it again within a second or two, another owner within ten.
const LOST: Duration = Duration::from_secs(15);
/// How long the history of a pool without executions is kept: 180 days.
const HISTORY_KEPT: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// A [`Registry`] on a Redis server of version 7 or an equal one.
pub struct RedisRegistry {
    link: RegistryLink,
    keys: Keys,
    bells: Arc<Bells>,
    _subscription: Subscription,
    bounds: Bounds,
}

impl RedisRegistry {
    /// A registry on a server, by URL or as it was read from one. All keys begin with the namespace; replicas of one farm have the same.
    /// The server need not answer yet.
    ///
    /// # Errors
    ///
    /// When the URL is not one.
    pub fn connect(
        server: impl redis::IntoConnectionInfo,
        namespace: &str,
    ) -> Result<RedisRegistry, RegistryError> {
        let client = Client::open(server).map_err(|error| RegistryError::Malformed {
            what: "the URL of Redis".to_owned(),
            reason: error.to_string(),
        })?;
        let keys = Keys::new(namespace);
        let bells = Arc::new(Bells::default());
        // Until it stands, waiting readers look every second.
        let channel = literal(&keys.bell());
        let (subscription, _) = doorbell::listen(client.clone(), channel, bells.clone());
        Ok(RedisRegistry {
            link: RegistryLink::new(client),
            keys,
            bells,
            _subscription: subscription,
            bounds: Bounds::default(),
        })
    }

    /// With other bounds than the usual ones.
    pub fn with_bounds(self, bounds: Bounds) -> RedisRegistry {
        RedisRegistry { bounds, ..self }
    }

    async fn look(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
    ) -> Result<Option<Vec<Bytes>>, RegistryError> {
        type Entry = (String, (String, Vec<u8>));
        let mut pipeline = redis::pipe();
        pipeline.exists(self.keys.build(build));
        pipeline
            .cmd("XRANGE")
            .arg(self.keys.events(build))
            .arg(format!("{}-0", after.saturating_add(1)))
            .arg("+")
            .arg("COUNT")
            .arg(max);
        let (known, entries): (bool, Vec<Entry>) =
            self.link.pipeline("reading events", &pipeline).await?;
        let events = entries.into_iter().map(|(_, (_, bytes))| bytes.into());
        Ok(known.then(|| events.collect()))
    }

    fn record(&self, build: BuildId, fields: Fields) -> Result<Option<v1::Build>, RegistryError> {
        let (Some(record), owner, finished) = fields else {
            return Ok(None);
        };
        let record = v1::Build::decode(&record[..]);
        let mut record = record.map_err(|error| malformed(format!("build {build}"), error))?;
        record.owner = match finished {
            Some(_) => String::new(),
            None => owner.unwrap_or_default(),
        };
        Ok(Some(record))
    }

    async fn records(&self, builds: &[BuildId]) -> Result<Vec<Option<v1::Build>>, RegistryError> {
        let mut records = Vec::with_capacity(builds.len());
        for builds in builds.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for build in builds {
                let fields = ["record", "owner", "finished"];
                pipeline.hmget(self.keys.build(*build), &fields);
            }
            let found: Vec<Fields> = self.link.pipeline("reading builds", &pipeline).await?;
            for (build, fields) in builds.iter().zip(found) {
                records.push(self.record(*build, fields)?);
            }
        }
        Ok(records)
    }

    /// Those that are not over, the latest first. Of those that are, of which there are many more, none is read.
    async fn open_builds(&self, limit: usize) -> Result<Vec<v1::Build>, RegistryError> {
        let mut pipeline = redis::pipe();
        pipeline.zrange(self.keys.open(), 0, -1);
        let read = self.link.pipeline("listing open builds", &pipeline);
        let (ids,): (Vec<String>,) = read.await?;
        let ids: Vec<BuildId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let records = self.records(&ids).await?.into_iter().flatten();
        let mut open: Vec<v1::Build> = records.filter(|build| build.finished_ms == 0).collect();
        open.sort_by(|a, b| (b.submitted_ms, &b.build).cmp(&(a.submitted_ms, &a.build)));
        open.truncate(limit);
        Ok(open)
    }

    async fn say(&self, build: BuildId, what: &str, said: &[u8]) -> Result<bool, RegistryError> {
        let mut call = script::SAY.key(self.keys.build(build));
        call.key(self.keys.provided(build));
        call.arg(self.keys.bell()).arg(what).arg(said);
        self.link.script("telling a build's owner", &call).await
    }
}

impl Rung for Bells {
    fn ring(&self, _: &str, message: &[u8]) {
        if message == b"control" {
            return self.ring_control();
        }
        let id = std::str::from_utf8(message).ok();
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            Bells::ring(self, id);
        }
    }

    fn ring_all(&self) {
        Bells::ring_all(self);
    }
}

/// Record, owner and whether it is over.
type Fields = (Option<Vec<u8>>, Option<String>, Option<u8>);

#[async_trait]
impl Registry for RedisRegistry {
    async fn submit(
        &self,
        owner: &Arc<str>,
        build: &v1::Build,
    ) -> Result<Option<Ownership>, RegistryError> {
        let id = record_id(build)?;
        let mut call = script::SUBMIT.key(self.keys.build(id));
        call.key(self.keys.events(id));
        call.key(self.keys.provided(id));
        call.key(self.keys.open()).key(self.keys.builds());
        call.arg(id.to_string()).arg(&**owner);
        call.arg(build.encode_to_vec());
        call.arg(ms(OWNERSHIP_TTL)).arg(build.submitted_ms);
        let new: bool = self.link.script("submitting a build", &call).await?;
        Ok(new.then(|| Ownership {
            build: id,
            owner: owner.clone(),
            epoch: 1,
        }))
    }

    async fn get(&self, build: BuildId) -> Result<Option<v1::Build>, RegistryError> {
        Ok(self.records(&[build]).await?.pop().flatten())
    }

    async fn list(&self, limit: usize, open: bool) -> Result<Vec<v1::Build>, RegistryError> {
        if open {
            return self.open_builds(limit).await;
        }
        let mut listed = Vec::new();
        let mut at = 0;
        while listed.len() < limit {
            let mut pipeline = redis::pipe();
            let stop = at + BATCH as isize - 1;
            pipeline.zrevrange(self.keys.builds(), at, stop);
            let (ids,): (Vec<String>,) = self.link.pipeline("listing builds", &pipeline).await?;
            if ids.is_empty() {
                break;
            }
            at = stop + 1;
            let ids: Vec<BuildId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            listed.extend(self.records(&ids).await?.into_iter().flatten());
        }
        listed.truncate(limit);
        Ok(listed)
    }

    async fn renew(&self, held: &[Ownership]) -> Result<Vec<Tenure>, RegistryError> {
        type Answer = (String, u64, bool, Vec<Vec<u8>>);
        let mut tenures = Vec::with_capacity(held.len());
        for held in held.chunks(BATCH) {
            let Some(first) = held.first() else {
                continue;
            };
            let mut call = script::RENEW.key(self.keys.open());
            call.arg(&*first.owner).arg(ms(OWNERSHIP_TTL));
            for ownership in held {
                call.key(self.keys.build(ownership.build));
                call.key(self.keys.provided(ownership.build));
                call.arg(ownership.build.to_string()).arg(ownership.epoch);
            }
            let answers: Vec<Answer> = self.link.script("renewing ownership", &call).await?;
            for (state, last, cancelled, provided) in answers {
                tenures.push(match state.as_str() {
                    "held" => Tenure::Held {
                        last,
                        cancelled,
                        provided: provided
                            .iter()
                            .filter_map(|said| v1::ProvideRequest::decode(&said[..]).ok())
                            .collect(),
                    },
                    "unknown" => Tenure::Unknown,
                    _ => Tenure::Lost,
                });
            }
        }
        Ok(tenures)
    }

    async fn release(&self, held: &[Ownership]) -> Result<(), RegistryError> {
        for held in held.chunks(BATCH) {
            let Some(first) = held.first() else {
                continue;
            };
            let mut call = script::RELEASE.key(self.keys.open());
            call.arg(&*first.owner);
            for ownership in held {
                call.key(self.keys.build(ownership.build));
                call.arg(ownership.build.to_string()).arg(ownership.epoch);
            }
            self.link.script::<()>("releasing ownership", &call).await?;
        }
        Ok(())
    }

    async fn take_over(
        &self,
        owner: &Arc<str>,
        limit: usize,
    ) -> Result<Vec<Ownership>, RegistryError> {
        let mut call = script::TAKE_OVER.key(self.keys.open());
        call.key(self.keys.builds()).key(self.keys.over());
        call.arg(self.keys.build_prefix()).arg(&**owner);
        call.arg(ms(OWNERSHIP_TTL)).arg(limit);
        let forgotten = now_ms().saturating_sub(ms(REMEMBERED));
        call.arg(forgotten).arg(self.bounds.over);
        call.arg(self.keys.events_prefix());
        let taken: Vec<(String, u64)> = self.link.script("taking builds over", &call).await?;
        let taken = taken.into_iter().filter_map(|(build, epoch)| {
            Some(Ownership {
                build: build.parse().ok()?,
                owner: owner.clone(),
                epoch,
            })
        });
        Ok(taken.collect())
    }

    async fn append(&self, append: &Append) -> Result<Appended, RegistryError> {
        let Ownership {
            build,
            owner,
            epoch,
        } = &append.ownership;
        let mut call = script::APPEND.key(self.keys.build(*build));
        call.key(self.keys.events(*build));
        call.key(self.keys.open());
        call.key(self.keys.provided(*build)).key(self.keys.over());
        call.arg(build.to_string()).arg(&**owner).arg(*epoch);
        call.arg(append.after).arg(append.record.encode_to_vec());
        call.arg(u8::from(append.record.finished_ms != 0));
        call.arg(ms(REMEMBERED)).arg(self.keys.bell());
        call.arg(append.dropped.len());
        for cursor in &append.dropped {
            call.arg(*cursor);
        }
        for event in &append.events {
            call.arg(event.cursor).arg(&event.bytes[..]);
        }
        let answer: String = self.link.script("adding events", &call).await?;
        Ok(match answer.as_str() {
            "done" => Appended::Done,
            "behind" => Appended::Behind,
            _ => Appended::Lost,
        })
    }

    async fn restore(&self, restore: &Restore) -> Result<bool, RegistryError> {
        let Restore {
            ownership,
            record,
            confirmed,
        } = restore;
        let build = ownership.build;
        let mut call = script::RESTORE.key(self.keys.build(build));
        call.key(self.keys.events(build));
        call.key(self.keys.open()).key(self.keys.builds());
        call.arg(build.to_string()).arg(&*ownership.owner);
        call.arg(ownership.epoch).arg(record.encode_to_vec());
        call.arg(ms(OWNERSHIP_TTL)).arg(record.submitted_ms);
        call.arg(*confirmed);
        self.link.script("restoring a build", &call).await
    }

    async fn events(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Bytes>>, RegistryError> {
        let look = || self.look(build, after, max);
        self.bells.wait(build, wait, look).await
    }

    fn known_again_within(&self) -> Duration {
        LOST
    }

    async fn archive(
        &self,
        ownership: &Ownership,
        record: &v1::Build,
    ) -> Result<(), RegistryError> {
        let Ownership {
            build,
            owner,
            epoch,
        } = ownership;
        let mut call = script::ARCHIVE.key(self.keys.build(*build));
        call.key(self.keys.events(*build));
        call.arg(&**owner).arg(*epoch).arg(record.encode_to_vec());
        self.link.script("archiving a build", &call).await
    }

    async fn cancel(&self, build: BuildId) -> Result<bool, RegistryError> {
        self.say(build, "cancel", &[]).await
    }

    async fn provide(
        &self,
        build: BuildId,
        provided: &v1::ProvideRequest,
    ) -> Result<bool, RegistryError> {
        let message = provided.encode_to_vec();
        self.say(build, "provide", &message).await
    }

    async fn control(&self, wait: Duration) {
        self.bells.control(wait).await;
    }

    async fn estimates(
        &self,
        pool: &str,
        actions: &[(Arc<str>, v1::Kind)],
    ) -> Result<Vec<Option<Estimate>>, RegistryError> {
        let mut estimates = Vec::with_capacity(actions.len());
        for actions in actions.chunks(BATCH) {
            let fields = actions.iter().map(|(package, kind)| field(package, *kind));
            let fields: Vec<String> = fields.collect();
            let mut pipeline = redis::pipe();
            pipeline.hmget(self.keys.history(pool), &fields);
            let (found,): (Vec<Option<String>>,) =
                self.link.pipeline("reading history", &pipeline).await?;
            estimates.extend(found.iter().map(|text| estimate(text.as_deref()?)));
        }
        Ok(estimates)
    }

    async fn measured(
        &self,
        pool: &str,
        measurements: &[Measurement],
    ) -> Result<(), RegistryError> {
        for measurements in measurements.chunks(BATCH) {
            let mut call = script::MEASURED.key(self.keys.history(pool));
            call.arg(MovingAverage::DURATION_WEIGHT);
            call.arg(MovingAverage::MEMORY_DECAY);
            call.arg(ms(HISTORY_KEPT)).arg(self.bounds.history);
            for Measurement {
                package,
                kind,
                measured,
            } in measurements
            {
                call.arg(field(package, *kind));
                call.arg(measured.duration_ms).arg(measured.peak_memory);
            }
            self.link.script::<()>("writing history", &call).await?;
        }
        Ok(())
    }

    async fn note_worker(&self, worker: v1::Worker) -> Result<(), RegistryError> {
        let mut call = script::NOTE_WORKER.key(self.keys.workers());
        call.key(self.keys.workers_seen());
        call.arg(&worker.name).arg(worker.encode_to_vec());
        self.link.script("noting a worker", &call).await
    }

    async fn workers(&self) -> Result<Vec<v1::Worker>, RegistryError> {
        let mut call = script::WORKERS.key(self.keys.workers());
        call.key(self.keys.workers_seen());
        call.arg(ms(WORKER_LISTED));
        let found: Vec<(u64, Vec<u8>)> = self.link.script("listing workers", &call).await?;
        let mut workers = Vec::with_capacity(found.len());
        for (seen_ms, worker) in found {
            let worker = v1::Worker::decode(&worker[..]);
            let worker = worker.map_err(|error| malformed("a worker".to_owned(), error))?;
            workers.push(v1::Worker { seen_ms, ..worker });
        }
        workers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(workers)
    }

    async fn take_duty(
        &self,
        duty: &str,
        replica: &Arc<str>,
        ttl: Duration,
    ) -> Result<Option<Duty>, RegistryError> {
        let mut call = script::LEAD.key(self.keys.duty(duty));
        call.arg(&**replica).arg(ms(ttl));
        let (epoch, done_ms): (u64, u64) = self.link.script("taking a duty", &call).await?;
        Ok((epoch > 0).then_some(Duty { epoch, done_ms }))
    }

    async fn duty_done(
        &self,
        duty: &str,
        replica: &Arc<str>,
        held: &Duty,
        done_ms: u64,
    ) -> Result<bool, RegistryError> {
        let mut call = script::LED.key(self.keys.duty(duty));
        call.arg(&**replica).arg(held.epoch).arg(done_ms);
        self.link.script("noting that a duty is done", &call).await
    }
}

fn field(package: &str, kind: v1::Kind) -> String {
    format!("{}:{package}", kind as i32)
}

fn estimate(text: &str) -> Option<Estimate> {
    let (duration, memory) = text.split_once(' ')?;
    Some(Estimate {
        duration_ms: duration.parse().ok()?,
        peak_memory: memory.parse().ok()?,
    })
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn malformed(what: String, error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Malformed {
        what,
        reason: error.to_string(),
    }
}
