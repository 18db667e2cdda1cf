//! The replicated state: what a document means (§5). Equal documents and equal buried chain give equal
//! bytes, and so an equal hash, on every node.

use crate::certificate::{Body, Certificate, Signature};
use crate::charter::{ThresholdRule, grace};
use crate::entry::{Addresses, Attempt, Invite, KeyReady};
use crate::governance::{
    Choice, Class, Effect, Exit, Options, Output, Payable, Proposal, Seen, Setting, SettingKey, Spend,
};
use crate::hash::Digest;
use crate::id::{EntryId, GuildId, MemberId, ProposalId};
use crate::rules::Rules;
use crate::succession::{Past, Succession};
use crate::text::{Line, Note};
use crate::{Height, Weight};
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The epoch of the key that founders make.
pub const FIRST_EPOCH: u32 = 1;

/// S_B: the state of a guild up to block B.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The guild.
    pub guild: GuildId,
    /// B.
    pub height: Height,
    /// The block at B.
    pub block_hash: BlockHash,
    /// The roll.
    pub members: BTreeMap<MemberId, Member>,
    /// Who holds shares of the current key, in seat order; who is to make it, as long as there is none.
    pub co_signers: Vec<MemberId>,
    /// The epoch: which key signs.
    pub epoch: u32,
    /// How many co-signers sign.
    pub threshold: ThresholdRule,
    /// How each class of actions is decided.
    pub rules: Rules,
    /// Invitations by the guest's node key and the member who gave them: of several the longest.
    pub guests: BTreeMap<MemberId, BTreeMap<MemberId, Invite>>,
    /// Echoes of key generations: (epoch, attempt) → co-signer → hash.
    pub echoes: BTreeMap<(u32, u32), BTreeMap<MemberId, Digest>>,
    /// Keys that co-signers stored: (epoch, attempt) → co-signer → what it has.
    pub key_ready: BTreeMap<(u32, u32), BTreeMap<MemberId, KeyReady>>,
    /// The key of the epoch, once all who made it stored it.
    pub key: Option<EpochKey>,
    /// Key generations among fewer, by who called or joined them: (epoch, attempt) → co-signer → at this
    /// height, among these.
    pub attempts: BTreeMap<(u32, u32), BTreeMap<MemberId, (Height, Attempt)>>,
    /// What is said on the way to the next epoch.
    pub next: Succession,
    /// The epochs before.
    pub past: BTreeMap<u32, Past>,
    /// All proposals.
    pub proposals: BTreeMap<ProposalId, ProposalState>,
    /// What co-signers had seen of votes when they closed: close → co-signer → its statement.
    pub statements: BTreeMap<Height, BTreeMap<MemberId, Statement>>,
    /// Members who leave.
    pub exits: BTreeMap<MemberId, ExitState>,
    /// Vetoes that were proposed: what they would stop → they.
    pub cancels: BTreeMap<ProposalId, BTreeSet<ProposalId>>,
}

/// A member on the roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name in the charter.
    pub name: Line,
    /// Voting weight.
    pub weight: Weight,
    /// Units with a claim on the treasury, but no vote.
    pub claim: Weight,
    /// Where distributions go.
    pub payout: ScriptBuf,
    /// Whether this founder signed the charter.
    pub accepted: bool,
    /// Where its node says it can be reached.
    pub addresses: Addresses,
    /// The place in its chain at which it signed two entries. What it says from there on does not count.
    pub forked: Option<u32>,
    /// Whether it says that its node signs nothing now.
    pub paused: bool,
    /// Who votes for it, in the order in which it said so.
    pub delegations: Vec<Delegation>,
}

/// From when on somebody votes for a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The height it claims: counts for proposals above it.
    pub height: Height,
    /// The entry that says it.
    pub entry: EntryId,
    /// Who; nobody if none.
    pub to: Option<MemberId>,
}

/// A co-signer's statement on the votes that closed at one height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// How many parts it has.
    pub parts: u16,
    /// Those that are here.
    pub said: BTreeMap<u16, Vec<Seen>>,
}

impl Statement {
    /// Whether all of it is here: only then it counts.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.said.len() == usize::from(self.parts)
    }

    /// What it says of a proposal, in one place or several.
    pub fn of(&self, proposal: &ProposalId) -> impl Iterator<Item = &Seen> {
        self.said.values().flatten().filter(move |seen| seen.proposal == *proposal)
    }
}

/// A member's exit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitState {
    /// What it claims, by place in its chain: amounts may differ, one is paid.
    pub claims: BTreeMap<u32, ExitClaim>,
    /// Proofs that one was granted, by who showed them.
    pub certificates: BTreeMap<MemberId, Certificate>,
}

/// One claim of an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitClaim {
    /// The entry that makes it.
    pub entry: EntryId,
    /// The height it claims: the close of its certificate.
    pub height: Height,
    /// How much.
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
}

/// A group key that all co-signers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochKey {
    /// What they agreed on.
    pub ready: KeyReady,
    /// Test signatures that verify, by who showed them.
    pub tests: BTreeMap<MemberId, Signature>,
    /// Certificates of the founding policy, by who showed them.
    pub founding: BTreeMap<MemberId, Certificate>,
}

impl EpochKey {
    /// The first test signature: of several the smallest, so that all nodes name the same one.
    #[must_use]
    pub fn tested(&self) -> Option<&Signature> {
        self.tests.values().min()
    }

    /// The second: the certificate of the founding policy.
    #[must_use]
    pub fn founding(&self) -> Option<&Certificate> {
        smallest(&self.founding)
    }

    /// Whether both test signatures exist: only now may an address be shown (K2).
    #[must_use]
    pub fn usable(&self) -> bool {
        !self.tests.is_empty() && !self.founding.is_empty()
    }
}

/// Signatures over one body differ in their nonces and prove the same: all nodes name the smallest.
fn smallest(certificates: &BTreeMap<MemberId, Certificate>) -> Option<&Certificate> {
    certificates.values().min_by(|a, b| a.signature.cmp(&b.signature))
}

/// Where a proposal stands, as far as everybody agrees. "Passing" and "executable" are judgements of a
/// single node and not in here (§5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalState {
    /// Who proposed it.
    pub author: MemberId,
    /// The height it was proposed at.
    pub height: Height,
    /// The height voting closes at.
    pub close: Height,
    /// What it says.
    pub proposal: Proposal,
    /// The newest vote of each member.
    pub ballots: BTreeMap<MemberId, HeldBallot>,
    /// Those it replaced, oldest first: while the newest is not certain, an earlier NO counts.
    pub earlier: BTreeMap<MemberId, Vec<HeldBallot>>,
    /// Words on it, by author and place in the author's chain.
    pub comments: BTreeMap<(MemberId, u32), Comment>,
    /// Taken back by its author.
    pub withdrawn: bool,
    /// Proofs that it was decided, by option and who showed them.
    pub certificates: BTreeMap<(u16, MemberId), Certificate>,
    /// How its lineage ended, ≥ K deep.
    pub settled: Option<Settled>,
    /// An epoch ended and did not take it along: it may be proposed anew.
    pub lapsed: bool,
    /// Bills drawn on it, if it is a budget, by author and place in the author's chain.
    pub draws: BTreeMap<(MemberId, u32), Draw>,
}

/// A bill drawn on a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The entry that draws: its id.
    pub entry: EntryId,
    /// The height it claims.
    pub height: Height,
    /// Who gets how much.
    pub outputs: Vec<Output>,
    /// What for.
    pub reason: Note,
}

impl ProposalState {
    /// The proof that it was decided. Were two options certified, a setting has the last, and all else the
    /// first: everybody names the same.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        let option = self.decided()?;
        let proofs = self.certificates.range((option, MemberId::FIRST)..).map(|(_, proof)| proof);
        let proofs = proofs.take_while(|proof| proof.body.option == option);
        proofs.min_by(|a, b| a.signature.cmp(&b.signature))
    }

    /// The option that is certified, if one is.
    #[must_use]
    pub fn decided(&self) -> Option<u16> {
        let setting = self.proposal.effect.class() == Class::Setting;
        let mut options = self.certificates.keys().map(|(option, _)| *option);
        if setting { options.next_back() } else { options.next() }
    }

    /// How many options there are; 1 without a choice.
    #[must_use]
    pub fn options(&self) -> u16 {
        match &self.proposal.effect {
            Effect::Choose(options) => u16::try_from(options.len()).unwrap_or(u16::MAX),
            _ => 1,
        }
    }

    /// The bytes its certificate signs in the first epoch; of several options, the first's.
    #[must_use]
    pub fn body(&self, guild: GuildId, id: ProposalId) -> Body {
        let effect = self.proposal.effect.option(0).map_or(Digest([0; 32]), |effect| effect.hash());
        Body { guild, epoch: FIRST_EPOCH, proposal: id, option: 0, effect, close: self.close }
    }

    /// The bytes that the certificate of `option` signs, if there is such an option.
    #[must_use]
    pub fn body_of(&self, guild: GuildId, epoch: u32, id: ProposalId, option: u16) -> Option<Body> {
        let effect = self.proposal.effect.option(option)?.hash();
        Some(Body { guild, epoch, proposal: id, option, effect, close: self.close })
    }

    /// The spend it proposes, if it is one; of several, the one that was chosen.
    #[must_use]
    pub fn spend(&self) -> Option<&Spend> {
        match &self.proposal.effect {
            Effect::Spend(spend) => Some(spend),
            Effect::Choose(Options::Spend(options)) => options.get(usize::from(self.decided()?)),
            _ => None,
        }
    }

    /// The setting it proposes, if it is one; of several, the one that was chosen.
    #[must_use]
    pub fn setting(&self) -> Option<&Setting> {
        match &self.proposal.effect {
            Effect::Setting(setting) => Some(setting),
            Effect::Choose(Options::Setting(options)) => options.get(usize::from(self.decided()?)),
            _ => None,
        }
    }

    /// What one transaction pays if it passes, if that is so.
    #[must_use]
    pub fn payable(&self) -> Option<&dyn Payable> {
        match &self.proposal.effect {
            Effect::Distribute(distribute) => Some(distribute),
            _ => self.spend().map(|spend| spend as &dyn Payable),
        }
    }

    /// The most that it moves in satoshis, if it moves money: what the cap of its class is compared with.
    #[must_use]
    pub fn amount_sat(&self) -> Option<u64> {
        let sat = |amount: Option<Amount>| amount.map_or(u64::MAX, Amount::to_sat);
        match &self.proposal.effect {
            Effect::Spend(spend) => Some(sat(spend.total())),
            Effect::Distribute(distribute) => {
                Some(sat(Payable::total(distribute)).max(distribute.total.to_sat()))
            }
            Effect::Choose(Options::Spend(all)) => all.iter().map(|spend| sat(spend.total())).max(),
            Effect::Budget(budget) => Some(sat(budget.most(self.height))),
            _ => None,
        }
    }

    /// The coin whose lineage it is paid from, if it is paid.
    #[must_use]
    pub fn anchor(&self) -> Option<OutPoint> {
        match &self.proposal.effect {
            Effect::Choose(Options::Spend(all)) => all.first().map(|spend| spend.anchor),
            Effect::Spend(spend) => Some(spend.anchor),
            Effect::Distribute(distribute) => Some(distribute.anchor),
            Effect::Budget(budget) => Some(budget.anchor),
            _ => None,
        }
    }
}

/// A vote that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBallot {
    /// The entry that carries it.
    pub entry: EntryId,
    /// Which way.
    pub choice: Choice,
    /// Whether it can still change.
    pub last: bool,
    /// The height it claims.
    pub height: Height,
    /// Why.
    pub reason: Note,
}

/// A word on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The height it claims.
    pub height: Height,
    /// The word.
    pub text: Note,
}

/// How a decision's lineage ended on the chain, ≥ K deep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// In which way.
    pub how: How,
    /// By which transaction.
    pub txid: Txid,
    /// In the block at this height.
    pub height: Height,
}

/// The ways a lineage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// Paid: the tip was spent with the decision's marker.
    Paid,
    /// Closed: the tip was spent with the closing marker.
    Closed,
    /// Lost: the tip left by the recovery leaf.
    Lost,
}

impl State {
    /// Whether all founders signed the charter. Whoever forked has signed two entries that name the guild,
    /// and so the charter that it is the hash of: a founder cannot take the founding back.
    #[must_use]
    pub fn founded(&self) -> bool {
        self.members.values().all(|member| member.accepted || member.forked.is_some())
    }

    /// Guests, and the height that the longest of their invitations ends above.
    pub fn guests(&self) -> impl Iterator<Item = (MemberId, Height)> {
        let until = |invites: &BTreeMap<MemberId, Invite>| invites.values().map(|invite| invite.expiry).max();
        self.guests.iter().filter_map(move |(guest, invites)| Some((*guest, until(invites)?)))
    }

    /// A member's weight; none for outsiders, and for whoever left.
    #[must_use]
    pub fn weight(&self, member: &MemberId) -> Weight {
        if self.has_left(member) {
            return Weight::default();
        }
        self.members.get(member).map_or_else(Weight::default, |member| member.weight)
    }

    /// A member's units: voting weight, and claims without a vote.
    #[must_use]
    pub fn units(&self, member: &MemberId) -> u64 {
        let claim = self.members.get(member).filter(|_| !self.has_left(member)).map(|member| member.claim);
        Weight::sum([self.weight(member), claim.unwrap_or_default()])
    }

    /// The weight of the whole roll.
    #[must_use]
    pub fn roll_weight(&self) -> u64 {
        if self.exits.is_empty() {
            return Weight::sum(self.members.values().map(|member| member.weight));
        }
        Weight::sum(self.members.keys().map(|member| self.weight(member)))
    }

    /// Whether a member's exit is certified: its weight is 0 from then on.
    #[must_use]
    pub fn has_left(&self, member: &MemberId) -> bool {
        self.exits.get(member).is_some_and(|exit| !exit.certificates.is_empty())
    }

    /// The newest claim of a member who leaves, and what it would pay.
    #[must_use]
    pub fn claim(&self, member: &MemberId) -> Option<(&ExitClaim, Exit)> {
        let claim = self.exits.get(member)?.claims.values().next_back()?;
        let payout = &self.members.get(member)?.payout;
        Some((claim, Exit::new(*member, payout, claim.amount).ok()?))
    }

    /// The claim of a member that is certified, and what it pays.
    #[must_use]
    pub fn granted(&self, member: &MemberId) -> Option<(&ExitClaim, Exit)> {
        let exit = self.exits.get(member)?;
        let payout = &self.members.get(member)?.payout;
        exit.claims.values().find_map(|claim| {
            let pays = Exit::new(*member, payout, claim.amount).ok()?;
            let body = pays.body(self.guild, self.epoch, claim.height);
            exit.certificates.values().any(|proof| proof.body == body).then_some((claim, pays))
        })
    }

    /// Who votes for `member` on what was proposed at `height`, unless it votes itself: whom it had named
    /// last before.
    #[must_use]
    pub fn delegate(&self, member: &MemberId, height: Height) -> Option<MemberId> {
        self.delegation(member, height).map(|(_, to)| to)
    }

    /// The same, and the entry that says so.
    #[must_use]
    pub fn delegation(&self, member: &MemberId, height: Height) -> Option<(EntryId, MemberId)> {
        let said = &self.members.get(member)?.delegations;
        let named = said.iter().rev().find(|delegation| delegation.height < height)?;
        Some((named.entry, named.to?))
    }

    /// The certified veto that stops `id`, if there is one.
    #[must_use]
    pub fn cancelled(&self, id: &ProposalId) -> Option<ProposalId> {
        let certified =
            |cancel: &&ProposalId| self.proposals.get(*cancel).is_some_and(|veto| veto.decided().is_some());
        self.cancels.get(id)?.iter().find(certified).copied()
    }

    /// The value of a setting: the certified proposal with the greatest (close, id, option) that no veto
    /// stopped.
    #[must_use]
    pub fn setting(&self, key: &SettingKey) -> Option<(ProposalId, &ProposalState, &Setting)> {
        let decided = self.proposals.iter().filter(|(_, proposal)| proposal.decided().is_some());
        let values = decided.filter_map(|(id, proposal)| Some((*id, proposal, proposal.setting()?)));
        let values = values.filter(|(id, _, setting)| setting.key() == *key && self.cancelled(id).is_none());
        values.max_by_key(|(id, proposal, _)| (proposal.close, *id))
    }

    /// The last distribution by shares that was paid and hands on, and what it left to whom, in satoshis.
    #[must_use]
    pub fn carried(&self) -> (Option<ProposalId>, BTreeMap<MemberId, u64>) {
        let paid = self.proposals.iter().filter_map(|(id, proposal)| {
            let settled = proposal.settled.as_ref().filter(|settled| settled.how == How::Paid)?;
            let Effect::Distribute(distribute) = &proposal.proposal.effect else { return None };
            Some(((settled.height, *id), distribute.carried()?))
        });
        let last = paid.max_by_key(|(order, _)| *order);
        last.map_or_else(Default::default, |((_, id), carried)| (Some(id), carried.left.clone()))
    }

    /// The coins that are frozen by decision.
    #[must_use]
    pub fn frozen(&self) -> BTreeSet<OutPoint> {
        let coins = self.proposals.values().filter_map(|proposal| match proposal.setting() {
            Some(Setting::Coin { outpoint, .. }) if proposal.decided().is_some() => Some(*outpoint),
            _ => None,
        });
        let holds = |outpoint: &OutPoint| {
            let value = self.setting(&SettingKey::Coin(*outpoint)).map(|(.., setting)| setting);
            matches!(value, Some(Setting::Coin { frozen: true, .. }))
        };
        coins.collect::<BTreeSet<_>>().into_iter().filter(holds).collect()
    }

    /// t: how many co-signers sign.
    #[must_use]
    pub fn signers_needed(&self) -> usize {
        self.threshold.of(self.co_signers.len())
    }

    /// G: blocks of grace after a close.
    #[must_use]
    pub const fn grace(&self) -> Height {
        grace(self.co_signers.len())
    }

    /// What to call a member.
    #[must_use]
    pub fn name(&self, member: &MemberId) -> String {
        self.members.get(member).map_or_else(|| member.short(), |member| member.name.to_string())
    }

    /// The key that may be shown and used: stored by all, tested twice.
    #[must_use]
    pub fn usable_key(&self) -> Option<&EpochKey> {
        self.key.as_ref().filter(|key| key.usable())
    }

    /// SHA-256 of the canonical bytes. Compare only at equal [`State::height`].
    #[must_use]
    pub fn hash(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("a state always encodes");
        Digest::tagged("hashguild/state/v1", &[&bytes])
    }
}
