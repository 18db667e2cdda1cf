//! The charter: what founders sign, and what names the guild (§3).

use crate::amount::Weight;
use crate::governance::Class;
use crate::hash::Digest;
use crate::id::{GuildId, MemberId, MemberKeyError};
use crate::limits::{CO_SIGNERS_MAX, MEMBERS_MAX};
use crate::mining::MiningPolicy;
use crate::rules::Rules;
use crate::text::Line;
use crate::{Height, limits};
use bitcoin::bip32::Xpub;
use bitcoin::{BlockHash, Network, NetworkKind, ScriptBuf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version this code writes and reads.
pub const CHARTER_VERSION: u16 = 2;
/// The shortest and the longest delay of the recovery leaf in blocks (BIP68 allows 16 bits).
pub const RECOVERY_DELAY: std::ops::RangeInclusive<u16> = 144..=65_535;

/// What the founders agreed on. Immutable: later changes are epochs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// Format of this record.
    pub version: u16,
    /// The chain the treasury lives on. Never guessed.
    pub network: Network,
    /// What people call the guild.
    pub name: Line,
    /// The first roll, in the order in which keys are numbered.
    pub founders: Vec<Founder>,
    /// Founders who hold a share of the first key, in the order of their seats.
    pub co_signers: Vec<MemberId>,
    /// How many of them sign.
    pub threshold: ThresholdRule,
    /// How each class of actions is decided.
    pub rules: Rules,
    /// What farms do from the first day.
    pub mining: MiningPolicy,
    /// What a payment may cost at most.
    pub fee_cap: FeeCap,
    /// Who can move everything after a long silence.
    pub recovery: Recovery,
    /// Nothing of the guild is older than this block.
    pub birth: Birth,
}

/// One founder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founder {
    /// The key that signs all that this member says.
    pub key: MemberId,
    /// What the others call this member.
    pub name: Line,
    /// Voting weight on the first roll.
    pub weight: Weight,
    /// Units beside the voting weight that have a claim on the treasury, but no vote.
    pub claim: Weight,
    /// Where distributions to this member go.
    pub payout: ScriptBuf,
}

/// How many co-signers sign, as a function of how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThresholdRule {
    /// A majority up to six co-signers, ⌊2n/3⌋ + 1 above.
    Standard,
    /// The standard number, or this one where it is larger.
    AtLeast(u16),
    /// A majority, or this number where it is larger.
    MajorityOr(u16),
}

impl ThresholdRule {
    /// t for `co_signers` = n. Always more than half.
    #[must_use]
    pub fn of(self, co_signers: usize) -> usize {
        let standard = if co_signers <= 6 { co_signers / 2 + 1 } else { co_signers * 2 / 3 + 1 };
        match self {
            Self::Standard => standard,
            Self::AtLeast(least) => standard.max(usize::from(least)),
            Self::MajorityOr(least) => (co_signers / 2 + 1).max(usize::from(least)),
        }
    }
}

/// What a payment may cost in fees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeCap {
    /// Satoshis per payment.
    pub sat: u64,
    /// Satoshis per virtual byte.
    pub sat_per_vb: u64,
}

/// The recovery leaf of every treasury coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// One key a founder, from a seed apart from the key shares.
    pub keys: Vec<Xpub>,
    /// k: how many of them move a coin…
    pub least: u16,
    /// …once it has rested this many blocks.
    pub delay: u16,
}

/// The block a guild begins at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

/// Why a charter cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CharterError {
    /// Bytes that are no charter, or not written in its one canonical way.
    #[error("these bytes are not a charter in canonical form")]
    Malformed,
    /// Written by another version.
    #[error("charter version {0} is not {CHARTER_VERSION}, the one known here")]
    Version(u16),
    /// Too few or too many founders.
    #[error("{0} founders: a guild has 2 to {MEMBERS_MAX}")]
    Founders(usize),
    /// One key or name twice.
    #[error("{0} stands twice among the founders")]
    Twice(String),
    /// A founder's key that nobody can sign with.
    #[error(transparent)]
    Key(#[from] MemberKeyError),
    /// A co-signer who is no founder, or named twice.
    #[error("co-signer {0:?} is not a founder, or is named twice")]
    CoSigner(MemberId),
    /// t and n do not fit each other.
    #[error("threshold {t} of {n}: 2 ≤ t ≤ n ≤ {CO_SIGNERS_MAX} is needed")]
    Threshold {
        /// Signers needed.
        t: usize,
        /// Co-signers there are.
        n: usize,
    },
    /// Nobody can vote.
    #[error("the weights of all founders are zero")]
    NoWeight,
    /// A rule out of bounds.
    #[error("{0}")]
    Rule(&'static str),
    /// A rule of a class out of bounds.
    #[error("the rule for {0}: {1}")]
    Class(Class, &'static str),
}

impl Charter {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a charter always encodes")
    }

    /// Read and check a charter.
    ///
    /// # Errors
    ///
    /// [`CharterError`] names the first rule that it breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CharterError> {
        let charter: Self = postcard::from_bytes(bytes).map_err(|_| CharterError::Malformed)?;
        if charter.to_bytes() != bytes {
            return Err(CharterError::Malformed);
        }
        charter.check()?;
        Ok(charter)
    }

    /// The guild's id: the hash of the charter's bytes.
    #[must_use]
    pub fn id(&self) -> GuildId {
        GuildId(Digest::tagged("hashguild/charter/v1", &[&self.to_bytes()]))
    }

    /// n: co-signers of the first key.
    #[must_use]
    pub fn co_signer_count(&self) -> usize {
        self.co_signers.len()
    }

    /// t: how many of them sign.
    #[must_use]
    pub fn signers_needed(&self) -> usize {
        self.threshold.of(self.co_signers.len())
    }

    /// The founder with this key.
    #[must_use]
    pub fn founder(&self, key: &MemberId) -> Option<&Founder> {
        self.founders.iter().find(|founder| founder.key == *key)
    }

    /// Check every rule of a charter.
    ///
    /// # Errors
    ///
    /// [`CharterError`] names the first one broken.
    pub fn check(&self) -> Result<(), CharterError> {
        if self.version != CHARTER_VERSION {
            return Err(CharterError::Version(self.version));
        }
        self.check_founders()?;
        self.check_co_signers()?;
        self.check_rules()
    }

    fn check_founders(&self) -> Result<(), CharterError> {
        if !(2..=MEMBERS_MAX).contains(&self.founders.len()) {
            return Err(CharterError::Founders(self.founders.len()));
        }
        let mut seen = BTreeSet::new();
        for founder in &self.founders {
            founder.key.verifying_key()?;
            for name in [founder.key.to_string(), founder.name.to_string()] {
                if !seen.insert(name.clone()) {
                    return Err(CharterError::Twice(name));
                }
            }
        }
        let weight = Weight::sum(self.founders.iter().map(|founder| founder.weight));
        if weight == 0 { Err(CharterError::NoWeight) } else { Ok(()) }
    }

    fn check_co_signers(&self) -> Result<(), CharterError> {
        let mut seen = BTreeSet::new();
        for key in &self.co_signers {
            if self.founder(key).is_none() || !seen.insert(key) {
                return Err(CharterError::CoSigner(*key));
            }
        }
        let (t, n) = (self.signers_needed(), self.co_signer_count());
        if t < 2 || t > n || n > CO_SIGNERS_MAX { Err(CharterError::Threshold { t, n }) } else { Ok(()) }
    }

    fn check_rules(&self) -> Result<(), CharterError> {
        let Recovery { keys, least, delay } = &self.recovery;
        let kind = NetworkKind::from(self.network);
        let n = self.co_signers.len();
        self.rules.check(n, grace(n)).map_err(|(class, why)| CharterError::Class(class, why))?;
        let rules = [
            (self.fee_cap.sat > 0 && self.fee_cap.sat_per_vb > 0, "a fee cap of zero pays nobody"),
            (keys.len() == self.founders.len(), "every founder has one recovery key"),
            (keys.iter().collect::<BTreeSet<_>>().len() == keys.len(), "no two recovery keys are equal"),
            (keys.iter().all(|key| key.network == kind), "recovery keys are of the charter's network"),
            (*least >= 1 && usize::from(*least) <= keys.len(), "k recovery keys: 1 to the number of keys"),
            (RECOVERY_DELAY.contains(delay), "the recovery delay is 144 to 65,535 blocks"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(CharterError::Rule(rule)))
    }
}

/// G: blocks of grace after a close, by the number of co-signers (§2).
#[must_use]
pub const fn grace(co_signers: usize) -> Height {
    if co_signers <= 6 { limits::QUOTA_BLOCKS } else { limits::DEPTH }
}
