//! Runs a guild's miners.
//!
//! A link obeys one thing: a mining policy that its guild certified. It takes templates from its own
//! bitcoind, makes jobs that pay the guild's treasury, and serves them to miners over Stratum V1.
//! Without a certified policy it serves no job at all (M1); with one it mines on when the member's
//! node is away (M3).
//!
//! The deciding parts are pure: [`policy`] (what to obey), [`job`] (what to hash), [`share`] (what a
//! submission is worth), [`stratum`] (the conversation with a miner), [`upstream`] (the conversation
//! with a pool, and which pool to use). [`run`] joins them to sockets, files and clocks.

mod allowance;
mod api;
mod blocks;
pub mod client;
mod clock;
pub mod config;
mod connection;
pub mod contract;
mod door;
mod engine;
mod error;
pub mod home;
pub mod job;
mod lines;
mod listen;
mod metrics;
mod node;
pub mod policy;
mod receipts;
pub mod run;
pub mod share;
mod shared;
pub mod stratum;
pub mod template;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod tls;
pub mod upstream;

pub use clock::Now;
pub use error::Error;
