//! The whole story as one test, and everything a README or a demo tells people to type.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod audit;
mod by_hand;
mod epoch;
mod pools;
mod recovery;
mod reports;
mod story;
mod survive;
mod three;
mod workspace;

use examples::build::Programs;
use examples::narrate::Narrator;
use std::sync::OnceLock;

/// The programs of this workspace, built once: `cargo test -p examples` alone builds none but its own.
fn programs() -> Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::build(&Narrator::new(0)).unwrap()).clone()
}

/// A folder below the system's temporary one, which is gone afterwards.
fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("guild-test-").tempdir().unwrap()
}
