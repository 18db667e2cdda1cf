//! Where a bitcoind comes from. Building for real takes minutes, so the tools here are scripts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const INSTALL: &str = "apt-get install -y --no-install-recommends cmake make g++ libboost-dev";

/// A machine with an empty cache and only the tools that a test gives it.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tools")).unwrap();
        Self { folder }
    }

    /// With all tools; the one called `cmake` does as told.
    fn with_cmake(build: &str) -> Self {
        let machine = Self::bare();
        machine.tool("make", "exit 0");
        machine.tool("c++", "exit 0");
        machine.tool("cmake", &format!("[ $1 = --version ] && echo cmake version 3.25.1 && exit\n{build}"));
        let package =
            r#"{"name":"libbitcoinkernel-sys","version":"0.4.1","manifest_path":"/src/Cargo.toml"}"#;
        machine.tool("cargo", &format!("echo '{{\"packages\":[{package}]}}'"));
        machine
    }

    fn tool(&self, name: &str, script: &str) -> PathBuf {
        let path = self.folder.path().join("tools").join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn builds(&self) -> PathBuf {
        self.folder.path().join("cache/hashguild/bitcoind")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitcoind-path"));
        command
            .arg("--no-install")
            .env_clear()
            .env("HASHGUILD_CACHE", self.folder.path().join("cache"))
            .env("PATH", self.folder.path().join("tools"));
        command
    }

    fn run(&self) -> Output {
        self.command().output().unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed_path(output: &Output) -> PathBuf {
    assert!(output.status.success(), "{}", stderr(output));
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).to_owned()
}

#[test]
fn missing_tools_are_named_with_the_command_that_installs_them() {
    let output = Machine::bare().run();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    let error = said.lines().last().unwrap();
    assert!(error.starts_with("error: cannot build bitcoind without cmake 3.22 or newer and make"), "{said}");
    assert!(error.ends_with(INSTALL), "{said}");
}

#[test]
fn a_build_is_made_once_and_found_again() {
    let machine = Machine::with_cmake(
        r#"if [ "$1" = --build ]; then
               mkdir -p "$2/bin" && cd "$2/bin" && touch bitcoind bitcoin-cli && chmod +x *
           fi"#,
    );
    let built = printed_path(&machine.run());
    assert!(built.starts_with(machine.builds()) && built.is_file());
    assert!(built.with_file_name("bitcoin-cli").is_file());
    let names = fs::read_dir(machine.builds()).unwrap().map(|entry| entry.unwrap().file_name());
    let left_over = names.filter(|name| name.to_string_lossy().starts_with("building-")).count();
    assert_eq!(left_over, 0, "the build tree is removed");

    machine.tool("cmake", "exit 1");
    let again = machine.run();
    assert_eq!(printed_path(&again), built);
    assert_eq!(stderr(&again), "", "nothing to wait for, nothing to say");
}

#[test]
fn a_failed_build_names_the_step_and_its_log() {
    let machine = Machine::with_cmake("echo there is no such compiler; exit 4");
    let output = machine.run();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("step `configure Bitcoin Core` failed (exit status: 4); its log is"), "{said}");
    assert!(said.ends_with("there is no such compiler\n"), "{said}");
    let mut logs = fs::read_dir(machine.builds()).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.find(|path| path.extension().is_some_and(|end| end == "log")).unwrap();
    assert!(said.contains(log.to_str().unwrap()), "{said}");
}

#[test]
fn a_second_process_waits_and_says_so() {
    let machine = Machine::with_cmake("exit 1");
    fs::create_dir_all(machine.builds()).unwrap();
    let lock = File::create(machine.builds().join("lock")).unwrap();
    lock.lock().unwrap();
    let mut waiting = machine.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap();
    assert!(first.starts_with("another process is building bitcoind: waiting"), "{first}");

    lock.unlock().unwrap();
    assert!(lines.any(|line| line.starts_with("configure Bitcoin Core")), "it goes on by itself");
    assert!(!waiting.wait().unwrap().success());
}

#[test]
fn a_named_bitcoind_comes_before_one_on_the_path() {
    let machine = Machine::bare();
    let on_path = machine.tool("bitcoind", "exit 0");
    let named = machine.tool("my-bitcoind", "exit 0");
    assert_eq!(printed_path(&machine.run()), on_path);
    assert_eq!(printed_path(&machine.command().env("BITCOIND_EXE", &named).output().unwrap()), named);

    let output = machine.command().env("BITCOIND_EXE", "/no/such").output().unwrap();
    assert_eq!(stderr(&output), "error: BITCOIND_EXE names /no/such, which is not a program\n");
}
