//! Every bound of the conversation with miners, by name.

use std::time::Duration;

/// Bytes of a line. The longest that firmware sends are a few hundred.
pub const LINE_MAX: usize = 8 * 1024;
/// The same before the handshake is over: nothing that belongs to it is longer.
pub const LINE_OF_STRANGER: usize = 1_024;
/// Bytes that are read of one connection in a second, for longer than a burst: what is beyond them waits in
/// the network. Many times what a miner says, or a link of hundreds.
pub const READ_PER_SECOND: u32 = 64 * 1024;
/// The same at once.
pub const READ_BURST: u32 = 256 * 1024;
/// Bytes that each reading counts as beside its own: who sends byte by byte is no cheaper.
pub const READ_COST: u32 = 256;
/// How nice the thread is that strangers are received in: miners at work come first.
pub const LOBBY_NICENESS: i32 = 10;
/// Connections that are through the lobby and wait to be served.
pub const LOBBY_QUEUE: usize = 1_024;
/// Miners at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections that may wait to be let in. What finds no place comes again only after a second.
pub const BACKLOG: u32 = 8_192;
/// Miners at once from one address, unless the operator says otherwise: a rack behind one router.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;
/// From connecting to subscribing and authorising.
pub const HANDSHAKE: Duration = Duration::from_secs(15);
/// Without a line. Several times what a slow miner takes for a share, since killing an idle but
/// authorised miner makes it reconnect in circles.
pub const IDLE: Duration = Duration::from_secs(15 * 60);
/// How long lines may wait for a miner to read. One that is slower is dropped.
pub const WRITE: Duration = Duration::from_secs(10);
/// Bytes that may wait for a miner to read, beyond what the system's socket holds.
pub const OUT_MAX: usize = 64 * 1024;
/// How often a session looks at its timers.
pub const TICK: Duration = Duration::from_secs(5);
/// How long shares on the tip before the latest one are still taken: they were on their way.
pub const GRACE: Duration = Duration::from_secs(3);
/// Submissions of one connection in a second, for longer than a burst. A thousand times what the
/// difficulty aims at.
pub const SUBMITS_PER_SECOND: u32 = 100;
/// Submissions of one connection at once.
pub const SUBMITS_BURST: u32 = 500;
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
/// The same before the handshake is over.
pub const MALFORMED_OF_STRANGER: u32 = 2;
/// Shares in a row that do not count before a connection is closed. It may come again, with a fresh job.
pub const REJECTED_MAX: u32 = 1_000;
/// Names whose counts are kept.
pub const WORKERS_KEPT: usize = 4_096;
