//! Pools: the farm as one miner of each.
//!
//! [`Session`] is the conversation with one pool, a machine without sockets, as the session with a
//! miner is. [`Choice`] decides which pool to call and which to use. [`check`] holds a pool's work
//! against our own bitcoind. The shell around them is in `pools` and `dial`.
//!
//! All miners share one connection: the pool's extranonce 2 is the room that [`crate::job`] divides
//! among them. A share goes to the pool when it meets the pool's target, and is counted here in any
//! case.

pub mod check;
mod choice;
pub(crate) mod dial;
pub mod limits;
mod notify;
pub(crate) mod pools;
mod session;

pub use choice::{Choice, Effect as ChoiceEffect, Input as ChoiceInput};
pub use notify::WorkError;
pub use session::{Account, Effect, End, Input, Session, Wants};
