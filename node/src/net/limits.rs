//! Every bound of the network, by name.

use std::time::Duration;

/// Bytes of a request at most: a signing package of many inputs fits.
pub const REQUEST_MAX: u64 = 1024 * 1024;
/// Bytes of a response at most: the transcript of a key of 100 co-signers, which is longer than a page of
/// entries.
pub const RESPONSE_MAX: u64 = 1_280 * 1024;
/// How long a request may go unanswered.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests of one connection in flight.
pub const STREAMS_PER_CONNECTION: usize = 32;
/// Connections to one peer: both sides may dial at once.
pub const CONNECTIONS_PER_PEER: u32 = 2;
/// Guests that may be connected: there are no more invitations at a time that count.
pub const GUESTS: usize = 8;
/// Connections that have not finished their handshake.
pub const PENDING_INCOMING: u32 = 32;
/// All connections.
pub const CONNECTIONS: u32 = 512;
/// How long gossip waits in a queue before it is dropped. The default of one second loses messages on a
/// busy machine without a word.
pub const GOSSIP_QUEUE: Duration = Duration::from_secs(30);
/// Bytes of one gossip message: an entry and its frame.
pub const GOSSIP_MAX: usize = 40 * 1024;
/// Events between the network and the daemon, and commands the other way.
pub const QUEUE: usize = 1024;
/// How long a connection with nothing to do stays open.
pub const IDLE: Duration = Duration::from_secs(24 * 3600);
