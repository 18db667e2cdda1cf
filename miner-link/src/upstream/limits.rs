//! Every bound of the conversation with pools, by name.

use std::time::Duration;

/// Bytes of a line from a pool: a coinbase of the largest size that miners take, in hex, and a branch.
pub const LINE_MAX: usize = 64 * 1024;
/// Pools in one configuration.
pub const POOLS_MAX: usize = 8;
/// What calling a pool may take, TLS included.
pub const DIAL: Duration = Duration::from_secs(10);
/// From connecting to the first work.
pub const HANDSHAKE: Duration = Duration::from_secs(15);
/// Without a line. Pools send work at least once a minute.
pub const SILENT: Duration = Duration::from_secs(5 * 60);
/// What the answer to a share may take.
pub const ANSWER: Duration = Duration::from_secs(60);
/// How often a farm would have a pool hear of it, when it suggests a difficulty.
pub const SECONDS_PER_SHARE: u128 = 5;
/// Shares without an answer yet.
pub const UNANSWERED_MAX: usize = 4_096;
/// Shares on their way to one pool's connection. What finds it full is counted as late.
pub const SHARES_QUEUE: usize = 4_096;
/// What pools said, on its way to the engine.
pub const EVENTS_QUEUE: usize = 256;
/// Lines that cannot be read before a pool is given up.
pub const MALFORMED_MAX: u32 = 16;
/// Shares in a row that a pool refuses before it is given up: whatever it wants, it is not our work.
pub const REFUSED_MAX: u32 = 100;
/// Bytes of a pool's name for a job.
pub const JOB_NAME_MAX: usize = 64;
/// Bytes of a coinbase.
pub const COINBASE_MAX: usize = 16_000;
/// Hashes of a branch: a block of more than sixteen million transactions.
pub const BRANCH_MAX: usize = 24;
/// Bytes of a pool's extranonce 1.
pub const EXTRANONCE1_MAX: usize = 32;
/// How far ahead of our clock a pool's time may be. bitcoind allows as much.
pub const TIME_AHEAD: u32 = 7_200;
/// How long a pool may work on another tip than our bitcoind: one of the two has not heard yet.
pub const FOREIGN: Duration = Duration::from_secs(60);
/// How long a connection is kept that is not used any more: shares are still on their way.
pub const DRAIN: Duration = Duration::from_secs(30);
/// How long a pool that is being called may keep the next one waiting.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before a lost pool is called again, the first time.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause. It doubles with every loss.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a pool must have worked for its losses to be forgotten.
pub const STABLE: Duration = Duration::from_secs(60);
/// How often timers are looked at.
pub const TICK: Duration = Duration::from_millis(500);
