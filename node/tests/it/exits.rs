//! Members who leave with their part, and coins that are frozen: what a member may do alone, and what takes
//! a decision.

use crate::bus::Bus;
use crate::life::{WHILE, decide, guild, shown, spend, waiting};
use bitcoin::Transaction;
use crdt::governance::exit_id;
use node::api::dto::governance::NewEffect;
use node::api::dto::treasury::{CoinDto, Freeze, TreasuryAnswer, TreasuryCommand};
use node::api::dto::{Answer, ChoiceDto, Command, NewBallot, NewSpend};
use node::error::Code;

/// Blocks between asking and being certified.
const COOLING: u32 = 432;
/// What each of three equal members may take of twenty million.
const PART: u64 = 6_666_666;

fn leave(bus: &mut Bus, who: usize, sat: u64) -> bool {
    let said = bus.command(who, Command::Leave(sat)).is_ok();
    bus.run(30);
    said
}

fn paid_to(bus: &Bus, who: usize, paid: &Transaction) -> u64 {
    let founders = &bus.charter.founders;
    let payout = founders.iter().find(|founder| founder.key == bus.member(who)).unwrap().payout.clone();
    let to = paid.output.iter().find(|output| output.script_pubkey == payout);
    to.map_or(0, |output| output.value.to_sat())
}

#[test]
fn an_exit_is_paid_once_from_the_guild_anchor_and_its_weight_is_gone() {
    let mut bus = guild();
    let carol = 2;
    assert!(leave(&mut bus, carol, PART));
    bus.mine(Vec::new(), COOLING - 1);
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty(), "it cools");
    bus.mine(Vec::new(), 1);
    bus.run(WHILE);
    let paid = waiting(&mut bus);
    assert_eq!(paid_to(&bus, carol, &paid), PART);
    assert_eq!(paid.output.len(), 3, "heir, marker, and nobody else");
    assert_eq!(paid.input[0].previous_output, bus.guild_anchor(), "the first coin of the first block");
    // waits too long: a dearer version, still the same exit
    bus.mine(Vec::new(), 6);
    bus.run(WHILE);
    let dearer = waiting(&mut bus);
    assert_ne!(dearer, paid);
    assert_eq!(dearer.output[1..], paid.output[1..]);
    bus.mine(vec![dearer.clone()], 7);
    bus.run(WHILE);
    // another amount, or the same again: one exit for each key, for ever
    let _said_or_not = leave(&mut bus, carol, 1_000_000);
    bus.mine(Vec::new(), COOLING + 1);
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty());
    let id = exit_id(bus.charter.id(), &bus.member(carol)).to_string();
    for node in 0..3 {
        assert!(bus.status(node).alarms.is_empty(), "it was decided");
        let Ok(Answer::History(history)) = bus.command(node, Command::History) else { panic!("no history") };
        let exit = history.transactions.iter().find(|moved| moved.proposal.as_ref() == Some(&id));
        assert_eq!(exit.expect("in the books").txid, dearer.compute_txid().to_string());
    }
    // those who stay decide alone, about all that is left
    let after = decide(&mut bus, spend(700_000));
    assert_eq!(shown(&mut bus, 0, &after).tally.roll, 2, "carol's weight is 0");
    assert_eq!(waiting(&mut bus).output[2].value.to_sat(), 700_000);
}

#[test]
fn an_exit_that_was_never_mined_is_closed_and_its_part_stays_with_the_guild() {
    let mut bus = guild();
    let carol = 2;
    assert!(leave(&mut bus, carol, PART));
    bus.mine(Vec::new(), COOLING);
    bus.run(WHILE);
    let paid = waiting(&mut bus);
    bus.mine(Vec::new(), crdt::limits::WINDOW + 1);
    bus.run(WHILE);
    let closing = waiting(&mut bus);
    assert_eq!(closing.input[0].previous_output, paid.input[0].previous_output, "one of both can be mined");
    assert_eq!(closing.output.len(), 2, "heir and marker, nothing paid");
    bus.mine(vec![closing], 8);
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty(), "neither is tried again");
    assert!((0..3).all(|node| bus.status(node).alarms.is_empty()));
    // what it would have taken can be decided about
    decide(&mut bus, spend(19_000_000));
    assert_eq!(waiting(&mut bus).output[2].value.to_sat(), 19_000_000);
}

#[test]
fn more_than_a_part_is_certified_by_nobody() {
    let mut bus = guild();
    assert!(leave(&mut bus, 1, PART + 1));
    bus.mine(Vec::new(), COOLING + 1);
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty());
    let before = decide(&mut bus, spend(700_000));
    assert_eq!(shown(&mut bus, 0, &before).tally.roll, 3, "who asks for too much stays a member");
}

fn coins(bus: &mut Bus, node: usize) -> Vec<CoinDto> {
    let asked = Command::Treasury(TreasuryCommand::Coins);
    let Ok(Answer::Treasury(answer)) = bus.command(node, asked) else { panic!("no coins") };
    let TreasuryAnswer::Coins(coins) = *answer else { panic!("no coins") };
    coins.coins
}

fn propose(bus: &mut Bus, effect: NewEffect) -> String {
    let new = NewSpend { outputs: Vec::new(), effect: Some(effect), ..spend(1) };
    let Ok(Answer::Proposal(shown)) = bus.command(0, Command::Propose(new)) else { panic!("not proposed") };
    bus.run(30);
    shown.id
}

fn pass(bus: &mut Bus, id: &str) {
    for voter in 0..2 {
        let ballot = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(voter, Command::Vote(id.to_owned(), ballot)).expect("counts");
    }
    bus.run(WHILE);
}

/// Decide on whether a coin is frozen: settings are certified once their voting is over.
fn set(bus: &mut Bus, outpoint: &str, frozen: bool) {
    let id = propose(bus, NewEffect::Coin { outpoint: outpoint.to_owned(), frozen });
    pass(bus, &id);
    let close = shown(bus, 0, &id).close;
    bus.reach(close);
    bus.run(WHILE);
    for node in 0..3 {
        assert_eq!(shown(bus, node, &id).status, "in force");
        let coins = coins(bus, node);
        let coin = coins.iter().find(|coin| coin.outpoint == outpoint).expect("a coin");
        assert_eq!(coin.frozen_by_guild, frozen);
    }
}

#[test]
fn one_members_freeze_stops_no_payment_and_the_guilds_does() {
    let mut bus = guild();
    // whatever one member freezes, the others and its own node pay
    for coin in coins(&mut bus, 0) {
        let freeze = TreasuryCommand::Freeze(Freeze { outpoint: coin.outpoint, frozen: true });
        bus.command(0, Command::Treasury(freeze)).expect("a coin");
    }
    assert!(coins(&mut bus, 0).iter().all(|coin| coin.frozen && !coin.frozen_by_guild));
    assert!(coins(&mut bus, 1).iter().all(|coin| !coin.frozen));
    let id = decide(&mut bus, spend(700_000));
    let paid = waiting(&mut bus);
    bus.mine(vec![paid], 7);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 0, &id).status, "final");

    // the guild freezes a coin on which a proposal stands: decided or not, nobody pays from it
    let Ok(Answer::Proposal(stands)) = bus.command(0, Command::Propose(spend(800_000))) else { panic!("no") };
    let frozen = stands.anchor.clone().expect("a coin");
    bus.run(30);
    set(&mut bus, &frozen, true);
    pass(&mut bus, &stands.id);
    assert!(bus.chain.mempool.is_empty());
    for node in 0..3 {
        let shown = shown(&mut bus, node, &stands.id);
        assert!(shown.certificate.is_some());
        assert!(shown.next.contains("which has to be spent first, is frozen"), "{}", shown.next);
    }
    // what is proposed from now on stands on another coin, while there is one
    let Ok(Answer::Proposal(other)) = bus.command(1, Command::Propose(spend(900_000))) else { panic!("no") };
    assert_ne!(other.anchor.as_ref(), Some(&frozen));
    let nothing = NewEffect::Coin { outpoint: format!("{}:7", "ab".repeat(32)), frozen: true };
    let new = NewSpend { outputs: Vec::new(), effect: Some(nothing), ..spend(1) };
    assert_eq!(bus.command(0, Command::Propose(new)).unwrap_err().code, Code::NotFound);
    // free again, it is paid
    set(&mut bus, &frozen, false);
    let paid = waiting(&mut bus);
    assert_eq!(paid.input[0].previous_output.to_string(), frozen);
    assert_eq!(paid.output[2].value.to_sat(), 800_000);
}
