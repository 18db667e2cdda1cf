//! A treasury on a real chain.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not what they share")]

mod bench;
mod chain;
mod electrumx;
mod esplora;
mod life;
mod payment;
mod sources;
