//! What the guild tells its farms to do (§11).

mod split;

pub use split::{Payee, Share, Small, Split, SplitError};

use crate::hash::Digest;
use serde::{Deserialize, Serialize};

/// A mining policy. A farm obeys it only with a certificate over its [`MiningPolicy::hash`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiningPolicy {
    /// Where work comes from.
    pub mode: Mode,
    /// Who gets every value output of a block we find.
    pub payout: Payout,
}

/// Where a farm's work comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Templates from the farm's own bitcoind.
    Solo,
    /// Pools that the farm has accounts with, in the farm's order. While none of them gives work, the
    /// farm mines as under [`Mode::Solo`].
    Pool,
}

/// Who a block found by a farm pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payout {
    /// The treasury of the epoch whose key the farm obeys: external address 0. Named symbolically, so
    /// that a farm derives the script itself and no policy can smuggle in another.
    Treasury,
    /// Several, in the coinbase itself, by weight.
    Split(Split),
}

impl MiningPolicy {
    /// Solo, all of it to the treasury.
    pub const SOLO: Self = Self { mode: Mode::Solo, payout: Payout::Treasury };

    /// Pools where they can be had, and all of what is found alone to the treasury.
    pub const POOL: Self = Self { mode: Mode::Pool, payout: Payout::Treasury };

    /// The hash that a certificate signs.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("a policy always encodes");
        Digest::tagged("hashguild/mining-policy/v1", &[&bytes])
    }
}

/// The tag a farm writes into the scriptSig of every coinbase: binds work to guild, member, link and
/// receipt difficulty, so that nobody else can claim it (§11).
#[must_use]
pub fn coinbase_tag(
    guild: crate::GuildId,
    member: crate::MemberId,
    link: [u8; 32],
    receipt_difficulty: u64,
) -> [u8; 32] {
    let difficulty = receipt_difficulty.to_be_bytes();
    let parts: [&[u8]; 4] = [&guild.to_bytes(), &member.to_bytes(), &link, &difficulty];
    Digest::tagged("hashguild/coinbase/v1", &parts).0
}
