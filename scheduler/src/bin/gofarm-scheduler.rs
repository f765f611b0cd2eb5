//! A scheduler of a farm.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use gofarm_daemon::{LogFormat, Misuse, Spans, live, vital};
use gofarm_proto::FILE_DESCRIPTOR_SET;
use gofarm_proto::v1::builds_server::BuildsServer;
use gofarm_proto::v1::farm_server::FarmServer;
use gofarm_queue::{InProcessQueue, LeaseQueue, MonotonicClock};
use gofarm_rpc::FarmToken;
use gofarm_scheduler::access::{Access, Token};
use gofarm_scheduler::blobs::{BlobsService, Presence};
use gofarm_scheduler::builds::BuildsService;
use gofarm_scheduler::collecting::collect;
use gofarm_scheduler::engine::{EngineHandle, Observers, ReplicaOptions};
use gofarm_scheduler::farm::FarmService;
use gofarm_scheduler::http::{self, Check, Readiness, Views};
use gofarm_scheduler::leases::LeasesService;
use gofarm_scheduler::listen::{self, Ports, Services, told_to_stop};
use gofarm_scheduler::maintenance;
use gofarm_scheduler::metrics::{self, MeteredQueue, MeteredRegistry, MeteredStore, Metrics};
use gofarm_scheduler::options::{Command, CommandLine, Fsck, Options};
use gofarm_scheduler::redis::{RedisQueue, RedisRegistry, RedisServerError, redis_server};
use gofarm_scheduler::registry::{MemoryRegistry, Registry};
use gofarm_scheduler::roster::Roster;
use gofarm_store::{DiskStore, FarmStore, NOTICED_WITHIN, StoreError};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// What was looked at is not as it should be.
const FAULTS: u8 = 1;

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// How often is looked whether the folder of this machine is still there.
const LOOK_AT_FOLDER: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match line.command {
        None => live(line.options.log_format, || run(line.options)),
        Some(Command::Invalidate(it)) => live(LogFormat::Text, || maintenance::invalidate(it)),
        Some(Command::Gc(it)) => live(LogFormat::Text, || maintenance::gc(it)),
        Some(Command::Fsck(it)) => fsck(it),
    }
}

/// Ends with [`FAULTS`] when something is wrong in the store.
fn fsck(asked: Fsck) -> ExitCode {
    let well = AtomicBool::new(true);
    let ended = live(LogFormat::Text, async || {
        well.store(maintenance::fsck(asked).await?, Ordering::Relaxed);
        Ok(())
    });
    match well.into_inner() {
        true => ended,
        false => ExitCode::from(FAULTS),
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    // Before anything that takes time: a scheduler that is told to end while it starts ends.
    let stop = told_to_stop().context("signals cannot be caught")?;
    let access = Access::new(token(&options)?);
    listen::guarded(&options, &access).map_err(Misuse::new)?;
    let retention = options.retention.checked()?;
    let tls = listen::server_tls(&options)?;
    let ports = Ports {
        grpc: listen::bind("--listen", options.listen).await?,
        http: listen::bind("--http", options.http).await?,
    };
    let (grpc, http) = (ports.grpc.local_addr()?, ports.http.local_addr()?);

    let replica = uuid::Uuid::new_v4().simple().to_string();
    let metrics = Arc::new(Metrics::new());
    let spans = Spans::from_environment("gofarm-scheduler", &replica).map_err(Misuse::new)?;
    let (files, url) = options.place.open()?;
    let store = MeteredStore::new(files.clone(), metrics.store.clone(), metrics.room.clone())
        .counting(metrics.lookups.clone());
    let (queue, registry) = shared_state(&options, &store).await?;
    let queue: Arc<dyn LeaseQueue> = Arc::new(MeteredQueue::new(queue, metrics.clone()));
    let registry = MeteredRegistry::new(registry, metrics.registry.clone());
    let registry: Arc<dyn Registry> = Arc::new(registry);
    let engine = EngineHandle::start(
        ReplicaOptions {
            observers: Observers {
                tasks: metrics.tasks.clone(),
                spans: spans.clone(),
            },
            ..ReplicaOptions::new(replica.clone())
        },
        queue.clone(),
        registry.clone(),
        store.clone(),
    );

    // None of these ends by itself, and nobody would notice that one is gone.
    let taken_back = hear_invalidations(files.clone(), engine.clone());
    tokio::spawn(vital("hearing what is taken back", taken_back));
    if options.retention.bounds() {
        let collections = metrics.collections.clone();
        let (files, replica) = (files.clone(), replica.as_str().into());
        let collecting = collect(files, registry.clone(), replica, retention, collections);
        tokio::spawn(vital("the collection of the store", collecting));
    }
    let readiness = readiness(&queue, &store);
    let builds = Arc::new(BuildsService::new(engine.clone()));
    let farm = Arc::new(FarmService::new(registry.clone()));
    let closing = CancellationToken::new();
    let roster = Arc::new(Roster::start(registry));
    let leases = LeasesService::new(queue.clone(), store.clone(), roster, closing.clone())
        .with_spans(spans.clone())
        .of_replica(&replica);
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .context("the services cannot be described")?;
    let routes = Routes::new(health_service)
        .add_service(reflection)
        .add_service(BlobsService::new(store).into_server())
        .add_service(BuildsServer::from_arc(builds.clone()))
        .add_service(FarmServer::from_arc(farm.clone()))
        .add_service(leases.into_server());
    let views = Views {
        builds,
        farm: farm.clone(),
        queue: queue.clone(),
    };
    let services = Services {
        routes,
        http: http::router(readiness.clone(), metrics.clone(), views, access.clone()),
        access,
        rpc: metrics.rpc.clone(),
        tls,
        lease_ttl: options.lease_ttl,
    };
    let sampling = metrics::sample(metrics, queue, farm, Duration::from_secs(5));
    tokio::spawn(vital("the sampling of metrics", sampling));
    tokio::spawn(vital(
        "the eviction from the local folder",
        keep_size(files.clone()),
    ));
    let health = tell_health(readiness.clone(), health);
    tokio::spawn(vital("the report of health", health));

    tracing::info!(%grpc, %http, replica, store = url, version = env!("CARGO_PKG_VERSION"), "serving");
    let going = async {
        readiness.close();
        closing.cancel();
        engine.shutdown().await;
    };
    tokio::select! {
        served = ports.serve(services, stop, going, options.drain_timeout) => served?,
        // Who starts it again makes the folder anew, which a process that has handles into the old one cannot.
        error = taken_away(files.local().clone()) => return Err(error.into()),
    }
    spans.shutdown(LAST_SPANS).await;
    tracing::info!("ended");
    Ok(())
}

fn token(options: &Options) -> anyhow::Result<Option<Token>> {
    let variable = std::env::var_os("GOFARM_TOKEN");
    let token = FarmToken::given(options.token_file.as_deref(), variable.as_deref());
    Ok(token.map_err(Misuse::new)?.as_ref().map(Token::of))
}

/// What replicas share: in Redis, or of this process alone.
async fn shared_state(
    options: &Options,
    store: &MeteredStore,
) -> anyhow::Result<(Arc<dyn LeaseQueue>, Arc<dyn Registry>)> {
    let blobs = Arc::new(Presence::new(store.clone()));
    let Some(url) = &options.redis else {
        tracing::warn!(
            "no --redis: this is the farm's only scheduler, and builds under way are lost when it ends"
        );
        let clock = Arc::new(MonotonicClock::new());
        let queue = InProcessQueue::new(options.queue(), clock, blobs);
        return Ok((Arc::new(queue), Arc::new(MemoryRegistry::new())));
    };
    let server = match redis_server(url, options.redis_ca.as_deref()) {
        Err(error @ (RedisServerError::Url(_) | RedisServerError::InTheClear)) => {
            return Err(Misuse::new(error).into());
        }
        read => read?,
    };
    let queue = RedisQueue::connect(server.clone(), &options.namespace, options.queue(), blobs)
        .await
        .context("the queue in Redis cannot be used; see --redis")?;
    let registry = RedisRegistry::connect(server, &options.namespace)
        .context("the registry in Redis cannot be used; see --redis")?;
    Ok((Arc::new(queue), Arc::new(registry)))
}

/// Ready when Redis and the store answer.
fn readiness(queue: &Arc<dyn LeaseQueue>, store: &MeteredStore) -> Readiness {
    let (queue, store, written) = (queue.clone(), store.clone(), store.clone());
    Readiness::new(vec![
        Check::new("queue", move || {
            let queue = queue.clone();
            async move {
                let life = queue.incarnation().await;
                life.map(drop).map_err(|error| error.to_string())
            }
        }),
        Check::new("store", move || {
            let store = store.clone();
            async move { store.probe().await.map_err(|error| error.to_string()) }
        }),
        // Without room, what is stored can still be read: builds that are cached go on, so calls stay welcome.
        Check::told("store_room", move || {
            let written = written.clone();
            async move { written.check_room().await }
        }),
    ])
}

/// Ends when the folder of this machine is no more what it was when it was opened.
async fn taken_away(store: DiskStore) -> StoreError {
    let mut ticks = tokio::time::interval(LOOK_AT_FOLDER);
    loop {
        ticks.tick().await;
        match store.in_place() {
            Ok(()) => {}
            Err(error @ StoreError::TakenAway { .. }) => return error,
            Err(error) => {
                tracing::warn!(%error, "whether the local folder is whole cannot be seen")
            }
        }
    }
}

/// Keeps the folder of this machine below its size; never ends.
async fn keep_size(store: FarmStore) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60));
    loop {
        ticks.tick().await;
        if let Err(error) = store.evict().await {
            tracing::warn!(%error, "the local folder was not brought below its size");
        }
    }
}

/// Keeps an ear on what operators take back; never ends. What cannot be read now is read the next time.
async fn hear_invalidations(store: FarmStore, engine: EngineHandle) {
    let mut ticks = tokio::time::interval(NOTICED_WITHIN);
    loop {
        ticks.tick().await;
        match store.notice_invalidations().await {
            Ok(results) if results.is_empty() => {}
            Ok(results) => {
                tracing::info!(results = results.len(), "results have been taken back");
                engine.taken_back(results).await;
            }
            Err(error) => {
                tracing::warn!(%error, "whether results have been taken back cannot be seen; trying again");
            }
        }
    }
}

/// Tells gRPC health what the readiness probe says; never ends.
async fn tell_health(readiness: Readiness, health: tonic_health::server::HealthReporter) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let status = if readiness.report().await.ready {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        for service in [
            "",
            "gofarm.v1.Blobs",
            "gofarm.v1.Builds",
            "gofarm.v1.Farm",
            "gofarm.v1.Leases",
        ] {
            health.set_service_status(service, status).await;
        }
    }
}
