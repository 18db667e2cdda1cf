//! The judge: reads a chain from its first block on, with code and hashes of its own, and says what
//! happened to each decision, what was drawn, and what the treasury holds.

use super::chain::Chain;
use super::scene::{Decided, LIMIT, PERIOD, SCENE};
use bitcoin::{OutPoint, ScriptBuf, Transaction};
use crdt::Digest;
use std::collections::BTreeMap;

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Paid,
    Closed,
    Lost,
}

/// What the judge knows of a decision beforehand.
pub(super) struct Known {
    /// Where its lineage begins; none if that is the guild anchor.
    anchor: Option<OutPoint>,
    close: ScriptBuf,
    /// The script of its payment, or of the payment of each number up to its own.
    pays: Vec<ScriptBuf>,
    payees: Vec<(u64, ScriptBuf)>,
    /// The budget, if it is one.
    budget: Option<[u8; 32]>,
}

/// One decision while the chain is read.
struct Thread<'a> {
    known: &'a Known,
    tip: OutPoint,
    fate: Fate,
    next: usize,
    draws: u32,
    drawn: BTreeMap<u32, u64>,
}

pub(super) struct Judgement {
    pub(super) fates: Vec<Fate>,
    pub(super) overdrawn: u64,
    /// What unspent coins of the treasury hold.
    pub(super) held: u64,
    /// What came in, less what was paid and what it cost.
    pub(super) left: i128,
}

fn tagged(tag: &str, parts: &[&[u8]]) -> ScriptBuf {
    ScriptBuf::new_op_return(Digest::tagged(tag, parts).0)
}

impl Known {
    pub(super) fn new(decided: &Decided) -> Self {
        let (guild, id) = (SCENE.guild.to_bytes(), decided.id().to_bytes());
        let plain = || vec![tagged("hashguild/marker/v1", &[&guild, &id])];
        let (anchor, pays, payees) = match decided {
            Decided::Spend(spend) => (Some(spend.effect().anchor), plain(), Vec::new()),
            Decided::Exit(_) => (None, plain(), Vec::new()),
            Decided::Budget(budget, _) => (Some(budget.effect().anchor), Vec::new(), Vec::new()),
            Decided::Distribute(decided) => {
                let effect = decided.effect();
                let number = |k: u32| tagged("hashguild/work/v1", &[&guild, &k.to_be_bytes()]);
                let pays = effect.work().map_or_else(plain, |work| (1..=work.number).map(number).collect());
                let outputs = effect.outputs.iter().filter(|_| effect.work().is_some());
                let payees = outputs.map(|output| (output.amount.to_sat(), output.script.clone()));
                (Some(effect.anchor), pays, payees.collect())
            }
        };
        let close = tagged("hashguild/close/v1", &[&guild, &id]);
        Self { anchor, close, pays, payees, budget: matches!(decided, Decided::Budget(..)).then_some(id) }
    }

    /// Whether `transaction` is draw `number` of this budget: 64 bytes pushed, of which its hash is the first half.
    fn draws(&self, number: u32, transaction: &Transaction) -> bool {
        let (Some(id), Some(output)) = (self.budget, transaction.output.get(1)) else { return false };
        let parts: [&[u8]; 3] = [&SCENE.guild.to_bytes(), &id, &number.to_be_bytes()];
        let hash = Digest::tagged("hashguild/draw/v1", &parts).0;
        let script = output.script_pubkey.as_bytes();
        script.len() == 66
            && script.starts_with(&[0x6a, 0x40])
            && script.get(2..34).is_some_and(|half| half == hash)
    }
}

impl<'a> Thread<'a> {
    fn new(known: &'a Known, guild_anchor: OutPoint) -> Self {
        let tip = known.anchor.unwrap_or(guild_anchor);
        Self { known, tip, fate: Fate::Open, next: 0, draws: 0, drawn: BTreeMap::new() }
    }

    fn take(&mut self, named: &super::chain::Named, cost: u64) {
        let transaction = &named.transaction;
        let spends = transaction.input.iter().any(|input| input.previous_output == self.tip);
        if self.fate != Fate::Open || !spends {
            return;
        }
        let carries =
            |script: &ScriptBuf| transaction.output.iter().any(|output| output.script_pubkey == *script);
        let heir = if is_seal(transaction) { 2 } else { 0 };
        self.tip = OutPoint { txid: named.txid, vout: heir };
        if carries(&self.known.close) {
            self.fate = Fate::Closed;
        } else if self.known.pays.get(self.next).is_some_and(carries) {
            self.next += 1;
            if self.next == self.known.pays.len() {
                let rest = transaction.output.iter().skip(2);
                let same = rest.map(|output| (output.value.to_sat(), output.script_pubkey.clone())).eq(self
                    .known
                    .payees
                    .iter()
                    .cloned());
                self.fate = if self.known.payees.is_empty() || same { Fate::Paid } else { Fate::Closed };
            }
        } else if self.known.draws(self.draws + 1, transaction) {
            // lineages merge where a transaction spends both tips: another budget's draw may come by here
            self.draws += 1;
            *self.drawn.entry(transaction.lock_time.to_consensus_u32() / PERIOD).or_default() += cost;
        }
        let kept = named.own().any(|(vout, output, _)| vout == heir && output.value.to_sat() >= 10_000);
        if self.fate == Fate::Open && !kept {
            self.fate = Fate::Lost;
        }
    }
}

fn is_seal(transaction: &Transaction) -> bool {
    transaction.output.first().is_some_and(|output| output.script_pubkey == SCENE.seal)
}

/// Read `chain`.
pub(super) fn read(chain: &Chain, decided: &[Known], guild_anchor: OutPoint) -> Judgement {
    let mut threads: Vec<_> = decided.iter().map(|known| Thread::new(known, guild_anchor)).collect();
    let mut coins: BTreeMap<OutPoint, u64> = BTreeMap::new();
    let mut left = 0_i128;
    for (_, named) in chain.transactions() {
        let spent: u64 =
            named.transaction.input.iter().filter_map(|input| coins.remove(&input.previous_output)).sum();
        let mut received = 0;
        for (vout, output, _) in named.own() {
            coins.insert(OutPoint { txid: named.txid, vout }, output.value.to_sat());
            received += output.value.to_sat();
        }
        left += i128::from(received) - i128::from(spent);
        let heir = named.transaction.output.first().map_or(0, |output| output.value.to_sat());
        threads.iter_mut().for_each(|thread| thread.take(named, spent.saturating_sub(heir)));
    }
    let over =
        |thread: &Thread| thread.drawn.values().filter(|drawn| **drawn > LIMIT.to_sat()).count() as u64;
    Judgement {
        overdrawn: threads.iter().map(over).sum(),
        fates: threads.iter().map(|thread| thread.fate).collect(),
        held: coins.values().sum(),
        left,
    }
}
