//! Checkpoints: one encoding, one hash; what the next roll is; what goes on across a seal.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::compat::assert_pinned;
use crate::harness::{certificate, group, group_key, guild};
use bitcoin::{OutPoint, Txid, hashes::Hash as _};
use crdt::charter::ThresholdRule;
use crdt::epoch::{Carried, Checkpoint, CheckpointError, Head, Next, carried, falls_short, lapses};
use crdt::governance::{Effect, EpochChange, RollEntry};
use crdt::rules::{Rule, Rules};
use crdt::testkit::{payee, people, spend};
use crdt::text::Line;
use crdt::*;
use std::collections::{BTreeMap, BTreeSet};

fn change() -> EpochChange {
    let person = |number: usize| people(7)[number].id();
    let put = RollEntry {
        key: person(4),
        name: Line::try_from("erin".to_owned()).expect("plain"),
        weight: Weight::try_from(5).expect("a weight"),
        claim: Weight::default(),
        payout: payee(5),
        replaces: Some(person(3)),
    };
    EpochChange {
        put: vec![put],
        remove: vec![person(2)],
        rules: Some(Rules::all(Rule::Absolute, 66, 1_008)),
        threshold: Some(ThresholdRule::AtLeast(3)),
        candidates: vec![person(0), person(1), person(4)],
        least: 3,
    }
}

fn checkpoint() -> Checkpoint {
    let guild = guild(4);
    let state = guild.fold().state;
    let next = Next::of(&state, Some(&change())).expect("all are there");
    Checkpoint {
        guild: state.guild,
        epoch: 2,
        previous: None,
        certificate: None,
        roll: next.roll,
        rules: next.rules,
        co_signers: change().candidates,
        threshold: next.threshold,
        group_key: group_key(&group(2)),
        transcript: Digest([3; 32]),
        cut: 20_000,
        heads: BTreeMap::from([(guild.id(0), Head { seq: 7, entry: EntryId(Digest([4; 32])) })]),
        carried: BTreeSet::new(),
        open: BTreeSet::new(),
        settings: BTreeMap::new(),
        guild_anchor: None,
    }
}

#[test]
fn a_checkpoint_has_one_encoding_and_keeps_its_hash() {
    let checkpoint = checkpoint();
    let bytes = checkpoint.to_bytes();
    assert_pinned("checkpoint", &bytes);
    assert_pinned("checkpoint-hash", &checkpoint.hash().0);
    assert_eq!(Checkpoint::from_bytes(&bytes), Ok(checkpoint.clone()));
    assert_eq!(Checkpoint::from_bytes(&[&bytes[..], &[0]].concat()), Err(CheckpointError::Malformed));
    for len in 0..bytes.len() {
        assert_eq!(Checkpoint::from_bytes(&bytes[..len]), Err(CheckpointError::Malformed));
    }
    for byte in 0..bytes.len() {
        let mut other = bytes.clone();
        other[byte] ^= 1;
        let other = Checkpoint::from_bytes(&other);
        assert!(other.map_or(true, |other| other.hash() != checkpoint.hash()), "byte {byte}");
    }
}

#[test]
fn a_checkpoint_that_breaks_a_rule_is_refused_for_it() {
    let outsider = people(7)[6].id();
    let first = people(1)[0].id();
    type Break = (CheckpointError, fn(&mut Checkpoint));
    let table: [Break; 6] = [
        (CheckpointError::Members(1), |c| c.roll = c.roll.clone().into_iter().take(1).collect()),
        (CheckpointError::NoWeight, |c| c.roll.values_mut().for_each(|m| m.weight = Weight::default())),
        (CheckpointError::CoSigner(outsider), |c| c.co_signers[1] = people(7)[6].id()),
        (CheckpointError::CoSigner(first), |c| c.co_signers[1] = c.co_signers[0]),
        (CheckpointError::Threshold { t: 4, n: 3 }, |c| c.threshold = ThresholdRule::AtLeast(4)),
        (CheckpointError::Rule("a quorum is 1 to 100 percent"), |c| c.rules.text.quorum_percent = 0),
    ];
    for (why, breaks) in table {
        let mut broken = checkpoint();
        assert_eq!(broken.check(), Ok(()));
        breaks(&mut broken);
        assert_eq!(broken.check(), Err(why.clone()));
        assert_eq!(Checkpoint::from_bytes(&broken.to_bytes()), Err(why));
    }
}

#[test]
fn a_change_adds_removes_and_rotates_and_a_renewal_changes_nothing() {
    let guild = guild(4);
    let state = guild.fold().state;
    let next = Next::of(&state, Some(&change())).expect("all are there");
    let new = people(7)[4].id();
    let expected: BTreeSet<MemberId> = [guild.id(0), guild.id(1), new].into();
    assert_eq!(next.roll.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(u32::from(next.roll[&new].weight), 5);
    assert_eq!((next.threshold, next.rules.spend.more_than_percent), (ThresholdRule::AtLeast(3), 66));
    let renewed = Next::of(&state, None).expect("nobody is named");
    assert_eq!(renewed.roll.len(), 4);
    assert_eq!((renewed.rules, renewed.threshold), (state.rules.clone(), state.threshold));
    let unknown = EpochChange { remove: vec![people(7)[5].id()], ..change() };
    assert_eq!(Next::of(&state, Some(&unknown)), Err(CheckpointError::Unknown(people(7)[5].id())));
}

#[test]
fn what_is_certified_and_unpaid_goes_on_by_its_anchor() {
    let mut guild = guild(4);
    let key = group(1);
    guild.ready(&key);
    let decided = ProposalId::from(guild.say(0, spend(70_000)).id());
    let open = ProposalId::from(guild.say(0, spend(80_000)).id());
    let body = guild.body(decided);
    guild.say(1, certificate(body, &key));
    let mut state = guild.fold().state;
    let anchor = OutPoint::new(Txid::all_zeros(), 0);
    assert_eq!(carried(&state, 20_000), BTreeSet::from([Carried { decision: decided, option: 0, anchor }]));
    let proposal = state.proposals.get_mut(&decided).expect("proposed");
    let (how, txid) = (state::How::Paid, Txid::all_zeros());
    proposal.settled = Some(state::Settled { how, txid, height: 15_000 });
    assert!(carried(&state, 20_000).is_empty(), "paid is paid");
    assert!(
        !state.proposals.contains_key(&ProposalId(Digest([0; 32]))) && state.proposals.contains_key(&open)
    );
}

#[test]
fn only_what_those_who_vote_had_to_decide_before_the_seal_lapses() {
    let mut guild = crate::harness::with_charter(people(4), |charter| {
        charter.rules = Rules::all(Rule::Absolute, 50, 432);
        charter.rules.text.rule = Rule::Relative;
    });
    let money = ProposalId::from(guild.say(0, spend(70_000)).id());
    let title = Line::try_from("x".to_owned()).expect("plain");
    let words = Proposal { title, text: text::Note::default(), effect: Effect::Text };
    let words = ProposalId::from(guild.say(0, Payload::Propose(words)).id());
    let state = guild.fold().state;
    let over = state.proposals[&words].close + 144;
    assert!(!lapses(&state, &state.proposals[&words], over - 1), "there is time under the new roll");
    assert!(lapses(&state, &state.proposals[&words], over));
    assert!(!lapses(&state, &state.proposals[&money], over + 10_000), "the absolute rule goes on");
}

#[test]
fn f19_heads_below_what_a_signer_had_at_the_cut_are_refused_and_more_is_fine() {
    let head = |seq, salt| Head { seq, entry: EntryId(Digest([salt; 32])) };
    let [alice, bob] = [people(2)[0].id(), people(2)[1].id()];
    let own = BTreeMap::from([(alice, head(5, 1))]);
    let with = |listed: &[(MemberId, Head)]| falls_short(&listed.iter().copied().collect(), &own);
    assert_eq!(with(&[(alice, head(5, 1))]), None);
    assert_eq!(with(&[(alice, head(6, 2)), (bob, head(0, 3))]), None, "more than it had");
    assert_eq!(with(&[(alice, head(4, 4))]), Some(alice), "below");
    assert_eq!(with(&[(alice, head(5, 9))]), Some(alice), "another branch");
    assert_eq!(with(&[(bob, head(9, 1))]), Some(alice), "missing");
}
