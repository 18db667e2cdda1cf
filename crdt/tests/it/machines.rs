//! Votes between co-signers who exchange real bytes: several machines of anti-entropy ask and answer, pages
//! are verified and inserted, and what came when is what each of them states. Names begin with the number of
//! the attack.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use crate::harness::{certificate, group, key_ready, over_the_wire};
use crate::relative::{OVER, Room, START};
use crdt::governance::{Choice, PATIENCE};
use crdt::sync::answer;
use crdt::sync::machine::{COMPARE_EVERY, Effect, Input, Syncer};
use crdt::testkit::{ballot, spend};
use crdt::*;
use std::collections::VecDeque;
use std::time::Duration;

/// Rounds of questions and answers after which honest nodes agree.
const ROUNDS_MAX: usize = 200;

/// A room whose co-signers hear each other by questions and answers only.
struct Wire {
    room: Room,
    syncers: Vec<Syncer>,
    now: Duration,
    /// Bytes that travelled.
    bytes: usize,
}

impl Wire {
    fn of(count: usize) -> Self {
        let syncers = (0..count).map(|_| Syncer::default()).collect();
        Self { room: Room::of(count), syncers, now: COMPARE_EVERY, bytes: 0 }
    }

    /// Those of `among` connect, exchange until all of them have the same, and part.
    fn sync(&mut self, among: &[usize]) {
        self.now += COMPARE_EVERY;
        let mut inputs = VecDeque::new();
        for one in among {
            let others = among.iter().filter(|other| *other != one);
            inputs.extend(others.map(|other| (*one, Input::Connected(self.room.guild.id(*other)))));
        }
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "honest nodes still differ");
            while let Some((who, input)) = inputs.pop_front() {
                let effects = self.syncers[who].handle(input, &self.room.nodes[who].document, self.now);
                inputs.extend(effects.into_iter().map(|effect| (who, self.carry_out(who, effect))));
            }
            let digest = |who: &usize| sync::Frontier::of(&self.room.nodes[*who].document).digest();
            if among.windows(2).all(|pair| digest(&pair[0]) == digest(&pair[1])) {
                break;
            }
            self.now += COMPARE_EVERY;
            inputs.extend(among.iter().map(|who| (*who, Input::Tick)));
        }
        for one in among {
            for other in among {
                let gone = Input::Disconnected(self.room.guild.id(*other));
                self.syncers[*one].handle(gone, &self.room.nodes[*one].document, self.now);
            }
        }
    }

    fn carry_out(&mut self, who: usize, effect: Effect) -> Input {
        match effect {
            Effect::Ask(peer, number, question) => {
                let asked = (0..self.syncers.len()).find(|other| self.room.guild.id(*other) == peer).unwrap();
                let said = answer(&self.room.nodes[asked].document, &over_the_wire(&question));
                self.bytes += postcard::to_stdvec(&said).unwrap().len();
                Input::Answer(peer, number, Some(over_the_wire(&said)))
            }
            Effect::Verify(peer, number, page) => {
                let door = self.room.nodes[who].document.verifier();
                let read: Result<Vec<Signed>, _> = page.iter().map(|bytes| door.verify(bytes)).collect();
                self.room.take(who, read.as_deref().unwrap());
                Input::Taken(peer, number, read)
            }
            Effect::Cut(peer, fault, _) => panic!("{peer:?} was cut off: it {fault}"),
        }
    }

    fn proposal(&mut self) -> ProposalId {
        let id = self.room.say(0, START, spend(70_000)).id().into();
        self.sync(&(0..self.syncers.len()).collect::<Vec<_>>());
        id
    }

    fn vote(&mut self, who: usize, proposal: ProposalId, choice: Choice) {
        self.room.say(who, START + 1, ballot(proposal, choice, false));
    }
}

#[test]
fn a4_a_ballot_shown_to_one_of_five_machines_stops_nothing_that_passes_anyway() {
    let mut wire = Wire::of(5);
    let proposal = wire.proposal();
    for who in 0..3 {
        wire.vote(who, proposal, Choice::Yes);
    }
    wire.sync(&[0, 1, 2, 3]);
    wire.vote(4, proposal, Choice::Yes);
    wire.sync(&[0, 4]); // one of five hears it in time, and is heard
    wire.room.reach(OVER);
    wire.sync(&[0, 1, 2, 3, 4]);
    assert_eq!(wire.room.passes(&proposal), [true; 5]);
    assert!(wire.bytes > 1_000, "entries travelled");
}

#[test]
fn a5_ballots_that_two_machines_kept_back_until_the_close_count_for_nothing() {
    let mut wire = Wire::of(4);
    let proposal = wire.proposal();
    wire.vote(0, proposal, Choice::Yes);
    wire.sync(&[0, 3]);
    wire.vote(1, proposal, Choice::Yes);
    wire.vote(2, proposal, Choice::Yes);
    wire.sync(&[1, 2]);
    wire.room.reach(OVER);
    wire.sync(&[0, 1, 2, 3]);
    wire.room.reach(OVER + PATIENCE);
    let passes = wire.room.passes(&proposal);
    assert!(!passes[0] && !passes[3], "{passes:?}");
}

#[test]
fn a8_ballots_dated_back_after_the_close_change_no_machine_s_result() {
    let mut wire = Wire::of(5);
    let key = group(1);
    for who in 0..5 {
        wire.room.say(who, START, Payload::KeyReady(key_ready(1, &key)));
    }
    let proposal = wire.proposal();
    for who in 0..3 {
        wire.vote(who, proposal, Choice::Yes);
    }
    wire.sync(&[0, 1, 2, 3]);
    for who in 0..4 {
        wire.room.nodes[who].tip = OVER;
        wire.room.close(who);
    }
    wire.sync(&[0, 1, 2, 3]);
    let before = wire.room.passes(&proposal);
    assert_eq!(before[..4], [true; 4]);
    let state = wire.room.state(0);
    let body = state.proposals[&proposal].body_of(state.guild, state.epoch, proposal, 0).unwrap();
    // The fifth never spoke since its key, so its chain lets it claim the height of the vote.
    wire.vote(4, proposal, Choice::No);
    wire.sync(&[0, 1, 2, 3, 4]);
    assert!(wire.room.state(0).proposals[&proposal].ballots.contains_key(&wire.room.guild.id(4)));
    assert_eq!(wire.room.passes(&proposal)[..4], [true; 4], "a NO beside three YES");
    wire.room.say(0, OVER, certificate(body, &key));
    wire.vote(4, proposal, Choice::No);
    wire.sync(&[0, 1, 2, 3, 4]);
    let hashes: Vec<Digest> = (0..4).map(|who| wire.room.state(who).hash()).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]));
    assert!((0..5).all(|who| wire.room.state(who).proposals[&proposal].decided().is_some()), "V5");
}
