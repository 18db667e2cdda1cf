//! The order in which a bitcoind is looked for.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{build, cache, tools};

/// Names a bitcoind to use before all others.
const BITCOIND_EXE: &str = "BITCOIND_EXE";

/// How [`provide`] may go about it.
pub struct Provide<'a> {
    /// Whether missing build tools may be installed. Without it their absence is an error that names
    /// the command to run.
    pub install: bool,
    /// Gets a line at least every five seconds for as long as the caller has to wait.
    pub progress: &'a dyn Fn(&str),
}

impl fmt::Debug for Provide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provide").field("install", &self.install).finish_non_exhaustive()
    }
}

/// A progress for [`Provide`] that shows on standard error even in a test whose output is captured.
pub fn to_stderr(line: &str) {
    // Progress that nobody can see is no reason to stop.
    let _ = writeln!(io::stderr(), "{line}");
}

/// The programs that were found or built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The node.
    pub bitcoind: PathBuf,
    /// The command line client, where there is one beside the node.
    pub bitcoin_cli: Option<PathBuf>,
}

impl Binaries {
    /// `bitcoind` and what lies beside it.
    pub(crate) fn beside(bitcoind: PathBuf) -> Self {
        let cli = bitcoind.with_file_name("bitcoin-cli");
        Self { bitcoin_cli: tools::is_program(&cli).then_some(cli), bitcoind }
    }
}

/// Finds a bitcoind: the one that `BITCOIND_EXE` names, the one on `PATH`, the one built earlier, or
/// one that is built now from the pinned source (about ten minutes of processor time, once).
pub fn provide(how: &Provide<'_>) -> Result<Binaries> {
    if let Some(named) = env::var_os(BITCOIND_EXE) {
        let bitcoind = PathBuf::from(named);
        ensure!(
            tools::is_program(&bitcoind),
            "{BITCOIND_EXE} names {}, which is not a program",
            bitcoind.display()
        );
        return Ok(Binaries::beside(bitcoind));
    }
    if let Some(bitcoind) = tools::on_path("bitcoind") {
        return Ok(Binaries::beside(bitcoind));
    }
    let place = cache::Place::find()?;
    match place.built() {
        Some(binaries) => Ok(binaries),
        None => build_once(&place, how),
    }
}

/// Builds under the lock, unless somebody else did so while this process waited for it.
fn build_once(place: &cache::Place, how: &Provide<'_>) -> Result<Binaries> {
    let _lock = place.lock(how.progress)?;
    if let Some(binaries) = place.built() {
        return Ok(binaries);
    }
    build::build(place, workspace_package(), how)
}

/// Where this package lies: cargo is asked from there for the pinned source.
fn workspace_package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
