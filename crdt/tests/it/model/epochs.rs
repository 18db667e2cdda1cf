//! Rival epoch changes under the model checker: two that both passed, co-signers that sign what
//! [`passing`] lets pass, restored backups, and a seal that Bitcoin lets be spent once, with
//! reorganisations. The mistake that the design once had, a lock in each co-signer in the place of the
//! seal, must be caught.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::with_charter;
use crdt::epoch::Next;
use crdt::governance::{Choice, Effect, EpochChange, Local, passing};
use crdt::state::{HeldBallot, ProposalState, State};
use crdt::testkit::people;
use crdt::text::{Line, Note};
use crdt::{Digest, EntryId, Height, MemberId, Proposal, ProposalId};
use stateright::{Checker as _, Expectation, Model, Property};
use std::collections::BTreeMap;

const PROPOSED: Height = 1_000;
const REORGS: u8 = 2;

/// What makes an epoch change unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A coin that can be spent once.
    Seal,
    /// A lock in each co-signer: it signs one change of an epoch and no other.
    Lock,
}

/// The world at one moment. Changes are named 0 and 1, sets of them have a bit for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct View {
    /// The changes whose ballots each honest co-signer has.
    known: Vec<u8>,
    /// Those it gave a share for.
    given: Vec<u8>,
    /// Those that a restored co-signer no longer remembers to have signed.
    forgotten: Vec<u8>,
    rollbacks: u8,
    /// The change whose seal is in the chain.
    sealed: Option<u8>,
    /// Whether it is buried: then no reorganisation reaches it.
    deep: bool,
    reorgs: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Learn(usize, u8),
    Restore(usize),
    Seal(u8),
    Bury,
    Turn,
}

struct World {
    by: By,
    honest: usize,
    faulty: usize,
    rollbacks: u8,
    base: State,
    members: Vec<MemberId>,
}

fn id(change: u8) -> ProposalId {
    ProposalId(Digest([0xe0 | change; 32]))
}

impl World {
    fn new((n, faulty): (usize, usize), rollbacks: u8, by: By) -> Self {
        let guild = with_charter(people(n), |_| {});
        let members = (0..n).map(|who| guild.id(who)).collect();
        Self { by, honest: n - faulty, faulty, rollbacks, base: guild.fold().state, members }
    }

    fn change(&self, change: u8) -> EpochChange {
        let gone = self.members[usize::from(change)];
        let candidates = self.members.iter().copied().filter(|member| *member != gone).collect();
        EpochChange { put: vec![], remove: vec![gone], rules: None, threshold: None, candidates, least: 2 }
    }

    /// The state of a co-signer who has the ballots on `known`: all members want both changes.
    fn state(&self, known: u8) -> State {
        let mut state = self.base.clone();
        for change in (0..2).filter(|change| known >> change & 1 == 1) {
            let ballot = |(number, member): (u8, &MemberId)| {
                let entry = EntryId(Digest([number << 1 | change; 32]));
                let held = HeldBallot {
                    entry,
                    choice: Choice::Yes,
                    last: true,
                    height: PROPOSED,
                    reason: Note::default(),
                };
                (*member, held)
            };
            let proposal = ProposalState {
                author: self.members[0],
                height: PROPOSED,
                close: PROPOSED + 432,
                proposal: Proposal {
                    title: Line::try_from("x".to_owned()).expect("plain"),
                    text: Note::default(),
                    effect: Effect::Epoch(Box::new(self.change(change))),
                },
                ballots: (1..).zip(&self.members).map(ballot).collect(),
                earlier: BTreeMap::new(),
                comments: BTreeMap::new(),
                withdrawn: false,
                certificates: BTreeMap::new(),
                settled: None,
                lapsed: false,
                draws: BTreeMap::new(),
            };
            state.proposals.insert(id(change), proposal);
        }
        state
    }

    /// What the honest sign at once when they can.
    fn sign(&self, view: &mut View) {
        for node in 0..self.honest {
            let state = self.state(view.known[node]);
            for change in 0..2 {
                let locked = self.by == By::Lock && view.given[node] & !view.forgotten[node] != 0;
                let passes = passing(&state, &id(change), &Local::at(PROPOSED + 1));
                if passes.is_ok_and(|passing| passing.body().proposal == id(change)) && !locked {
                    view.given[node] |= 1 << change;
                }
            }
        }
    }

    /// Whether the group's signature over `change` can exist; without the dishonest if they are silent.
    fn certified(&self, view: &View, change: u8, faulty: usize) -> bool {
        let shares = view.given.iter().filter(|given| *given >> change & 1 == 1).count();
        shares + faulty >= self.base.signers_needed()
    }

    /// The changes that are in effect.
    fn in_effect(&self, view: &View) -> usize {
        match self.by {
            By::Seal => usize::from(view.sealed.is_some() && view.deep),
            By::Lock => (0..2).filter(|change| self.certified(view, *change, self.faulty)).count(),
        }
    }

    /// Everybody knows everything, and still no change can happen although enough are honest.
    fn stuck(&self, view: &View) -> bool {
        let all_known = view.known.iter().all(|known| *known == 0b11);
        let enough = self.honest >= self.base.signers_needed();
        all_known && enough && !(0..2).any(|change| self.certified(view, change, 0))
    }

    /// Whoever knows a change makes the same roll of it, whatever else it knows.
    fn equal_rolls(&self, view: &View) -> bool {
        (0..2).all(|change| {
            let known = view.known.iter().filter(|known| *known >> change & 1 == 1);
            let mut rolls = known.map(|known| Next::of(&self.state(*known), Some(&self.change(change))));
            let first = rolls.next();
            rolls.all(|roll| Some(&roll) == first.as_ref())
        })
    }
}

impl Model for World {
    type State = View;
    type Action = Action;

    fn init_states(&self) -> Vec<View> {
        let none = vec![0; self.honest];
        vec![View {
            known: none.clone(),
            given: none.clone(),
            forgotten: none,
            rollbacks: 0,
            sealed: None,
            deep: false,
            reorgs: 0,
        }]
    }

    fn actions(&self, view: &View, actions: &mut Vec<Action>) {
        for node in 0..self.honest {
            let unknown = (0..2).filter(|change| view.known[node] >> change & 1 == 0);
            actions.extend(unknown.map(|change| Action::Learn(node, change)));
            if view.rollbacks < self.rollbacks && view.given[node] & !view.forgotten[node] != 0 {
                actions.push(Action::Restore(node));
            }
        }
        match view.sealed {
            None => actions.extend([Action::Seal(0), Action::Seal(1)]),
            Some(_) if !view.deep => {
                actions.push(Action::Bury);
                if view.reorgs < REORGS {
                    actions.push(Action::Turn);
                }
            }
            Some(_) => {}
        }
    }

    fn next_state(&self, view: &View, action: Action) -> Option<View> {
        let mut next = view.clone();
        match action {
            Action::Learn(node, change) => next.known[node] |= 1 << change,
            Action::Restore(node) => {
                next.forgotten[node] |= next.given[node];
                next.rollbacks += 1;
            }
            Action::Seal(change) => {
                self.certified(view, change, self.faulty).then_some(())?;
                next.sealed = Some(change);
            }
            Action::Bury => next.deep = true,
            Action::Turn => (next.sealed, next.reorgs) = (None, next.reorgs + 1),
        }
        self.sign(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(E1, |world: &Self, view| world.in_effect(view) <= 1),
            Property::always(E2, |world: &Self, view| world.equal_rolls(view)),
            Property::always(E3, |world: &Self, view| !world.stuck(view)),
            Property::sometimes("an epoch changes", |world: &Self, view| world.in_effect(view) == 1),
        ]
    }
}

const E1: &str = "E1 one epoch follows another";
const E2: &str = "E2 what follows from a change depends on nothing else";
const E3: &str = "E3 with enough honest co-signers some change can happen";

fn broken(world: World) -> Vec<&'static str> {
    let checker = world.checker().threads(1).spawn_bfs().join();
    let found = checker.discoveries();
    let fails = |property: &Property<World>| {
        found.contains_key(property.name) == (property.expectation == Expectation::Always)
    };
    checker.model().properties().iter().filter(|property| fails(property)).map(|one| one.name).collect()
}

#[test]
fn a1_a2_a3_two_passed_epoch_changes_end_in_one_epoch_whoever_signs_both_or_forgets() {
    for ((n, faulty), rollbacks) in [((3, 1), 2), ((4, 0), 2), ((4, 1), 1)] {
        assert_eq!(broken(World::new((n, faulty), rollbacks, By::Seal)), Vec::<&str>::new(), "{n} {faulty}");
    }
}

#[test]
fn a1_a_lock_in_the_place_of_the_seal_is_stuck_for_ever() {
    assert!(broken(World::new((4, 0), 0, By::Lock)).contains(&E3));
}

#[test]
fn a2_a_lock_that_a_dishonest_co_signer_ignores_lets_two_epochs_be() {
    assert!(broken(World::new((3, 1), 0, By::Lock)).contains(&E1));
}

#[test]
fn a3_a_lock_that_a_backup_forgot_lets_two_epochs_be() {
    assert!(!broken(World::new((4, 1), 0, By::Lock)).contains(&E1), "n = 4 bears one who lies");
    assert!(broken(World::new((4, 1), 1, By::Lock)).contains(&E1), "and not one who forgot besides");
}
