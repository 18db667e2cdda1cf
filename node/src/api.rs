//! The HTTP API of a node, on loopback: JSON, the cookie of the data folder as bearer token, errors as
//! problem documents (RFC 9457).

pub mod dto;
pub mod events;
mod governance;
mod report;
pub mod server;
mod workspace;
