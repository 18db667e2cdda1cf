//! The data folder: one folder holds everything of one node. Mode 0700; one process at a time.

use crate::error::{Failure, Outcome};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The paths of a node.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// Held as long as a process uses the folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// The folder at `root`, which need not exist yet.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The member card, as text.
    #[must_use]
    pub fn card(&self) -> PathBuf {
        self.root.join("card")
    }

    /// The charter, once there is one.
    #[must_use]
    pub fn charter(&self) -> PathBuf {
        self.root.join("charter")
    }

    /// Addresses of members that the invitation named, one a line.
    #[must_use]
    pub fn peers(&self) -> PathBuf {
        self.root.join("peers")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Names the journal that belongs to these keys; see [`crate::journal`].
    #[must_use]
    pub fn journal_mark(&self) -> PathBuf {
        self.root.join("journal.mark")
    }

    /// What peers and Bitcoin can give back.
    #[must_use]
    pub fn db(&self) -> PathBuf {
        self.root.join("db")
    }

    /// A sealed secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    /// A public blob.
    #[must_use]
    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join("blobs").join(name)
    }

    /// The names of blobs that begin with `prefix`, in order.
    ///
    /// # Errors
    ///
    /// If their folder cannot be read.
    pub fn blobs(&self, prefix: &str) -> Outcome<Vec<String>> {
        let folder = self.blob("");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let fail = |error| Failure::because(format_args!("cannot read {}", folder.display()), error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The token of the running daemon's API.
    #[must_use]
    pub fn cookie(&self) -> PathBuf {
        self.root.join("cookie")
    }

    /// The token that links were paired with.
    #[must_use]
    pub fn link_token(&self) -> PathBuf {
        self.root.join("link-token")
    }

    /// Make the folders.
    ///
    /// # Errors
    ///
    /// If the disk refuses, or a node lives here already.
    pub fn create(&self) -> Outcome<()> {
        if self.config().exists() {
            return Err(Failure::conflict(format!("{} already holds a node", self.root.display())));
        }
        for folder in [self.root.clone(), self.root.join("keys"), self.root.join("blobs")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| {
                Failure::because(format_args!("cannot create {}", folder.display()), error)
            })?;
        }
        Ok(())
    }

    /// Take the folder for this process.
    ///
    /// # Errors
    ///
    /// Names the process that has it.
    pub fn lock(&self) -> Outcome<Lock> {
        let path = self.root.join("lock");
        let fail = |error| Failure::because(format_args!("cannot lock {}", self.root.display()), error);
        let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = options.map_err(fail)?;
        if file.try_lock().is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(fail)?;
            let root = self.root.display();
            return Err(Failure::conflict(format!("{root} is in use by process {}", pid.trim())));
        }
        file.set_len(0).map_err(fail)?;
        file.write_all(std::process::id().to_string().as_bytes()).map_err(fail)?;
        Ok(Lock { _file: file })
    }
}

/// Write a file of mode 0600 so that after a crash it holds all of `bytes` or what it held before.
///
/// # Errors
///
/// If the disk refuses.
pub fn write_private(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let fail = |error| Failure::because(format_args!("cannot write {}", path.display()), error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(folder).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}

/// Remove a file, if it is there, so that it stays removed.
///
/// # Errors
///
/// If the disk refuses.
pub fn remove(path: &Path) -> Outcome<()> {
    let fail = |error| Failure::because(format_args!("cannot remove {}", path.display()), error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    File::open(path.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(fail)
}

/// Write a new private file.
///
/// # Errors
///
/// If it exists, or the disk refuses.
pub fn write_new(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let fail = |error| Failure::because(format_args!("cannot create {}", path.display()), error);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)
}

/// Read a file, saying which if it cannot be.
///
/// # Errors
///
/// Names the file.
pub fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::because(format_args!("cannot read {}", path.display()), error))
}
