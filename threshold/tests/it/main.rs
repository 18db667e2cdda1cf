//! Keys and signatures from end to end, among honest parties, liars, and machines that die.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod compat;
mod dkg;
mod malicious_dkg;
mod malicious_sign;
mod model;
mod restart;
mod sign;
