//! The provider, the node and the keeper, with real processes.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not what they share")]

mod bitcoind;
mod keeper;
mod provide;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How often a test looks again.
const TICK: Duration = Duration::from_millis(20);

/// The keeper of this package, which lies elsewhere than the tests.
fn the_keeper() -> regtest::Keeper {
    regtest::Keeper::at(env!("CARGO_BIN_EXE_keeper"))
}

/// What the system calls the state of a process: `R`unning, `S`leeping, s`T`opped; none if it is gone
/// or waits for its parent to notice that it is.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.chars().next().filter(|state| *state != 'Z')
}

/// Waits for something to come true, and tells whether it did.
#[expect(clippy::disallowed_methods, reason = "tests wait for real processes")]
fn comes_true_within(limit: Duration, mut what: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if what() {
            return true;
        }
        thread::sleep(TICK);
    }
    what()
}
