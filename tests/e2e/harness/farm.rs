//! A farm of real processes: redis-server, schedulers behind one address, workers with folders of their own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gofarm_testkit::{RedisServer, S3Server, built, free_port};

use super::{Front, Invocation, Process, Recipe, Service, Site, Summary, eventually};

/// Leases of the usual farm run out after so long.
pub const LEASE_TTL: Duration = Duration::from_secs(3);

/// How large a farm is.
#[derive(Clone, Copy)]
pub struct Size {
    pub schedulers: usize,
    pub workers: usize,
    /// Of each worker.
    pub slots: usize,
    /// Leases run out after so long.
    pub lease_ttl: Duration,
}

/// The usual one.
pub const FARM: Size = Size {
    schedulers: 2,
    workers: 4,
    slots: 1,
    lease_ttl: LEASE_TTL,
};

/// The processes, and where they are. Dropped before the site that it stands in.
pub struct Farm {
    pub workers: Vec<Service>,
    pub schedulers: Vec<Service>,
    pub redis: RedisServer,
    front: Front,
    ports: Vec<u16>,
    folder: PathBuf,
}

impl Farm {
    /// A farm whose store has what the example needs.
    pub fn start(site: &Site, size: Size) -> Farm {
        let folder = site.path("farm");
        let store = folder.join("store");
        fs::create_dir_all(&folder).unwrap();
        site.copy_cache(&store);
        Farm::with_store(site, size, &format!("file://{}", store.display()), &[])
    }

    /// A farm over this store; `env` is for what reaches it.
    pub fn with_store(site: &Site, size: Size, store: &str, env: &[(&str, &str)]) -> Farm {
        Farm::with_schedulers(site, size, store, env, &|recipe| recipe)
    }

    /// A farm over objects.
    pub fn over_s3(site: &Site, size: Size, s3: &S3Server) -> Farm {
        let env = s3.env();
        let env = env.iter().map(|(name, value)| (*name, value.as_str()));
        let env: Vec<(&str, &str)> = env.collect();
        Farm::with_store(site, size, "s3://farm/builds", &env)
    }

    /// As [`with_store`](Farm::with_store), with schedulers that are called otherwise than usual.
    pub fn with_schedulers(
        site: &Site,
        size: Size,
        store: &str,
        env: &[(&str, &str)],
        called: &dyn Fn(Recipe) -> Recipe,
    ) -> Farm {
        let folder = site.path("farm");
        let redis = RedisServer::on_port();
        let ports: Vec<u16> = (0..size.schedulers).map(|_| free_port()).collect();
        let schedulers = ports.iter().enumerate().map(|(number, port)| {
            let name = format!("scheduler{number}");
            let args = [
                format!("--redis={}", redis.url(0)),
                format!("--store={store}"),
                format!("--local-dir={}", folder.join(&name).display()),
                format!("--listen=127.0.0.1:{port}"),
                format!("--http=127.0.0.1:{}", free_port()),
                format!("--lease-ttl={}s", size.lease_ttl.as_secs()),
            ];
            called(recipe(site, &folder, &name, "gofarm-scheduler", &args, env))
        });
        let schedulers = schedulers.map(Service::start).collect();
        let front = Front::new(ports.clone());
        let mut farm = Farm {
            workers: Vec::new(),
            schedulers,
            redis,
            front,
            ports,
            folder,
        };
        farm.schedulers_answer();
        for number in 0..size.workers {
            let worker = farm.worker_recipe(site, number, size.slots);
            farm.workers.push(Service::start(worker));
        }
        farm
    }

    /// How worker `number` is called.
    pub fn worker_recipe(&self, site: &Site, number: usize, slots: usize) -> Recipe {
        self.worker_of(&self.url(), site, number, slots)
    }

    /// As [`worker_recipe`](Farm::worker_recipe), for one that reaches the schedulers at another address.
    pub fn worker_of(&self, url: &str, site: &Site, number: usize, slots: usize) -> Recipe {
        let name = format!("worker{number}");
        let args = [
            format!("--server={url}"),
            format!("--name={name}"),
            format!("--slots={slots}"),
            format!("--cache-dir={}", self.folder.join(&name).display()),
        ];
        recipe(site, &self.folder, &name, "gofarm-worker", &args, &[])
    }

    /// Waits until every scheduler can be talked to.
    pub fn schedulers_answer(&mut self) {
        for (scheduler, port) in self.schedulers.iter_mut().zip(&self.ports) {
            scheduler.answers_at(*port);
        }
    }

    /// Has the schedulers answer at another address, too.
    pub fn answers_at(&self, listener: TcpListener) {
        Front::at(listener, self.ports.clone());
    }

    /// Waits until every worker has been heard of.
    #[track_caller]
    pub fn all_join(&self, site: &Site) {
        eventually(
            || "a worker does not join".to_owned(),
            || {
                let listed = self.gofarm(site, &["workers", "--json"]).run().ok();
                let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
                (listed.as_array()?.len() == self.workers.len()).then_some(())
            },
        );
    }

    /// Waits until so many builds are open.
    #[track_caller]
    pub fn are_open(&self, site: &Site, builds: usize) {
        eventually(
            || format!("there are not {builds} builds"),
            || {
                let listed = self
                    .gofarm(site, &["builds", "--open", "--json"])
                    .run()
                    .ok();
                let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
                (listed.as_array()?.len() == builds).then_some(())
            },
        );
    }

    /// The one address of the schedulers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port)
    }

    /// All addresses of the schedulers, as --server takes them.
    pub fn urls(&self) -> String {
        let urls = self.ports.iter();
        let urls: Vec<String> = urls
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect();
        urls.join(",")
    }

    /// Where each scheduler listens.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// A folder of this farm.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `gofarm` with this farm, and without falling back to a build of its own.
    pub fn gofarm(&self, site: &Site, args: &[&str]) -> Invocation {
        site.gofarm(args).env("GOFARM_SERVER", &self.url())
    }

    /// `gofarm submit` on this farm, from a client that has nothing in its cache.
    pub fn submit(&self, site: &Site, flags: &[&str]) -> Invocation {
        let summary = format!("--summary-json={}", site.path("summary.json").display());
        let mut args = vec!["submit", "--fallback=false", &summary];
        args.extend(flags);
        self.gofarm(site, &args)
            .env("GOFARM_CACHE_DIR", &site.path("client").to_string_lossy())
    }

    /// The worker that runs this command line now; waits for one to.
    #[track_caller]
    pub fn worker_with(&self, words: &[&str]) -> (usize, Process) {
        eventually(
            || format!("no worker runs {words:?}"),
            || {
                let mut workers = self.workers.iter().enumerate();
                workers.find_map(|(number, worker)| Some((number, worker.child_with(words)?)))
            },
        )
    }

    /// The folders with what workers have in their caches.
    pub fn worker_cache(&self, number: usize) -> PathBuf {
        self.folder.join(format!("worker{number}"))
    }
}

/// The programs of a build are what `go build` makes, byte for byte.
#[track_caller]
pub fn is_what_go_builds(site: &Site, program: &str) {
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .run()
        .ok();
    same(&site.src(program), &site.src("theirs"));
}

/// The program of a build that was left to the farm reaches a folder and a cache that know nothing of it, and is what `go build` makes.
#[track_caller]
pub fn is_fetched_elsewhere(site: &Site, farm: &Farm, build: &str) {
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    farm.gofarm(site, &["attach", build])
        .env("GOFARM_CACHE_DIR", &site.path("laptop").to_string_lossy())
        .folder(&elsewhere)
        .run()
        .ok();
    site.go(&["build", "-trimpath", "-o", "theirs", "."])
        .run()
        .ok();
    same(&elsewhere.join("bin/m"), &site.src("theirs"));
}

/// Two files have the same bytes.
#[track_caller]
pub fn same(ours: &Path, theirs: &Path) {
    assert!(
        fs::read(ours).unwrap() == fs::read(theirs).unwrap(),
        "{} differs from {}",
        ours.display(),
        theirs.display()
    );
}

/// The summary of the last [`Farm::submit`].
pub fn summary(site: &Site) -> Summary {
    Summary::read(&site.path("summary.json"))
}

fn recipe(
    site: &Site,
    folder: &Path,
    name: &str,
    program: &str,
    args: &[String],
    env: &[(&str, &str)],
) -> Recipe {
    let mut all = vec![
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        (
            "HOME".to_owned(),
            site.path("home").to_string_lossy().into_owned(),
        ),
    ];
    let given = env.iter();
    all.extend(given.map(|(name, value)| (name.to_string(), value.to_string())));
    Recipe {
        name: name.to_owned(),
        program: built(program),
        args: args.to_vec(),
        env: all,
        folder: folder.to_owned(),
    }
}
