//! The tools that building Bitcoin Core takes.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::step::Steps;

/// Installs all of them on Debian and its children: printed as it stands, and run as it stands.
const INSTALL: &str = "apt-get install -y --no-install-recommends cmake make g++ libboost-dev";
/// Comes before it on a fresh machine, which knows no packages yet.
const UPDATE: &str = "apt-get update";
/// The oldest cmake that Bitcoin Core accepts.
const CMAKE_AT_LEAST: (u32, u32) = (3, 22);

/// Whether `path` is a file that may be run.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The first program called `name` on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// Sees to it that all tools are there: installs them where that is possible and allowed.
pub(crate) fn require(install: bool, steps: &Steps<'_>) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" and ");
    if !install {
        bail!("cannot build bitcoind without {missing}; to install: {INSTALL}");
    }
    if !is_root_on_debian() {
        bail!("cannot build bitcoind without {missing}; install it first, on Debian with: {INSTALL}");
    }
    steps.say(&format!("building bitcoind takes {missing}; running: {INSTALL}"));
    apt_get(steps)?;
    let still = self::missing();
    if !still.is_empty() {
        bail!("{INSTALL} went through, but did not bring {}", still.join(" and "));
    }
    Ok(())
}

fn apt_get(steps: &Steps<'_>) -> Result<()> {
    let run = |name: &str, line: &str| {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        steps.run(name, command.args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if run("install build tools", INSTALL).is_ok() {
        return Ok(());
    }
    run("update the list of packages", UPDATE)?;
    run("install build tools", INSTALL)
}

fn is_root_on_debian() -> bool {
    rustix::process::geteuid().is_root()
        && Path::new("/etc/debian_version").exists()
        && on_path("apt-get").is_some()
}

/// What is missing, in words.
fn missing() -> Vec<&'static str> {
    let compiler = env::var_os("CXX").filter(|name| !name.is_empty()).unwrap_or_else(|| "c++".into());
    let compiles = has_cxx20(&compiler);
    let checks = [
        (has_cmake(), "cmake 3.22 or newer"),
        (on_path("make").is_some(), "make"),
        (compiles, "a C++20 compiler"),
        // Without a compiler there is nobody to ask for the headers.
        (compiles && has_header(&compiler, "boost/version.hpp"), "the Boost headers"),
    ];
    checks.into_iter().filter_map(|(there, name)| (!there).then_some(name)).collect()
}

fn has_cmake() -> bool {
    let Ok(output) = Command::new("cmake").arg("--version").output() else { return false };
    cmake_version(&String::from_utf8_lossy(&output.stdout)) >= Some(CMAKE_AT_LEAST)
}

/// Reads `cmake version 3.25.1`.
fn cmake_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.lines().next()?.strip_prefix("cmake version ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn has_cxx20(compiler: &OsString) -> bool {
    preprocesses(compiler, &["/dev/null"])
}

fn has_header(compiler: &OsString, header: &str) -> bool {
    preprocesses(compiler, &["-include", header, "/dev/null"])
}

/// Whether the compiler takes C++20 and finds everything that `arguments` ask for.
fn preprocesses(compiler: &OsString, arguments: &[&str]) -> bool {
    Command::new(compiler)
        .args(["-std=c++20", "-E", "-x", "c++"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmake_versions_are_compared_by_number() {
        assert_eq!(cmake_version("cmake version 3.25.1\n\nCMake suite"), Some((3, 25)));
        assert_eq!(cmake_version("cmake version 4.0.0-rc1"), Some((4, 0)));
        assert_eq!(cmake_version("not found"), None);
        assert!(cmake_version("cmake version 3.9.0") < Some(CMAKE_AT_LEAST));
    }
}
