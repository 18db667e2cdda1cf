//! S1 against the real rules: whatever honest signers sign, in whatever views they have, whatever of it
//! is mined and however the chain turns, no history pays a decision twice.

use super::*;
use crate::policy;
use crate::spend::{self, Params};
use crate::testkit::{Bench, decisions};
use bitcoin::{Amount, Transaction};
use crdt::certificate::Certified;
use crdt::governance::Spend;
use proptest::prelude::*;

/// What happens next. The numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// Signers complete a payment of a decision, at some rate, with or without the mempool in view.
    Sign { decision: usize, rate: u64, avoid: bool },
    /// A miner takes one of all payments ever signed, if it can.
    Mine(usize),
    /// The last blocks are replaced by empty ones.
    Turn(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sign = (0usize..3, 1u64..9, any::<bool>());
    let sign = sign.prop_map(|(decision, rate, avoid)| Step::Sign { decision, rate, avoid });
    let step = prop_oneof![
        4 => sign,
        4 => any::<usize>().prop_map(Step::Mine),
        1 => (1usize..4).prop_map(Step::Turn),
    ];
    prop::collection::vec(step, 10..60)
}

struct World {
    bench: Bench,
    decided: Vec<Certified<Spend>>,
    signed: Vec<Transaction>,
    funded: Height,
}

impl World {
    /// Three decisions, two of them on one anchor.
    fn new() -> Self {
        let mut bench = Bench::default();
        let coins: Vec<_> =
            (1..=4).map(|index| bench.receive([0, index], Amount::from_sat(200_000))).collect();
        bench.mine(6);
        let decided = [(1, 0), (2, 0), (3, 1)].map(|(seed, coin)| bench.decide(seed, 30_000, coins[coin]));
        let funded = bench.tip().0;
        Self { bench, decided: decided.to_vec(), signed: Vec::new(), funded }
    }

    /// The chain alone, as a signer sees it whose mempool is empty.
    fn confirmed(&self) -> View {
        let mut view = self.bench.view();
        for coin in std::sync::Arc::make_mut(&mut view.coins).values_mut() {
            coin.spent = coin.spent.filter(|spender| spender.height.is_some());
        }
        view
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Sign { decision, rate, avoid } => self.sign(*decision, *rate, *avoid),
            Step::Mine(choice) if !self.signed.is_empty() => {
                let transaction = self.signed[choice % self.signed.len()].clone();
                let view = self.confirmed();
                let there =
                    |outpoint| view.coin(&outpoint).is_some_and(|coin| coin.depth > 0 && !coin.gone());
                if transaction.input.iter().all(|input| there(input.previous_output)) {
                    self.bench.confirm(vec![transaction]);
                }
            }
            Step::Turn(depth) if self.bench.tip().0 >= self.funded + Height::try_from(*depth).unwrap() => {
                self.bench.reorganize(*depth);
            }
            Step::Mine(_) | Step::Turn(_) => {}
        }
    }

    fn sign(&mut self, decision: usize, rate: u64, avoid: bool) {
        let (view, decided) = (self.confirmed(), &self.decided[decision]);
        let others = self.decided.iter().filter(|other| avoid && other.decision() != decided.decision());
        let avoid = tips(&view, &decisions(others));
        let params = Params { fee_rate: Some(rate), avoid, ..self.bench.params() };
        let Ok(built) = spend::build(decided, &view, &params) else { return };
        let checked = policy::check(&built.transaction, decided, &view, &params.cap).expect("as built");
        self.signed.push(self.bench.secret.complete(&checked));
    }

    /// S1, and that what is paid looks paid, and what is not stays payable (S6).
    fn check(&self) -> Result<(), TestCaseError> {
        let view = self.confirmed();
        for decided in &self.decided {
            let mark = marker::marker(view.guild(), decided.decision());
            let mined = view.transactions.values().filter(|seen| seen.height.is_some());
            let paid = mined.filter(|seen| marker::carries(&seen.transaction, mark)).count();
            prop_assert!(paid <= 1, "paid {} times", paid);
            match lineage(&view, decided.decision(), decided.effect().anchor, CONFIRMED) {
                Lineage::Paid(_) => prop_assert_eq!(paid, 1),
                Lineage::Open { tip } => {
                    prop_assert_eq!(paid, 0);
                    prop_assert!(view.coin(&tip).is_some_and(|coin| !coin.gone()));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_history_pays_a_decision_twice(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check()?;
        }
    }
}
