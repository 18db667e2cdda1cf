//! What the API gives about epochs and seals.

use serde::{Deserialize, Serialize};

/// The present epoch, and what is on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpochDto {
    /// [`super::V`].
    pub v: u32,
    /// Its number, from 1.
    pub epoch: u32,
    /// Members on the roll.
    pub members: usize,
    /// Who signs, by name, in the order of their seats.
    pub co_signers: Vec<String>,
    /// How many of them it takes.
    pub signers_needed: usize,
    /// The key in force.
    pub group_key: Option<String>,
    /// Its seal.
    pub seal: SealDto,
    /// One line: what the seal is waiting for, or what spends it.
    pub next: String,
    /// Changes of the guild that were certified, in this epoch or before.
    pub changes: Vec<ChangeDto>,
}

/// The coin whose spend begins the next epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealDto {
    /// Whoever pays this first makes the first seal; none before it may be shown.
    pub address: Option<String>,
    /// The coin, once it is in a block.
    pub outpoint: Option<String>,
    /// What it holds.
    pub amount_sat: Option<u64>,
    /// How deep it is.
    pub depth: u32,
    /// What spends it, if something does.
    pub spent_by: Option<String>,
    /// How deep that is.
    pub spent_depth: u32,
}

/// A change of the guild.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeDto {
    /// The proposal.
    pub id: String,
    /// One line.
    pub title: String,
    /// Where it stands, and for whom it waits.
    pub next: String,
}
