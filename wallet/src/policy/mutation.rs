//! Any one field of a valid transaction of any kind changed: refused, always. What a coordinator is free to
//! choose - the value of the heir between the fee bounds, a lock time up to the tip, further coins of ours -
//! is changed to something that it is not free to choose.

use super::*;
use crate::anchor::{self, Anchored as _};
use crate::spend::{Bill, Given, Params, Succession, fund};
use crate::testkit::{Bench, REWARD, stranger};
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{ScriptBuf, Sequence, TxIn, Witness};
use crdt::governance::{Budget, Disburse, Distribute, Exit, Output, exit_id};
use crdt::{Digest, EntryId};

/// A transaction of some kind that every rule allows.
struct Valid {
    name: &'static str,
    outline: Outline,
    transaction: Transaction,
    /// Coins that its outline names and no view has.
    hook: bool,
}

/// A treasury with a few coins, and one valid transaction of each kind.
fn all(bench: &Bench, coins: [OutPoint; 2]) -> Vec<Valid> {
    let (view, cap) = (bench.view(), &bench.charter.fee_cap);
    let params = Params { fee_rate: Some(3), ..bench.params() };
    let outlines = outlines(bench, coins, &view);
    let built = outlines.into_iter().map(|(name, outline)| {
        let hook = outline.first().any(|first| view.coin(&first).is_none());
        let built = fund(&outline, &view, &params).unwrap_or_else(|error| panic!("{name}: {error}"));
        let checked = judge(&built.transaction, &outline, &view, &cap.into());
        let fee = checked.unwrap_or_else(|why| panic!("{name}: {why}")).fee();
        assert_eq!(fee, built.fee, "{name}");
        Valid { name, outline, transaction: built.transaction, hook }
    });
    built.collect()
}

fn outlines(bench: &Bench, [coin, other]: [OutPoint; 2], view: &View) -> Vec<(&'static str, Outline)> {
    let pay = |seed: u8, sat| Output { script: crdt::testkit::payee(seed), amount: Amount::from_sat(sat) };
    let outputs = vec![pay(1, 100_000_000), pay(2, 20_000)];
    let decided = bench.secret.decide(&bench.charter, 1, outputs.clone(), coin);
    let total = Amount::from_sat(100_020_000);
    let shares =
        Distribute { total, outputs: outputs.clone(), anchor: coin, basis: crdt::governance::Basis::Shares };
    let work = crdt::governance::Work { number: 1, heads: std::collections::BTreeMap::new() };
    let guild = anchor::guild(view).unwrap();
    let by_work = Distribute { anchor: guild, basis: crdt::governance::Basis::Work(work), ..shares.clone() };
    let [shares, by_work] = [(2, shares), (3, by_work)]
        .map(|(seed, effect)| bench.secret.certify(&bench.charter, ProposalId(Digest([seed; 32])), effect));
    let member = bench.charter.co_signers[0];
    let exit = Exit::new(member, &crdt::testkit::payee(3), Amount::from_sat(70_000)).unwrap();
    let exit = bench.secret.certify(&bench.charter, exit_id(bench.charter.id(), &member), exit);
    let seal = Given { outpoint: OutPoint { txid: coin.txid, vout: 7 }, key: key(12_000) };
    let hook = Given { outpoint: OutPoint { txid: coin.txid, vout: 8 }, key: key(330) };
    let next = Succession {
        seal: crdt::testkit::payee(4),
        change: crdt::testkit::payee(5),
        hook: bench.script([1, 0]),
        checkpoint: [7; 32],
        sweeps: 2,
    };
    let none = BTreeSet::new();
    vec![
        ("spend", spend::payment(&decided, view).unwrap()),
        ("distribution by shares", spend::payment(&shares, view).unwrap()),
        ("distribution by work", spend::payment(&by_work, view).unwrap()),
        ("exit", spend::payment(Order::exit(&exit, guild), view).unwrap()),
        ("draw", draw(bench, other, view)),
        ("closing move", spend::closing(view, decided.decision(), decided.effect().line()).unwrap()),
        ("sweep", spend::sweep(view, None, &[coin, other], crdt::testkit::payee(5)).unwrap()),
        ("hooked sweep", spend::sweep(view, Some(hook), &[coin, other], crdt::testkit::payee(5)).unwrap()),
        ("renewal", spend::renewal(view, 10, &none, &none).unwrap()),
        ("seal", spend::seal(seal.clone(), &next, false)),
        ("seal with coins for the fee", spend::seal(seal, &next, true)),
    ]
}

fn key(sat: u64) -> InputKey {
    let prevout = TxOut { value: Amount::from_sat(sat), script_pubkey: crdt::testkit::payee(6) };
    InputKey { prevout, path: [2, 0], merkle_root: [0; 32] }
}

fn draw(bench: &Bench, anchor: OutPoint, view: &View) -> Outline {
    let author = bench.charter.co_signers[0];
    let budget = Budget {
        limit: Amount::from_int_btc(1),
        period: 144,
        payees: vec![crdt::testkit::payee(1)],
        drawers: vec![author],
        purpose: "power".to_owned().try_into().unwrap(),
        end: 9_999,
        anchor,
    };
    let id = ProposalId(Digest([9; 32]));
    let outputs = vec![Output { script: crdt::testkit::payee(1), amount: Amount::from_sat(40_000) }];
    let disburse = Disburse { budget: id, outputs, reason: String::new().try_into().unwrap() };
    let budget = bench.secret.certify(&bench.charter, id, budget);
    let bill = Bill { id: EntryId(Digest([8; 32])), author, height: 1, disburse: &disburse };
    spend::draw(&budget, &bill, view, view.tip()).unwrap()
}

/// Everything that one hand can change, and what it is called.
fn mutations(valid: &Valid, foreign: OutPoint, immature: OutPoint) -> Vec<(String, Transaction)> {
    let mut all = Vec::new();
    let mut add = |name: String, change: &dyn Fn(&mut Transaction)| {
        let mut changed = valid.transaction.clone();
        change(&mut changed);
        all.push((name, changed));
    };
    for version in [1, 2, 4, -3] {
        if Version(version) != valid.transaction.version {
            add(format!("version {version}"), &|tx| tx.version = Version(version));
        }
    }
    for lock in [u32::MAX, 500_000_000, valid.transaction.lock_time.to_consensus_u32() + 1] {
        add(format!("lock time {lock}"), &|tx| tx.lock_time = LockTime::from_consensus(lock));
    }
    for index in 0..valid.transaction.input.len() {
        add(format!("input {index} foreign"), &|tx| tx.input[index].previous_output = foreign);
        add(format!("input {index} immature"), &|tx| tx.input[index].previous_output = immature);
        add(format!("input {index} vout"), &|tx| tx.input[index].previous_output.vout += 50);
        for sequence in [Sequence::MAX, Sequence::ZERO, Sequence::ENABLE_LOCKTIME_NO_RBF, Sequence(5)] {
            add(format!("input {index} {sequence}"), &|tx| tx.input[index].sequence = sequence);
        }
        add(format!("input {index} witness"), &|tx| tx.input[index].witness = Witness::from_slice(&[[1]]));
        add(format!("input {index} script"), &|tx| {
            tx.input[index].script_sig = ScriptBuf::from_bytes(vec![1])
        });
        add(format!("input {index} twice"), &|tx| tx.input.push(tx.input[index].clone()));
        if index < valid.outline.first.len() {
            add(format!("input {index} removed"), &|tx| drop(tx.input.remove(index)));
        }
    }
    let input = |outpoint| TxIn { previous_output: outpoint, sequence: spend::SEQUENCE, ..TxIn::default() };
    add("input foreign added".into(), &|tx| tx.input.push(input(foreign)));
    add("input immature added".into(), &|tx| tx.input.push(input(immature)));
    add("inputs gone".into(), &|tx| tx.input.clear());
    if valid.transaction.input.len() > 1 {
        add("inputs swapped".into(), &|tx| tx.input.swap(0, 1));
    }
    change_outputs(valid, &mut all);
    all
}

fn change_outputs(valid: &Valid, all: &mut Vec<(String, Transaction)>) {
    let mut add = |name: String, change: &dyn Fn(&mut Transaction)| {
        let mut changed = valid.transaction.clone();
        change(&mut changed);
        if changed != valid.transaction {
            all.push((name, changed));
        }
    };
    let count = valid.transaction.output.len();
    for index in 0..count {
        if index == valid.outline.change {
            add(format!("heir of {index} too small"), &|tx| tx.output[index].value = Amount::from_sat(9_999));
            add(format!("heir of {index} too large"), &|tx| tx.output[index].value += REWARD * 20);
        } else {
            add(format!("output {index} one more"), &|tx| tx.output[index].value += Amount::ONE_SAT);
            if valid.transaction.output[index].value > Amount::ZERO {
                add(format!("output {index} one less"), &|tx| tx.output[index].value -= Amount::ONE_SAT);
            }
        }
        add(format!("output {index} to somebody else"), &|tx| tx.output[index].script_pubkey = stranger());
        for at in 0..valid.transaction.output[index].script_pubkey.len() {
            add(format!("output {index} byte {at}"), &|tx| {
                let mut bytes = tx.output[index].script_pubkey.to_bytes();
                bytes[at] ^= 1;
                tx.output[index].script_pubkey = ScriptBuf::from_bytes(bytes);
            });
        }
        add(format!("output {index} removed"), &|tx| drop(tx.output.remove(index)));
        add(format!("output {index} twice"), &|tx| tx.output.push(tx.output[index].clone()));
        for other in 0..index {
            add(format!("outputs {other} and {index} swapped"), &|tx| tx.output.swap(other, index));
        }
    }
    let extra = TxOut { value: Amount::from_sat(1_000), script_pubkey: stranger() };
    add("output added".into(), &|tx| tx.output.push(extra.clone()));
    let mark = crate::marker::output([1; 32]);
    add("marker added".into(), &|tx| tx.output.push(mark.clone()));
}

#[test]
fn any_one_field_of_any_kind_changed_is_refused() {
    let (bench, coins) = Bench::funded();
    let (view, terms) = (bench.view(), Terms::from(&bench.charter.fee_cap));
    let immature = view.unspent().find(|coin| !coin.mature()).unwrap().outpoint;
    let foreign = OutPoint { txid: coins[0].txid, vout: 40 };
    let mut tried = 0;
    for valid in all(&bench, coins) {
        for (name, changed) in mutations(&valid, foreign, immature) {
            let judged = judge(&changed, &valid.outline, &view, &terms);
            assert!(judged.is_err(), "{}: {name} was accepted", valid.name);
            tried += 1;
        }
    }
    assert!(tried > 1_400, "{tried} changes of 11 kinds");
}

/// P12: whatever the kind, a seal, a hook or a frozen coin is spent by nothing that does not name it.
#[test]
fn coins_set_apart_are_spent_only_by_what_names_them() {
    let (bench, coins) = Bench::funded();
    let (view, mut terms) = (bench.view(), Terms::from(&bench.charter.fee_cap));
    let reward = view.unspent().find(|coin| coin.coinbase && coin.mature()).unwrap().outpoint;
    for valid in all(&bench, coins) {
        terms.apart = valid.outline.first().collect();
        assert!(
            judge(&valid.transaction, &valid.outline, &view, &terms).is_ok(),
            "{} names them",
            valid.name
        );
        if !valid.outline.more || valid.outline.first().any(|first| first == reward) || valid.hook {
            continue;
        }
        let mut changed = valid.transaction.clone();
        changed.input.retain(|input| input.previous_output != reward);
        changed.input.push(TxIn { previous_output: reward, sequence: spend::SEQUENCE, ..TxIn::default() });
        let index = changed.input.len() - 1;
        terms.apart = [reward].into();
        let found = *judge(&changed, &valid.outline, &view, &terms).unwrap_err();
        assert_eq!(found, Violation::Apart { index, found: reward }, "{}", valid.name);
        // a coin that the guild froze is set apart likewise, even if it is named
        terms.apart.clear();
        let frozen = view.clone().with_frozen([reward].into());
        let found = *judge(&changed, &valid.outline, &frozen, &terms).unwrap_err();
        assert_eq!(found, Violation::Apart { index, found: reward }, "{}", valid.name);
        let frozen = view.clone().with_frozen(valid.outline.first().collect());
        assert!(
            matches!(
                *judge(&valid.transaction, &valid.outline, &frozen, &terms).unwrap_err(),
                Violation::Apart { .. }
            ),
            "{}",
            valid.name
        );
    }
}
