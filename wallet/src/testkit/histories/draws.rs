//! S7 without chance: two budgets on one coin, and every chain that can be made of what honest signers sign
//! on the way: draws of one period, dearer versions, the same Disburse entry again, branches that replace
//! each other and bring back what was signed on another.
//!
//! Why it holds: a draw spends the tip, and the tip's name fixes all transactions before it, so the draws
//! that its signers summed up are the draws before it in every chain that it is in.

use super::chain::{Chain, Named};
use super::check::Meant;
use super::scene::{Decided, SCENE};
use super::world::{Signed, sealed};
use crate::anchor::{self, CONFIRMED};
use crate::policy::{self, Terms};
use crate::spend::{self, BuildError, DrawError, Params};
use crate::view::View;
use bitcoin::OutPoint;
use crdt::certificate::Certified;
use crdt::governance::Budget;
use std::collections::{BTreeMap, BTreeSet};

/// Draws in one chain.
const DRAWS: usize = 4;
/// Bills of each budget that signers are asked for: any two fit into a period, three do not.
const BILLS: usize = 3;

/// All that was ever signed, by the coin it spends first, and what was refused.
#[derive(Default)]
struct Tree {
    signed: BTreeMap<OutPoint, Vec<Signed>>,
    chains: usize,
    over: usize,
    twice: usize,
}

/// The budgets that share an anchor.
fn pair() -> [&'static Certified<Budget>; 2] {
    let budgets = SCENE.decided.iter().filter_map(|decided| match decided {
        Decided::Budget(budget, _) => Some(budget),
        _ => None,
    });
    let budgets: Vec<_> = budgets.collect();
    let (one, other) = (budgets[0], budgets[2]);
    assert_eq!(one.effect().anchor, other.effect().anchor);
    [one, other]
}

fn bills(budget: &Certified<Budget>) -> &'static [(crdt::EntryId, crdt::governance::Disburse)] {
    let found = SCENE.decided.iter().find_map(|decided| match decided {
        Decided::Budget(known, bills) if known.decision() == budget.decision() => Some(bills),
        _ => None,
    });
    found.expect("of the scene")
}

impl Tree {
    /// Let signers who see this chain sign what they would.
    fn sign(&mut self, view: &View) {
        let cap = SCENE.charter.fee_cap.clone();
        for budget in pair() {
            for (choice, rate) in (0..BILLS).flat_map(|bill| [(bill, 1), (bill, 9)]) {
                let bill = SCENE.bill(bills(budget), choice).expect("there are bills");
                let outline = match spend::draw(budget, &bill, view, view.tip()) {
                    Ok(outline) => outline,
                    Err(spend::NoOutline::Draw(DrawError::Twice(_))) => {
                        self.twice += 1;
                        continue;
                    }
                    Err(why) => panic!("{why}"),
                };
                let params = Params {
                    lock_height: view.tip(),
                    fee_rate: Some(rate),
                    cap: cap.clone(),
                    bump: u32::from(rate > 1),
                    avoid: BTreeSet::new(),
                    apart: BTreeSet::new(),
                };
                let built = match spend::fund(&outline, view, &params) {
                    Ok(built) => built,
                    Err(BuildError::Draw(DrawError::Over { .. })) => {
                        self.over += 1;
                        continue;
                    }
                    Err(why) => panic!("{why}"),
                };
                let checked = policy::judge(&built.transaction, &outline, view, &Terms::from(&cap)).unwrap();
                let first = built.transaction.input[0].previous_output;
                let known = self.signed.entry(first).or_default();
                let signed = Signed::of(&checked, None);
                if known.iter().all(|known| known.named.txid != signed.named.txid) {
                    known.push(signed);
                }
            }
        }
    }

    /// Every way on from `chain`.
    fn grow(&mut self, chain: &Chain, draws: usize) {
        let view = chain.view(None, 0);
        self.check(chain, &view);
        self.sign(&view);
        if draws == 0 {
            return;
        }
        let unspent = view.unspent().map(|coin| coin.outpoint).collect::<Vec<_>>();
        let fitting: Vec<Named> = unspent
            .iter()
            .flat_map(|coin| self.signed.get(coin).into_iter().flatten())
            .map(|signed| signed.named.clone())
            .filter(|named| chain.takes(&[], named))
            .collect();
        for named in fitting {
            let mut longer = chain.clone();
            longer.blocks.push([named].into());
            self.grow(&longer, draws - 1);
        }
    }

    fn check(&mut self, chain: &Chain, view: &View) {
        self.chains += 1;
        let meant = Meant::of(self.signed.values().flatten(), chain.transactions().map(|(_, named)| named));
        for budget in pair() {
            let id = budget.decision();
            assert_eq!((meant.again(id), meant.overdrawn(id)), (0, 0));
            let read = anchor::draws(view, id, budget.effect().anchor, CONFIRMED).drawn;
            let read = read.iter().map(|draw| (draw.disburse, draw.cost.to_sat()));
            let signed = meant.draws_on(id).map(|(disburse, signed)| (disburse, signed.cost));
            assert!(read.eq(signed), "every draw that was signed is read as one, at its cost");
        }
    }
}

#[test]
fn no_chain_of_draws_on_two_budgets_of_one_coin_overdraws_either() {
    let mut tree = Tree::default();
    let (chain, _) = sealed();
    tree.grow(&chain, DRAWS);
    assert!(tree.chains > 1_000, "{} chains", tree.chains);
    assert!(tree.over > 100 && tree.twice > 100, "{} above the limit, {} again", tree.over, tree.twice);
}
