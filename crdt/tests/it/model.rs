//! The implemented rules of voting under a model checker: every order of deliveries, closes, lies, lost
//! stores and signatures among few co-signers. What judges is [`crdt::governance::passing`] itself, and
//! what a co-signer states is what [`crdt::governance::statement`] says; the model only moves entries.
//!
//! Each deliberate mistake that the design once had is tried too, and must be caught.

mod epochs;
mod orders;
mod world;

use stateright::{Checker as _, Model, Property};
use world::{Action, Mistake, View, World};

impl Model for World {
    type State = View;
    type Action = Action;

    fn init_states(&self) -> Vec<View> {
        self.beginnings()
    }

    fn actions(&self, view: &View, actions: &mut Vec<Action>) {
        self.possible(view, actions);
    }

    fn next_state(&self, view: &View, action: Action) -> Option<View> {
        Some(self.after(view, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "V1 a share is given only for what was said in time and is known",
                |world: &Self, view: &View| {
                    (0..world.honest()).all(|node| !view.signed(node) || world.is_justified(view, node))
                },
            ),
            Property::always(
                "V1 no certificate for what fails when honest ballots arrive",
                |world: &Self, view: &View| {
                    let cert = world.faulty() + view.shares() >= world.signers();
                    !(cert && world.all_arrived(view) && world.fails_at_best(view))
                },
            ),
            Property::always("V2 whoever signs signs the same bytes", |world: &Self, view: &View| {
                world.equal_shares(view)
            }),
            Property::always("V4 what is missing never decides", |world: &Self, view: &View| {
                (0..world.honest()).all(|node| world.missing_never_decides(view, node))
            }),
            Property::always(
                "A4 what passes anyway is certified once all is known",
                |world: &Self, view: &View| !world.settled(view) || world.can_certify(view),
            ),
            Property::sometimes("something is certified", |world: &Self, view: &View| {
                world.faulty() + view.shares() >= world.signers() && view.shares() > 0
            }),
        ]
    }
}

/// The names of the properties that `world` breaks.
fn broken(world: World) -> Vec<&'static str> {
    let checker = world.checker().threads(1).spawn_bfs().join();
    let found = checker.discoveries();
    let always = |property: &Property<World>| property.expectation == stateright::Expectation::Always;
    let properties = checker.model().properties();
    let broken = properties.iter().filter(|property| always(property) && found.contains_key(property.name));
    let never = properties.iter().filter(|property| !always(property) && !found.contains_key(property.name));
    let names: Vec<&'static str> = broken.chain(never).map(|property| property.name).collect();
    names
}

#[test]
fn v1_v2_v4_hold_for_the_rules_as_they_are() {
    for (n, faulty, lost) in [(3, 1, 2), (4, 1, 2), (4, 2, 2), (5, 2, 0)] {
        assert_eq!(
            broken(World::new(n, faulty, lost, Mistake::None)),
            Vec::<&str>::new(),
            "n = {n}, f = {faulty}"
        );
    }
}

#[test]
fn a4_a_signature_over_the_votes_one_has_is_caught() {
    let broken = broken(World::new(4, 1, 0, Mistake::VoteSetSigned));
    assert!(broken.contains(&"V2 whoever signs signs the same bytes"), "{broken:?}");
}

#[test]
fn a_quorum_that_counts_no_is_caught() {
    let broken = broken(World::new(5, 2, 0, Mistake::QuorumCountsNo));
    assert!(
        broken.contains(&"V1 a share is given only for what was said in time and is known"),
        "{broken:?}"
    );
}

#[test]
fn f5_ballots_that_n_t_plus_1_statements_make_certain_are_caught() {
    let broken = broken(World::new(4, 2, 0, Mistake::FewStatementsSuffice));
    assert!(
        broken.contains(&"V1 a share is given only for what was said in time and is known"),
        "{broken:?}"
    );
}

#[test]
fn f5_a_claim_that_is_taken_without_its_ballot_is_caught() {
    let broken = broken(World::new(4, 2, 0, Mistake::ClaimSuffices));
    assert!(
        broken.contains(&"V1 a share is given only for what was said in time and is known"),
        "{broken:?}"
    );
}
