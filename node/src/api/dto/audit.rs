//! What an audit file is made of, as far as a node has it: blocks come from a chain source.

use serde::{Deserialize, Serialize};
use wallet::audit::LabelLine;

/// Everything but headers and blocks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Material {
    /// [`V`](super::V).
    pub v: u32,
    /// The charter's canonical bytes, in hexadecimal digits.
    pub charter: String,
    /// Every entry: signature and canonical bytes.
    pub entries: Vec<String>,
    /// What members call things.
    pub labels: Vec<LabelLine>,
    /// The height of the block that the state is told at.
    pub height: u32,
    /// That block.
    pub block_hash: String,
    /// The state's hash there.
    pub state_hash: String,
    /// The transactions in blocks that touch the treasury, with their heights.
    pub transactions: Vec<(u32, String)>,
}
