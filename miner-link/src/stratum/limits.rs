//! Every bound of the conversation with miners, by name.

use std::time::Duration;

/// Bytes of a line. The longest that firmware sends are a few hundred.
pub const LINE_MAX: usize = 8 * 1024;
/// Miners at once.
pub const CONNECTIONS_MAX: usize = 1_024;
/// From connecting to subscribing and authorising.
pub const HANDSHAKE: Duration = Duration::from_secs(30);
/// Without a line. Several times what a slow miner takes for a share, since killing an idle but
/// authorised miner makes it reconnect in circles.
pub const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long a line may take to be written. The system's socket buffer is the queue: a reader too slow
/// to empty it in this time is dropped, and nothing waits for it in memory.
pub const WRITE: Duration = Duration::from_secs(10);
/// How often a session looks at its timers.
pub const TICK: Duration = Duration::from_secs(1);
/// Jobs of one connection for which shares are still taken.
pub const JOBS_KEPT: usize = 8;
/// Names that one connection may authorise.
pub const NAMES_MAX: usize = 16;
/// Bytes of a worker's name.
pub const NAME_MAX: usize = 64;
/// Bytes that are kept of what a miner calls itself.
pub const AGENT_MAX: usize = 128;
/// Lines without meaning before a connection is closed.
pub const MALFORMED_MAX: u32 = 16;
/// Shares in a row that do not count before a connection is closed. It may come again, with a fresh job.
pub const REJECTED_MAX: u32 = 1_000;
/// Names whose counts are kept.
pub const WORKERS_KEPT: usize = 4_096;
