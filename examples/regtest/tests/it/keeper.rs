//! Programs that end with their owner, however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use regtest::Kept;
use regtest::keeper::GRACE;

use crate::{comes_true_within, state_of, the_keeper};

/// What a busy machine may need beyond the grace.
const SLACK: Duration = Duration::from_secs(5);
/// Says what the owner below keeps.
const KEEP: &str = "REGTEST_TEST_KEEP";

fn shell(script: &str) -> Command {
    let mut command = the_keeper().command("sh");
    command.args(["-c", script]);
    command
}

/// A shell that says when it is set up, so that no signal comes before its traps.
fn ready_shell(script: &str) -> Kept {
    let mut command = shell(script);
    command.stdout(Stdio::piped());
    let mut kept = Kept::spawn(command).unwrap();
    let mut first = String::new();
    BufReader::new(kept.take_stdout().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    kept
}

#[test]
#[ignore = "the owner that the tests below kill"]
fn owner() {
    let Ok(script) = std::env::var(KEEP) else { return };
    let _kept = Kept::spawn(shell(&script)).unwrap();
    thread::park();
}

/// Runs the owner in a process of its own, kills it, and waits for the end of what it kept.
fn outlives_its_owner(script: &str, limit: Duration) -> bool {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "keeper::owner", "--ignored", "--nocapture"])
        .env(KEEP, script)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    // The test harness does not end its own line before the program speaks.
    let pid = lines.map_while(Result::ok).find_map(|line| line.rsplit_once("pid ")?.1.parse().ok());
    let pid = pid.expect("the program says its id");
    assert!(state_of(pid).is_some());

    owner.kill().unwrap();
    owner.wait().unwrap();
    !comes_true_within(limit, || state_of(pid).is_none())
}

#[test]
fn a_program_ends_soon_after_its_killed_owner() {
    assert!(!outlives_its_owner("echo pid $$; exec sleep 600", SLACK));
}

#[test]
fn a_program_that_ignores_its_owners_end_is_killed() {
    let stubborn = "trap '' TERM; echo pid $$; while :; do sleep 1; done";
    assert!(!outlives_its_owner(stubborn, GRACE + SLACK));
}

#[test]
fn a_frozen_program_ends_with_its_owner() {
    assert!(!outlives_its_owner("trap '' TERM; echo pid $$; kill -STOP $$; sleep 600", GRACE + SLACK));
}

#[test]
fn a_program_ends_with_its_keeper() {
    let kept = ready_shell("echo ready; exec sleep 600");
    let pid = kept.pid();
    let keeper = parent_of(pid);
    assert!(Command::new("kill").args(["-9", &keeper]).status().unwrap().success());
    assert!(comes_true_within(SLACK, || state_of(pid).is_none()));
}

fn parent_of(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned()
}

#[test]
fn the_exit_code_is_that_of_the_program() {
    let code_of = |command| {
        let mut kept = Kept::spawn(command).unwrap();
        kept.wait_for(SLACK).unwrap().expect("it ends by itself").code()
    };
    assert_eq!(code_of(shell("exit 7")), Some(7));
    assert_eq!(code_of(shell("kill -9 $$")), Some(128 + 9));
    assert_eq!(code_of(the_keeper().command("/no/such/program")), Some(127));
}

#[test]
fn a_stopped_program_may_end_in_order() {
    let kept = ready_shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    assert_eq!(kept.stop().unwrap().code(), Some(3));
}

#[test]
fn a_paused_program_goes_on_or_dies() {
    let mut kept = ready_shell("echo ready; exec sleep 600");
    let pid = kept.pid();
    kept.pause().unwrap();
    assert!(comes_true_within(SLACK, || state_of(pid) == Some('T')));
    kept.resume().unwrap();
    assert!(comes_true_within(SLACK, || state_of(pid) == Some('S')));
    kept.pause().unwrap();
    assert_eq!(kept.kill().unwrap().code(), Some(128 + 9));
    assert_eq!(state_of(pid), None);
    assert!(kept.pause().is_err(), "its id may be somebody else's now");
}

#[test]
fn the_children_of_a_program_end_with_it() {
    let mut command = shell("sleep 600 & echo $!; wait");
    command.stdout(Stdio::piped());
    let mut kept = Kept::spawn(command).unwrap();
    let mut child = String::new();
    BufReader::new(kept.take_stdout().unwrap()).read_line(&mut child).unwrap();
    let child = child.trim().parse().unwrap();
    assert!(state_of(child).is_some());
    drop(kept);
    assert!(comes_true_within(SLACK, || state_of(child).is_none()));
}

#[test]
fn the_keeper_is_found_beside_the_program() {
    let found = regtest::Keeper::find().unwrap();
    let mut command = found.command("true");
    command.stdout(Stdio::null());
    let mut kept = Kept::spawn(command).unwrap();
    assert!(kept.wait_for(SLACK).unwrap().expect("it ends by itself").success());
}
