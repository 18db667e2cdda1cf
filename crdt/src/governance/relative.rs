//! The relative rule: which votes are certain, and what they add up to (§7).
//!
//! Counted from the replicated state alone, which the counting node has brought up to its own document and
//! whatever a coordinator offered: own ∪ witness. What a node saw in time is in its own statement.

use super::tally::weigh;
use super::{Choice, Seen};
use crate::Height;
use crate::charter::grace;
use crate::id::{EntryId, MemberId, ProposalId};
use crate::limits::QUOTA_BLOCKS;
use crate::rules::ClassRule;
use crate::state::{HeldBallot, ProposalState, State, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks after the grace during which more statements are waited for: a day.
pub const PATIENCE: Height = QUOTA_BLOCKS;

/// What one member's vote counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vote {
    /// For it, for certain.
    Yes,
    /// Against it.
    No,
    /// Neither, for certain.
    Abstain,
    /// For other options only, for certain.
    Other,
    /// For it or neither, but not known to have been said in time: counts for nothing.
    Disputed,
    /// Nothing is held.
    Silent,
}

/// One member's vote, and what makes it certain or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Whose.
    pub member: MemberId,
    /// Its weight.
    pub weight: u64,
    /// What it counts as.
    pub vote: Vote,
    /// Who voted for it, if it did not vote itself.
    pub via: Option<MemberId>,
    /// Whether the counting node's own statement names its ballot.
    pub own: bool,
    /// How many statements name it.
    pub named_by: usize,
}

/// Where an option stands by the relative rule. Numbers of votes are weights of the roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    /// Every member with a weight.
    pub voters: Vec<Voter>,
    /// Certain YES.
    pub yes: u64,
    /// Every held NO.
    pub no: u64,
    /// Certain abstentions.
    pub abstain: u64,
    /// The most that another option of the proposal has, held or certain.
    pub other: u64,
    /// The whole roll.
    pub roll: u64,
    /// YES and abstentions must weigh at least this.
    pub quorum: u64,
    /// The share of YES and NO that YES must exceed, in percent.
    pub more_than_percent: u8,
    /// YES must weigh more than this: half the roll where an option pays.
    pub yes_above: u64,
    /// Co-signers whose statements are here.
    pub stated: Vec<MemberId>,
    /// How many are needed now.
    pub statements_needed: usize,
    /// Whether the node's own statement says that the proposal was there in time.
    pub present_own: bool,
    /// How many statements say so.
    pub present: usize,
    /// t: so many statements count as much as one's own.
    pub signers_needed: usize,
    /// Ballots that statements name and that are not here, of voters whose YES counts.
    pub lacking: Vec<(MemberId, EntryId)>,
}

impl Relative {
    /// Whether enough co-signers said what they saw.
    #[must_use]
    pub fn stated_enough(&self) -> bool {
        self.stated.len() >= self.statements_needed
    }

    /// Whether the proposal was there in time.
    #[must_use]
    pub const fn was_there(&self) -> bool {
        self.present_own || self.present >= self.signers_needed
    }

    /// Whether enough of the roll took part: NO never helps a proposal to pass.
    #[must_use]
    pub const fn has_quorum(&self) -> bool {
        self.yes + self.abstain >= self.quorum
    }

    /// Whether those who vote want it, more than any other option.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        let share = self.yes * 100 > (self.yes + self.no) * self.more_than_percent as u64;
        share && self.yes > self.other && self.yes > self.yes_above
    }

    /// Whether the relative rule is met, all ballots that are named being here.
    #[must_use]
    pub fn passes(&self) -> bool {
        let known = self.stated_enough() && self.was_there() && self.lacking.is_empty();
        known && self.has_quorum() && self.is_approved()
    }
}

impl Relative {
    /// What is missing first, in words.
    #[must_use]
    pub fn why(&self) -> String {
        if let Some((_, ballot)) = self.lacking.first() {
            return format!("a statement names the ballot {}, which is not here yet", ballot.short());
        }
        if !self.stated_enough() {
            return format!("statements of {} co-signers", self.stated.len());
        }
        if !self.was_there() {
            return format!("{} statements say that the proposal was there in time", self.present);
        }
        let Self { yes, no, abstain, other, .. } = self;
        format!("certain yes {yes}, certain abstain {abstain}, no {no}, the next option {other}")
    }

    /// What it takes, in words.
    #[must_use]
    pub fn expected(&self) -> String {
        if !self.lacking.is_empty() {
            return "every ballot that a statement names".to_owned();
        }
        if !self.stated_enough() {
            return format!("statements of {} co-signers", self.statements_needed);
        }
        if !self.was_there() {
            return format!("the own statement or {} that saw the proposal in time", self.signers_needed);
        }
        let Self { quorum, more_than_percent, roll, .. } = self;
        format!(
            "yes and abstain of {quorum} or more of {roll}, yes above {more_than_percent} % of yes and no and above \
             every other option"
        )
    }
}

/// Everything that statements say of one proposal.
struct Evidence<'a> {
    own: Option<BTreeMap<MemberId, EntryId>>,
    named: BTreeMap<(MemberId, EntryId), usize>,
    stated: Vec<&'a MemberId>,
    present_own: bool,
    present: usize,
    t: usize,
}

impl<'a> Evidence<'a> {
    fn of(state: &'a State, id: &ProposalId, close: Height, me: Option<MemberId>) -> Self {
        let mut evidence = Self {
            own: None,
            named: BTreeMap::new(),
            stated: Vec::new(),
            present_own: false,
            present: 0,
            t: state.signers_needed(),
        };
        for (author, statement) in counted(state, close) {
            evidence.stated.push(author);
            evidence.take(statement.of(id), Some(*author) == me);
        }
        evidence
    }

    /// What one statement says, in one place of it or several.
    fn take<'b>(&mut self, seen: impl Iterator<Item = &'b Seen>, own: bool) {
        let mut there = false;
        // A statement that names two ballots of one voter is a lie about one: the last one is taken.
        let mut ballots = BTreeMap::new();
        for seen in seen {
            there |= seen.in_time;
            ballots.extend(seen.ballots.iter().copied());
        }
        for (voter, ballot) in &ballots {
            *self.named.entry((*voter, *ballot)).or_default() += 1;
        }
        self.present += usize::from(there);
        if own {
            self.present_own = there;
            self.own = Some(ballots);
        }
    }

    fn own(&self, voter: &MemberId, ballot: &EntryId) -> bool {
        self.own.as_ref().is_some_and(|own| own.get(voter) == Some(ballot))
    }

    fn named_by(&self, voter: &MemberId, ballot: &EntryId) -> usize {
        self.named.get(&(*voter, *ballot)).copied().unwrap_or_default()
    }

    fn certain(&self, voter: &MemberId, ballot: &EntryId) -> bool {
        self.own(voter, ballot) || self.named_by(voter, ballot) >= self.t
    }
}

/// The statements on `close` that count: whole, and of co-signers who never forked.
fn counted(state: &State, close: Height) -> impl Iterator<Item = (&MemberId, &Statement)> {
    let said = state.statements.get(&close).into_iter().flatten();
    said.filter(|(author, statement)| {
        let honest = state.members.get(*author).is_none_or(|member| member.forked.is_none());
        honest && statement.complete() && state.co_signers.contains(author)
    })
}

impl Relative {
    /// Count `option` of `proposal` at `tip` by what the node `me` holds.
    #[must_use]
    pub fn count(
        state: &State,
        (id, proposal): (&ProposalId, &ProposalState),
        option: u16,
        rule: &ClassRule,
        (me, tip): (Option<MemberId>, Height),
    ) -> Self {
        let evidence = Evidence::of(state, id, proposal.close, me);
        let patient = tip < judged_from(state, proposal.close).saturating_add(PATIENCE);
        let members = state.members.keys().filter(|member| u32::from(state.weight(member)) > 0);
        let voters: Vec<Voter> =
            members.map(|member| voter(state, proposal, option, &evidence, member)).collect();
        let pile =
            |vote: Vote| voters.iter().filter(|voter| voter.vote == vote).map(|voter| voter.weight).sum();
        let (roll, t, n) = (state.roll_weight(), evidence.t, state.co_signers.len());
        let others = (0..proposal.options()).filter(|other| *other != option);
        let held = |other: u16| {
            weigh(
                state,
                state.members.keys().filter(|member| holds(state, proposal, &evidence, member, other)),
            )
        };
        let pays = proposal.options() > 1 && proposal.anchor().is_some();
        Self {
            yes: pile(Vote::Yes),
            no: pile(Vote::No),
            abstain: pile(Vote::Abstain),
            other: others.map(held).max().unwrap_or_default(),
            roll,
            quorum: (roll * u64::from(rule.quorum_percent)).div_ceil(100),
            more_than_percent: rule.more_than_percent,
            yes_above: if pays { roll / 2 } else { 0 },
            stated: evidence.stated.iter().map(|author| **author).collect(),
            statements_needed: if patient { n.min(t + 1) } else { t },
            present_own: evidence.present_own,
            present: evidence.present,
            signers_needed: t,
            lacking: if patient { lacking(state, proposal, &evidence, &voters) } else { Vec::new() },
            voters,
        }
    }
}

/// The height from which the relative rule can be judged: c + G.
#[must_use]
pub fn judged_from(state: &State, close: Height) -> Height {
    close.saturating_add(grace(state.co_signers.len()))
}

/// A member's own ballots that count here, oldest first: none was said after the close.
fn history<'a>(proposal: &'a ProposalState, voter: &MemberId) -> Vec<&'a HeldBallot> {
    let earlier = proposal.earlier.get(voter).into_iter().flatten();
    let all = earlier.chain(proposal.ballots.get(voter));
    all.filter(|held| held.height <= proposal.close).collect()
}

/// Who speaks for `voter`: itself, or whom it had named before the proposal was opened.
fn speaker<'a>(
    state: &State,
    proposal: &'a ProposalState,
    voter: &MemberId,
) -> (Option<MemberId>, Vec<&'a HeldBallot>) {
    let own = history(proposal, voter);
    match state.delegate(voter, proposal.height).filter(|_| own.is_empty()) {
        Some(via) => (Some(via), history(proposal, &via)),
        None => (None, own),
    }
}

fn voter(
    state: &State,
    proposal: &ProposalState,
    option: u16,
    evidence: &Evidence<'_>,
    member: &MemberId,
) -> Voter {
    let (via, ballots) = speaker(state, proposal, member);
    let last = ballots.last().map(|held| held.entry);
    let certain = last.is_some_and(|entry| evidence.certain(member, &entry));
    let vote = match ballots.last().map(|held| held.choice) {
        None => Vote::Silent,
        Some(Choice::Abstain) if certain => Vote::Abstain,
        Some(choice) if certain && choice.supports(option) => Vote::Yes,
        Some(Choice::Approve(_)) if certain => Vote::Other,
        Some(_) if ballots.iter().any(|held| held.choice == Choice::No) => Vote::No,
        Some(_) => Vote::Disputed,
    };
    Voter {
        member: *member,
        weight: u64::from(u32::from(state.weight(member))),
        vote,
        via: via.filter(|_| last.is_some()),
        own: last.is_some_and(|entry| evidence.own(member, &entry)),
        named_by: last.map_or(0, |entry| evidence.named_by(member, &entry)),
    }
}

/// Whether `voter` may be for `option`: its last ballot is, or an earlier one while the last is not certain.
fn holds(
    state: &State,
    proposal: &ProposalState,
    evidence: &Evidence<'_>,
    voter: &MemberId,
    option: u16,
) -> bool {
    let (_, ballots) = speaker(state, proposal, voter);
    match ballots.last() {
        Some(last) if evidence.certain(voter, &last.entry) => last.choice.supports(option),
        _ => ballots.iter().any(|held| held.choice.supports(option)),
    }
}

/// Ballots that statements name and that are not held, of voters whose YES counts.
fn lacking(
    state: &State,
    proposal: &ProposalState,
    evidence: &Evidence<'_>,
    voters: &[Voter],
) -> Vec<(MemberId, EntryId)> {
    let counted: BTreeSet<MemberId> =
        voters.iter().filter(|voter| voter.vote == Vote::Yes).map(|voter| voter.member).collect();
    let named = evidence.named.keys().filter(|(voter, _)| counted.contains(voter));
    let held = |voter: &MemberId, ballot: &EntryId| {
        let delegate = state.delegate(voter, proposal.height);
        let speakers = std::iter::once(*voter).chain(delegate);
        speakers
            .into_iter()
            .any(|speaker| history(proposal, &speaker).iter().any(|held| held.entry == *ballot))
    };
    named.filter(|(voter, ballot)| !held(voter, ballot)).copied().collect()
}
