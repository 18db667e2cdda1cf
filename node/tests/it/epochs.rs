//! From one epoch to the next by whole nodes with real FROST keys, on a chain of made-up blocks: a member
//! joins and another leaves, coins are swept, reorganisations take it all back, two changes compete.

use crate::bus::Bus;
use bitcoin::hashes::Hash as _;
use bitcoin::{Address, Amount, OutPoint, ScriptBuf, Transaction, Txid};
use crdt::testkit::payee;
use node::api::dto::epoch::EpochDto;
use node::api::dto::governance::{NewEffect, NewEpoch, NewMember};
use node::api::dto::treasury::{AddressQuery, TreasuryAnswer, TreasuryCommand};
use node::api::dto::{Answer, ChoiceDto, Command, NewBallot, NewSpend, OutputDto, ProposalDto};
use node::card::MemberCard;
use wallet::testkit::transaction;

/// Seconds in which nodes on the bus do whatever is due.
const WHILE: u64 = 60;
const DAVE: usize = 3;
const ERIN: usize = 4;
/// Each of the two coins that the guild has, and its seal.
const COIN: u64 = 10_000_000;
const SEAL: u64 = 50_000;

fn script(address: &str) -> ScriptBuf {
    let address: Address<_> = address.parse().unwrap();
    address.assume_checked().script_pubkey()
}

fn coin(seed: u8, script: ScriptBuf, sat: u64) -> Transaction {
    let source = OutPoint { txid: Txid::from_byte_array([seed; 32]), vout: 0 };
    transaction(source, script, Amount::from_sat(sat))
}

fn deposit_script(bus: &mut Bus, node: usize) -> ScriptBuf {
    let query = AddressQuery { mining: true, ..AddressQuery::default() };
    let asked = Command::Treasury(TreasuryCommand::Address(query));
    let Ok(Answer::Treasury(answer)) = bus.command(node, asked) else { panic!("no address") };
    let TreasuryAnswer::Address(given) = *answer else { panic!("no address") };
    script(&given.address)
}

fn epoch(bus: &mut Bus, node: usize) -> EpochDto {
    match bus.command(node, Command::Epoch) {
        Ok(Answer::Epoch(epoch)) => *epoch,
        other => panic!("{other:?}"),
    }
}

/// Four founders with a key, two coins and a seal, and erin, who reads along.
fn guild() -> Bus {
    let mut bus = Bus::with_guests(4, 5);
    bus.chatty = true;
    bus.run(WHILE);
    assert!(bus.status(0).key_usable, "{:#?}", bus.status(0).waits);
    let deposit = deposit_script(&mut bus, 0);
    let seal = script(&epoch(&mut bus, 0).seal.address.unwrap());
    let coins = [coin(0xc1, deposit.clone(), COIN), coin(0xc2, deposit, COIN), coin(0x5e, seal, SEAL)];
    bus.mine(coins.to_vec(), 7);
    let shown = epoch(&mut bus, 1);
    assert_eq!((shown.epoch, shown.seal.depth, shown.seal.amount_sat), (1, 7, Some(SEAL)));
    bus
}

fn card(bus: &Bus, who: usize) -> String {
    let person = &bus.people[who];
    let recovery = bus.charter.recovery.keys[0];
    let name = person.name.clone().try_into().unwrap();
    let payout = payee(0x70 + u8::try_from(who).unwrap());
    let network = bitcoin::Network::Regtest;
    MemberCard { network, key: person.id(), name, payout, recovery }.to_string()
}

/// Erin for dave.
fn erin_for_dave(bus: &Bus) -> NewEpoch {
    let add = vec![NewMember { card: card(bus, ERIN), weight: 1, claim: 0, replaces: None }];
    let candidates = ["alice", "bob", "carol", "erin"].map(str::to_owned).to_vec();
    NewEpoch { add, remove: vec!["dave".to_owned()], candidates, ..NewEpoch::default() }
}

fn propose(bus: &mut Bus, who: usize, effect: Option<NewEffect>, outputs: Vec<OutputDto>) -> String {
    let new =
        NewSpend { title: "Shall we?".into(), text: String::new(), outputs, distribute_sat: None, effect };
    match bus.command(who, Command::Propose(new)) {
        Ok(Answer::Proposal(shown)) => shown.id,
        other => panic!("{other:?}"),
    }
}

fn yes(bus: &mut Bus, voters: &[usize], id: &str) {
    bus.run(10);
    for voter in voters {
        let ballot = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(*voter, Command::Vote(id.to_owned(), ballot)).expect("counts");
    }
    bus.run(WHILE);
}

fn shown(bus: &mut Bus, node: usize, id: &str) -> ProposalDto {
    match bus.command(node, Command::Proposal(id.to_owned())) {
        Ok(Answer::Proposal(shown)) => *shown,
        other => panic!("{other:?}"),
    }
}

/// Everything from a certified change to a seal that waits for a block.
fn until_sealed(bus: &mut Bus, id: &str) -> Transaction {
    for _ in 0..20 {
        bus.run(30);
        if let Some(seal) = bus.chain.mempool.iter().find(|waiting| is_seal(waiting)) {
            let seal = seal.clone();
            bus.tell(Vec::new());
            return seal;
        }
        bus.mine(Vec::new(), 1);
    }
    let up: Vec<usize> = (0..5).filter(|node| bus.is_up(*node)).collect();
    let lines: Vec<String> = up.into_iter().map(|node| shown(bus, node, id).next).collect();
    panic!("no seal: {lines:#?}");
}

fn is_seal(transaction: &Transaction) -> bool {
    transaction
        .output
        .get(1)
        .is_some_and(|mark| mark.script_pubkey.is_op_return() && mark.script_pubkey.len() == 34)
        && transaction.output[0].value.to_sat() <= SEAL
}

/// A block with what waits.
fn mine_waiting(bus: &mut Bus) -> Vec<Transaction> {
    let waiting = bus.chain.mempool.clone();
    bus.mine(waiting.clone(), 1);
    bus.run(5);
    waiting
}

#[test]
fn f16_dust_to_the_seals_address_is_no_seal_and_the_first_that_is_one_stays() {
    let mut bus = Bus::with_guests(4, 5);
    bus.chatty = true;
    bus.run(WHILE);
    let deposit = deposit_script(&mut bus, 0);
    let seal = script(&epoch(&mut bus, 0).seal.address.unwrap());
    // a stranger pays both addresses dust, before the guild has anything
    let dust = crdt::limits::LEAST_COIN_SAT - 1;
    bus.mine(
        vec![coin(0xd1, deposit, 330), coin(0xd2, seal.clone(), 330), coin(0xd3, seal.clone(), dust)],
        7,
    );
    for node in 0..4 {
        let shown = epoch(&mut bus, node);
        assert_eq!((shown.seal.outpoint, shown.seal.amount_sat), (None, None), "node {node}");
        assert!(shown.seal.address.is_some(), "whoever pays enough still makes it");
    }
    let first = coin(0x01, seal.clone(), SEAL);
    bus.mine(vec![first.clone()], 3);
    // a larger one, later, is not it; nor does more dust change anything
    bus.mine(vec![coin(0x02, seal.clone(), 10 * SEAL), coin(0xd4, seal, dust)], 7);
    let expected = OutPoint { txid: first.compute_txid(), vout: 0 }.to_string();
    for node in 0..4 {
        let shown = epoch(&mut bus, node);
        assert_eq!(shown.seal.outpoint.as_ref(), Some(&expected), "node {node}");
        assert_eq!(shown.seal.amount_sat, Some(SEAL));
    }
}

#[test]
fn a_member_joins_another_leaves_and_the_coins_follow() {
    let mut bus = guild();
    let change = erin_for_dave(&bus);
    let id = propose(&mut bus, 0, Some(NewEffect::Epoch(change)), vec![]);
    yes(&mut bus, &[0, 1, 2], &id);
    assert_eq!(shown(&mut bus, 0, &id).status, "certified", "{}", shown(&mut bus, 0, &id).next);
    let seal = until_sealed(&mut bus, &id);
    assert_eq!(bus.chain.mempool.len(), 1, "sweeps wait for their seal's block");
    mine_waiting(&mut bus);
    let swept = mine_waiting(&mut bus);
    let hooked: Vec<_> =
        swept.iter().filter(|sweep| sweep.input[0].previous_output.txid == seal.compute_txid()).collect();
    assert_eq!((seal.input.len(), hooked.len()), (2, 1), "one coin pays for the seal, the other is swept");
    assert_eq!(epoch(&mut bus, 0).epoch, 1, "not before it is deep");
    bus.mine(Vec::new(), 4);
    bus.run(WHILE);
    for node in [0, 1, 2, ERIN] {
        let shown = epoch(&mut bus, node);
        assert_eq!(shown.epoch, 2, "node {node}: {}", shown.next);
        assert_eq!(shown.co_signers, ["alice", "bob", "carol", "erin"]);
    }
    let hashes: std::collections::BTreeSet<_> =
        [0, 1, 2, ERIN].map(|node| bus.status(node).state_hash).into_iter().collect();
    assert_eq!(hashes.len(), 1, "D1 across a seal");
    assert_eq!(shown(&mut bus, 1, &id).status, "in force");
    assert!(bus.alarms.is_empty(), "{:?}", bus.alarms);
    // Under the new key: erin proposes a payment, and it is paid. Dave signs nothing and is not asked.
    bus.kill(DAVE);
    bus.mine(Vec::new(), 6);
    let address = Address::from_script(&payee(9), bitcoin::Network::Regtest).unwrap().to_string();
    let paid = propose(&mut bus, ERIN, None, vec![OutputDto { address, amount_sat: 700_000 }]);
    yes(&mut bus, &[ERIN, 0, 1], &paid);
    mine_waiting(&mut bus);
    bus.mine(Vec::new(), 6);
    bus.run(5);
    for node in [0, 1, 2, ERIN] {
        assert_eq!(shown(&mut bus, node, &paid).status, "final", "node {node}");
    }
}

/// The whole of erin for dave, up to the depth at which it counts.
fn changed() -> (Bus, String, Vec<Transaction>) {
    let mut bus = guild();
    let change = erin_for_dave(&bus);
    let id = propose(&mut bus, 0, Some(NewEffect::Epoch(change)), vec![]);
    yes(&mut bus, &[0, 1, 2], &id);
    until_sealed(&mut bus, &id);
    let mut had = mine_waiting(&mut bus);
    had.extend(mine_waiting(&mut bus));
    bus.mine(Vec::new(), 4);
    bus.run(10);
    assert_eq!(epoch(&mut bus, 0).epoch, 2);
    (bus, id, had)
}

#[test]
fn a_seal_that_is_thrown_out_takes_its_epoch_back_and_brings_it_again() {
    let (mut bus, id, had) = changed();
    bus.turn(6, had);
    bus.run(10);
    for node in 0..5 {
        assert_eq!(epoch(&mut bus, node).epoch, 1, "node {node}: {}", epoch(&mut bus, node).next);
    }
    assert_eq!(shown(&mut bus, 1, &id).status, "certified");
    mine_waiting(&mut bus);
    mine_waiting(&mut bus);
    bus.mine(Vec::new(), 5);
    bus.run(10);
    for node in [0, 1, 2, ERIN] {
        assert_eq!(epoch(&mut bus, node).epoch, 2, "node {node}: {}", epoch(&mut bus, node).next);
    }
}

#[test]
fn who_starts_again_is_in_the_same_epoch_with_the_same_key() {
    let (mut bus, _, _) = changed();
    for node in [0, ERIN] {
        bus.restart(node);
        bus.tell(Vec::new());
        bus.run(20);
        bus.mine(Vec::new(), 1);
        bus.run(20);
        let (here, there) = (bus.status(node), bus.status(1));
        assert_eq!(epoch(&mut bus, node).epoch, 2, "{:#?}", here.waits);
        assert_eq!((here.state_hash, here.height), (there.state_hash, there.height));
    }
    // both are needed now: their shares work
    bus.kill(1);
    bus.mine(Vec::new(), 6);
    let words = propose(&mut bus, ERIN, Some(NewEffect::Text), vec![]);
    yes(&mut bus, &[ERIN, 0, 2], &words);
    assert_eq!(shown(&mut bus, 2, &words).status, "in force", "{}", shown(&mut bus, 2, &words).next);
}

#[test]
fn of_two_changes_bitcoin_picks_one_and_the_other_says_why_it_lost() {
    let mut bus = guild();
    let joins = erin_for_dave(&bus);
    let heavier = NewEpoch { weights: [("alice".to_owned(), 2)].into(), ..NewEpoch::default() };
    let first = propose(&mut bus, 0, Some(NewEffect::Epoch(joins)), vec![]);
    let second = propose(&mut bus, 1, Some(NewEffect::Epoch(heavier)), vec![]);
    yes(&mut bus, &[0, 1, 2], &first);
    yes(&mut bus, &[0, 1, 2], &second);
    until_sealed(&mut bus, &first);
    mine_waiting(&mut bus);
    mine_waiting(&mut bus);
    bus.mine(Vec::new(), 4);
    bus.run(10);
    let standing = [&first, &second].map(|id| shown(&mut bus, 1, id));
    let (won, lost): (Vec<_>, Vec<_>) = standing.iter().partition(|change| change.status == "in force");
    assert_eq!((won.len(), lost.len()), (1, 1), "{standing:#?}");
    assert_eq!(lost[0].status, "lapsed");
    assert!(lost[0].next.starts_with("lost: Bitcoin spent the seal for"), "{}", lost[0].next);
    for node in 0..3 {
        assert_eq!(epoch(&mut bus, node).epoch, 2, "node {node}");
        let next = shown(&mut bus, node, &lost[0].id.clone()).next;
        assert_eq!(next, lost[0].next, "every node says the same");
    }
}

#[test]
fn who_is_down_is_left_out_of_the_key_and_what_it_says_of_the_past_changes_nothing() {
    let mut bus = guild();
    let open = propose(&mut bus, 1, Some(NewEffect::Text), vec![]);
    let change = NewEpoch { least: Some(3), ..erin_for_dave(&bus) };
    let id = propose(&mut bus, 0, Some(NewEffect::Epoch(change)), vec![]);
    bus.run(5);
    bus.kill(2);
    yes(&mut bus, &[0, 1, DAVE], &id);
    until_sealed(&mut bus, &id);
    mine_waiting(&mut bus);
    mine_waiting(&mut bus);
    bus.mine(Vec::new(), 4);
    bus.run(10);
    let now = epoch(&mut bus, 0);
    assert_eq!((now.epoch, now.signers_needed), (2, 2));
    assert_eq!(now.co_signers, ["alice", "bob", "erin"], "carol stays a member without a share");
    assert_eq!(now.members, 4);
    // Dave left: a vote that he dates back is not taken by anybody.
    let ballots = shown(&mut bus, 0, &open).ballots.len();
    let proposal = open.parse().expect("an id");
    bus.puppet(DAVE, |document, person| {
        person.say(document, 8, crdt::testkit::ballot(proposal, crdt::Choice::Yes, true));
    });
    bus.run(30);
    for node in [0, 1, ERIN] {
        assert_eq!(shown(&mut bus, node, &open).ballots.len(), ballots, "node {node}");
    }
}

#[test]
fn who_vanishes_with_a_share_of_the_next_key_is_left_out_of_another_one() {
    let mut bus = guild();
    let change = NewEpoch { least: Some(3), ..erin_for_dave(&bus) };
    let id = propose(&mut bus, 0, Some(NewEffect::Epoch(change)), vec![]);
    yes(&mut bus, &[0, 1, 2], &id);
    assert!(epoch(&mut bus, 0).changes[0].next.contains("cut"), "the key of four is made");
    bus.kill(2);
    bus.mine(Vec::new(), 40);
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty(), "carol holds no checkpoint");
    bus.mine(Vec::new(), 400);
    until_sealed(&mut bus, &id);
    mine_waiting(&mut bus);
    mine_waiting(&mut bus);
    bus.mine(Vec::new(), 4);
    bus.run(10);
    for node in [0, 1, ERIN] {
        let now = epoch(&mut bus, node);
        assert_eq!((now.epoch, now.co_signers.len()), (2, 3), "node {node}: {}", now.next);
    }
}
