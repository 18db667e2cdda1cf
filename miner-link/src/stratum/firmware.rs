//! What is known of devices by the name they give themselves.
//!
//! A name proves nothing; it only decides where a conversation begins and what it is spared. Where nothing
//! is known, what every device takes is assumed.

use crate::job::Shape;
use crate::share::target::Level;
use crate::upstream::limits::COINBASE_MAX;

/// What a link that mines through this one calls itself.
pub(crate) const AGENT_OF_LINKS: &str = "miner-link/";

/// Bytes of the coinbases that stock firmware takes.
const STOCK: Shape = whole(730);

/// By the beginning of a name, without regard to case: the longest coinbase that the device hashes to the
/// end. Beyond it some cut silently, and then every share is worthless.
const SHAPES: [(&str, Shape); 13] = [
    ("nicehash", whole(500)),
    // ESP-Miner and what follows from it keep each piece in a buffer of 384 bytes.
    ("bitaxe", pieces(384)),
    ("nerdaxe", pieces(384)),
    ("nerdqaxe", pieces(384)),
    ("esp-miner", pieces(384)),
    ("nerdminer", pieces(512)),
    ("sparkminer", pieces(512)),
    ("antminer s21/", whole(2_250)),
    ("bosminer-plus-tuner", whole(2_250)),
    ("whatsminer", whole(6_500)),
    ("powerplay-bm", whole(16_000)),
    ("xminer-1.", whole(16_000)),
    // It holds its own miners against what it is given.
    (AGENT_OF_LINKS, whole(COINBASE_MAX)),
];

/// The binary logarithm of the difficulty to begin with: one share in about ten seconds for the slowest
/// device that is known to use the name.
const LEVELS: [(&str, i32); 7] = [
    ("software-miner", -6),
    ("cpuminer", -6),
    ("nerdminer", -12),
    ("bitaxe", 10),
    ("antminer s21", 18),
    ("whatsminer", 17),
    ("nicehash", 19),
];
/// The same for names that say nothing.
const LEVEL: i32 = 13;

/// The coinbases that a device which calls itself `agent` takes.
pub(super) fn shape(agent: &str) -> Shape {
    find(&SHAPES, agent).unwrap_or(STOCK)
}

/// Where to begin with it.
pub(super) fn level(agent: &str) -> Level {
    Level::new(find(&LEVELS, agent).unwrap_or(LEVEL))
}

fn find<T: Copy>(table: &[(&str, T)], agent: &str) -> Option<T> {
    let agent = agent.to_ascii_lowercase();
    table.iter().find(|(name, _)| agent.starts_with(name)).map(|(_, known)| *known)
}

const fn whole(bytes: usize) -> Shape {
    Shape { whole: bytes, piece: bytes }
}

const fn pieces(bytes: usize) -> Shape {
    Shape { whole: 2 * bytes, piece: bytes }
}
