use super::*;
use crate::anchor::{Anchored as _, Line};
use crate::marker;
use crate::testkit::{Bench, stranger};
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut};
use crdt::category::Category;
use crdt::testkit::{payee, people};
use crdt::{Certified, MemberId, ProposalId, governance::Spend};

mod histories;

fn member(index: usize) -> MemberId {
    people(3)[index].id()
}

/// Three members, whose deposit addresses are 1, 2 and 3, and a payout script of the first.
pub(super) fn knowledge() -> Knowledge {
    let names = ["alice", "bob", "carol"];
    let members = (0..3).map(|index| (member(index), names[index]));
    let alice = Payee { name: "alice".to_owned(), member: Some(member(0)) };
    Knowledge {
        deposits: (1..).zip((0..3).map(member)).collect(),
        names: Names::of_members(members),
        payees: BTreeMap::from([(payee(0xa1), alice)]),
        ..Knowledge::default()
    }
}

fn decided(all: &[(&Certified<Spend>, Option<Category>)]) -> BTreeMap<ProposalId, Decision> {
    let decision = |(decided, category): &(&Certified<Spend>, Option<Category>)| {
        let line = decided.effect().line();
        (decided.decision(), Decision { line, title: "pay".to_owned(), category: *category })
    };
    all.iter().map(decision).collect()
}

fn ledger(bench: &Bench, knowledge: &Knowledge) -> Ledger {
    let ledger = Ledger::of(&bench.view(), Arc::new(knowledge.clone()));
    for entry in ledger.entries() {
        assert_eq!(entry.treasury, entry.change(Account::Treasury), "{entry:?}");
        for postings in [&entry.postings, &entry.corrections] {
            assert_eq!(postings.iter().map(|posting| posting.sat).sum::<i64>(), 0, "{entry:?}");
        }
    }
    ledger
}

/// What stands on each account, by name.
fn sums(ledger: &Ledger) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for posting in ledger.entries().flat_map(|entry| entry.postings.iter().chain(&entry.corrections)) {
        *sums.entry(posting.account.name(&ledger.knowledge.names)).or_default() += posting.sat;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn expected<const N: usize>(sums: [(&str, i64); N]) -> BTreeMap<String, i64> {
    sums.into_iter().map(|(account, sum)| (account.to_owned(), sum)).collect()
}

fn sum_of(value: Amount) -> i64 {
    i64::try_from(value.to_sat()).unwrap()
}

const BTC: i64 = 100_000_000;

#[test]
fn addresses_say_what_came_in() {
    let (mut bench, _) = Bench::funded(); // 1 BTC of alice, 2 of bob, three rewards
    bench.receive([0, 9], Amount::from_sat(70_000));
    bench.receive([0, 0], Amount::from_sat(80_000));
    let found = sums(&ledger(&bench, &knowledge()));
    let all = expected([
        ("assets:treasury", 153 * BTC + 150_000),
        ("income:mining:blocks", -150 * BTC),
        ("equity:contributions:alice", -BTC),
        ("equity:contributions:bob", -2 * BTC),
        ("equity:contributions:address-9", -70_000),
        ("income:uncategorised", -80_000),
    ]);
    assert_eq!(found, all);
    let pooled = Knowledge { pools: true, ..knowledge() };
    assert_eq!(sums(&ledger(&bench, &pooled)).get("income:mining:pools"), Some(&-80_000));
}

#[test]
fn a_decision_says_what_its_payment_is_for() {
    let (mut bench, [coin, other]) = Bench::funded();
    let rent = bench.decide(1, 300_000, coin);
    let paid = bench.pay(&rent, 0);
    bench.confirm(vec![paid.clone()]);
    let output = crdt::governance::Output { script: payee(0xa1), amount: Amount::from_sat(40_000) };
    let share = bench.secret.decide(&bench.charter, 2, vec![output], other);
    let second = bench.pay(&share, 0);
    bench.confirm(vec![second.clone()]);
    let all = [(&rent, Some(Category::Hosting)), (&share, Some(Category::Distribution))];
    let known = Knowledge { decisions: decided(&all), ..knowledge() };
    let ledger = ledger(&bench, &known);
    let found = sums(&ledger);
    assert_eq!(found.get("expenses:hosting"), Some(&300_000));
    assert_eq!(found.get("equity:distributions:alice"), Some(&40_000));
    assert!(found["expenses:fees:network"] > 0);
    assert_eq!(ledger.entry(&paid.compute_txid()).unwrap().kind, Kind::Payment(rent.decision()));
    assert_eq!(ledger.entry(&second.compute_txid()).unwrap().kind, Kind::Payment(share.decision()));
    // decided, but not for what
    let silent = Knowledge { decisions: decided(&[(&rent, None), (&share, None)]), ..knowledge() };
    let silent = Ledger::of(&bench.view(), Arc::new(silent));
    assert_eq!(sums(&silent).get("expenses:uncategorised"), Some(&340_000));
    // decided by nobody we know of
    let unknown = Ledger::of(&bench.view(), Arc::new(knowledge()));
    assert_eq!(sums(&unknown).get("expenses:undecided"), Some(&340_000));
    assert_eq!(unknown.entry(&paid.compute_txid()).unwrap().kind, Kind::Undecided);
}

#[test]
fn a_marker_outside_its_lineage_is_no_payment() {
    let (mut bench, [coin, other]) = Bench::funded();
    let rent = bench.decide(1, 300_000, coin);
    let marker = marker::output(marker::marker(bench.charter.id(), rent.decision()));
    let theirs = TxOut { value: Amount::from_sat(300_000), script_pubkey: stranger() };
    let mut forged = bench.move_coin(other, vec![marker, theirs]);
    forged.output[0].value -= Amount::from_sat(300_000);
    bench.confirm(vec![forged.clone()]);
    let known = Knowledge { decisions: decided(&[(&rent, Some(Category::Hosting))]), ..knowledge() };
    let ledger = ledger(&bench, &known);
    assert_eq!(ledger.entry(&forged.compute_txid()).unwrap().kind, Kind::Undecided);
    assert_eq!(sums(&ledger).get("expenses:undecided"), Some(&300_000));
}

#[test]
fn a_closing_move_and_a_sweep_cost_their_fee_only() {
    let (mut bench, [coin, other]) = Bench::funded();
    let rent = bench.decide(1, 300_000, coin);
    let close = marker::output(marker::closing(bench.charter.id(), rent.decision()));
    let closing = bench.move_coin(coin, vec![close]);
    let sweep = bench.move_coin(other, Vec::new());
    bench.confirm(vec![closing.clone(), sweep.clone()]);
    let known = Knowledge { decisions: decided(&[(&rent, None)]), ..knowledge() };
    let ledger = ledger(&bench, &known);
    assert_eq!(ledger.entry(&closing.compute_txid()).unwrap().kind, Kind::Closing(rent.decision()));
    assert_eq!(ledger.entry(&sweep.compute_txid()).unwrap().kind, Kind::Move);
    let costs: Vec<_> = sums(&ledger).into_iter().filter(|(name, _)| name.starts_with("expenses")).collect();
    assert_eq!(costs, [("expenses:fees:network".to_owned(), 2_000)]);
}

#[test]
fn a_draw_is_for_what_its_budget_is_for() {
    let (mut bench, [coin, other]) = Bench::funded();
    let budget = ProposalId(crdt::Digest([7; 32]));
    let first = marker::draw(bench.charter.id(), budget, 1);
    let bill = marker::draw_output(first, crdt::EntryId(crdt::Digest([8; 32])));
    let theirs = TxOut { value: Amount::from_sat(60_000), script_pubkey: stranger() };
    let mut drawn = bench.move_coin(coin, vec![bill.clone(), theirs.clone()]);
    drawn.output[0].value -= theirs.value;
    let mut strange = bench.move_coin(other, vec![bill, theirs]);
    strange.output[0].value -= Amount::from_sat(60_000);
    bench.treasury.take_touched();
    let line = Line::Budget { anchor: coin };
    let decision = Decision { line, title: "power".to_owned(), category: Some(Category::Power) };
    let known = Knowledge { decisions: BTreeMap::from([(budget, decision)]), ..knowledge() };
    let mut followed = ledger(&bench, &known);
    bench.confirm(vec![drawn.clone(), strange.clone()]);
    followed.follow(&bench.view(), &bench.treasury.take_touched());
    let fresh = ledger(&bench, &known);
    assert!(followed.entries().eq(fresh.entries()));
    assert_eq!(fresh.entry(&drawn.compute_txid()).unwrap().kind, Kind::Draw(budget));
    let off = fresh.entry(&strange.compute_txid()).unwrap();
    assert_eq!(off.kind, Kind::Undecided, "off the budget's lineage");
    assert_eq!(sums(&fresh).get("expenses:power"), Some(&60_000));
}

#[test]
fn what_leaves_by_the_recovery_leaf_is_called_so() {
    let (mut bench, [coin, _]) = Bench::funded();
    let theirs = TxOut { value: Amount::from_sat(99_000_000), script_pubkey: stranger() };
    let mut taken = bench.move_coin(coin, vec![theirs]);
    taken.output.remove(0);
    taken.input[0].witness = bitcoin::Witness::from_slice(&[vec![1; 64], vec![2; 40], vec![3; 33]]);
    bench.confirm(vec![taken.clone()]);
    let ledger = ledger(&bench, &knowledge());
    assert_eq!(ledger.entry(&taken.compute_txid()).unwrap().kind, Kind::Recovery);
    assert_eq!(sums(&ledger).get("equity:recovery"), Some(&99_000_000));
}

#[test]
fn what_somebody_else_paid_for_too_is_one_sum_and_no_fee() {
    let (mut bench, [coin, _]) = Bench::funded();
    let theirs = TxOut { value: Amount::from_sat(120_000_000), script_pubkey: stranger() };
    let mut joint = bench.move_coin(coin, vec![theirs]);
    joint.output.remove(0);
    joint.input.extend(bench.contribution([0, 1], Amount::ONE_SAT).input);
    bench.confirm(vec![joint.clone()]);
    let ledger = ledger(&bench, &knowledge());
    assert_eq!(sums(&ledger).get("expenses:undecided"), Some(&BTC), "our coin, whatever it paid");
    assert_eq!(sums(&ledger).get("expenses:fees:network"), None);
}

fn labelled(on: impl FnOnce(&mut Labels)) -> Knowledge {
    let mut known = knowledge();
    on(&mut known.labels);
    known
}

#[test]
fn labels_say_what_nothing_else_does() {
    let mut bench = Bench::default();
    let coin = bench.receive([0, 0], Amount::from_sat(80_000));
    let script = bench.script([0, 0]);
    let label = |word: &str| format!("from Ocean category:{word}");
    let by_tx = labelled(|labels| drop(labels.transactions.insert(coin.txid, label("pool-payout"))));
    let by_output = labelled(|labels| {
        labels.transactions.insert(coin.txid, label("pool-payout"));
        labels.outputs.insert(coin, label("rented-hash-rate"));
    });
    let by_address = labelled(|labels| drop(labels.addresses.insert(script, label("sale"))));
    let wrong = labelled(|labels| drop(labels.transactions.insert(coin.txid, label("luck"))));
    let table = [
        (by_tx, "income:mining:pools"),
        (by_output, "income:mining:rented-out"),
        (by_address, "equity:conversion:sales"),
        (wrong, "income:uncategorised"),
    ];
    for (known, account) in table {
        let ledger = ledger(&bench, &known);
        assert_eq!(sums(&ledger), expected([("assets:treasury", 80_000), (account, -80_000)]));
        assert!(ledger.entries().all(|entry| entry.corrections.is_empty()));
    }
}

#[test]
fn a_label_against_a_rule_or_a_decision_is_a_correction_beside_it() {
    let (mut bench, [coin, given]) = Bench::funded();
    let rent = bench.decide(1, 300_000, coin);
    let paid = bench.pay(&rent, 0);
    bench.confirm(vec![paid.clone()]);
    let mut known = labelled(|labels| {
        labels.transactions.insert(paid.compute_txid(), "category:power".to_owned());
        labels.transactions.insert(given.txid, "category:sale".to_owned());
    });
    known.decisions = decided(&[(&rent, Some(Category::Hosting))]);
    let ledger = ledger(&bench, &known);
    let payment = ledger.entry(&paid.compute_txid()).unwrap();
    assert!(payment.postings.iter().any(|posting| posting.account == Account::Cost(Cost::Hosting)));
    assert_eq!(payment.corrections.len(), 2);
    let found = sums(&ledger);
    assert_eq!(found.get("expenses:hosting"), None, "in the end it is another");
    assert_eq!(found.get("expenses:power"), Some(&300_000));
    assert_eq!(found.get("equity:contributions:bob"), None);
    assert_eq!(found.get("equity:conversion:sales"), Some(&(-2 * BTC)));
}

#[test]
fn books_that_learn_are_the_books_that_always_knew() {
    let (mut bench, [coin, other]) = Bench::funded();
    let rent = bench.decide(1, 300_000, coin);
    let paid = bench.pay(&rent, 0);
    bench.confirm(vec![paid.clone()]);
    let mut ledger = Ledger::of(&bench.view(), Arc::new(knowledge()));
    let decisions = decided(&[(&rent, Some(Category::Repair))]);
    let decided = Knowledge { decisions, ..knowledge() };
    let mut corrected = decided.clone();
    corrected.labels.transactions.insert(paid.compute_txid(), "category:power".to_owned());
    corrected.labels.outputs.insert(other, "category:sale".to_owned());
    let pooled = Knowledge { pools: true, ..corrected.clone() };
    let named = Knowledge { names: Names::default(), ..corrected.clone() };
    let steps = [decided.clone(), corrected, pooled, named, decided, knowledge()];
    for known in steps {
        ledger.learn(&bench.view(), Arc::new(known.clone()));
        let fresh = Ledger::of(&bench.view(), Arc::new(known));
        assert!(ledger.entries().eq(fresh.entries()));
        assert_eq!(sums(&ledger), sums(&fresh));
    }
}

#[test]
fn a_reorganisation_undoes_entries() {
    let (mut bench, _) = Bench::funded();
    let before = ledger(&bench, &knowledge());
    bench.treasury.take_touched();
    let mut ledger = before.clone();
    let gift = bench.contribution([0, 3], Amount::from_sat(123_456));
    bench.confirm(vec![gift.clone()]);
    ledger.follow(&bench.view(), &bench.treasury.take_touched());
    assert_eq!(sums(&ledger).get("equity:contributions:carol"), Some(&-123_456));
    bench.reorganize(1);
    let txid = gift.compute_txid();
    bench.treasury.apply_mempool([], [(txid, u64::from(u32::MAX))]);
    ledger.follow(&bench.view(), &bench.treasury.take_touched());
    assert!(ledger.entry(&txid).is_none());
    assert_eq!(sums(&ledger), sums(&before));
}

#[test]
fn names_become_words_that_no_tool_trips_over_and_stay_apart() {
    let ids: Vec<MemberId> = people(9).iter().map(crdt::testkit::Person::id).collect();
    let given = ["alice", "Alice", "a l;i:ce", "\u{1F600}", "Zoë O'Neil", "東京", "(x) ", "", "a\nb\"c"];
    let names = Names::of_members(ids.iter().copied().zip(given));
    let called: Vec<String> =
        ids.iter().map(|id| Account::Contributions(Party::Member(*id)).name(&names)).collect();
    let words: BTreeSet<String> = called.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(words.len(), given.len(), "{called:?}");
    for (name, id) in called.iter().zip(&ids) {
        let word = name.strip_prefix("equity:contributions:").unwrap();
        assert!(word.chars().all(|letter| letter.is_alphanumeric() || letter == '-'), "{name} of {id}");
        assert!(!word.is_empty() && !word.starts_with('-'), "{name}");
    }
    assert!(called[4].ends_with(":Zoë-O-Neil") && called[5].ends_with(":東京"));
    assert!(
        called[0].starts_with("equity:contributions:alice-"),
        "two of the name: the key tells them apart"
    );
}

#[test]
fn nobody_gets_the_account_of_another_by_taking_its_name() {
    let ids: Vec<MemberId> = people(3).iter().map(crdt::testkit::Person::id).collect();
    let digits: String = ids[0].to_string().chars().take(8).collect();
    let thief = format!("alice-{digits}");
    let given = ["alice", "alice", thief.as_str()];
    let names = Names::of_members(ids.iter().copied().zip(given));
    let called: BTreeSet<String> = ids.iter().map(|id| names_of(&names, *id)).collect();
    assert_eq!(called.len(), 3, "{called:?}");
}

fn names_of(names: &Names, id: MemberId) -> String {
    Account::Distributions(Party::Member(id)).name(names).to_lowercase()
}
