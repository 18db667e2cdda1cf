//! The life of a payment on three nodes: voted, signed, sent, replaced, mined, thrown out of its block,
//! closed; coins that leave without a decision.

use crate::bus::Bus;
use bitcoin::{Address, Amount, OutPoint, Transaction, Txid, Witness, hashes::Hash as _};
use crdt::testkit::payee;
use node::api::dto::treasury::{AddressQuery, TreasuryAnswer, TreasuryCommand};
use node::api::dto::{Answer, ChoiceDto, Command, NewBallot, NewSpend, OutputDto, ProposalDto};
use node::error::{Code, Failure};
use node::journal::Record;
use std::collections::BTreeSet;
use wallet::testkit::{stranger, transaction};

/// Seconds in which three nodes on the bus do whatever is due.
pub(crate) const WHILE: u64 = 120;

/// Three nodes with a key and two coins of ten million satoshis, buried.
pub(crate) fn guild() -> Bus {
    let mut bus = Bus::new(3);
    bus.run(120);
    let asked = Command::Treasury(TreasuryCommand::Address(AddressQuery::default()));
    let Ok(Answer::Treasury(answer)) = bus.command(0, asked) else { panic!("no address") };
    let TreasuryAnswer::Address(given) = *answer else { panic!("no address") };
    let address: Address<_> = given.address.parse().unwrap();
    let script = address.assume_checked().script_pubkey();
    let coin = |seed: u8| {
        let source = OutPoint { txid: Txid::from_byte_array([seed; 32]), vout: 0 };
        transaction(source, script.clone(), Amount::from_sat(10_000_000))
    };
    bus.mine(vec![coin(0xc1), coin(0xc2)], 7);
    bus
}

pub(crate) fn spend(sat: u64) -> NewSpend {
    let address = Address::from_script(&payee(9), bitcoin::Network::Regtest).unwrap();
    let outputs = vec![OutputDto { address: address.to_string(), amount_sat: sat }];
    NewSpend { title: "Rent".into(), text: String::new(), outputs, distribute_sat: None, effect: None }
}

/// Propose and pass it.
pub(crate) fn decide(bus: &mut Bus, new: NewSpend) -> String {
    let Ok(Answer::Proposal(shown)) = bus.command(0, Command::Propose(new)) else { panic!("not proposed") };
    bus.run(30);
    for voter in 0..2 {
        let ballot = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(voter, Command::Vote(shown.id.clone(), ballot)).unwrap();
    }
    bus.run(WHILE);
    shown.id
}

pub(crate) fn shown(bus: &mut Bus, node: usize, id: &str) -> ProposalDto {
    match bus.command(node, Command::Proposal(id.to_owned())) {
        Ok(Answer::Proposal(shown)) => *shown,
        other => panic!("{other:?}"),
    }
}

/// The one transaction that waits, seen by all.
pub(crate) fn waiting(bus: &mut Bus) -> Transaction {
    bus.tell(Vec::new());
    let [waiting] = bus.chain.mempool.as_slice() else { panic!("{} wait", bus.chain.mempool.len()) };
    waiting.clone()
}

fn fee(transaction: &Transaction) -> u64 {
    let inputs = 10_000_000 * transaction.input.len() as u64;
    inputs - transaction.output.iter().map(|output| output.value.to_sat()).sum::<u64>()
}

#[test]
fn a_payment_that_waits_is_replaced_and_one_that_is_thrown_out_comes_back() {
    let mut bus = guild();
    let id = decide(&mut bus, spend(700_000));
    let first = waiting(&mut bus);
    assert_eq!(shown(&mut bus, 1, &id).status, "sent");
    // five empty blocks: it pays what is estimated, so nothing happens; the sixth replaces it
    bus.mine(Vec::new(), 5);
    bus.run(WHILE);
    assert_eq!(waiting(&mut bus), first);
    bus.mine(Vec::new(), 1);
    bus.run(WHILE);
    let second = waiting(&mut bus);
    assert_ne!(second, first);
    assert_eq!(second.input[0].previous_output, first.input[0].previous_output);
    assert_eq!(second.output[1..], first.output[1..], "marker and payees stay");
    assert!(fee(&second) > fee(&first));
    bus.mine(vec![second.clone()], 3);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 2, &id).status, "paid");
    bus.turn(3, vec![second.clone()]);
    bus.run(WHILE);
    assert_eq!(waiting(&mut bus), second, "the same bytes again");
    bus.mine(vec![second.clone()], 8);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 0, &id).status, "final");
    // deeper than final: it waits again, by now too long for its fee
    bus.turn(8, vec![second.clone()]);
    bus.run(WHILE);
    let third = waiting(&mut bus);
    assert_eq!(third.output[1..], first.output[1..]);
    bus.mine(vec![third], 8);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 0, &id).status, "final");
    assert!(bus.chain.mempool.is_empty());
    for durable in &bus.durable {
        let intents = durable.journal.iter().filter_map(|record| match record {
            Record::SpendIntent { decision, txid } => Some((*decision, *txid)),
            _ => None,
        });
        let intents: Vec<_> = intents.collect();
        let different: BTreeSet<_> = intents.iter().collect();
        assert_eq!(different.len(), intents.len(), "each intent once");
    }
}

#[test]
fn a_payment_that_was_never_mined_is_closed_when_it_expires() {
    let mut bus = guild();
    let id = decide(&mut bus, spend(700_000));
    let payment = waiting(&mut bus);
    // nobody mines it for longer than a payment may be made
    let window = crdt::limits::WINDOW + 1;
    bus.mine(Vec::new(), window);
    bus.run(WHILE);
    let closing = waiting(&mut bus);
    assert_eq!(closing.input[0].previous_output, payment.input[0].previous_output);
    assert_eq!(closing.output.len(), 2, "heir and marker, nothing paid");
    bus.mine(vec![closing], 2);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 1, &id).status, "closing");
    bus.mine(Vec::new(), 5);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 2, &id).status, "closed");
    assert!(bus.chain.mempool.is_empty());
}

#[test]
fn coins_that_leave_without_a_decision_raise_an_alarm() {
    let mut bus = guild();
    assert!(bus.status(0).alarms.is_empty());
    let id = decide(&mut bus, spend(700_000));
    let paid = waiting(&mut bus);
    bus.mine(vec![paid.clone()], 6);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 0, &id).status, "final");
    assert!(bus.status(0).alarms.is_empty(), "what was decided raises none");
    let heir = OutPoint { txid: paid.compute_txid(), vout: 0 };
    let mut theft = transaction(heir, stranger(), Amount::from_sat(9_000_000));
    theft.input[0].witness = Witness::from_slice(&[vec![1; 64], vec![2; 40], vec![3; 33]]);
    bus.mine(vec![theft.clone()], 1);
    for node in 0..3 {
        let alarms = bus.status(node).alarms;
        assert_eq!(alarms.len(), 1);
        assert!(alarms[0].contains(&theft.compute_txid().to_string()), "{alarms:?}");
        assert!(alarms[0].contains("recovery leaf"), "{alarms:?}");
    }
    assert_eq!(bus.alarms.len(), 3, "told once by each node");
}

#[test]
fn a_distribution_pays_every_member_its_share() {
    let mut bus = guild();
    let new = NewSpend { outputs: Vec::new(), distribute_sat: Some(1_000_001), ..spend(1) };
    let id = decide(&mut bus, new);
    let paid = waiting(&mut bus);
    let amounts: Vec<u64> = paid.output.iter().skip(2).map(|output| output.value.to_sat()).collect();
    assert_eq!(amounts.iter().sum::<u64>(), 1_000_001, "every satoshi");
    assert_eq!(amounts.len(), 3);
    bus.mine(vec![paid], 6);
    bus.run(WHILE);
    assert_eq!(shown(&mut bus, 0, &id).status, "final");
}

/// What one distribution leaves below dust the next pays, and nobody pays it twice.
#[test]
fn dust_of_a_distribution_is_paid_by_the_next() {
    let mut bus = guild();
    let new = |sat| NewSpend { outputs: Vec::new(), distribute_sat: Some(sat), ..spend(1) };
    let pays = |bus: &mut Bus| {
        let paid = waiting(bus);
        let amounts: Vec<u64> = paid.output.iter().skip(2).map(|output| output.value.to_sat()).collect();
        bus.mine(vec![paid], 7);
        bus.run(WHILE);
        amounts
    };
    let dust = bus.charter.founders[0].payout.minimal_non_dust().to_sat();
    let id = decide(&mut bus, new(3 * dust - 1));
    assert_eq!(pays(&mut bus), [dust, dust], "one part is a satoshi too small");
    assert_eq!(shown(&mut bus, 0, &id).status, "final");
    // proposed before another was paid, it takes up what is no more: nobody certifies it
    let Ok(Answer::Proposal(stale)) = bus.command(1, Command::Propose(new(2_000))) else { panic!("no") };
    bus.run(30);
    decide(&mut bus, new(3_000));
    let mut next = pays(&mut bus);
    next.sort_unstable();
    assert_eq!(next, [1_000, 1_000, 1_000 + dust - 1], "with what was left");
    for voter in 0..2 {
        let ballot = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(voter, Command::Vote(stale.id.clone(), ballot)).unwrap();
    }
    bus.run(WHILE);
    assert!(bus.chain.mempool.is_empty());
    assert!(shown(&mut bus, 2, &stale.id).next.contains("propose it anew"));
}

/// Whatever is wrong with a payment: a clear refusal, and nothing reserved.
#[test]
fn what_cannot_be_paid_is_refused_and_reserves_nothing() {
    let mut bus = guild();
    let before = bus.said(0).len();
    let to = |address: &str, amount_sat| {
        let outputs = vec![OutputDto { address: address.to_owned(), amount_sat }];
        NewSpend { outputs, ..spend(1) }
    };
    let regtest = spend(1).outputs[0].address.clone();
    let mainnet = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let cases = [
        (to("bcrt1qnonsense", 20_000), Code::Usage, "no address"),
        (to(mainnet, 20_000), Code::Usage, "network, regtest"),
        (to(&regtest, 100), Code::Usage, "dust"),
        (to(&regtest, 0), Code::Usage, "dust"),
        (to(&regtest, 20_000_001), Code::NotEnoughFunds, "20000000 sat to spend"),
        (to(&regtest, u64::MAX), Code::Usage, "more bitcoin than can exist"),
        (NewSpend { outputs: Vec::new(), ..spend(1) }, Code::Usage, "1 to 500 outputs"),
        (NewSpend { distribute_sat: Some(5), ..spend(20_000) }, Code::Usage, "nobody else"),
        (
            NewSpend { outputs: Vec::new(), distribute_sat: Some(500), ..spend(1) },
            Code::Usage,
            "1 to 500 outputs",
        ),
    ];
    for (new, code, says) in cases {
        let Err(Failure { code: found, detail }) = bus.command(0, Command::Propose(new.clone())) else {
            panic!("{new:?} was taken")
        };
        assert_eq!(found, code, "{detail}");
        assert!(detail.contains(says), "'{detail}' does not say '{says}'");
    }
    bus.run(5);
    assert_eq!(bus.said(0).len(), before, "nothing was said");
    let status = bus.status(0);
    assert_eq!(status.balance.unwrap().confirmed_sat, 20_000_000);
    assert_eq!(status.open_proposals, 0);
}
