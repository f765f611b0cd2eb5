//! Which store, and what of this machine it is reached through.

use std::path::{Path, PathBuf};

use anyhow::Context;
use gofarm_amount::parse_size;
use gofarm_daemon::Misuse;
use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore, StoreError};

/// What says where blobs and results are.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreOptions {
    /// Where blobs and results are kept for all: file:///folder, s3://bucket/prefix, gs://bucket/prefix or
    /// az://container/prefix [default: a folder below $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, env = "GOFARM_STORE", value_name = "URL")]
    pub store: Option<String>,

    /// Folder of this machine through which blobs pass on their way to and from s3, gs and az
    /// [default: below $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, env = "GOFARM_LOCAL_DIR", value_name = "FOLDER")]
    pub local_dir: Option<PathBuf>,

    /// How much that folder keeps, or the store itself where it is a folder; what was used least recently goes first
    #[arg(long, env = "GOFARM_LOCAL_SIZE", value_name = "SIZE", default_value = "20GiB", value_parser = parse_size)]
    pub local_size: u64,
}

/// No folder was named, and there is no home folder to take one in.
#[derive(Debug, thiserror::Error)]
#[error(
    "neither {variable} nor HOME names an absolute folder, so there is no place for {what}; name one with {flag}"
)]
pub struct NoHome {
    variable: &'static str,
    what: &'static str,
    flag: &'static str,
}

impl StoreOptions {
    /// The store, and its URL for the log. A folder is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be used.
    pub fn open(&self) -> anyhow::Result<(FarmStore, String)> {
        let url = self.store_url()?;
        // A store in a folder of this machine is that folder, and needs no other.
        let folder = match url.strip_prefix("file://") {
            Some(path) => PathBuf::from(path),
            None => self.local_folder()?,
        };
        let bounds = DiskStoreOptions {
            max_bytes: self.local_size,
            ..DiskStoreOptions::default()
        };
        let local = DiskStore::open(&folder, bounds)
            .with_context(|| format!("the folder {} cannot be used", Path::display(&folder)))?;
        let cannot = || format!("the store {url} cannot be used; see --store");
        let store = match FarmStore::open(&url, local) {
            Err(error @ StoreError::Address { .. }) => {
                return Err(Misuse::new(anyhow::Error::from(error).context(cannot())).into());
            }
            opened => opened.with_context(cannot)?,
        };
        Ok((store, url))
    }

    /// As [`open`](Self::open), for a store that some scheduler has used before.
    ///
    /// # Errors
    ///
    /// It cannot be used, or there is none.
    pub async fn open_existing(&self) -> anyhow::Result<FarmStore> {
        let url = self.store_url()?;
        let none = || {
            let none = anyhow::anyhow!("there is no store at {url}; see --store");
            anyhow::Error::from(Misuse::new(none))
        };
        if let Some(path) = url.strip_prefix("file://")
            && !Path::new(path).join("format").exists()
        {
            return Err(none());
        }
        let (store, url) = self.open()?;
        let there = store.exists().await;
        match there.with_context(|| format!("the store {url} cannot be used; see --store"))? {
            true => Ok(store),
            false => Err(none()),
        }
    }

    /// The URL of the store: as given, else a folder for state below the user's home.
    ///
    /// # Errors
    ///
    /// There is no home.
    pub fn store_url(&self) -> Result<String, NoHome> {
        if let Some(url) = &self.store {
            return Ok(url.clone());
        }
        let state = below_home("XDG_STATE_HOME", ".local/state").ok_or(NoHome {
            variable: "XDG_STATE_HOME",
            what: "the store",
            flag: "--store",
        })?;
        Ok(format!("file://{}", state.join("gofarm/store").display()))
    }

    /// The folder through which blobs pass: as given, else one for caches below the user's home.
    ///
    /// # Errors
    ///
    /// There is no home.
    pub fn local_folder(&self) -> Result<PathBuf, NoHome> {
        if let Some(folder) = &self.local_dir {
            return Ok(folder.clone());
        }
        let cache = below_home("XDG_CACHE_HOME", ".cache").ok_or(NoHome {
            variable: "XDG_CACHE_HOME",
            what: "passing blobs",
            flag: "--local-dir",
        })?;
        Ok(cache.join("gofarm/scheduler"))
    }
}

/// A folder by the rules of the XDG base directory specification: a relative value counts as none.
fn below_home(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(otherwise)))
}
