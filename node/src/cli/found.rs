//! `guild found`.

use super::mining::{self, SmallDevices};
use super::say::Say;
use crate::card::{Invitation, MemberCard};
use crate::chain;
use crate::config::Config;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use clap::Args;
use crdt::Weight;
use crdt::charter::{Birth, CHARTER_VERSION, Charter, FeeCap, Founder, Recovery, ThresholdRule, grace};
use crdt::mining::MiningPolicy;
use crdt::rules::{Preset, Rules};
use crdt::text::Line;
use std::str::FromStr as _;
use std::time::Duration;

/// Write the charter of a new guild from the members' cards.
#[derive(Debug, Args)]
pub(crate) struct Found {
    /// The other founders' cards (guildcard1…); yours is added.
    #[arg(required = true, value_name = "CARD")]
    cards: Vec<String>,
    /// What to call the guild.
    #[arg(long, default_value = "Our guild")]
    name: String,
    /// Co-signers that move the treasury; never below the standard for their number.
    #[arg(long, value_name = "T")]
    threshold: Option<u16>,
    /// Voting weight of a member, such as alice=3. Everybody else has 1.
    #[arg(long, value_name = "NAME=WEIGHT")]
    weight: Vec<String>,
    /// Units of a member that have a part of the treasury and no vote, such as bob=2. Everybody else has 0.
    #[arg(long, value_name = "NAME=UNITS")]
    claim: Vec<String>,
    /// How things are decided: whoever joins sees every rule before signing.
    #[arg(long, value_enum, default_value = "family")]
    preset: PresetArg,
    /// Blocks between the decision to pay and the payment, if not the preset's.
    #[arg(long, value_name = "BLOCKS")]
    spend_delay: Option<u32>,
    /// Where the guild's farms get their work from: their own bitcoind, or pools they have accounts with.
    #[arg(long, value_enum, default_value = "solo")]
    mining: Mining,
    /// Who gets the blocks that the farms find: treasury=90, or ADDRESS=10. Once for each [default: the
    /// treasury, all].
    #[arg(long, value_name = "WHO=WEIGHT")]
    split: Vec<String>,
    /// What devices do whose firmware cannot take so long a coinbase.
    #[arg(long, value_enum, default_value = "treasury")]
    small_devices: SmallDevices,
    /// Blocks of rest after which the recovery keys can move everything.
    #[arg(long, default_value_t = 52_560, value_name = "BLOCKS")]
    recovery_delay: u16,
}

/// Sets of rules to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PresetArg {
    /// Few who know each other: a majority of all, at once.
    Family,
    /// A co-operative: those who vote decide small things, and there is time for a veto.
    CoOp,
    /// Other people's money: two thirds of all for what pays, and a long time for a veto.
    Fund,
}

impl From<PresetArg> for Preset {
    fn from(preset: PresetArg) -> Self {
        match preset {
            PresetArg::Family => Self::Family,
            PresetArg::CoOp => Self::CoOp,
            PresetArg::Fund => Self::Fund,
        }
    }
}

/// The farms' first policy: the charter's, certified by the new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mining {
    /// Every block is the guild's own.
    Solo,
    /// Pools where they can be had, alone otherwise.
    Pool,
}

impl From<Mining> for MiningPolicy {
    fn from(mining: Mining) -> Self {
        match mining {
            Mining::Solo => Self::SOLO,
            Mining::Pool => Self::POOL,
        }
    }
}

/// Satoshis in fees per payment at most.
const FEE_CAP_SAT: u64 = 200_000;
/// Satoshis per virtual byte at most.
const FEE_CAP_RATE: u64 = 200;

impl Found {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let config = Config::load(&home.config())?;
        let _lock = home.lock()?;
        if home.charter().exists() {
            let detail = format!("{} belongs to a guild already", home.root().display());
            return Err(Failure::conflict(detail));
        }
        let mut cards = vec![own_card(home)?];
        for text in &self.cards {
            let card = MemberCard::from_str(text).map_err(Failure::usage)?;
            if card.network != config.network {
                let detail =
                    format!("{}'s card is for {}, this node for {}", card.name, card.network, config.network);
                return Err(Failure::usage(detail));
            }
            if !cards.contains(&card) {
                cards.push(card);
            }
        }
        let charter = self.charter(&config, &cards, say)?;
        charter.check().map_err(Failure::usage)?;
        home::write_private(&home.charter(), &charter.to_bytes())?;
        let invitation = invitation(&config, &charter, cards.first())?;
        let rules = super::rules(&charter);
        let data = serde_json::json!({
            "v": 1, "guild": charter.id().to_string(), "invitation": invitation, "rules": rules,
        });
        say.note(&rules.join("\n"));
        say.data(&data, || invitation.clone());
        say.hint("run guild start; each founder runs: guild join <that line>, then guild start");
        Ok(())
    }

    fn charter(&self, config: &Config, cards: &[MemberCard], say: Say) -> Outcome<Charter> {
        let weights = by_name("--weight", &self.weight, cards, 1)?;
        let claims = by_name("--claim", &self.claim, cards, 0)?;
        let founders = cards.iter().zip(weights.into_iter().zip(claims)).map(|(card, (weight, claim))| {
            Founder { key: card.key, name: card.name.clone(), weight, claim, payout: card.payout.clone() }
        });
        let least = u16::try_from(cards.len() / 2 + 1).map_err(Failure::usage)?;
        Ok(Charter {
            version: CHARTER_VERSION,
            network: config.network,
            name: Line::try_from(self.name.clone())
                .map_err(|error| Failure::usage(format!("--name: {error}")))?,
            founders: founders.collect(),
            co_signers: cards.iter().map(|card| card.key).collect(),
            threshold: self.threshold.map_or(ThresholdRule::Standard, ThresholdRule::AtLeast),
            rules: self.rules(cards.len()),
            mining: MiningPolicy {
                payout: mining::payout(&self.split, self.small_devices, config.network)?,
                ..self.mining.into()
            },
            fee_cap: FeeCap { sat: FEE_CAP_SAT, sat_per_vb: FEE_CAP_RATE },
            recovery: Recovery {
                keys: cards.iter().map(|card| card.recovery).collect(),
                least,
                delay: self.recovery_delay,
            },
            birth: birth(config, say)?,
        })
    }

    /// The preset's rules, with what the command line changes.
    fn rules(&self, members: usize) -> Rules {
        let mut rules = Rules::preset(self.preset.into(), members, grace(members));
        if let Some(delay) = self.spend_delay {
            rules.spend.delay = delay;
        }
        rules
    }
}

/// What `option` says of each founder, in the order of their cards; `others` where it says nothing.
fn by_name(option: &str, said: &[String], cards: &[MemberCard], others: u32) -> Outcome<Vec<Weight>> {
    let mut units = vec![Weight::try_from(others).map_err(Failure::usage)?; cards.len()];
    for text in said {
        let refuse = |why: &str| Failure::usage(format!("{option} '{text}': {why}"));
        let (name, number) = text.split_once('=').ok_or_else(|| refuse("NAME=NUMBER is needed"))?;
        let index = cards.iter().position(|card| card.name.as_str() == name);
        let slot = index.and_then(|index| units.get_mut(index));
        let number = number.parse::<u32>().map_err(|_| refuse("a whole number is needed"))?;
        *slot.ok_or_else(|| refuse("no founder has this name"))? =
            Weight::try_from(number).map_err(|error| refuse(&error.to_string()))?;
    }
    Ok(units)
}

fn own_card(home: &Home) -> Outcome<MemberCard> {
    let text = String::from_utf8_lossy(&home::read(&home.card())?).into_owned();
    MemberCard::from_str(&text).map_err(|error| Failure::because("cannot read this node's card", error))
}

/// How long the chain source may take to show its tip: block filters first look for peers and read all
/// headers.
const TIP_PATIENCE: Duration = Duration::from_secs(300);
/// How often it is asked.
const TIP_EVERY: Duration = Duration::from_millis(500);

/// The guild is born at our present tip.
fn birth(config: &Config, say: Say) -> Outcome<Birth> {
    let mut source = chain::source(config, None);
    let mut said = String::new();
    for _ in 0..TIP_PATIENCE.as_millis() / TIP_EVERY.as_millis() {
        match source.tip() {
            Ok(tip) => return Ok(Birth { height: tip.height, hash: tip.hash }),
            Err(error @ wallet::chain::ChainError::Waiting { .. }) => {
                let why = chain::line(&error);
                if why != said {
                    say.note(&why);
                    said = why;
                }
                std::thread::sleep(TIP_EVERY);
            }
            Err(error) => return Err(Failure::new(Code::Unreachable, chain::line(&error))),
        }
    }
    Err(Failure::new(Code::Unreachable, said))
}

fn invitation(config: &Config, charter: &Charter, own: Option<&MemberCard>) -> Outcome<String> {
    let address = config.announce.as_ref().unwrap_or(&config.listen);
    let peer = own.map(|card| crate::net::peer_of(&card.key).to_string()).unwrap_or_default();
    let line = Line::try_from(format!("{address}/p2p/{peer}")).map_err(Failure::usage)?;
    let invitation = Invitation { guild: charter.id(), network: charter.network, addresses: vec![line] };
    Ok(invitation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_reads_where_the_work_comes_from() {
        for (mining, words) in [(Mining::Solo, "every block reward"), (Mining::Pool, "for the pools")] {
            let mut charter = crdt::testkit::charter(&crdt::testkit::people(3));
            charter.mining = mining.into();
            let rules = super::super::rules(&charter);
            assert_eq!(rules.iter().filter(|rule| rule.contains(words)).count(), 1, "{rules:?}");
        }
    }
}
