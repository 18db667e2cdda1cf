//! The programs of this workspace, built with the profile this one was built with.

use crate::narrate::Narrator;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let mut command = Command::new(cargo);
        command.arg("build").arg("--workspace").arg("--bins").arg("--manifest-path").arg(manifest);
        if programs.folder.ends_with("release") {
            command.arg("--release");
        }
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("cargo")?;
        let lines = BufReader::new(child.stderr.take().context("cargo has no stderr")?).lines();
        for line in lines {
            narrator.detail(line.context("cargo's words")?.trim());
        }
        if !child.wait().context("cargo")?.success() {
            bail!("cargo build --workspace --bins failed; see above");
        }
        Ok(programs)
    }

    /// The full path of one of them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
