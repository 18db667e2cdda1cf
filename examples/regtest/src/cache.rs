//! Where built programs are kept between runs, and the lock that lets one process build at a time.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bitcoin::hashes::{Hash, sha256};

use crate::provide::Binaries;
use crate::{build, clock, tools};

/// How often the lock is tried again.
const LOCK_TICK: Duration = Duration::from_millis(200);
/// How often a waiting process says so.
const LOCK_HEARTBEAT: Duration = Duration::from_secs(3);
/// A build takes minutes, so whoever holds the lock for this long hangs.
const LOCK_LIMIT: Duration = Duration::from_secs(60 * 60);
/// What the folders of unfinished builds are called.
pub(crate) const UNFINISHED: &str = "building-";

/// The folder of builds, and the name of the one that is wanted.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    key: String,
}

impl Place {
    /// `${HASHGUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/hashguild/bitcoind`: outside `target/`,
    /// so that `cargo clean` does not cost another ten minutes.
    pub(crate) fn find() -> Result<Self> {
        let base = ["HASHGUILD_CACHE", "XDG_CACHE_HOME"]
            .into_iter()
            .find_map(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
            .or_else(|| env::home_dir().map(|home| home.join(".cache")))
            .context("no place for the built bitcoind: set HASHGUILD_CACHE, XDG_CACHE_HOME or HOME")?;
        Ok(Self { root: base.join("hashguild").join("bitcoind"), key: key() })
    }

    /// The folder that holds all builds, their logs and their lock.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the finished build lies, or will lie.
    pub(crate) fn finished(&self) -> PathBuf {
        self.root.join(&self.key)
    }

    /// What the last build said. Outlives the build, whether it failed or not.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join(format!("{}.log", self.key))
    }

    /// The programs of an earlier build.
    pub(crate) fn built(&self) -> Option<Binaries> {
        let bitcoind = self.finished().join("bin").join("bitcoind");
        tools::is_program(&bitcoind).then(|| Binaries::beside(bitcoind))
    }

    /// Waits until no other process builds. The system lifts the lock when its holder ends, however
    /// it ends.
    pub(crate) fn lock(&self, progress: &dyn Fn(&str)) -> Result<File> {
        fs::create_dir_all(&self.root)
            .with_context(|| format!("cannot create the cache folder {}", self.root.display()))?;
        let path = self.root.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let started = clock::now();
        let mut said = None;
        while !try_lock(&file, &path)? {
            if started.elapsed() > LOCK_LIMIT {
                bail!("another process has held {} for {LOCK_LIMIT:?}", path.display());
            }
            if said.is_none_or(|at: std::time::Instant| at.elapsed() >= LOCK_HEARTBEAT) {
                progress(&format!(
                    "another process is building bitcoind: waiting for it, {} s so far",
                    started.elapsed().as_secs()
                ));
                said = Some(clock::now());
            }
            thread::sleep(LOCK_TICK);
        }
        Ok(file)
    }
}

/// Whether the lock is ours now.
fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Names a build by everything that goes into it: another version or other flags are another build.
fn key() -> String {
    let recipe = format!("{} {}", env::consts::ARCH, build::FLAGS.join(" "));
    let hash = sha256::Hash::hash(recipe.as_bytes()).to_string();
    format!("{}-{}", build::PINNED, hash.chars().take(8).collect::<String>())
}
