//! The conversations of anti-entropy with many peers at once, as a machine: it says whom to ask what, what
//! to verify and whom to cut off. It holds no entries; the node inserts what was verified, then says so.
//!
//! No author is asked of two peers at a time, so that nothing travels twice; a peer may have a few questions
//! under way, so that one page travels while another is verified. What a peer does wrong ends its own
//! conversation and no other: see [`Fault`].

use super::{Answer, Frontier, Pull, Question, Range};
use crate::document::Document;
use crate::hash::Digest;
use crate::id::{EntryId, MemberId};
use crate::limits::WANTED_MAX;
use crate::signed::{NotAnEntry, Signed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// How often frontiers are compared with every peer, whatever gossip says. The shell may vary it.
pub const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// Questions to one peer under way at a time.
pub const LANES: usize = 2;
/// Authors that one question asks for: so few that several peers share the work for a newcomer.
pub const RANGES: usize = 32;
/// How long a question may go unanswered.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Faults of one peer that are forgiven before it is cut off; an honest answer clears them.
pub const FORGIVEN: u32 = 2;
/// Questions a peer may ask at once…
pub const QUESTIONS: u32 = 256;
/// …and how many more each second.
pub const QUESTIONS_PER_SECOND: u32 = 64;
/// Questions above that before the peer is cut off.
pub const QUESTIONS_REFUSED: u32 = 256;
/// For how long a peer is cut off the first time, and whenever it stalls; for other faults doubled each time
/// up to [`CUT_MAX`].
pub const CUT: Duration = Duration::from_secs(60);
/// For how long at most.
pub const CUT_MAX: Duration = Duration::from_secs(3_600);

/// What happens to the machine. Times are since any fixed moment, and never fall.
#[derive(Debug)]
pub enum Input {
    /// A peer that may be asked is there.
    Connected(MemberId),
    /// It is gone.
    Disconnected(MemberId),
    /// A peer told the digest of its frontier.
    Digest(MemberId, Digest),
    /// Something before an entry that arrived is missing here.
    Gap,
    /// The answer to a question; none if there will be none.
    Answer(MemberId, u64, Option<Answer>),
    /// The page that answered this question was verified, and what stood the test is in the document.
    Taken(MemberId, u64, Result<Vec<Signed>, NotAnEntry>),
    /// A peer passed on by gossip what is no entry.
    Garbage(MemberId, NotAnEntry),
    /// Time passed.
    Tick,
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask this peer; its answer comes back under the same number.
    Ask(MemberId, u64, Question),
    /// Verify this page off the network task, insert it, answer [`Input::Taken`].
    Verify(MemberId, u64, Vec<Vec<u8>>),
    /// Have nothing to do with this peer for so long.
    Cut(MemberId, Fault, Duration),
}

/// What a peer did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It sent what is no entry of this guild.
    Garbage(NotAnEntry),
    /// It claimed entries and did not give them when asked.
    Lies,
    /// It does not answer.
    Stalls,
    /// It answered something else than it was asked.
    OffTopic,
    /// It asks more than it may.
    Floods,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbage(why) => write!(f, "sent what is no entry: {why}"),
            Self::Lies => f.write_str("claimed entries that it did not give"),
            Self::Stalls => f.write_str("did not answer"),
            Self::OffTopic => f.write_str("answered something else than it was asked"),
            Self::Floods => f.write_str("asked more than it may"),
        }
    }
}

/// What a question is about.
#[derive(Debug)]
struct Lane {
    since: Duration,
    /// The page arrived and is being verified.
    verifying: bool,
    /// None when frontiers are compared.
    pull: Option<Pull>,
}

#[derive(Debug, Default)]
struct Peer {
    connected: bool,
    lanes: BTreeMap<u64, Lane>,
    /// What it says it has, until everything of it is here.
    theirs: Option<Frontier>,
    /// Frontiers were compared, and what is wanted by id is still to be asked for.
    wanted_due: bool,
    /// Authors of whom it has nothing more for us, whatever `theirs` says.
    exhausted: BTreeSet<MemberId>,
    compare_at: Duration,
    faults: u32,
    cuts: u32,
    cut_until: Duration,
    questions: u32,
    questions_at: Duration,
    refused: u32,
}

/// Conversations with all peers.
#[derive(Debug, Default)]
pub struct Syncer {
    peers: BTreeMap<MemberId, Peer>,
    next_number: u64,
    /// Where in the wanted ids the next question begins: nobody can crowd out one with many others.
    wanted_from: Option<EntryId>,
    effects: Vec<Effect>,
}

impl Syncer {
    /// Take in what happened. `document` is what we have, `now` the time.
    pub fn handle(&mut self, input: Input, document: &Document, now: Duration) -> Vec<Effect> {
        match input {
            Input::Connected(peer) => {
                let state = self.peers.entry(peer).or_default();
                state.connected = true;
                state.compare_at = now;
            }
            Input::Disconnected(peer) => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.connected = false;
                    state.hang_up();
                }
            }
            Input::Digest(peer, digest) => {
                if digest != Frontier::of(document).digest() {
                    self.compare_soon(&peer, now);
                }
            }
            Input::Gap => {
                for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                    self.compare_soon(&peer, now);
                }
            }
            Input::Answer(peer, number, answer) => self.answered(peer, number, answer, now),
            Input::Taken(peer, number, taken) => self.taken(peer, number, taken, document, now),
            Input::Garbage(peer, why) => self.fault(peer, Fault::Garbage(why), now),
            Input::Tick => self.lose_patience(now),
        }
        self.go_on(document, now);
        std::mem::take(&mut self.effects)
    }

    /// Whether a question of `peer` is to be answered. Refused questions are counted too: see
    /// [`QUESTIONS_REFUSED`].
    pub fn may_ask(&mut self, peer: MemberId, now: Duration) -> bool {
        let state = self.peers.entry(peer).or_default();
        let passed = now.saturating_sub(state.questions_at);
        let regained = u128::from(QUESTIONS_PER_SECOND) * passed.as_millis() / 1_000;
        if regained > 0 {
            let regained = u32::try_from(regained).unwrap_or(u32::MAX);
            state.questions = state.questions.saturating_sub(regained);
            state.questions_at = now;
        }
        if state.questions < QUESTIONS {
            state.questions += 1;
            state.refused = 0;
            return true;
        }
        state.refused += 1;
        if state.refused > QUESTIONS_REFUSED {
            self.cut(peer, Fault::Floods, now);
        }
        false
    }

    /// Whether `peer` is cut off now.
    #[must_use]
    pub fn is_cut(&self, peer: &MemberId, now: Duration) -> bool {
        self.peers.get(peer).is_some_and(|state| state.cut_until > now)
    }

    fn compare_soon(&mut self, peer: &MemberId, now: Duration) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.compare_at = state.compare_at.min(now);
        }
    }

    fn answered(&mut self, peer: MemberId, number: u64, answer: Option<Answer>, now: Duration) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some(mut lane) = state.lanes.remove(&number) else { return };
        match (&lane.pull, answer) {
            (_, None) => self.fault(peer, Fault::Stalls, now),
            (None, Some(Answer::Same)) => {
                state.faults = 0;
                state.wanted_due = true;
            }
            (None, Some(Answer::Frontier(theirs))) => {
                state.theirs = Some(theirs);
                state.exhausted.clear();
                state.wanted_due = true;
            }
            (Some(_), Some(Answer::Entries(page))) => {
                lane.verifying = true;
                state.lanes.insert(number, lane);
                self.effects.push(Effect::Verify(peer, number, page));
            }
            _ => self.fault(peer, Fault::OffTopic, now),
        }
    }

    fn taken(
        &mut self,
        peer: MemberId,
        number: u64,
        taken: Result<Vec<Signed>, NotAnEntry>,
        document: &Document,
        now: Duration,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some(pull) = state.lanes.remove(&number).and_then(|lane| lane.pull) else { return };
        let given = match taken {
            Ok(given) => given,
            Err(why) => return self.fault(peer, Fault::Garbage(why), now),
        };
        state.wanted_due |= pull.wanted.is_empty(); // what came may name what is still missing
        // A page begins with what was asked first. Not to have that is a lie; to have it and bring us no
        // further is not (it may be ahead of our tip), but asking again would change nothing.
        let Some(first) = pull.ranges.first() else { return };
        let answers =
            |signed: &Signed| signed.entry().author == first.author && signed.entry().seq >= first.from;
        if !given.iter().any(answers) {
            state.exhausted.insert(first.author);
            return self.fault(peer, Fault::Lies, now);
        }
        state.faults = 0;
        let still = state.theirs.as_ref().map(|theirs| Frontier::of(document).lacks(theirs));
        if still.is_some_and(|lacks| lacks.contains(first)) {
            state.exhausted.insert(first.author);
        }
    }

    fn fault(&mut self, peer: MemberId, fault: Fault, now: Duration) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.faults += 1;
        if state.faults > FORGIVEN || matches!(fault, Fault::Garbage(_)) {
            self.cut(peer, fault, now);
        }
    }

    fn cut(&mut self, peer: MemberId, fault: Fault, now: Duration) {
        let state = self.peers.entry(peer).or_default();
        let lasts = CUT.saturating_mul(1 << state.cuts.min(16)).min(CUT_MAX);
        // An honest node sleeps, or its line is bad: that it does so often is no reason to miss it for longer.
        let (lasts, counts) = if fault == Fault::Stalls { (CUT, 0) } else { (lasts, 1) };
        state.hang_up();
        state.connected = false;
        state.faults = 0;
        state.refused = 0;
        state.cuts += counts;
        state.cut_until = now + lasts;
        self.effects.push(Effect::Cut(peer, fault, lasts));
        for other in self.peers.values_mut() {
            other.compare_at = other.compare_at.min(now); // who else has what it owed us?
        }
    }

    fn lose_patience(&mut self, now: Duration) {
        let waits = |lane: &Lane| !lane.verifying && now.saturating_sub(lane.since) > PATIENCE;
        let late = self.peers.iter().flat_map(|(peer, state)| {
            let lanes = state.lanes.iter().filter(|(_, lane)| waits(lane));
            lanes.map(|(number, _)| (*peer, *number))
        });
        for (peer, number) in late.collect::<Vec<_>>() {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.lanes.remove(&number);
            }
            self.fault(peer, Fault::Stalls, now);
        }
    }

    /// Ask whatever can be asked now.
    fn go_on(&mut self, document: &Document, now: Duration) {
        let ready = |state: &Peer| {
            state.connected
                && state.lanes.len() < LANES
                && (state.theirs.is_some() || state.wanted_due || state.compare_at <= now)
        };
        let ready: Vec<MemberId> =
            self.peers.iter().filter(|(_, state)| ready(state)).map(|(peer, _)| *peer).collect();
        if ready.is_empty() {
            return;
        }
        let ours = Frontier::of(document);
        for peer in ready {
            self.pull(peer, &ours, document, now);
            self.compare(peer, &ours, now);
        }
    }

    fn compare(&mut self, peer: MemberId, ours: &Frontier, now: Duration) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.theirs.is_none() && state.lanes.is_empty() && state.compare_at <= now {
            state.compare_at = now + COMPARE_EVERY;
            self.ask(peer, None, Question::Compare(ours.digest()), now);
        }
    }

    /// Ask `peer` for what it has and we lack, but for what others are being asked for.
    fn pull(&mut self, peer: MemberId, ours: &Frontier, document: &Document, now: Duration) {
        loop {
            let claimed = self.claimed();
            let Some(state) = self.peers.get_mut(&peer).filter(|state| state.lanes.len() < LANES) else {
                return;
            };
            let lacks = state.theirs.as_ref().map(|theirs| ours.lacks(theirs)).unwrap_or_default();
            let open = lacks.into_iter().filter(|range| !state.exhausted.contains(&range.author));
            let open: Vec<Range> = open.collect();
            if open.is_empty() && state.lanes.is_empty() {
                state.theirs = None;
            }
            let mut ranges = open;
            ranges.retain(|range| !claimed.contains(&range.author));
            ranges.truncate(RANGES);
            let wanted =
                if std::mem::take(&mut state.wanted_due) { self.next_wanted(document) } else { Vec::new() };
            if ranges.is_empty() && wanted.is_empty() {
                return;
            }
            let pull = Pull { ranges, wanted };
            self.ask(peer, Some(pull.clone()), Question::Pull(pull), now);
        }
    }

    /// Authors whose entries some peer is being asked for.
    fn claimed(&self) -> BTreeSet<MemberId> {
        let lanes = self.peers.values().flat_map(|state| state.lanes.values());
        let ranges = lanes.filter_map(|lane| lane.pull.as_ref()).flat_map(|pull| &pull.ranges);
        ranges.map(|range| range.author).collect()
    }

    /// Some of the proposals to ask for by id: other ones each time.
    fn next_wanted(&mut self, document: &Document) -> Vec<EntryId> {
        let after = |id: &EntryId| self.wanted_from.is_none_or(|from| *id > from);
        let mut wanted: Vec<EntryId> = document.wanted().filter(after).take(WANTED_MAX).collect();
        if wanted.len() < WANTED_MAX {
            self.wanted_from = None;
            wanted.extend(document.wanted().take(WANTED_MAX - wanted.len()));
            wanted.sort_unstable();
            wanted.dedup();
        } else {
            self.wanted_from = wanted.last().copied();
        }
        wanted
    }

    fn ask(&mut self, peer: MemberId, pull: Option<Pull>, question: Question, now: Duration) {
        self.next_number += 1;
        let number = self.next_number;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.lanes.insert(number, Lane { since: now, verifying: false, pull });
            self.effects.push(Effect::Ask(peer, number, question));
        }
    }
}

impl Peer {
    /// End what is under way.
    fn hang_up(&mut self) {
        self.lanes.clear();
        self.theirs = None;
        self.wanted_due = false;
        self.exhausted.clear();
    }
}
