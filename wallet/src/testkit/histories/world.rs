//! One history: what is signed, what is mined, how the chain turns.

use super::chain::{self, Chain, Named};
use super::judge::Known;
use super::scene::{Decided, SCENE};
use super::{Outcome, Random};
use crate::anchor::{self, Line};
use crate::policy::{self, CheckedTx, Terms};
use crate::spend::{self, Given, InputKey, NoOutline, Outline, Params, Purpose, Succession};
use crate::testkit::transaction;
use crate::view::View;
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};
use crdt::ProposalId;
use std::collections::{BTreeMap, BTreeSet};

/// Steps of one history.
const STEPS: usize = 28;
/// How deep a reorganisation goes at most.
const DEEPEST: usize = 8;
/// Blocks before the first step: anchors are buried.
const BURIED: usize = 14;
/// Decisions of the scene that a history does without.
const LEFT_OUT: usize = 6;
/// Old branches that some nodes still believe in.
const BRANCHES: usize = 3;

/// Something that was signed, and what the signers meant by it.
pub(super) struct Signed {
    pub(super) named: Named,
    pub(super) purpose: Purpose,
    /// Which of the decisions it pays.
    pub(super) pays: Option<usize>,
    /// What the treasury has less after it, in satoshis.
    pub(super) cost: u64,
}

impl Signed {
    pub(super) fn of(checked: &CheckedTx, pays: Option<usize>) -> Self {
        let paid = checked.transaction().output.iter().skip(1).map(|output| output.value);
        let cost = (paid.sum::<Amount>() + checked.fee()).to_sat();
        let named = Named::new(checked.transaction().clone());
        Self { named, purpose: checked.purpose(), pays, cost }
    }
}

/// What somebody asks signers for.
struct Wish {
    choice: usize,
    kind: usize,
    part: usize,
}

pub(super) struct World {
    random: Random,
    pub(super) chain: Chain,
    /// The treasury at its tip.
    pub(super) view: View,
    branches: Vec<Chain>,
    pub(super) decided: Vec<&'static Decided>,
    pub(super) known: Vec<Known>,
    pub(super) lines: BTreeMap<ProposalId, Line>,
    pub(super) signed: Vec<Signed>,
    pub(super) guild_anchor: OutPoint,
    seal: Given,
    /// Hooks of seals that were signed.
    hooks: BTreeSet<OutPoint>,
    pub(super) outcome: Outcome,
}

/// The blocks that all histories begin with: deposits, and the first seal, buried.
pub(super) fn sealed() -> (Chain, Given) {
    let mut chain = Chain::default();
    chain.blocks.push(SCENE.deposits.iter().cloned().map(Named::new).collect());
    let prevout = TxOut { value: Amount::from_sat(12_000), script_pubkey: SCENE.seal.clone() };
    let source = OutPoint { txid: Txid::from_byte_array([0xaa; 32]), vout: 0 };
    let sealed = Named::new(transaction(source, SCENE.seal.clone(), prevout.value));
    let outpoint = OutPoint { txid: sealed.txid, vout: 0 };
    let key = InputKey { prevout, path: [2, 0], merkle_root: [0; 32] };
    chain.blocks.push([sealed].into());
    chain.blocks.resize_with(BURIED, || Vec::new().into());
    (chain, Given { outpoint, key })
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let (chain, seal) = sealed();
        let view = chain.view(None, 0);
        let guild_anchor = anchor::guild(&view).expect("deposits are buried");
        let mut decided: Vec<_> = SCENE.decided.iter().collect();
        for _ in 0..LEFT_OUT {
            decided.remove(random.below(decided.len()));
        }
        Self {
            random,
            chain,
            view,
            branches: Vec::new(),
            known: decided.iter().map(|decided| Known::new(decided)).collect(),
            lines: decided.iter().map(|decided| (decided.id(), decided.line(guild_anchor))).collect(),
            decided,
            signed: Vec::new(),
            guild_anchor,
            seal,
            hooks: BTreeSet::new(),
            outcome: Outcome { histories: 1, ..Outcome::default() },
        }
    }

    pub(super) fn live(mut self) -> Outcome {
        for _ in 0..STEPS {
            match self.random.below(12) {
                0..=4 => self.sign(),
                5 => self.sign_dishonestly(),
                6 => self.change_epoch(),
                7 => self.contribute(),
                8 => self.turn(),
                _ => self.mine(),
            }
        }
        self.count_unpayable();
        self.outcome
    }

    /// What one honest signer sees: any consistent chain there was, maybe one behind, maybe one that was
    /// replaced, with or without a transaction in its mempool.
    fn somebody(&mut self) -> View {
        let branch = if self.random.once_in(4) { self.random.pick(&self.branches).cloned() } else { None };
        let behind = if self.random.once_in(5) { self.random.below(DEEPEST) } else { 0 };
        let other = (branch.is_some() || behind > 0).then(|| {
            let chain = branch.as_ref().unwrap_or(&self.chain);
            chain.until(chain.blocks.len().saturating_sub(behind).max(BURIED))
        });
        let chain = other.as_ref().unwrap_or(&self.chain);
        let epoch = self.random.below(2);
        let in_mempool = if self.random.once_in(3) { self.random.pick(&self.signed) } else { None };
        let in_mempool =
            in_mempool.filter(|signed| chain.takes(&[], &signed.named)).map(|signed| &signed.named);
        let view = other.as_ref().map_or_else(|| self.view.clone(), |other| other.view(None, epoch));
        chain::with(view, in_mempool, epoch)
    }

    pub(super) fn params(&mut self, view: &View) -> Params {
        let avoid =
            if self.random.once_in(3) { BTreeSet::new() } else { anchor::confirmed_tips(view, &self.lines) };
        let back = u32::try_from(self.random.below(8)).expect("small");
        Params {
            lock_height: view.tip().saturating_sub(back),
            fee_rate: Some(1 + self.random.next() % 9),
            cap: SCENE.charter.fee_cap.clone(),
            bump: u32::from(self.random.once_in(2)),
            avoid,
            apart: self.hooks.clone(),
        }
    }

    fn terms(&self) -> Terms {
        Terms { fee: (&SCENE.charter.fee_cap).into(), apart: self.hooks.clone() }
    }

    /// Something to ask signers for.
    fn wish(&mut self) -> Wish {
        Wish {
            choice: self.random.below(self.decided.len()),
            kind: self.random.below(8),
            part: self.random.below(8),
        }
    }

    /// What a signer with this view takes `wish` to be.
    fn outline(&self, wish: &Wish, view: &View, params: &Params) -> Result<Outline, NoOutline> {
        let decided = self.decided[wish.choice];
        match (wish.kind, decided) {
            (0, _) => spend::closing(view, decided.id(), decided.line(self.guild_anchor)),
            (1, _) => spend::renewal(view, 2, &params.avoid, &self.hooks),
            (2, _) => {
                let lots = spend::batches(view, &self.hooks);
                let lot = lots.first().ok_or(NoOutline::Nothing)?;
                let some = lot.get(..1 + wish.part % lot.len()).unwrap_or(lot);
                spend::sweep(view, None, some, SCENE.change[1].clone())
            }
            (_, Decided::Budget(budget, bills)) => {
                let bill = SCENE.bill(bills, wish.part).ok_or(NoOutline::Nothing)?;
                spend::draw(budget, &bill, view, params.lock_height)
            }
            _ => spend::payment(decided.order(self.guild_anchor).ok_or(NoOutline::Nothing)?, view),
        }
    }

    fn sign(&mut self) {
        let (view, wish) = (self.somebody(), self.wish());
        let params = self.params(&view);
        let Ok(outline) = self.outline(&wish, &view, &params) else { return };
        let Ok(built) = spend::fund(&outline, &view, &params) else { return };
        let accepted = policy::judge(&built.transaction, &outline, &view, &self.terms());
        self.keep(accepted.as_ref().ok(), wish.choice);
    }

    /// A coordinator builds in one view, changes what it likes, and asks a signer who has another.
    fn sign_dishonestly(&mut self) {
        let (view, wish) = (self.somebody(), self.wish());
        let params = self.params(&view);
        let Ok(outline) = self.outline(&wish, &view, &params) else { return };
        let Ok(built) = spend::fund(&outline, &view, &params) else { return };
        let (mut proposed, signers) = (built.transaction, self.somebody());
        if self.random.once_in(2) {
            self.tamper(&mut proposed, &view);
        }
        let params = Params { lock_height: proposed.lock_time.to_consensus_u32(), ..params };
        let Ok(outline) = self.outline(&wish, &signers, &params) else { return };
        let accepted = policy::judge(&proposed, &outline, &signers, &self.terms());
        self.outcome.refused += u64::from(accepted.is_err());
        self.keep(accepted.as_ref().ok(), wish.choice);
    }

    fn tamper(&mut self, proposed: &mut Transaction, view: &View) {
        let names: Vec<_> = view.coins.keys().copied().collect();
        let outputs = proposed.output.len();
        let at = self.random.below(outputs);
        match self.random.below(7) {
            0 => proposed.output.swap(0, at),
            1 => drop(proposed.output.remove(at)),
            2 => proposed.output[at].value += Amount::from_sat(1),
            3 => proposed.output.push(proposed.output[at].clone()),
            4 => drop(proposed.input.pop()),
            5 => {
                if let (Some(input), Some(coin)) = (proposed.input.last_mut(), self.random.pick(&names)) {
                    input.previous_output = *coin;
                }
            }
            _ => proposed.lock_time = bitcoin::absolute::LockTime::from_consensus(view.tip() + 1),
        }
    }

    fn keep(&mut self, accepted: Option<&CheckedTx>, choice: usize) {
        let Some(checked) = accepted else { return };
        self.outcome.signed += 1;
        let pays = matches!(checked.purpose(), Purpose::Payment(_)).then_some(choice);
        let new = Signed::of(checked, pays);
        if self.signed.iter().all(|signed| signed.named.txid != new.named.txid) {
            self.signed.push(new);
        }
    }

    /// A seal with a hook for each sweep, and the sweeps, all signed before any is broadcast.
    fn change_epoch(&mut self) {
        let view = self.somebody();
        let lots = spend::batches(&view, &self.hooks);
        let next = Succession {
            seal: SCENE.seal.clone(),
            change: SCENE.change[1].clone(),
            hook: SCENE.change[0].clone(),
            checkpoint: [7; 32],
            sweeps: lots.len(),
        };
        let params = Params { bump: 0, ..self.params(&view) };
        let outline = spend::seal(self.seal.clone(), &next, self.random.once_in(2));
        let Ok(built) = spend::fund(&outline, &view, &params) else { return };
        let Ok(seal) = policy::judge(&built.transaction, &outline, &view, &self.terms()) else { return };
        let txid = built.transaction.compute_txid();
        let first_hook = outline.outputs.len() - lots.len();
        let mut sweeps = Vec::new();
        for (index, lot) in lots.iter().enumerate() {
            let vout = first_hook + index;
            let outpoint = OutPoint { txid, vout: u32::try_from(vout).expect("few") };
            let prevout = built.transaction.output[vout].clone();
            let hook = Given { outpoint, key: InputKey { prevout, path: [1, 0], merkle_root: [0; 32] } };
            let spent: BTreeSet<_> =
                built.transaction.input.iter().map(|input| input.previous_output).collect();
            let rest: Vec<_> = lot.iter().filter(|coin| !spent.contains(coin)).copied().collect();
            let Ok(outline) = spend::sweep(&view, Some(hook), &rest, SCENE.change[1].clone()) else { return };
            let Ok(built) = spend::fund(&outline, &view, &params) else { return };
            sweeps.extend(policy::judge(&built.transaction, &outline, &view, &self.terms()));
            self.hooks.insert(outpoint);
        }
        self.keep(Some(&seal), 0);
        sweeps.iter().for_each(|sweep| self.keep(Some(sweep), 0));
    }

    fn contribute(&mut self) {
        let mut txid = [0xcc; 32];
        txid[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let source = OutPoint { txid: Txid::from_byte_array(txid), vout: 0 };
        let scripts: Vec<_> = SCENE.own.keys().collect();
        let script = (*self.random.pick(&scripts).expect("some")).clone();
        let value = Amount::from_sat(9_000 + self.random.next() % 60_000);
        self.push(vec![Named::new(transaction(source, script, value))]);
    }

    /// A block with some of everything that was ever signed, as far as it can be.
    fn mine(&mut self) {
        let mut block: Vec<Named> = Vec::new();
        for _ in 0..self.random.below(4) {
            let Some(signed) = self.random.pick(&self.signed) else { break };
            if self.chain.takes(&block, &signed.named) {
                self.outcome.mined += 1;
                let moves = matches!(signed.purpose, Purpose::Sweep | Purpose::Renewal | Purpose::Seal(_));
                self.outcome.ended += u64::from(!moves);
                self.outcome.drawn += u64::from(matches!(signed.purpose, Purpose::Draw { .. }));
                block.push(signed.named.clone());
            }
        }
        self.push(block);
    }

    fn push(&mut self, block: Vec<Named>) {
        chain::grow(&mut self.view, &block);
        self.chain.blocks.push(block.into());
        self.check();
    }

    /// The last blocks are replaced by others.
    fn turn(&mut self) {
        let deepest = (self.chain.blocks.len() - BURIED).min(DEEPEST);
        if deepest == 0 {
            return;
        }
        self.outcome.reorganisations += 1;
        let depth = 1 + self.random.below(deepest);
        if self.branches.len() == BRANCHES {
            self.branches.remove(0);
        }
        self.branches.push(self.chain.clone());
        self.chain.blocks.truncate(self.chain.blocks.len() - depth);
        self.view = self.chain.view(None, 0);
        (0..=depth).for_each(|_| self.mine());
    }
}
