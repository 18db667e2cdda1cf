//! Stratum V1, as miners speak it: one JSON value a line.
//!
//! [`message`] reads and writes lines, with all the freedom that firmware takes. [`Session`] is the
//! conversation with one miner, a machine without sockets: lines, jobs and ticks in, lines and facts
//! out. The shell in `listen` carries bytes. Bounds are in [`limits`].

mod firmware;
pub mod limits;
pub mod message;
mod session;

pub(crate) use firmware::AGENT_OF_LINKS;
pub use session::{Effect, End, Input, Rules, Session};
