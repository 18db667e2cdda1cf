//! The node without sockets: the machine among its like, on a bus, with somebody who cheats; the API; the
//! database.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod api;
mod bus;
mod machine;
mod store;
mod workspace;
