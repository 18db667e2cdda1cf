//! No process survives the demo, however it ends; and what it kept goes on.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the demo may take to have three nodes running.
const UP_LIMIT: Duration = Duration::from_secs(60);
/// How long its processes may outlive it: the keeper's grace and a little.
const GONE_LIMIT: Duration = Duration::from_secs(15);

/// Processes that have `folder` on their command line.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(folder)).map(|line| line.replace('\0', " ")).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test has a deadline")]
fn until(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn demo(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--once", "--json", "--keep"]).arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Start a demo, end it with `signal` once three nodes run, and see that nothing is left.
fn ends_with(folder: &Path, signal: Signal) {
    let mut demo = demo(folder);
    until(UP_LIMIT, "three nodes", || {
        assert!(demo.try_wait().unwrap().is_none(), "the demo ended by itself");
        processes(folder).iter().filter(|line| line.contains("guild start")).count() >= 3
    });
    kill_process(Pid::from_child(&demo), signal).unwrap();
    assert!(!demo.wait().unwrap().success());
    until(GONE_LIMIT, "the last process to end", || processes(folder).is_empty());
}

#[test]
fn nothing_survives_the_demo_and_its_guild_goes_on() {
    crate::programs();
    let folder = crate::folder();
    ends_with(folder.path(), Signal::INT);
    ends_with(folder.path(), Signal::KILL);
    let output = demo(folder.path()).wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{summary}");
    let guild = |summary: &Value| summary.pointer("/steps/1/facts/guild").cloned().unwrap();
    let again = demo(folder.path()).wait_with_output().unwrap();
    let second: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert!(again.status.success(), "{second}");
    assert_eq!(guild(&summary), guild(&second), "the same guild");
    assert!(processes(folder.path()).is_empty(), "{:?}", processes(folder.path()));
}
