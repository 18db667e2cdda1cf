//! From one epoch to the next in the document: who may speak, what a checkpoint is made of, what it changes
//! and what it leaves alone (§10, E1, E2).

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::{certificate, group, group_key, guild, sign};
use crdt::certificate::{Certificate, key_test_digest};
use crdt::entry::{Attempt, KeyReady};
use crdt::epoch::{self, NotFit, Plan};
use crdt::governance::{EpochChange, NotPassing, RollEntry, passing};
use crdt::succession::{Cut, Rekey};
use crdt::sync::Frontier;
use crdt::testkit::{Person, ballot, facts, payee, people, spend};
use crdt::text::{Line, Note};
use crdt::*;
use std::sync::Arc;

/// Where it happens.
const START: Height = 1_000;
const CUT: Height = START + 10;
const SEALED: Height = START + 30;

/// Four founders, of whom dave leaves for erin. All are candidates but he.
struct Scene {
    people: Vec<Person>,
    charter: Charter,
    document: Document,
    change: ProposalId,
}

const ERIN: usize = 4;
const DAVE: usize = 3;
const SIGNERS: [usize; 4] = [0, 1, 2, ERIN];

fn scene() -> Scene {
    let mut founded = guild(4);
    let key = group(1);
    for who in 0..4 {
        founded.say_at(who, START, Payload::Accept);
        founded.say_at(who, START, Payload::KeyReady(crate::harness::key_ready(1, &key)));
    }
    let people = people(5);
    let joins = RollEntry {
        key: people[ERIN].id(),
        name: Line::try_from("erin".to_owned()).expect("plain"),
        weight: Weight::try_from(1).expect("a weight"),
        claim: Weight::default(),
        payout: payee(5),
        replaces: None,
    };
    let change = EpochChange {
        put: vec![joins],
        remove: vec![people[DAVE].id()],
        rules: None,
        threshold: None,
        candidates: SIGNERS.map(|who| people[who].id()).to_vec(),
        least: 4,
    };
    let title = Line::try_from("Erin for Dave".to_owned()).expect("plain");
    let proposal = Proposal { title, text: Note::default(), effect: Effect::Epoch(Box::new(change)) };
    let change = ProposalId::from(founded.say_at(0, START, Payload::Propose(proposal)).id());
    let body = founded.body(change);
    founded.say_at(1, START, certificate(body, &key));
    let mut document = founded.document;
    for candidate in founded.people.iter().map(Person::id).chain([people[ERIN].id()]) {
        document.admit(candidate);
    }
    Scene { people, charter: founded.charter, document, change }
}

impl Scene {
    fn say(&mut self, who: usize, height: Height, payload: Payload) -> Signed {
        self.people[who].say(&mut self.document, height, payload)
    }

    fn state(&self, epochs: &[Sealed]) -> State {
        fold(&self.charter, &self.document, &at(SEALED, epochs)).state
    }

    /// The new set makes, stores and tests a key, and somebody announces the cut.
    fn rekey(&mut self) {
        let set: Vec<MemberId> = SIGNERS.map(|who| self.people[who].id()).to_vec();
        let attempt = Attempt { epoch: 2, attempt: 1, set };
        let (key, transcript) = (group(2), Digest([9; 32]));
        for who in SIGNERS {
            self.say(who, START, Payload::Rekey(Rekey { change: self.change, attempt: attempt.clone() }));
            let ready = KeyReady { epoch: 2, attempt: 1, group_key: group_key(&key), transcript };
            self.say(who, START, Payload::KeyReady(ready));
        }
        assert!(self.state(&[]).made_for(self.change).is_empty(), "nobody tested it");
        let signature = sign(key_test_digest(self.charter.id(), 2, transcript), &key);
        self.say(ERIN, START, Payload::KeyTest { epoch: 2, signature });
        let cut = Cut { change: self.change, attempt: 1, height: CUT };
        self.say(0, START, Payload::Cut(cut));
    }

    fn draft(&self) -> Result<Checkpoint, NotFit> {
        let heads = epoch::heads(&self.document);
        let made = self.state(&[]).made().next().expect("a key");
        let state = epoch::at_heads(&self.charter, &self.document, &at(CUT, &[]), &heads);
        Plan { made, cut: CUT, heads, previous: None, guild_anchor: None }.draft(&state)
    }

    fn judged(&self, checkpoint: &Checkpoint) -> Result<(), NotFit> {
        epoch::judge(checkpoint, (&self.charter, &self.document, &at(CUT, &[])), None, None)
    }
}

fn at(height: Height, epochs: &[Sealed]) -> ChainFacts {
    ChainFacts { epochs: epochs.to_vec(), ..facts(height) }
}

fn sealed(checkpoint: Checkpoint) -> Sealed {
    Sealed { checkpoint: Arc::new(checkpoint), height: SEALED }
}

#[test]
fn a_candidate_says_what_makes_a_key_and_nothing_else() {
    let mut scene = scene();
    let state = scene.state(&[]);
    assert_eq!(state.candidates().into_iter().collect::<Vec<_>>(), [scene.people[ERIN].id()]);
    let open = ProposalId::from(scene.say(0, START, spend(70_000)).id());
    let refused = [ballot(open, Choice::Yes, true), spend(1_000), Payload::Accept];
    let refused = refused.map(|payload| scene.say(ERIN, START, payload));
    scene.rekey();
    let folded = fold(&scene.charter, &scene.document, &at(SEALED, &[]));
    for signed in refused {
        assert_eq!(folded.verdicts[&signed.id()], Verdict::Ignored(Ignored::NotAMember));
    }
    assert!(folded.state.proposals[&open].ballots.is_empty());
    assert_eq!(folded.state.made_for(scene.change).len(), 1, "four of four stored it, and it was tested");
}

#[test]
fn a_key_counts_only_for_a_certified_change_with_all_of_its_set() {
    let mut scene = scene();
    let set: Vec<MemberId> = SIGNERS.map(|who| scene.people[who].id()).to_vec();
    let state = scene.state(&[]);
    assert_eq!(state.next_threshold(&scene.change, &set), Some(3), "t is the rule's for four");
    assert_eq!(state.next_threshold(&scene.change, &set[..3]), None, "fewer than the least number");
    let dave = [&set[..3], &[scene.people[DAVE].id()]].concat();
    assert_eq!(state.next_threshold(&scene.change, &dave), None, "no candidate");
    let elsewhere = ProposalId(Digest([1; 32]));
    assert_eq!(state.next_threshold(&elsewhere, &set), None, "nothing certified");
    scene.rekey();
    let other =
        KeyReady { epoch: 2, attempt: 2, group_key: group_key(&group(3)), transcript: Digest([8; 32]) };
    scene.say(0, START, Payload::KeyReady(other));
    assert_eq!(scene.state(&[]).made().count(), 1, "an attempt that nobody called makes none");
}

#[test]
fn the_next_epoch_has_its_roll_and_what_was_open_goes_on() {
    let mut scene = scene();
    let paid = ProposalId::from(scene.say(0, START, spend(70_000)).id());
    let open = ProposalId::from(scene.say(1, START, spend(80_000)).id());
    scene.say(0, START, ballot(open, Choice::Yes, true));
    scene.say(DAVE, START, ballot(open, Choice::Yes, true));
    let body = scene.state(&[]).proposals[&paid].body(scene.charter.id(), paid);
    scene.say(2, START, certificate(body.clone(), &group(1)));
    scene.rekey();
    let checkpoint = scene.draft().expect("it follows");
    assert_eq!(scene.judged(&checkpoint), Ok(()));
    assert_eq!(checkpoint.carried.iter().map(|carried| carried.decision).collect::<Vec<_>>(), [paid]);
    assert_eq!(checkpoint.open.iter().copied().collect::<Vec<_>>(), [open]);
    let epochs = [sealed(checkpoint)];
    scene.document.govern(&epochs, |member| *member != scene.people[DAVE].id());
    // after the heads: erin votes, in her epoch
    scene.say(ERIN, SEALED, ballot(open, Choice::Yes, true));
    scene.say(1, SEALED, ballot(open, Choice::Yes, true));
    let state = scene.state(&epochs);
    assert_eq!((state.epoch, state.signers_needed()), (2, 3));
    assert!(state.members.contains_key(&scene.people[ERIN].id()));
    assert!(!state.members.contains_key(&scene.people[DAVE].id()));
    assert_eq!(
        state.usable_key().map(|key| key.ready.group_key),
        None,
        "no founding policy was certified here"
    );
    assert_eq!(state.key_of(2), Some(group_key(&group(2))));
    assert_eq!(state.key_of(1), Some(group_key(&group(1))));
    assert!(state.proposals[&paid].certificate().is_some(), "carried with its proof");
    let tally = governance::Tally::count(&state, &state.proposals[&open]);
    assert_eq!((tally.final_yes, tally.roll), (3, 4), "alice, bob and erin; dave's counts no more");
    let local = governance::Local::at(SEALED);
    assert_eq!(passing(&state, &open, &local).map(|passing| passing.body().epoch), Ok(2));
    assert_eq!(state.changes().count(), 0, "carried out");
}

#[test]
fn what_no_checkpoint_takes_along_lapses_and_the_old_key_certifies_no_more() {
    let mut scene = scene();
    let open = ProposalId::from(scene.say(1, START, spend(80_000)).id());
    scene.rekey();
    let checkpoint = Checkpoint { open: std::collections::BTreeSet::new(), ..scene.draft().expect("fits") };
    assert_eq!(scene.judged(&checkpoint), Err(NotFit::Differs("open proposals")));
    let epochs = [sealed(checkpoint)];
    let body = scene.state(&[]).proposals[&open].body(scene.charter.id(), open);
    let late = scene.say(2, SEALED, certificate(body, &group(1)));
    let folded = fold(&scene.charter, &scene.document, &at(SEALED, &epochs));
    assert_eq!(folded.verdicts[&late.id()], Verdict::Ignored(Ignored::OtherBody), "of the epoch before");
    assert_eq!(
        passing(&folded.state, &open, &governance::Local::at(SEALED)),
        Err(NotPassing::Lapsed),
        "not listed"
    );
}

#[test]
fn a_ballot_that_who_left_dates_back_is_not_even_taken() {
    let mut scene = scene();
    let open = ProposalId::from(scene.say(1, START, spend(80_000)).id());
    scene.rekey();
    let mut elsewhere = scene.document.clone();
    let epochs = [sealed(scene.draft().expect("fits"))];
    let dave = scene.people[DAVE].id();
    // Some node has it from before its seal was deep, another gets it afterwards.
    let back_dated = scene.people[DAVE].say(&mut elsewhere, START, ballot(open, Choice::Yes, true));
    assert!(elsewhere.find(back_dated.id()).is_some());
    for document in [&mut scene.document, &mut elsewhere] {
        document.govern(&epochs, |member| *member != dave);
        assert_eq!(document.insert(back_dated.clone(), SEALED), Insert::Nothing);
        assert!(document.find(back_dated.id()).is_none());
        let state = fold(&scene.charter, document, &at(SEALED, &epochs)).state;
        assert!(state.proposals[&open].ballots.is_empty());
    }
    assert_eq!(Frontier::of(&scene.document), Frontier::of(&elsewhere));
    // Nobody asks for it again, and a chain that turned back takes it.
    let mut before = scene.document.clone();
    before.govern(&[], |_| true);
    assert!(matches!(before.insert(back_dated, SEALED), Insert::New(_)));
    assert!(Frontier::of(&scene.document).lacks(&Frontier::of(&before)).is_empty());
}

#[test]
fn a_fork_below_a_sealed_head_changes_nothing_of_its_epoch() {
    let mut scene = scene();
    let open = ProposalId::from(scene.say(1, START, spend(80_000)).id());
    let voted = scene.say(2, START, ballot(open, Choice::Yes, true));
    scene.rekey();
    let epochs = [sealed(scene.draft().expect("fits"))];
    let dave = scene.people[DAVE].id();
    let mut open_epoch = scene.document.clone();
    scene.document.govern(&epochs, |member| *member != dave);
    let before = scene.state(&epochs);
    let entry = Entry { payload: ballot(open, Choice::No, true), ..voted.entry().clone() };
    let other = Signed::sign(entry, &scene.people[2].key);
    assert!(matches!(open_epoch.insert(other.clone(), SEALED), Insert::New(_)), "a fork as any");
    assert_eq!(scene.document.insert(other, SEALED), Insert::Nothing);
    assert_eq!(scene.state(&epochs).hash(), before.hash());
}

#[test]
fn in_any_order_the_state_of_the_next_epoch_is_the_same() {
    let mut scene = scene();
    let open = ProposalId::from(scene.say(1, START, spend(80_000)).id());
    scene.rekey();
    let epochs = [sealed(scene.draft().expect("fits"))];
    scene.say(ERIN, SEALED, ballot(open, Choice::Yes, true));
    scene.say(0, SEALED, ballot(open, Choice::No, false));
    let expected = scene.state(&epochs).hash();
    let mut all: Vec<Signed> = scene.document.all().cloned().collect();
    all.reverse();
    let mut other = Document::new(&scene.charter);
    other.admit(scene.people[ERIN].id());
    let mut fold = Fold::new(&scene.charter, &at(SEALED, &epochs));
    for signed in all {
        other.insert(signed, SEALED);
    }
    other.govern(&epochs, |member| *member != scene.people[DAVE].id());
    fold.catch_up(&other);
    assert_eq!(fold.state().hash(), expected);
    // and a fold that follows from there
    other.take_touched();
    let said = scene.say(2, SEALED, ballot(open, Choice::Yes, true));
    other.insert(said, SEALED);
    let touched = other.take_touched();
    fold.follow(&other, touched);
    assert_eq!(fold.state().hash(), scene.state(&epochs).hash());
}

#[test]
fn a_signer_refuses_what_cuts_off_what_it_had_or_carries_what_nobody_decided() {
    let mut scene = scene();
    scene.rekey();
    let had = epoch::heads(&scene.document);
    let checkpoint = scene.draft().expect("fits");
    let judge = |checkpoint: &Checkpoint, had: Option<&_>| {
        epoch::judge(checkpoint, (&scene.charter, &scene.document, &at(CUT, &[])), had, None)
    };
    assert_eq!(judge(&checkpoint, Some(&had)), Ok(()));
    let mut short = checkpoint.clone();
    let alice = scene.people[0].id();
    let chain = scene.document.chain(&alice).expect("alice's");
    let below = chain.entries()[chain.entries().len() - 2].clone();
    short.heads.insert(alice, epoch::Head { seq: below.entry().seq, entry: below.id() });
    assert_eq!(judge(&short, Some(&had)), Err(NotFit::Short(alice)));
    let mut missing = checkpoint.clone();
    missing.heads.insert(alice, epoch::Head { seq: 99, entry: below.id() });
    assert_eq!(judge(&missing, Some(&had)), Err(NotFit::Missing));
    let mut foreign = checkpoint.clone();
    let anchor = bitcoin::OutPoint::null();
    let decision = ProposalId(Digest([5; 32]));
    foreign.carried.insert(epoch::Carried { decision, option: 0, anchor });
    assert_eq!(judge(&foreign, None), Err(NotFit::Carries(decision)));
    let mut robbed = checkpoint.clone();
    robbed.group_key = group_key(&group(7));
    assert_eq!(judge(&robbed, None), Err(NotFit::Differs("other parts")));
    let mut stranger = checkpoint.clone();
    stranger.transcript = Digest([6; 32]);
    assert_eq!(judge(&stranger, None), Err(NotFit::Key));
    let mut heavier = checkpoint.clone();
    heavier.roll.values_mut().for_each(|member| member.weight = Weight::try_from(9).expect("a weight"));
    assert_eq!(judge(&heavier, None), Err(NotFit::Differs("members")));
    let certificate: Option<Certificate> = None;
    assert_eq!(judge(&Checkpoint { certificate, ..checkpoint }, None), Err(NotFit::Change));
}
