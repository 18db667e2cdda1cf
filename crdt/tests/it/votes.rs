//! Proposals and ballots: which of them count, and when a proposal passes by the absolute rule (§7).

use crate::harness::{Guild, TIP, group, guild, sign_with, with_charter};
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};
use crdt::governance::{EffectError, Local, NotPassing, Output, Spend, SpendError, Tally, passing};
use crdt::limits::{OUTPUTS_MAX, WINDOW};
use crdt::testkit::{ballot, payee, people, spend};
use crdt::text::Line;
use crdt::*;

const PERIOD: Height = 432;

/// Proposed by the first at [`TIP`].
fn proposed(guild: &mut Guild) -> ProposalId {
    guild.say(0, spend(70_000)).id().into()
}

fn weighted(weights: &[u32], percent: u8) -> Guild {
    with_charter(people(weights.len()), |charter| {
        for (founder, weight) in charter.founders.iter_mut().zip(weights) {
            founder.weight = Weight::try_from(*weight).expect("a weight");
        }
        charter.rules.spend.more_than_percent = percent;
    })
}

use Choice::{Abstain, No, Yes};

/// (what, weights, percent, (voter, choice, final), [final yes, changeable yes, no, abstain, needed above], passes)
type Count = (&'static str, &'static [u32], u8, &'static [(usize, Choice, bool)], [u64; 5], bool);

const COUNTS: [Count; 16] = [
    ("nobody voted", &[1, 1, 1], 50, &[], [0, 0, 0, 0, 1], false),
    ("two of three", &[1, 1, 1], 50, &[(0, Yes, true), (1, Yes, true)], [2, 0, 0, 0, 1], true),
    ("exactly half", &[1, 1, 1, 1], 50, &[(0, Yes, true), (1, Yes, true)], [2, 0, 0, 0, 2], false),
    ("half and one", &[2, 1, 1], 50, &[(0, Yes, true), (1, Yes, true)], [3, 0, 0, 0, 2], true),
    (
        "weight outvotes heads",
        &[5, 1, 1, 1],
        50,
        &[(0, Yes, true), (1, No, true), (2, No, true)],
        [5, 0, 2, 0, 4],
        true,
    ),
    ("no weight, no vote", &[1, 0, 0], 50, &[(1, Yes, true), (2, Yes, true)], [0, 0, 0, 0, 0], false),
    (
        "yes that may change",
        &[1, 1, 1],
        50,
        &[(0, Yes, false), (1, Yes, true), (2, Yes, false)],
        [1, 2, 0, 0, 1],
        false,
    ),
    (
        "abstaining helps nobody",
        &[1, 1, 1],
        50,
        &[(0, Yes, true), (1, Abstain, true)],
        [1, 0, 0, 1, 1],
        false,
    ),
    (
        "silence counts in the roll",
        &[1, 1, 1, 1, 1],
        50,
        &[(0, Yes, true), (1, Yes, true)],
        [2, 0, 0, 0, 2],
        false,
    ),
    ("two thirds of three are not above 66 %", &[1, 1, 1], 66, &[(0, Yes, true)], [1, 0, 0, 0, 1], false),
    ("two of three are above 66 %", &[1, 1, 1], 66, &[(0, Yes, true), (1, Yes, true)], [2, 0, 0, 0, 1], true),
    (
        "two of three are not above 67 %",
        &[1, 1, 1],
        67,
        &[(0, Yes, true), (1, Yes, true)],
        [2, 0, 0, 0, 2],
        false,
    ),
    ("75 of 100 are not above 75 %", &[75, 25], 75, &[(0, Yes, true)], [75, 0, 0, 0, 75], false),
    ("76 of 100 are", &[76, 24], 75, &[(0, Yes, true)], [76, 0, 0, 0, 75], true),
    ("all of it above 99 %", &[99, 1], 99, &[(0, Yes, true), (1, Yes, true)], [100, 0, 0, 0, 99], true),
    (
        "the largest weights",
        &[1_000_000_000, 1_000_000_000],
        50,
        &[(0, Yes, true)],
        [1_000_000_000, 0, 0, 0, 1_000_000_000],
        false,
    ),
];

#[test]
fn weights_are_counted_and_more_than_the_share_passes() {
    for (name, weights, percent, votes, [final_yes, changeable_yes, no, abstain, needed_above], passes) in
        COUNTS
    {
        let mut guild = weighted(weights, percent);
        let proposal = proposed(&mut guild);
        for (voter, choice, last) in votes {
            guild.say(*voter, ballot(proposal, *choice, *last));
        }
        let state = guild.fold().state;
        let tally = Tally::count(&state, &state.proposals[&proposal]);
        let roll = weights.iter().copied().map(u64::from).sum();
        assert_eq!(tally, Tally { final_yes, changeable_yes, no, abstain, roll, needed_above }, "{name}");
        assert_eq!(tally.passes(), passes, "{name}");
        assert_eq!(passing(&state, &proposal, &Local::at(TIP)).is_ok(), passes, "{name}");
    }
}

/// (what, ballots of one voter: (height above the proposal's, choice, final), what counts in the end)
type Story = (&'static str, &'static [(Height, Choice, bool)], Option<(Choice, bool)>);

const STORIES: [Story; 14] = [
    ("a vote", &[(0, Yes, false)], Some((Yes, false))),
    ("a vote changes", &[(0, Yes, false), (1, No, false)], Some((No, false))),
    ("a final yes stays", &[(0, Yes, true), (1, No, false)], Some((Yes, true))),
    ("a final no stays", &[(0, No, true), (1, Yes, true)], Some((No, true))),
    ("at the close", &[(PERIOD, No, false)], Some((No, false))),
    ("a no after the close", &[(PERIOD + 1, No, true)], None),
    ("a yes that may change, after the close", &[(PERIOD + 1, Yes, false)], None),
    ("an abstention after the close", &[(PERIOD + 1, Abstain, true)], None),
    ("a final yes after the close", &[(PERIOD + 1, Yes, true)], Some((Yes, true))),
    ("a final yes after a no", &[(0, No, false), (PERIOD + 1, Yes, true)], Some((Yes, true))),
    ("a late no after a yes", &[(0, Yes, false), (PERIOD + 1, No, true)], Some((Yes, false))),
    ("a late yes after a final no", &[(0, No, true), (PERIOD + 1, Yes, true)], Some((No, true))),
    ("in the last block of the window", &[(PERIOD + WINDOW, Yes, true)], Some((Yes, true))),
    ("after the window", &[(PERIOD + WINDOW + 1, Yes, true)], None),
];

#[test]
fn the_last_ballot_in_time_counts_unless_one_was_final() {
    for (name, ballots, counts) in STORIES {
        let mut guild = guild(3);
        let proposal = proposed(&mut guild);
        for (after, choice, last) in ballots {
            guild.say_at(1, TIP + after, ballot(proposal, *choice, *last));
        }
        let state = guild.fold().state;
        let held = state.proposals[&proposal].ballots.get(&guild.id(1));
        assert_eq!(held.map(|held| (held.choice, held.last)), counts, "{name}");
    }
}

#[test]
fn a_ballot_that_does_not_count_says_why() {
    let mut guild = guild(3);
    let proposal = proposed(&mut guild);
    let nowhere = ProposalId(Digest([1; 32]));
    guild.say(1, ballot(proposal, No, true));
    let again = guild.say(1, ballot(proposal, Yes, true));
    let lost = guild.say(1, ballot(nowhere, Yes, true));
    let late = guild.say_at(2, TIP + PERIOD + 1, ballot(proposal, No, true));
    assert_eq!(guild.verdict(&again), Verdict::Ignored(Ignored::AlreadyFinal));
    assert_eq!(guild.verdict(&lost), Verdict::Ignored(Ignored::NoProposal(nowhere)));
    assert_eq!(guild.verdict(&late), Verdict::Ignored(Ignored::AfterClose(TIP + PERIOD)));
}

#[test]
fn a_vote_counts_whoever_was_heard_first() {
    // The voter comes before the proposer in every walk over the document, and after it in the next.
    for (proposer, voter) in [(0, 1), (1, 0)] {
        let mut guild = guild(2);
        let proposal = ProposalId::from(guild.say(proposer, spend(70_000)).id());
        let vote = guild.say(voter, ballot(proposal, Yes, true));
        assert_eq!(guild.verdict(&vote), Verdict::Applied);
    }
}

#[test]
fn only_its_author_withdraws_a_proposal() {
    let mut guild = guild(3);
    let proposal = proposed(&mut guild);
    for who in 0..3 {
        guild.say(who, ballot(proposal, Yes, true));
    }
    let other = guild.say(1, Payload::Withdraw { proposal });
    assert_eq!(guild.verdict(&other), Verdict::Ignored(Ignored::NotTheProposer(guild.id(0))));
    assert!(passing(&guild.fold().state, &proposal, &Local::at(TIP)).is_ok());
    guild.say(0, Payload::Withdraw { proposal });
    assert_eq!(passing(&guild.fold().state, &proposal, &Local::at(TIP)), Err(NotPassing::Withdrawn));
}

#[test]
fn a_proposal_passes_until_the_window_after_its_close_ends() {
    let mut guild = guild(3);
    let proposal = proposed(&mut guild);
    let close = TIP + PERIOD;
    guild.say(0, ballot(proposal, Yes, true));
    let few = passing(&guild.fold().state, &proposal, &Local::at(TIP));
    assert!(matches!(few, Err(NotPassing::Votes(tally)) if tally.final_yes == 1 && tally.needed_above == 1));
    guild.say(1, ballot(proposal, Yes, true));
    let state = guild.fold().state;
    for tip in [0, TIP, close, close + WINDOW] {
        let passing = passing(&state, &proposal, &Local::at(tip)).unwrap();
        assert_eq!(*passing.body(), state.proposals[&proposal].body(state.guild, proposal));
    }
    let late = passing(&state, &proposal, &Local::at(close + WINDOW + 1));
    assert_eq!(late, Err(NotPassing::Late { close, tip: close + WINDOW + 1 }));
    assert_eq!(passing(&state, &ProposalId(Digest([1; 32])), &Local::at(TIP)), Err(NotPassing::Unknown));
}

#[test]
fn a_proposal_at_the_end_of_all_heights_is_judged_without_a_panic() {
    let mut guild = guild(2);
    let proposal = ProposalId::from(guild.say_at(0, Height::MAX, spend(70_000)).id());
    for who in 0..2 {
        guild.say_at(who, Height::MAX, ballot(proposal, Yes, true));
    }
    let state = guild.fold().state;
    assert_eq!(state.proposals[&proposal].close, Height::MAX);
    assert!(passing(&state, &proposal, &Local::at(Height::MAX)).is_ok());
    let late = NotPassing::Late { close: Height::MAX, tip: Height::MAX };
    assert!(!late.to_string().is_empty());
}

#[test]
fn of_two_signatures_over_one_decision_all_keep_the_same() {
    let (key, mut kept) = (group(1), Vec::new());
    for turn in [[0, 1], [1, 0]] {
        let mut guild = guild(2);
        guild.ready(&key);
        let proposal = proposed(&mut guild);
        let bodies = [guild.body(proposal), certificate::Body::founding(&guild.charter)];
        for (who, nonce) in turn.into_iter().zip([1, 2]) {
            for body in bodies.clone() {
                let signature = sign_with(body.digest(), &key, nonce);
                guild.say(who, Payload::Certificate(Certificate { body, signature }));
            }
            let test = certificate::key_test_digest(guild.charter.id(), 1, Digest([7; 32]));
            guild.say(who, Payload::KeyTest { epoch: 1, signature: sign_with(test, &key, nonce) });
        }
        let state = guild.fold().state;
        let certificate = state.proposals[&proposal].certificate().cloned().unwrap();
        let key = state.key.unwrap();
        assert!(key.usable());
        kept.push((certificate, key.tested().cloned(), key.founding().cloned()));
    }
    assert_eq!(kept[0], kept[1]);
}

fn outputs(outputs: Vec<(ScriptBuf, u64)>) -> Spend {
    let outputs = outputs.into_iter().map(|(script, sat)| Output { script, amount: Amount::from_sat(sat) });
    Spend { outputs: outputs.collect(), anchor: OutPoint::new(Txid::all_zeros(), 0) }
}

#[test]
fn a_spend_that_the_network_or_a_reader_would_not_understand_is_no_proposal() {
    let data = ScriptBuf::new_op_return([1; 20]);
    let bare = ScriptBuf::from_bytes([&[0x21], [2; 33].as_slice(), &[0xac]].concat());
    let witness = ScriptBuf::from_bytes([&[0x60, 2], [2; 2].as_slice()].concat());
    let most = Amount::MAX_MONEY.to_sat();
    let table = [
        ("one payee", vec![(payee(1), 70_000)], Ok(())),
        ("the least", vec![(payee(1), 294)], Ok(())),
        ("dust", vec![(payee(1), 70_000), (payee(2), 293)], Err(SpendError::Dust(1))),
        ("nothing", vec![(payee(1), 0)], Err(SpendError::Dust(0))),
        ("OP_RETURN", vec![(payee(1), 70_000), (data, 70_000)], Err(SpendError::Script(1))),
        ("a bare key", vec![(bare, 70_000)], Err(SpendError::Script(0))),
        ("a witness of the future", vec![(witness, 70_000)], Err(SpendError::Script(0))),
        ("an empty script", vec![(ScriptBuf::new(), 70_000)], Err(SpendError::Script(0))),
        ("nobody", vec![], Err(SpendError::Outputs(0))),
        ("the most payees", vec![(payee(1), 1_000); OUTPUTS_MAX], Ok(())),
        ("too many", vec![(payee(1), 1_000); OUTPUTS_MAX + 1], Err(SpendError::Outputs(501))),
        ("all there can be", vec![(payee(1), most)], Ok(())),
        ("more than that", vec![(payee(1), most), (payee(2), 1_000)], Err(SpendError::Sum)),
        ("an overflow", vec![(payee(1), u64::MAX), (payee(2), u64::MAX)], Err(SpendError::Sum)),
    ];
    for (name, payees, expected) in table {
        let spend = outputs(payees);
        assert_eq!(spend.check(), expected, "{name}");
        let effect = Effect::Spend(spend);
        let mut guild = guild(2);
        let title = Line::try_from(name.to_owned()).unwrap();
        let said = guild.say(0, Payload::Propose(Proposal { title, text: text::Note::default(), effect }));
        let verdict = expected.map_or_else(
            |why| Verdict::Ignored(Ignored::Effect(EffectError::Payment(why))),
            |()| Verdict::Applied,
        );
        assert_eq!(guild.verdict(&said), verdict, "{name}");
        assert_eq!(guild.fold().state.proposals.len(), usize::from(verdict == Verdict::Applied), "{name}");
    }
}
