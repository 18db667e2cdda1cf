//! The programs of this workspace, built with the profile this one was built with.

use crate::narrate::{Narrator, SPEAK_EVERY};
use anyhow::{Context as _, Result, bail, ensure};
use regtest::Keeper;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The folder of the running program, or the one above for a test.
    ///
    /// # Errors
    ///
    /// If the running program has no path.
    pub fn here() -> Result<Self> {
        let own = std::env::current_exe().context("where is this program?")?;
        let folder = own.parent().context("this program has no folder")?;
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        Ok(Self { folder: folder.to_owned() })
    }

    /// Build all programs first: `cargo run -p` builds those of one package only.
    ///
    /// # Errors
    ///
    /// If cargo fails; its own words are shown.
    pub fn build(narrator: &Narrator) -> Result<Self> {
        let programs = Self::here()?;
        let mut command = programs.cargo_build();
        command.args(["--workspace", "--bins"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("cargo")?;
        let lines = BufReader::new(child.stderr.take().context("cargo has no stderr")?).lines();
        let (tell, told) = std::sync::mpsc::channel();
        let reader =
            std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        loop {
            match told.recv_timeout(SPEAK_EVERY) {
                Ok(line) => narrator.detail(line.trim()),
                Err(RecvTimeoutError::Timeout) => narrator.detail("… still building"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        drop(reader.join());
        if !child.wait().context("cargo")?.success() {
            bail!("cargo build --workspace --bins failed; see above");
        }
        Ok(programs)
    }

    /// The program that ends others when their owner is gone, built if it is not there yet: who measures
    /// needs no other.
    ///
    /// # Errors
    ///
    /// If cargo fails; its own words are shown.
    pub fn keeper(&self) -> Result<Keeper> {
        let path = self.path("keeper");
        if !path.exists() {
            let built = self.cargo_build().args(["--package", "regtest", "--bin", "keeper"]).status();
            ensure!(built.context("cargo")?.success(), "cargo build --bin keeper failed; see above");
        }
        Ok(Keeper::at(path))
    }

    /// `cargo build`, as the running program was built.
    fn cargo_build(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let mut command = Command::new(cargo);
        command.arg("build").arg("--manifest-path").arg(manifest);
        if self.folder.ends_with("release") {
            command.arg("--release");
        }
        // Some build scripts run again when cargo's own variables change, and ours are those of `cargo run`.
        for (name, _) in std::env::vars_os().filter(|(name, _)| inherited(name)) {
            command.env_remove(name);
        }
        command
    }

    /// The full path of one of them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Whether cargo set this variable for the program it runs.
fn inherited(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let settings =
        ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_NET_", "CARGO_TERM_"];
    name.starts_with("CARGO_") && !settings.iter().any(|setting| name.starts_with(setting))
}
