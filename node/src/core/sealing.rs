//! The seal and its sweeps (§10): which transactions carry out a checkpoint, when a share for them is given,
//! and when they are sent.
//!
//! A seal is worked out whole, with its sweeps, by everybody who is to sign any of it: the sweeps name the
//! seal's id, so they can be signed before it. Its own share leaves only when all of them are complete.

use super::Node;
use super::ask::{Ask, Quote};
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use crdt::{Checkpoint, Digest};
use std::collections::BTreeSet;
use std::sync::Arc;
use threshold::sign::Refusal;
use wallet::spend::{self, BuildError, Given, HOOK_SAT, InputKey, Outline, Succession, Unsigned};
use wallet::treasury::CHANGE;
use wallet::{CheckedTx, Params, Treasury, View, policy};

/// Rounds in which the number of sweeps is found: coins that pay for the seal are not swept.
const ROUNDS: usize = 4;

/// A seal with all its sweeps, checked by our own policy.
#[derive(Debug, Clone)]
pub(super) struct SealPlan {
    pub(super) seal: CheckedTx,
    pub(super) sweeps: Vec<CheckedTx>,
}

/// A plan and what it was worked out for.
pub(super) type Cached = ((Digest, Quote, Arc<View>), SealPlan);

/// The keys and coins that a plan is made of.
struct Ground<'a> {
    view: Arc<View>,
    seal: Given,
    from: &'a Treasury,
    to: &'a Treasury,
    apart: BTreeSet<OutPoint>,
    quote: Quote,
}

impl Node {
    /// Coins that are never chosen: those of other keys than the present one.
    pub(super) fn apart(&self) -> BTreeSet<OutPoint> {
        match (&self.treasury, self.vaults.is_empty()) {
            (Some(treasury), false) => {
                let (all, ours) = (self.view(), treasury.view().names());
                all.map(|view| view.names().difference(&ours).copied().collect()).unwrap_or_default()
            }
            _ => BTreeSet::new(),
        }
    }

    /// Whether a key's coins are still being read from the chain.
    pub(super) fn is_reading(&self) -> bool {
        let tip = self.treasury.as_ref().map(Treasury::tip);
        self.vaults.values().any(|vault| Some(vault.tip()) != tip)
    }

    /// Checkpoints whose seal can be signed: they fit, and those who will live under them hold them.
    fn sealable(&self) -> Option<(Digest, Arc<Checkpoint>)> {
        let next = self.state().epoch.saturating_add(1);
        let mut all: Vec<_> = self
            .succession
            .checkpoints
            .iter()
            .filter(|(hash, checkpoint)| checkpoint.epoch == next && self.may_seal(hash, checkpoint).is_ok())
            .collect();
        all.sort_by_key(|(hash, checkpoint)| (checkpoint.cut, **hash));
        all.first().map(|(hash, checkpoint)| (**hash, Arc::clone(checkpoint)))
    }

    fn may_seal(&self, hash: &Digest, checkpoint: &Checkpoint) -> Result<(), Refusal> {
        let stays = self.state().key_of(self.state().epoch) == Some(checkpoint.group_key);
        if !stays && !self.state().held_by_all(hash, &checkpoint.co_signers) {
            let expected = "a checkpoint that all co-signers of the next epoch hold";
            return Err(Refusal::new("checkpoint held", expected, "some do not say so"));
        }
        let change = checkpoint.certificate.as_ref().map(|certificate| certificate.body.proposal);
        let from = change.and_then(|change| self.executable_from(&change)).unwrap_or(crdt::Height::MAX);
        if self.tip_height() < from {
            let found = format!("height {}", self.tip_height());
            return Err(Refusal::new("delay", format!("height {from} or later"), found));
        }
        self.fits(hash).map_err(|why| {
            Refusal::new("checkpoint", "one that follows from this node's document", why.to_string())
        })
    }

    /// The signatures that the way to the next epoch waits for, and those that old coins wait for.
    pub(super) fn due_seals(&self) -> Vec<Ask> {
        let mut due: Vec<Ask> = self.due_late_sweeps();
        if self.signer.is_none() || self.state().changes().next().is_none() || self.is_leaving() {
            return due;
        }
        let Some((checkpoint, _)) = self.sealable() else { return due };
        let quote = self.quote();
        let Ok(plan) = self.seal_plan(checkpoint, quote) else { return due };
        let lacking: Vec<u16> = (0..)
            .zip(&plan.sweeps)
            .filter(|(number, _)| !self.is_swept(checkpoint, &plan, *number))
            .map(|(number, _)| number)
            .collect();
        if lacking.is_empty() {
            due.push(Ask::Seal { checkpoint, quote });
        }
        due.extend(lacking.into_iter().map(|number| Ask::Sweep { checkpoint, number, quote }));
        due
    }

    /// Whether the complete sweep of this number is here.
    fn is_swept(&self, checkpoint: Digest, plan: &SealPlan, number: u16) -> bool {
        let seal = plan.seal.transaction().compute_txid();
        let expected = plan.sweeps.get(usize::from(number)).map(|sweep| sweep.transaction().compute_txid());
        let here = self.succession.sweeps.get(&(checkpoint, seal, number));
        here.is_some_and(|sweep| Some(sweep.compute_txid()) == expected)
    }

    /// The transaction that `ask`, which is about a seal or a sweep, names; built and judged here.
    pub(super) fn check_succession(&self, ask: &Ask) -> Result<CheckedTx, Refusal> {
        match ask {
            Ask::Seal { checkpoint, quote } => {
                let plan = self.seal_plan(*checkpoint, *quote)?;
                let mut numbers = (0..).zip(&plan.sweeps).map(|(number, _)| number);
                match numbers.find(|number| !self.is_swept(*checkpoint, &plan, *number)) {
                    Some(number) => {
                        let found = format!("sweep {number} is not complete here");
                        Err(Refusal::new("sweeps complete", "every sweep of the seal, signed", found))
                    }
                    None => Ok(plan.seal),
                }
            }
            Ask::Sweep { checkpoint, number, quote } => {
                let plan = self.seal_plan(*checkpoint, *quote)?;
                let sweep = plan.sweeps.into_iter().nth(usize::from(*number));
                sweep.ok_or_else(|| Refusal::new("sweep", "a sweep of this seal", "none of this number"))
            }
            Ask::LateSweep { epoch, quote } => self.late_sweep(*epoch, *quote),
            _ => Err(Refusal::new("transaction", "a seal or a sweep", "something else")),
        }
    }

    /// The seal of `checkpoint` and its sweeps, at this block and rate.
    fn seal_plan(&self, hash: Digest, quote: Quote) -> Result<SealPlan, Refusal> {
        let view = self.view().map_err(|error| Refusal::new("treasury", "a treasury", error.to_string()))?;
        if let Some(((of, at, seen), plan)) = self.succession.plan.borrow().as_ref()
            && (*of, *at) == (hash, quote)
            && Arc::ptr_eq(seen, &view)
        {
            return Ok(plan.clone());
        }
        let none = || Refusal::new("checkpoint", "a checkpoint that is here", "none of this name");
        let checkpoint = self.succession.checkpoints.get(&hash).ok_or_else(none)?;
        self.may_seal(&hash, checkpoint)?;
        let seal = self.seal().ok_or_else(|| Refusal::new("seal", "a seal 6 blocks deep", "none"))?;
        if !seal.mature() {
            return Err(Refusal::new(
                "seal",
                "a seal that can be spent",
                "a block reward that is not mature",
            ));
        }
        if seal.spent.as_ref().is_some_and(|spent| spent.height.is_some()) {
            return Err(Refusal::new("seal", "a seal that no block spends", "it is spent"));
        }
        let treasury = |key| {
            self.treasury_of(key).ok_or_else(|| Refusal::new("key", "a key that is followed here", "none"))
        };
        let from = self.treasury.as_ref().ok_or_else(|| Refusal::new("treasury", "a treasury", "none"))?;
        let to = treasury(checkpoint.group_key)?;
        let ground =
            Ground { view: Arc::clone(&view), seal: seal.given(), from, to, apart: self.apart(), quote };
        let plan = self.plan_on(&ground, hash)?;
        *self.succession.plan.borrow_mut() = Some(((hash, quote, view), plan.clone()));
        Ok(plan)
    }

    fn plan_on(&self, ground: &Ground<'_>, hash: Digest) -> Result<SealPlan, Refusal> {
        let stays = ground.from.key() == ground.to.key();
        let mut apart = ground.apart.clone();
        let mut lots = self.lots(ground, &apart, stays);
        for _ in 0..ROUNDS {
            let (outline, seal) = self.build_seal(ground, hash, lots.len())?;
            apart.clone_from(&ground.apart);
            apart.extend(seal.transaction.input.iter().map(|input| input.previous_output));
            let rest = self.lots(ground, &apart, stays);
            if rest.len() == lots.len() {
                return self.finish_plan(ground, (&outline, seal), &rest);
            }
            lots = rest;
        }
        Err(Refusal::new("sweeps", "a number of sweeps that fits its seal", "none was found"))
    }

    /// The coins to sweep, in lots that can pay for their own transaction.
    fn lots(&self, ground: &Ground<'_>, apart: &BTreeSet<OutPoint>, stays: bool) -> Vec<Vec<OutPoint>> {
        if stays {
            return Vec::new();
        }
        let pays = |lot: &Vec<OutPoint>| {
            let hook = hook(ground.from, OutPoint { txid: Txid::all_zeros(), vout: 0 });
            self.build_sweep(ground, hook, lot).is_ok()
        };
        spend::batches(&ground.view, apart).into_iter().filter(pays).collect()
    }

    fn params_on(&self, ground: &Ground<'_>) -> Params {
        Params {
            lock_height: ground.quote.height,
            fee_rate: Some(ground.quote.fee_rate),
            cap: self.charter.fee_cap.clone(),
            bump: 0,
            avoid: wallet::anchor::confirmed_tips(&ground.view, &self.unsettled(None)),
            apart: ground.apart.clone(),
        }
    }

    /// The seal with so many hooks: other coins pay for it where there are any.
    fn build_seal(
        &self,
        ground: &Ground<'_>,
        checkpoint: Digest,
        sweeps: usize,
    ) -> Result<(Outline, Unsigned), Refusal> {
        let next = Succession {
            seal: ground.to.seal_script().clone(),
            change: ground.to.view().change_script().clone(),
            hook: ground.from.view().change_script().clone(),
            checkpoint: checkpoint.0,
            sweeps,
        };
        let params = self.params_on(ground);
        let build = |with_coins| {
            let outline = spend::seal(ground.seal.clone(), &next, with_coins);
            spend::fund(&outline, &ground.view, &params).map(|built| (outline, built))
        };
        let built = build(true).or_else(|why| match why {
            BuildError::Funds { .. } => build(false),
            other => Err(other),
        });
        built.map_err(|why| Refusal::new("seal can be built", "a seal that pays for itself", why.to_string()))
    }

    fn build_sweep(
        &self,
        ground: &Ground<'_>,
        hook: Given,
        lot: &[OutPoint],
    ) -> Result<(Outline, Unsigned), Refusal> {
        let none = |why: String| Refusal::new("sweep can be built", "coins that can be swept", why);
        let heir = ground.to.view().change_script().clone();
        let outline =
            spend::sweep(&ground.view, Some(hook), lot, heir).map_err(|why| none(why.to_string()))?;
        let built = spend::fund(&outline, &ground.view, &self.params_on(ground));
        built.map(|built| (outline, built)).map_err(|why| none(why.to_string()))
    }

    fn finish_plan(
        &self,
        ground: &Ground<'_>,
        (outline, seal): (&Outline, Unsigned),
        lots: &[Vec<OutPoint>],
    ) -> Result<SealPlan, Refusal> {
        let terms = policy::Terms { fee: self.fee_bounds(), apart: ground.apart.clone() };
        let judge = |outline: &Outline, transaction: &Transaction| {
            policy::judge(transaction, outline, &ground.view, &terms).map_err(|violation| {
                Refusal::new("payment policy", "a seal that every rule allows", violation.to_string())
            })
        };
        let txid = seal.transaction.compute_txid();
        let with_coins = seal.transaction.input.len() > 1;
        let first = if with_coins { 3 } else { 2 };
        let mut sweeps = Vec::new();
        for (vout, lot) in (first..).zip(lots) {
            let (outline, sweep) =
                self.build_sweep(ground, hook(ground.from, OutPoint { txid, vout }), lot)?;
            sweeps.push(judge(&outline, &sweep.transaction)?);
        }
        Ok(SealPlan { seal: judge(outline, &seal.transaction)?, sweeps })
    }
}

/// The hook at `outpoint`, as the first input of its sweep.
fn hook(from: &Treasury, outpoint: OutPoint) -> Given {
    let prevout =
        TxOut { value: Amount::from_sat(HOOK_SAT), script_pubkey: from.view().change_script().clone() };
    let merkle_root = from.merkle_root(CHANGE).unwrap_or_default();
    Given { outpoint, key: InputKey { prevout, path: CHANGE, merkle_root } }
}
