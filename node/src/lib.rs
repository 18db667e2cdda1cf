//! The program each member of a guild runs.
//!
//! [`core::Node`] decides: it is a machine that takes inputs and gives effects, and knows no socket,
//! clock or file. [`daemon`] is its shell: one loop that carries out the effects in order. Around it lie
//! the network ([`net`]), the chain ([`chain`]), the disk ([`journal`], [`store`], [`keystore`],
//! [`home`]), the HTTP API ([`api`]) and the command line ([`cli`]).

pub mod api;
pub mod card;
pub mod chain;
pub mod cli;
pub mod client;
pub mod config;
pub mod core;
pub mod daemon;
pub mod error;
pub mod home;
pub mod journal;
pub mod keystore;
pub mod net;
pub mod store;
