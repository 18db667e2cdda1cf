//! What the API takes and gives about decisions other than spends.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a proposal is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum NewEffect {
    /// Words.
    Text,
    /// The farms' policy.
    Mining {
        /// solo or pool.
        mode: String,
    },
    /// A rule of the house.
    House {
        /// Its name.
        name: String,
        /// What holds.
        value: String,
    },
    /// Whether a coin is frozen: no co-signer builds or signs what spends it.
    Coin {
        /// The coin, TXID:OUTPUT.
        outpoint: String,
        /// Frozen, or free again.
        frozen: bool,
    },
    /// A standing permission to spend.
    Budget(NewBudget),
    /// A veto.
    Cancel {
        /// Of what.
        proposal: String,
    },
    /// A change of the guild itself.
    Epoch(NewEpoch),
    /// One of several.
    Choose {
        /// Of these.
        options: Vec<NewOption>,
    },
}

/// See [`NewEffect::Choose`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum NewOption {
    /// Words.
    Text {
        /// One line.
        text: String,
    },
    /// A policy for farms.
    Mining {
        /// solo or pool.
        mode: String,
    },
    /// A value of a rule of the house.
    House {
        /// Its name.
        name: String,
        /// What would hold.
        value: String,
    },
    /// A payment.
    Pay {
        /// Who gets how much.
        outputs: Vec<super::OutputDto>,
    },
}

/// See [`NewEffect::Budget`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBudget {
    /// What all draws of a period may cost.
    pub limit_sat: u64,
    /// Blocks of a period.
    pub period: u32,
    /// Addresses that may be paid.
    pub payees: Vec<String>,
    /// Members who may draw, by name.
    pub drawers: Vec<String>,
    /// What for.
    pub purpose: String,
    /// The last height at which something is drawn.
    pub end: u32,
}

/// See [`NewEffect::Epoch`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewEpoch {
    /// Who joins.
    pub add: Vec<NewMember>,
    /// Who leaves, by name.
    pub remove: Vec<String>,
    /// New weights, by name.
    pub weights: BTreeMap<String, u32>,
    /// Who makes the next key, by name; nobody: the key stays.
    pub candidates: Vec<String>,
    /// How many of them suffice; all if none.
    pub least: Option<u16>,
    /// The least number of signers.
    pub threshold: Option<u16>,
    /// Other rules for all classes, by the name of a preset: family, co-op or fund.
    pub rules: Option<String>,
}

/// Somebody who joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The member card (guildcard1…).
    pub card: String,
    /// Voting weight.
    pub weight: u32,
    /// Units without a vote.
    #[serde(default)]
    pub claim: u32,
    /// The member whose new key this is, by name: without units of its own it has those of that member.
    pub replaces: Option<String>,
}

/// A bill on a budget.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDraw {
    /// Who gets how much.
    pub outputs: Vec<super::OutputDto>,
    /// What for.
    #[serde(default)]
    pub reason: String,
}

/// The values of all settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// [`super::V`].
    pub v: u32,
    /// In the order of their names.
    pub settings: Vec<SettingDto>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingDto {
    /// Which.
    pub name: String,
    /// What holds.
    pub value: String,
    /// The decision that set it; none: the charter.
    pub decision: Option<String>,
    /// The height at which its voting closed.
    pub close: u32,
}

/// Every check of a proposal with its evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// [`super::V`].
    pub v: u32,
    /// The proposal.
    pub id: String,
    /// One line.
    pub title: String,
    /// Its class.
    pub class: String,
    /// The class's rule in words.
    pub rule: String,
    /// One line: what happens next and why.
    pub next: String,
    /// What a co-signer checks before it gives its share, in order, as this node sees it.
    pub checks: Vec<CheckDto>,
    /// Every member's vote, and what it counts as.
    pub voters: Vec<VoterDto>,
    /// What co-signers said of it in the last ceremony that this node led.
    pub co_signers: Vec<CoSignerDto>,
    /// The treasury before and after, if it pays.
    pub forecast: Option<Forecast>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDto {
    /// The rule.
    pub rule: String,
    /// Whether it is met; none: it cannot be told yet.
    pub holds: Option<bool>,
    /// What it takes.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// What a member's vote counts as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterDto {
    /// Whose.
    pub member: String,
    /// Its weight.
    pub weight: u64,
    /// What it said last; none: nothing.
    pub said: Option<String>,
    /// What that counts as.
    pub counts: String,
    /// Why.
    pub because: String,
}

/// What a co-signer said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoSignerDto {
    /// Who.
    pub member: String,
    /// Whether its node is connected to ours.
    pub connected: bool,
    /// Whether it says that it signs nothing now.
    pub paused: bool,
    /// Whether its statement on the close is here.
    pub stated: bool,
    /// Why it refused, if it did.
    pub refusal: Option<CheckDto>,
}

/// What a proposal would do to the treasury and to the roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Confirmed and mature now.
    pub before_sat: u64,
    /// The same, once this is paid, without fees; of a budget, once all of it is drawn.
    pub after_sat: u64,
    /// What other decisions that are not paid yet would take from that.
    pub promised_sat: u64,
    /// What left the treasury in the last [`spent_blocks`](Self::spent_blocks), fees included.
    #[serde(default)]
    pub spent_sat: u64,
    /// Blocks that are looked back: 90 days, or the guild's age.
    #[serde(default)]
    pub spent_blocks: u32,
    /// Blocks for which what is there lasts at that pace; none while nothing left.
    #[serde(default)]
    pub runway_before: Option<u64>,
    /// The same with what is there afterwards.
    #[serde(default)]
    pub runway_after: Option<u64>,
    /// Whose weight would be another, by name.
    #[serde(default)]
    pub weights: Vec<WeightDto>,
    /// The weight of the whole roll now.
    #[serde(default)]
    pub roll_before: u64,
    /// The same afterwards.
    #[serde(default)]
    pub roll_after: u64,
}

/// A member's voting weight now and afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDto {
    /// Whose.
    pub member: String,
    /// 0 for whoever joins.
    pub before: u64,
    /// 0 for whoever leaves.
    pub after: u64,
}
