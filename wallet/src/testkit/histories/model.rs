//! The rules of payments, budgets and epoch changes under a model checker: every order in which few
//! transactions are signed, mined, and thrown out by two reorganisations. What signs is [`spend`] and
//! [`policy::judge`], what reads is [`anchor`]; the model only moves blocks.
//!
//! A transaction exists as soon as one honest signer accepts it, at the tip or on a chain that was replaced:
//! all others may be dishonest, or restored from a backup. Signers remember nothing, so a rollback of theirs
//! is just another look at an older chain. Each deliberate mistake must be caught.

use super::chain::{Chain, Named};
use super::scene::{Decided, LIMIT, SCENE};
use super::world::sealed;
use crate::anchor::{CONFIRMED, Lineage};
use crate::policy::{self, Terms};
use crate::spend::{self, Given, InputKey, Outline, Params, Succession};
use crate::view::View;
use bitcoin::{Amount, OutPoint, Txid};
use stateright::{Checker as _, Expectation, Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Reorganisations of one history.
const REORGS: u8 = 2;

/// Transactions that are signed in one history at most.
const SIGNED_MAX: usize = 6;

/// What the rules could get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// Nothing: the rules as implemented.
    None,
    /// What a transaction pays is read off its outputs.
    NoMarker,
    /// A payment may spend any coin.
    NoAnchor,
    /// A sweep spends no hook.
    NoHook,
}

/// What is asked of signers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wish {
    /// To pay a decision.
    Pay(usize),
    /// To draw on a budget by one of its bills.
    Draw(usize, usize),
    /// To seal this checkpoint and sweep.
    Seal(u8),
}

/// Blocks after those that all histories share: each has one of the transactions, or none.
type Tail = Vec<Option<Txid>>;

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct History {
    tail: Tail,
    /// The chain that the last reorganisation replaced: somebody may still believe in it.
    replaced: Option<Tail>,
    signed: BTreeSet<Txid>,
    reorgs: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Somebody honest signs, at the tip or on the chain that was replaced.
    Sign(Wish, bool),
    Mine(Txid),
    /// So many blocks are replaced by one more, empty ones.
    Turn(usize),
}

/// What a transaction was signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Pays(usize),
    Draws(Amount),
    Seals,
    SweepsAfter(Txid),
}

struct Rules {
    wishes: Vec<Wish>,
    mistake: Mistake,
    /// Transactions that are in a chain at most.
    longest: usize,
    base: Chain,
    seal: Given,
    known: Mutex<BTreeMap<Txid, (Named, Meaning)>>,
}

impl Rules {
    fn new(wishes: &[Wish], longest: usize, mistake: Mistake) -> Self {
        let (base, seal) = sealed();
        Self { wishes: wishes.to_vec(), mistake, longest, base, seal, known: Mutex::default() }
    }

    fn named(&self, txid: &Txid) -> (Named, Meaning) {
        self.known.lock().unwrap()[txid].clone()
    }

    fn chain(&self, tail: &Tail) -> Chain {
        let mut chain = self.base.clone();
        let block = |mined: &Option<Txid>| mined.iter().map(|txid| self.named(txid).0).collect::<Vec<_>>();
        chain.blocks.extend(tail.iter().map(|mined| block(mined).into()));
        chain
    }

    fn mined(&self, tail: &Tail) -> impl Iterator<Item = Meaning> {
        tail.iter().flatten().map(move |txid| self.named(txid).1)
    }

    fn view(&self, tail: &Tail) -> View {
        let sealed = self.mined(tail).any(|meaning| meaning == Meaning::Seals);
        self.chain(tail).view(None, usize::from(sealed))
    }

    /// What an honest signer who believes in `tail` makes of `wish`.
    fn sign(&self, wish: Wish, tail: &Tail, signed: &BTreeSet<Txid>) -> Vec<Txid> {
        let view = self.view(tail);
        let apart = self.hooks(signed);
        match wish {
            Wish::Pay(index) => {
                let decided = &SCENE.decided[index];
                let Some(order) = decided.order(OutPoint::null()) else { return Vec::new() };
                let Ok(outline) = spend::payment(order, &view) else { return Vec::new() };
                let outlines = self.by_any_coin(outline, &view);
                let fund = |outline: Outline| self.fund(&outline, &view, &apart, Meaning::Pays(index));
                outlines.into_iter().filter_map(fund).collect()
            }
            Wish::Draw(index, bill) => {
                let Decided::Budget(budget, bills) = &SCENE.decided[index] else { return Vec::new() };
                let Some(bill) = SCENE.bill(bills, bill) else { return Vec::new() };
                let cost: Amount = bill.disburse.outputs.iter().map(|output| output.amount).sum();
                let Ok(outline) = spend::draw(budget, &bill, &view, self.base.tip()) else {
                    return Vec::new();
                };
                let outlines = self.by_any_coin(outline, &view);
                let fund = |outline: Outline| self.fund(&outline, &view, &apart, Meaning::Draws(cost));
                outlines.into_iter().filter_map(fund).collect()
            }
            Wish::Seal(checkpoint) => self.seal(checkpoint, tail, &view, &apart).unwrap_or_default(),
        }
    }

    /// The mistake: the anchor is not looked at, and any coin of a deposit will do.
    fn by_any_coin(&self, outline: Outline, view: &View) -> Vec<Outline> {
        if self.mistake != Mistake::NoAnchor {
            return vec![outline];
        }
        let coins = view.unspent().filter(|coin| coin.path[0] == 0).take(2);
        coins.map(|coin| Outline { first: vec![coin.into()], more: false, ..outline.clone() }).collect()
    }

    /// Hooks of seals that were signed: nothing but their sweep spends them.
    fn hooks(&self, signed: &BTreeSet<Txid>) -> BTreeSet<OutPoint> {
        let seals = signed.iter().filter(|txid| self.named(txid).1 == Meaning::Seals);
        let hooks = seals.flat_map(|txid| {
            let outputs = self.named(txid).0.transaction.output.len();
            (2..u32::try_from(outputs).unwrap()).map(move |vout| OutPoint { txid: *txid, vout })
        });
        hooks.collect()
    }

    fn fund(
        &self,
        outline: &Outline,
        view: &View,
        apart: &BTreeSet<OutPoint>,
        meaning: Meaning,
    ) -> Option<Txid> {
        let cap = &SCENE.charter.fee_cap;
        let params = Params {
            lock_height: self.base.tip(),
            fee_rate: Some(2),
            cap: cap.clone(),
            bump: 0,
            avoid: BTreeSet::new(),
            apart: apart.clone(),
        };
        let built = spend::fund(outline, view, &params).ok()?;
        let terms = Terms { fee: cap.into(), apart: apart.clone() };
        policy::judge(&built.transaction, outline, view, &terms).ok()?;
        let named = Named::new(built.transaction);
        let txid = named.txid;
        self.known.lock().unwrap().entry(txid).or_insert((named, meaning));
        Some(txid)
    }

    /// The seal and its sweep, both signed before either is broadcast.
    fn seal(
        &self,
        checkpoint: u8,
        tail: &Tail,
        view: &View,
        apart: &BTreeSet<OutPoint>,
    ) -> Option<Vec<Txid>> {
        let spent = self.mined(tail).any(|meaning| meaning == Meaning::Seals);
        let lots = spend::batches(view, apart);
        let lot = lots.first().filter(|_| !spent)?;
        let next = Succession {
            seal: SCENE.seal.clone(),
            change: SCENE.change[1].clone(),
            hook: SCENE.change[0].clone(),
            checkpoint: [checkpoint; 32],
            sweeps: 1,
        };
        let outline = spend::seal(self.seal.clone(), &next, false);
        let seal = self.fund(&outline, view, apart, Meaning::Seals)?;
        let prevout = self.named(&seal).0.transaction.output[2].clone();
        let hook = OutPoint { txid: seal, vout: 2 };
        let key = InputKey { prevout, path: [1, 0], merkle_root: [0; 32] };
        let hook = Some(Given { outpoint: hook, key }).filter(|_| self.mistake != Mistake::NoHook);
        let outline = spend::sweep(view, hook, lot, SCENE.change[1].clone()).ok()?;
        let sweep = self.fund(&outline, view, apart, Meaning::SweepsAfter(seal))?;
        Some(vec![seal, sweep])
    }

    fn payments(&self) -> impl Iterator<Item = usize> + '_ {
        self.wishes.iter().filter_map(|wish| match wish {
            Wish::Pay(index) => Some(*index),
            _ => None,
        })
    }

    /// How often decision `index` was paid.
    fn times_paid(&self, history: &History, index: usize) -> usize {
        self.mined(&history.tail).filter(|meaning| *meaning == Meaning::Pays(index)).count()
    }

    /// Whether the lineage, or the mistake in its place, reads decision `index` as it is: paid, or payable.
    fn is_read_aright(&self, history: &History, index: usize) -> bool {
        let (view, decided) = (self.view(&history.tail), &SCENE.decided[index]);
        let paid = self.times_paid(history, index) > 0;
        if self.mistake == Mistake::NoMarker {
            let outputs = decided.order(OutPoint::null()).unwrap();
            let outputs = spend::payment(outputs, &self.view(&Vec::new())).unwrap().outputs.split_off(2);
            let alike = |output: &[bitcoin::TxOut]| output.windows(outputs.len()).any(|some| some == outputs);
            return view.transactions().any(|(_, seen)| alike(&seen.transaction.output)) == paid;
        }
        match decided.line(OutPoint::null()).follow(&view, decided.id(), CONFIRMED) {
            Lineage::Paid(_) => paid,
            Lineage::Open { tip } => !paid && view.coin(&tip).is_some_and(|coin| !coin.gone()),
            Lineage::NoAnchor | Lineage::Closed(_) | Lineage::Lost(_) => false,
        }
    }

    fn drawn(&self, history: &History) -> Amount {
        let costs = self.mined(&history.tail).filter_map(|meaning| match meaning {
            Meaning::Draws(cost) => Some(cost),
            _ => None,
        });
        costs.sum()
    }

    fn seals(&self, history: &History) -> usize {
        self.mined(&history.tail).filter(|meaning| *meaning == Meaning::Seals).count()
    }

    /// Whether each sweep that is mined stands on its own seal.
    fn sweeps_follow(&self, history: &History) -> bool {
        let mut mined = history.tail.iter().flatten();
        mined.all(|txid| match self.named(txid).1 {
            Meaning::SweepsAfter(seal) => history.tail.contains(&Some(seal)),
            _ => true,
        })
    }
}

impl Model for Rules {
    type State = History;
    type Action = Action;

    fn init_states(&self) -> Vec<History> {
        vec![History { tail: Vec::new(), replaced: None, signed: BTreeSet::new(), reorgs: 0 }]
    }

    fn actions(&self, history: &History, actions: &mut Vec<Action>) {
        for wish in &self.wishes {
            actions.push(Action::Sign(*wish, false));
            if history.replaced.is_some() {
                actions.push(Action::Sign(*wish, true));
            }
        }
        if history.tail.iter().flatten().count() < self.longest {
            actions.extend(history.signed.iter().map(|txid| Action::Mine(*txid)));
        }
        if history.reorgs < REORGS {
            actions.extend((1..=history.tail.len().min(2)).map(Action::Turn));
        }
    }

    fn next_state(&self, history: &History, action: Action) -> Option<History> {
        let mut next = history.clone();
        match action {
            Action::Sign(wish, behind) => {
                let tail = if behind { history.replaced.as_ref()? } else { &history.tail };
                next.signed.extend(self.sign(wish, tail, &history.signed));
            }
            Action::Mine(txid) => {
                let named = self.named(&txid).0;
                self.chain(&history.tail).takes(&[], &named).then_some(())?;
                next.tail.push(Some(txid));
            }
            Action::Turn(depth) => {
                next.replaced = Some(history.tail.clone());
                next.tail.truncate(history.tail.len() - depth);
                next.tail.extend(std::iter::repeat_n(None, depth + 1));
                next.reorgs += 1;
            }
        }
        (next != *history && next.signed.len() <= SIGNED_MAX).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(S1, |rules: &Self, history| {
                rules.payments().all(|index| rules.times_paid(history, index) <= 1)
            }),
            Property::always(S6, |rules: &Self, history| {
                rules.payments().all(|index| rules.is_read_aright(history, index))
            }),
            Property::always(S7, |rules: &Self, history| rules.drawn(history) <= LIMIT),
            Property::always(E1, |rules: &Self, history| rules.seals(history) <= 1),
            Property::always(E4, |rules: &Self, history| rules.sweeps_follow(history)),
            Property::sometimes("all that was wanted comes about", |rules: &Self, history| {
                let all = rules.payments().all(|index| rules.times_paid(history, index) == 1);
                let drawn = rules.wishes.iter().any(|wish| matches!(wish, Wish::Draw(..)));
                let sealed = rules.wishes.iter().any(|wish| matches!(wish, Wish::Seal(_)));
                all && (!drawn || rules.drawn(history) > Amount::ZERO)
                    && (!sealed || rules.seals(history) == 1)
                    && history.reorgs > 0
            }),
        ]
    }
}

const S1: &str = "S1 at most one payment of a decision";
const S6: &str = "S6 what is not paid stays payable, and is read as that";
const S7: &str = "S7 no more is drawn than the budget has";
const E1: &str = "E1 a seal has one successor";
const E4: &str = "E4 no sweep without its seal";

/// The names of the properties that do not hold, and how many states there were.
fn broken(rules: Rules) -> (Vec<&'static str>, usize) {
    let checker = rules.checker().threads(1).spawn_bfs().join();
    let found = checker.discoveries();
    let fails = |property: &Property<Rules>| {
        found.contains_key(property.name) == (property.expectation == Expectation::Always)
    };
    let names =
        checker.model().properties().iter().filter(|property| fails(property)).map(|one| one.name).collect();
    (names, checker.unique_state_count())
}

/// Where a budget stands among the decisions.
fn budget() -> usize {
    SCENE.decided.len() - 1
}

#[test]
fn s1_s6_two_equal_bills_of_one_anchor_are_each_paid_once() {
    let (broken, states) = broken(Rules::new(&[Wish::Pay(0), Wish::Pay(1)], 3, Mistake::None));
    assert!(broken.is_empty() && states > 100, "{broken:?} in {states}");
}

#[test]
fn s7_no_history_draws_more_than_the_budget_has() {
    let (broken, states) =
        broken(Rules::new(&[Wish::Draw(budget(), 2), Wish::Draw(budget(), 4)], 3, Mistake::None));
    assert!(broken.is_empty() && states > 30, "{broken:?} in {states}");
}

#[test]
fn s1_e1_e4_two_rival_seals_their_sweeps_and_a_payment_over_two_reorganisations() {
    let wishes = [Wish::Pay(0), Wish::Seal(7), Wish::Seal(8)];
    let (broken, states) = broken(Rules::new(&wishes, 3, Mistake::None));
    assert!(broken.is_empty() && states > 300, "{broken:?} in {states}");
}

#[test]
fn f1_a_payment_read_off_its_outputs_is_caught() {
    let (broken, _) = broken(Rules::new(&[Wish::Pay(0), Wish::Pay(1)], 2, Mistake::NoMarker));
    assert!(broken.contains(&S6), "{broken:?}");
}

#[test]
fn s1_a_payment_that_spends_any_coin_is_caught() {
    let (broken, _) = broken(Rules::new(&[Wish::Pay(0)], 2, Mistake::NoAnchor));
    assert!(broken.contains(&S1), "{broken:?}");
}

#[test]
fn f2_draws_that_name_coins_of_their_own_are_caught() {
    let wishes = [Wish::Draw(budget(), 2), Wish::Draw(budget(), 4)];
    let (broken, _) = broken(Rules::new(&wishes, 2, Mistake::NoAnchor));
    assert!(broken.contains(&S7), "{broken:?}");
}

#[test]
fn f12_a_sweep_without_a_hook_is_caught() {
    let (broken, _) = broken(Rules::new(&[Wish::Seal(7)], 2, Mistake::NoHook));
    assert!(broken.contains(&E4), "{broken:?}");
}
