//! The node's machine among its like, without sockets: members make a key over a bus, and somebody among
//! them cheats.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod api;
mod bus;
mod machine;
mod workspace;
