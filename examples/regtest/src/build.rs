//! Builds Bitcoin Core from the source tree that the crate `libbitcoinkernel-sys` carries.
//!
//! That crate is a dependency for no target at all: cargo fetches it and checks its checksum against
//! `Cargo.lock`, but never compiles it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cache::{Place, UNFINISHED};
use crate::provide::{Binaries, Provide};
use crate::step::Steps;
use crate::tools;

/// The crate whose source is built.
const CRATE: &str = "libbitcoinkernel-sys";
/// Its version; `Cargo.toml` pins the same one.
pub(crate) const PINNED: &str = "0.4.1";
/// What is built of it.
const PROGRAMS: [&str; 2] = ["bitcoind", "bitcoin-cli"];

/// A node and its client without wallet, and nothing else. `-O1` halves the time to build, and a
/// regtest chain does not notice.
pub(crate) const FLAGS: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DAPPEND_CXXFLAGS=-O1 -g0",
    "-DBUILD_DAEMON=ON",
    "-DBUILD_CLI=ON",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DBUILD_GUI=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_FUZZ_BINARY=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=OFF",
    "-DBUILD_UTIL_CHAINSTATE=OFF",
    "-DBUILD_KERNEL_LIB=OFF",
    "-DBUILD_KERNEL_TEST=OFF",
    "-DBUILD_WALLET_TOOL=OFF",
    "-DENABLE_WALLET=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DENABLE_IPC=OFF",
    "-DWITH_ZMQ=OFF",
    "-DWITH_USDT=OFF",
    // The published crate leaves the data for this one out.
    "-DWITH_EMBEDDED_ASMAP=OFF",
    "-DINSTALL_MAN=OFF",
];

/// Builds into `place`, whose lock the caller holds. `package` is the folder of this package.
pub(crate) fn build(place: &Place, package: &Path, how: &Provide<'_>) -> Result<Binaries> {
    (how.progress)("no bitcoind at hand: building one, once (about ten minutes of processor time)");
    let steps = Steps::start(how.progress, place.log())?;
    tools::require(how.install, &steps)?;
    remove_unfinished(place.root())?;
    let workshop = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(place.root())
        .context("cannot create a folder to build in")?;
    let source = source_folder(&steps, package, workshop.path())?;
    let tree = workshop.path().join("tree");
    compile(&steps, &source, &tree)?;
    publish(&tree.join("bin"), &workshop.path().join("finished"), &place.finished())?;
    let binaries = place.built().context("the build went through, but left no bitcoind")?;
    steps.say(&format!("bitcoind is built: {}", binaries.bitcoind.display()));
    Ok(binaries)
}

/// Clears away what builds left that were killed. Nobody else builds: the lock is ours.
fn remove_unfinished(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // A compiler that outlives its build for a moment may be writing there: next time, then.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Asks cargo where it keeps the pinned source; cargo fetches it first if need be.
fn source_folder(steps: &Steps<'_>, package: &Path, scratch: &Path) -> Result<PathBuf> {
    let manifest = package.join("Cargo.toml");
    ensure!(
        manifest.is_file(),
        "{} is gone: bitcoind is built from the workspace that this program was built from",
        manifest.display()
    );
    let answer = scratch.join("metadata.json");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(&manifest);
    steps.run_to("fetch the source of Bitcoin Core", &mut cargo, Some(File::create(&answer)?))?;
    let metadata =
        serde_json::from_slice(&fs::read(&answer)?).context("cargo metadata does not answer in JSON")?;
    let crate_folder =
        find_crate(&metadata).with_context(|| format!("cargo metadata does not know {CRATE} {PINNED}"))?;
    Ok(crate_folder.join("bitcoin"))
}

/// The folder of the pinned crate, from what `cargo metadata` says.
fn find_crate(metadata: &Value) -> Option<PathBuf> {
    let package = metadata["packages"]
        .as_array()?
        .iter()
        .find(|package| package["name"] == CRATE && package["version"] == PINNED)?;
    Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned)
}

/// Configures and compiles `source` in `tree`.
fn compile(steps: &Steps<'_>, source: &Path, tree: &Path) -> Result<()> {
    let mut configure = Command::new("cmake");
    // Make is asked for by name because its output carries the percentage.
    configure.args(["-G", "Unix Makefiles", "-S"]).arg(source).arg("-B").arg(tree).args(FLAGS);
    steps.run("configure Bitcoin Core", &mut configure)?;

    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut make = Command::new("cmake");
    make.arg("--build").arg(tree).arg(format!("--parallel={jobs}"));
    make.arg("--target").args(PROGRAMS);
    steps.run("compile Bitcoin Core", &mut make)
}

/// Puts the programs where they are looked for, all at once: a half-done build is never found.
fn publish(built: &Path, staged: &Path, finished: &Path) -> Result<()> {
    let bin = staged.join("bin");
    fs::create_dir_all(&bin)?;
    for program in PROGRAMS {
        let from = built.join(program);
        fs::rename(&from, bin.join(program))
            .with_context(|| format!("the build made no {}", from.display()))?;
    }
    if finished.exists() {
        fs::remove_dir_all(finished)?;
    }
    fs::rename(staged, finished).with_context(|| format!("cannot put the build at {}", finished.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_manifest_pins_the_version_that_is_built() {
        let pin = format!("{CRATE} = \"={PINNED}\"");
        assert!(include_str!("../Cargo.toml").contains(&pin));
    }

    #[test]
    fn the_pinned_version_is_found_among_others() {
        let package =
            |version: &str, path: &str| json!({"name": CRATE, "version": version, "manifest_path": path});
        let metadata =
            json!({"packages": [package("0.3.0", "/old/Cargo.toml"), package(PINNED, "/new/Cargo.toml")]});
        assert_eq!(find_crate(&metadata), Some(PathBuf::from("/new")));
        assert_eq!(find_crate(&json!({"packages": []})), None);
    }
}
