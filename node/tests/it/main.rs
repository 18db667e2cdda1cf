//! The node without sockets: the machine among its like, on a bus, with somebody who cheats; the API; the
//! database.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod api;
mod attempts;
mod backup;
// What an input may cost is the same for all parsers.
#[path = "../../../crdt/tests/it/bounds.rs"]
mod bounds;
mod bus;
mod decisions;
mod epochs;
mod exits;
mod fuzz;
mod life;
mod machine;
mod share;
mod store;
mod workspace;
