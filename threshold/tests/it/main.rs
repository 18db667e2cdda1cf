//! Keys and signatures from end to end, among honest parties, liars, and machines that die.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod bip445;
mod compat;
mod dkg;
mod kinds;
mod malicious_dkg;
mod malicious_sign;
mod matrix;
mod model;
mod nonces;
mod restart;
mod sign;
mod withheld;
