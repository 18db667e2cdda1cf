//! What is looked at after every block, and at the end: the real code against the judge, and both against
//! what signers meant.

use super::chain::Named;
use super::judge::{self, Fate};
use super::scene::{Decided, LIMIT, PERIOD, SCENE};
use super::world::{Signed, World};
use crate::anchor::{self, CONFIRMED, Lineage};
use crate::spend::{self, BuildError, NoOutline, Params, Purpose};
use bitcoin::Txid;
use crdt::{EntryId, ProposalId};
use std::collections::BTreeMap;

/// What blocks of the present chain pay and draw, by what was meant when it was signed: no marker and no
/// lineage is read for it.
pub(super) struct Meant<'a> {
    payments: Vec<&'a Signed>,
    draws: Vec<(ProposalId, EntryId, &'a Signed)>,
}

impl<'a> Meant<'a> {
    /// In the order of the chain.
    pub(super) fn of(
        signed: impl IntoIterator<Item = &'a Signed>,
        chain: impl Iterator<Item = &'a Named>,
    ) -> Self {
        let signed = signed.into_iter().map(|signed| (signed.named.txid, signed));
        let by_txid: BTreeMap<Txid, &Signed> = signed.collect();
        let (mut payments, mut draws) = (Vec::new(), Vec::new());
        for signed in chain.filter_map(|named| by_txid.get(&named.txid)) {
            match signed.purpose {
                Purpose::Payment(_) => payments.push(*signed),
                Purpose::Draw { budget, disburse, .. } => draws.push((budget, disburse, *signed)),
                _ => {}
            }
        }
        Self { payments, draws }
    }

    /// S1: transactions that pay a decision, or what one Disburse entry asks for, once more.
    pub(super) fn again(&self, id: ProposalId) -> usize {
        let mut entries: Vec<_> = self.draws_on(id).map(|(disburse, _)| disburse).collect();
        let drawn = entries.len();
        entries.sort_unstable();
        entries.dedup();
        self.paid(id).saturating_sub(1) + (drawn - entries.len())
    }

    fn paid(&self, id: ProposalId) -> usize {
        self.payments.iter().filter(|signed| signed.purpose == Purpose::Payment(id)).count()
    }

    pub(super) fn draws_on(&self, id: ProposalId) -> impl Iterator<Item = (EntryId, &'a Signed)> {
        let own = self.draws.iter().filter(move |(budget, ..)| *budget == id);
        own.map(|(_, disburse, signed)| (*disburse, *signed))
    }

    /// S7: periods of a budget in which more was drawn than its limit.
    pub(super) fn overdrawn(&self, id: ProposalId) -> usize {
        let mut periods = BTreeMap::<u32, u64>::new();
        for (_, signed) in self.draws_on(id) {
            let dated = signed.named.transaction.lock_time.to_consensus_u32();
            *periods.entry(dated / PERIOD).or_default() += signed.cost;
        }
        periods.values().filter(|drawn| **drawn > LIMIT.to_sat()).count()
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("few")
}

impl World {
    /// After every block: S1, the balance identity (S4), no budget overdrawn (S7), nothing misread.
    pub(super) fn check(&mut self) {
        let view = &self.view;
        let truth = judge::read(&self.chain, &self.known, self.guild_anchor);
        let meant = Meant::of(&self.signed, self.chain.transactions().map(|(_, named)| named));
        let balance = view.balance();
        let held = (balance.confirmed + balance.immature + balance.pending).to_sat();
        let outcome = &mut self.outcome;
        outcome.unbalanced += u64::from(held != truth.held || i128::from(held) != truth.left);
        outcome.overdrawn += truth.overdrawn;
        for (index, decided) in self.decided.iter().enumerate() {
            let id = decided.id();
            outcome.double_payments += count(meant.again(id));
            let (lineage, drawn) = match decided {
                Decided::Budget(budget, _) => {
                    outcome.overdrawn += count(meant.overdrawn(id));
                    let draws = anchor::draws(view, id, budget.effect().anchor, CONFIRMED);
                    (draws.lineage, draws.drawn)
                }
                _ => (self.lines[&id].follow(view, id, CONFIRMED), Vec::new()),
            };
            let fate = match lineage {
                Lineage::Paid(_) => Fate::Paid,
                Lineage::Closed(_) => Fate::Closed,
                Lineage::Open { .. } => Fate::Open,
                Lineage::Lost(_) | Lineage::NoAnchor => Fate::Lost,
            };
            // an exit at another amount is the same decision: paid is paid
            let is_paid = match decided {
                Decided::Exit(_) => meant.paid(id) > 0,
                _ => meant.payments.iter().any(|signed| signed.pays == Some(index)),
            };
            let as_meant = meant.draws_on(id).map(|(disburse, signed)| (disburse, signed.cost));
            let as_read = drawn.iter().map(|draw| (draw.disburse, draw.cost.to_sat()));
            let misread =
                fate != truth.fates[index] || is_paid != (fate == Fate::Paid) || !as_read.eq(as_meant);
            outcome.misread += u64::from(misread);
        }
    }

    /// At the end: whatever is neither paid nor closed can still be paid, but for money, order or limits.
    pub(super) fn count_unpayable(&mut self) {
        let (view, truth) = (self.view.clone(), judge::read(&self.chain, &self.known, self.guild_anchor));
        let params = Params { lock_height: view.tip(), bump: 0, ..self.params(&view) };
        for (decided, fate) in self.decided.clone().iter().zip(truth.fates) {
            if fate == Fate::Lost {
                self.outcome.unpayable += 1;
            }
            if fate != Fate::Open {
                continue;
            }
            let outline = match decided {
                Decided::Budget(budget, bills) => {
                    let bill = SCENE.bill(bills, 0).expect("there are bills");
                    spend::draw(budget, &bill, &view, view.tip())
                }
                other => spend::payment(other.order(self.guild_anchor).expect("not a budget"), &view),
            };
            let funded =
                outline.map_err(BuildError::from).and_then(|built| spend::fund(&built, &view, &params));
            let passes = matches!(
                funded,
                Ok(_)
                    | Err(BuildError::Funds { .. }
                        | BuildError::Draw(_)
                        | BuildError::Outline(NoOutline::Number { .. } | NoOutline::Draw(_)))
            );
            self.outcome.unpayable += u64::from(!passes);
        }
    }
}
