//! Few co-signers, some dishonest, one proposal by the relative rule: what each holds, and what may happen.
//!
//! Honest co-signers are the first ones. What they hold of each other is independent, so all but the first
//! (the first two of two) get everything at once: that keeps the world small and loses no history of one.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::{guild, with_charter};
use crdt::governance::{Choice, CloseStatement, Local, PATIENCE, Relative, Seen, Vote, passing, statement};
use crdt::rules::{Rule, Rules};
use crdt::state::{HeldBallot, ProposalState, State, Statement};
use crdt::testkit::people;
use crdt::text::{Line, Note};
use crdt::{Digest, EntryId, Height, MemberId, Proposal, ProposalId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

const PROPOSED: Height = 1_000;
const CLOSE: Height = 1_432;
const GRACE: Height = 144;

/// What the rule could get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Nothing: the rules as implemented.
    None,
    /// Each signs a hash of the votes it counted.
    VoteSetSigned,
    /// NO helps to reach the quorum.
    QuorumCountsNo,
    /// n − t + 1 statements make a ballot certain.
    FewStatementsSuffice,
    /// A YES that statements claim counts without its ballot.
    ClaimSuffices,
}

/// What one honest co-signer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Desk {
    /// The ballots of the other honest ones came in time.
    honest_in_time: bool,
    /// The YES of the dishonest came in time.
    faulty_in_time: bool,
    /// How many statements of other honest ones are here; each brings its author's ballot.
    shown: u8,
    /// The statements of the dishonest are here.
    lied: bool,
    /// Their YES are here, late.
    late_yes: bool,
    /// The first of them changed its mind in a later ballot, which is here.
    late_no: bool,
    /// It gave this share: 0 for none.
    share: u64,
}

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// Who of the honest voted YES, one bit each; the others voted NO.
    yes: u8,
    desks: Vec<Desk>,
    /// The day of patience is over.
    late: bool,
    lost: u8,
    unjustified: bool,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A statement of another honest one arrives.
    Show(usize),
    /// The dishonest show their statements.
    Lie(usize),
    /// The dishonest show their YES.
    LateYes(usize),
    /// One of the dishonest shows that it changed its mind.
    LateNo(usize),
    /// Everything arrives.
    All(usize),
    /// The store is lost: what others said is gone, what oneself stated is not.
    Lose(usize),
    /// A day passes.
    Wait,
}

/// The parameters, and what is known of judgements made before.
pub(crate) struct World {
    n: usize,
    faulty: usize,
    lose: u8,
    mistake: Mistake,
    base: State,
    members: Vec<MemberId>,
    judged: Mutex<HashMap<(usize, View), u64>>,
}

fn id() -> ProposalId {
    ProposalId(Digest([0xaa; 32]))
}

/// The ballot of `voter`, or the later one in which it changed its mind.
fn ballot(voter: usize, change: bool) -> EntryId {
    let number = u8::try_from(voter + 1).expect("few");
    EntryId(Digest([number | if change { 0x80 } else { 0 }; 32]))
}

impl World {
    pub(crate) fn new(n: usize, faulty: usize, lose: u8, mistake: Mistake) -> Self {
        let guild = if n > 3 {
            with_charter(people(n), |charter| charter.rules = Rules::all(Rule::Relative, 50, 432))
        } else {
            with_charter(people(n), |charter| charter.rules.text.rule = Rule::Relative)
        };
        let base = guild.fold().state;
        let members = (0..n).map(|who| guild.id(who)).collect();
        Self { n, faulty, lose, mistake, base, members, judged: Mutex::default() }
    }

    pub(crate) const fn faulty(&self) -> usize {
        self.faulty
    }

    pub(crate) const fn honest(&self) -> usize {
        self.n - self.faulty
    }

    pub(crate) fn signers(&self) -> usize {
        self.base.signers_needed()
    }

    /// Every way in which the honest voted and ballots came in time.
    pub(crate) fn beginnings(&self) -> Vec<View> {
        let honest = self.honest();
        let bit = |bits: usize, at: usize| bits >> at & 1 == 1;
        let worlds = 0..1usize << (3 * honest);
        let view = |bits: usize| View {
            yes: u8::try_from(bits & ((1 << honest) - 1)).expect("few"),
            desks: (0..honest)
                .map(|node| Desk {
                    honest_in_time: bit(bits, honest + node),
                    faulty_in_time: bit(bits, 2 * honest + node),
                    shown: 0,
                    lied: false,
                    late_yes: false,
                    late_no: false,
                    share: 0,
                })
                .collect(),
            late: false,
            lost: 0,
            unjustified: false,
        };
        worlds.map(view).collect()
    }

    /// Nodes that things happen to one by one.
    fn in_detail(&self) -> usize {
        if self.honest() > 2 { 1 } else { self.honest() }
    }

    fn others(&self) -> u8 {
        u8::try_from(self.honest() - 1).expect("few")
    }

    pub(crate) fn possible(&self, view: &View, actions: &mut Vec<Action>) {
        for (node, desk) in view.desks.iter().enumerate() {
            let complete = desk.shown == self.others() && desk.lied && desk.late_yes;
            if node >= self.in_detail() {
                if !complete {
                    actions.push(Action::All(node));
                }
                continue;
            }
            if desk.shown < self.others() {
                actions.push(Action::Show(node));
            }
            if !desk.lied {
                actions.push(Action::Lie(node));
            }
            if !desk.late_yes {
                actions.push(Action::LateYes(node));
            }
            if !desk.late_no {
                actions.push(Action::LateNo(node));
            }
            if view.lost < self.lose {
                actions.push(Action::Lose(node));
            }
        }
        if !view.late {
            actions.push(Action::Wait);
        }
    }

    pub(crate) fn after(&self, view: &View, action: Action) -> View {
        let mut next = view.clone();
        match action {
            Action::Show(node) => next.desks[node].shown += 1,
            Action::Lie(node) => next.desks[node].lied = true,
            Action::LateYes(node) => next.desks[node].late_yes = true,
            Action::LateNo(node) => next.desks[node].late_no = true,
            Action::All(node) => {
                let desk = &mut next.desks[node];
                (desk.shown, desk.lied, desk.late_yes) = (self.others(), true, true);
            }
            Action::Lose(node) => {
                let desk = &mut next.desks[node];
                (desk.shown, desk.lied, desk.late_yes, desk.late_no) = (0, false, false, false);
                next.lost += 1;
            }
            Action::Wait => next.late = true,
        }
        // Whoever can sign does so at once: no later moment is worse.
        for node in 0..self.honest() {
            let share = self.share(&next, node);
            if next.desks[node].share == 0 && share != 0 {
                next.unjustified |= !self.justified(&next, node);
                next.desks[node].share = share;
            }
        }
        next
    }

    /// Whether `node` holds the ballot of `voter`.
    fn holds(&self, view: &View, node: usize, voter: usize) -> bool {
        let desk = &view.desks[node];
        if voter >= self.honest() {
            // What came in time may be lost with the store, and then comes with the rest.
            return desk.late_yes || desk.faulty_in_time && view.lost == 0;
        }
        let place = (voter + self.honest() - node) % self.honest(); // statements come in this order
        let stated = place > 0 && place <= usize::from(desk.shown);
        voter == node || stated || desk.honest_in_time && view.lost == 0
    }

    /// The state that `node` sees: ballots it holds, statements that were shown.
    fn state(&self, view: &View, node: usize) -> State {
        let mut state =
            self.with_ballots(view, |voter| self.holds(view, node, voter), view.desks[node].late_no);
        let said = state.statements.entry(CLOSE).or_default();
        let mut say = |author: usize, seen: Vec<Seen>| {
            said.insert(self.members[author], Statement { parts: 1, said: BTreeMap::from([(0, seen)]) });
        };
        for author in 0..self.honest() {
            let place = (author + self.honest() - node) % self.honest();
            if place <= usize::from(view.desks[node].shown) {
                say(author, self.stated(view, author));
            }
        }
        if view.desks[node].lied {
            let ballots: Vec<_> =
                (self.honest()..self.n).map(|voter| (self.members[voter], ballot(voter, false))).collect();
            for author in self.honest()..self.n {
                say(author, vec![Seen { proposal: id(), in_time: true, ballots: ballots.clone() }]);
            }
        }
        state
    }

    /// What an honest co-signer states: asked of the code itself, by what had come in time.
    fn stated(&self, view: &View, author: usize) -> Vec<Seen> {
        let desk = &view.desks[author];
        let in_time = |voter: usize| {
            voter == author || if voter < self.honest() { desk.honest_in_time } else { desk.faulty_in_time }
        };
        let state = self.with_ballots(view, |_| true, true);
        let seen = |entry: &EntryId| {
            let came = (0..self.n).any(|voter| in_time(voter) && *entry == ballot(voter, false));
            let proposal = *entry == EntryId(id().0);
            Some(if came || proposal { PROPOSED } else { CLOSE + GRACE })
        };
        let parts: Vec<CloseStatement> = statement(&state, CLOSE, true, seen);
        parts.into_iter().flat_map(|part| part.seen).collect()
    }

    fn with_ballots(&self, view: &View, held: impl Fn(usize) -> bool, changed: bool) -> State {
        let mut proposal = ProposalState {
            author: self.members[0],
            height: PROPOSED,
            close: CLOSE,
            proposal: Proposal {
                title: Line::try_from("x".to_owned()).expect("plain"),
                text: Note::default(),
                effect: crdt::Effect::Text,
            },
            ballots: BTreeMap::new(),
            earlier: BTreeMap::new(),
            comments: BTreeMap::new(),
            withdrawn: false,
            certificates: BTreeMap::new(),
            settled: None,
            lapsed: false,
            draws: BTreeMap::new(),
        };
        let cast = |voter: usize, change: bool, choice: Choice| HeldBallot {
            entry: ballot(voter, change),
            choice,
            last: false,
            height: PROPOSED + 1 + Height::from(change),
            reason: Note::default(),
        };
        for voter in (0..self.n).filter(|voter| held(*voter)) {
            let yes = voter >= self.honest() || view.yes >> voter & 1 == 1;
            let choice = if yes { Choice::Yes } else { Choice::No };
            proposal.ballots.insert(self.members[voter], cast(voter, false, choice));
        }
        let first = self.honest();
        if changed && self.faulty > 0 {
            let no = cast(first, true, Choice::No);
            if let Some(before) = proposal.ballots.insert(self.members[first], no) {
                proposal.earlier.insert(self.members[first], vec![before]);
            }
        }
        let mut state = self.base.clone();
        state.proposals.insert(id(), proposal);
        state
    }

    const fn tip(view: &View) -> Height {
        if view.late { CLOSE + GRACE + PATIENCE } else { CLOSE + GRACE }
    }

    /// The share that `node` would give now; 0 for none.
    fn share(&self, view: &View, node: usize) -> u64 {
        let mut key = view.clone();
        // Of the others only what came to them in time matters: it is what they state.
        for (at, desk) in key.desks.iter_mut().enumerate() {
            desk.share = 0;
            if at != node {
                (desk.shown, desk.lied, desk.late_yes, desk.late_no) = (0, false, false, false);
            }
        }
        key.unjustified = false;
        if let Some(known) = self.judged.lock().expect("one thread").get(&(node, key.clone())) {
            return *known;
        }
        let share = self.judge(&self.state(view, node), view, node);
        self.judged.lock().expect("one thread").insert((node, key), share);
        share
    }

    fn judge(&self, state: &State, view: &View, node: usize) -> u64 {
        let (me, tip) = (Some(self.members[node]), Self::tip(view));
        if matches!(self.mistake, Mistake::None | Mistake::VoteSetSigned) {
            let local = Local { me, tip, first_seen: Some(PROPOSED) };
            let Ok(passing) = passing(state, &id(), &local) else { return 0 };
            let digest = passing.body().digest().0;
            let body = u64::from_be_bytes(*digest.first_chunk().expect("32 bytes")) | 1;
            return if self.mistake == Mistake::None { body } else { self.counted(state, me, tip) };
        }
        let counted =
            Relative::count(state, (&id(), &state.proposals[&id()]), 0, &state.rules.text, (me, tip));
        u64::from(self.mistaken(state, &counted))
    }

    /// A hash of the votes that were counted.
    fn counted(&self, state: &State, me: Option<MemberId>, tip: Height) -> u64 {
        let counted =
            Relative::count(state, (&id(), &state.proposals[&id()]), 0, &state.rules.text, (me, tip));
        let yes = counted.voters.iter().map(|voter| voter.vote == Vote::Yes);
        yes.fold(1, |bits, yes| bits << 1 | u64::from(yes))
    }

    /// The rule with a mistake in it.
    fn mistaken(&self, state: &State, counted: &Relative) -> bool {
        let mut wrong = counted.clone();
        let few = self.n - self.signers() + 1;
        match self.mistake {
            Mistake::QuorumCountsNo => wrong.abstain += wrong.no,
            Mistake::FewStatementsSuffice => {
                let more = counted
                    .voters
                    .iter()
                    .filter(|voter| voter.vote == Vote::Disputed && voter.named_by >= few);
                wrong.yes += more.map(|voter| voter.weight).sum::<u64>();
            }
            Mistake::ClaimSuffices => {
                let claims = |voter: &MemberId| {
                    let said =
                        state.statements[&CLOSE].values().flat_map(|said| said.said.values().flatten());
                    said.filter(|seen| seen.ballots.iter().any(|(of, _)| of == voter)).count()
                };
                let more = counted.voters.iter().filter(|voter| {
                    matches!(voter.vote, Vote::Silent | Vote::Disputed) && claims(&voter.member) >= few
                });
                wrong.yes += more.map(|voter| voter.weight).sum::<u64>();
            }
            Mistake::None | Mistake::VoteSetSigned => {}
        }
        wrong.passes()
    }

    /// The rule written anew: YES that are held, that nothing later held contradicts, and that came in time
    /// to some honest one; every NO that is held.
    fn justified(&self, view: &View, node: usize) -> bool {
        let came = |voter: usize| {
            view.desks.iter().enumerate().any(|(at, desk)| {
                at == voter || if voter < self.honest() { desk.honest_in_time } else { desk.faulty_in_time }
            })
        };
        let changed = |voter: usize| voter == self.honest() && view.desks[node].late_no;
        let wants = |voter: usize| voter >= self.honest() || view.yes >> voter & 1 == 1;
        let held = |voter: &usize| self.holds(view, node, *voter);
        let yes = (0..self.n).filter(held).filter(|v| wants(*v) && came(*v) && !changed(*v)).count();
        let no = (0..self.n).filter(|voter| held(voter) && !wants(*voter) || changed(*voter)).count();
        self.is_enough(yes, no)
    }

    const fn is_enough(&self, yes: usize, no: usize) -> bool {
        yes * 2 >= self.n && yes > no // a quorum of 50 %, more than 50 % of yes and no
    }

    pub(crate) const fn is_justified(&self, view: &View, _: usize) -> bool {
        !view.unjustified
    }

    /// The honest heard each other in time.
    pub(crate) fn all_arrived(&self, view: &View) -> bool {
        view.lost == 0 && view.desks.iter().all(|desk| desk.honest_in_time)
    }

    /// It fails even if every dishonest vote is a YES.
    pub(crate) fn fails_at_best(&self, view: &View) -> bool {
        let yes = view.yes.count_ones() as usize;
        !self.is_enough(yes + self.faulty, self.honest() - yes)
    }

    pub(crate) fn equal_shares(&self, view: &View) -> bool {
        let mut shares: Vec<u64> =
            view.desks.iter().map(|desk| desk.share).filter(|share| *share != 0).collect();
        shares.dedup();
        shares.len() <= 1
    }

    /// A node that does not sign does not sign with less either: fewer statements, fewer YES.
    pub(crate) fn missing_never_decides(&self, view: &View, node: usize) -> bool {
        if self.share(view, node) != 0 {
            return true;
        }
        let less: [fn(&mut Desk); 3] = [
            |desk| desk.shown = desk.shown.saturating_sub(1),
            |desk| desk.lied = false,
            |desk| desk.late_yes = false,
        ];
        less.iter().all(|take| {
            let mut poorer = view.clone();
            take(&mut poorer.desks[node]);
            // A statement brings its author's ballot: without it that may be a NO less.
            let same_no = |voter: usize| self.holds(&poorer, node, voter) == self.holds(view, node, voter);
            let fewer_no = (0..self.honest()).any(|voter| view.yes >> voter & 1 == 0 && !same_no(voter));
            fewer_no || self.share(&poorer, node) == 0
        })
    }

    /// The honest heard each other in time, a day passed, and the dishonest, who are not needed, may be silent.
    pub(crate) fn settled(&self, view: &View) -> bool {
        let yes = view.yes.count_ones() as usize;
        let anyway = self.is_enough(yes, self.honest() - yes + self.faulty);
        let shown = view.desks.iter().all(|desk| desk.shown == self.others());
        anyway && shown && view.late && self.all_arrived(view) && self.honest() >= self.signers()
    }

    /// Enough honest ones give equal shares.
    pub(crate) fn can_certify(&self, view: &View) -> bool {
        let given = view.desks.iter().filter(|desk| desk.share != 0).count();
        given >= self.signers() && self.equal_shares(view)
    }
}

impl View {
    pub(crate) fn signed(&self, node: usize) -> bool {
        self.desks[node].share != 0
    }

    pub(crate) fn shares(&self) -> usize {
        self.desks.iter().filter(|desk| desk.share != 0).count()
    }
}

#[test]
fn the_model_moves_what_a_real_guild_says() {
    // The state that the model starts from is that of the fold of an empty document.
    let world = World::new(4, 1, 0, Mistake::None);
    let mut guild = guild(4);
    guild.charter.rules = Rules::all(Rule::Relative, 50, 432);
    assert_eq!(world.base.rules, guild.charter.rules);
    assert_eq!(world.base.co_signers, guild.charter.co_signers);
}
