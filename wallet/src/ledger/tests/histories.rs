//! Random histories: the books follow, sum to zero, and are the balance that a rescan of the blocks finds.

use super::*;
use crate::anchor;
use crate::policy;
use crate::spend;
use proptest::prelude::*;

/// A rescan that knows nothing of wallets: the coins of our scripts in the blocks of the best chain.
fn rescan(bench: &Bench, ours: &BTreeSet<ScriptBuf>) -> i64 {
    let mut coins = BTreeMap::<OutPoint, Amount>::new();
    for transaction in bench.blocks().iter().flat_map(|block| &block.txdata) {
        for input in &transaction.input {
            coins.remove(&input.previous_output);
        }
        let txid = transaction.compute_txid();
        for (vout, output) in (0..).zip(&transaction.output) {
            if ours.contains(&output.script_pubkey) {
                coins.insert(OutPoint { txid, vout }, output.value);
            }
        }
    }
    sum_of(coins.values().copied().sum())
}

struct Story {
    bench: Bench,
    ours: BTreeSet<ScriptBuf>,
    ledger: Ledger,
    known: Knowledge,
    loose: Vec<Transaction>,
    decided: u8,
}

impl Story {
    fn new() -> Self {
        let (mut bench, _) = Bench::funded();
        let paths = (0..6).map(|index| [0, index]).chain([crate::treasury::CHANGE]);
        let ours = paths.map(|path| bench.script(path)).collect();
        let ledger = Ledger::of(&bench.view(), Arc::new(knowledge()));
        bench.treasury.take_touched();
        Self { bench, ours, ledger, known: knowledge(), loose: Vec::new(), decided: 0 }
    }

    fn step(&mut self, (what, number): (u8, u16)) {
        match what % 8 {
            0 => drop(
                self.bench.receive([0, u32::from(number % 6)], Amount::from_sat(20_000 + u64::from(number))),
            ),
            1 => self.bench.reward(u32::from(number % 3)),
            2 => self.pay(number),
            3 => self.confirm(),
            4 => self.steal(number),
            5 => self.bench.reorganize(usize::from(number % 8) + 1),
            6 => self.label(number),
            _ => self.bench.mine(u32::from(number % 8)),
        }
    }

    fn pay(&mut self, number: u16) {
        let view = self.bench.view();
        let Ok(anchor) = anchor::choose(&view, &BTreeMap::new()) else { return };
        self.decided = self.decided.wrapping_add(1);
        let decided = self.bench.decide(self.decided, 10_000 + u64::from(number), anchor);
        let categories = [None, Some(Category::Hosting), Some(Category::Sale), Some(Category::Distribution)];
        let category = categories[usize::from(number) % categories.len()];
        let title = format!("decision {number}");
        self.known
            .decisions
            .insert(decided.decision(), Decision { line: Line::Once { anchor }, title, category });
        let params = self.bench.params();
        let Ok(unsigned) = spend::build(&decided, &view, &params) else { return };
        let checked = policy::check(&unsigned.transaction, &decided, &view, &params.cap).unwrap();
        let payment = self.bench.secret.complete(&checked);
        self.bench.broadcast(&payment);
        self.loose.push(payment);
    }

    /// A transaction that nobody decided on.
    fn steal(&mut self, number: u16) {
        let view = self.bench.view();
        let Some(coin) = view.unspent().find(|coin| coin.mature() && coin.depth > 0) else { return };
        let value = Amount::from_sat(u64::from(number) + 1_000);
        let theirs = TxOut { value, script_pubkey: stranger() };
        if coin.output.value < value * 2 {
            return;
        }
        let mut moved = self.bench.move_coin(coin.outpoint, vec![theirs]);
        moved.output[0].value -= value;
        self.bench.broadcast(&moved);
        self.loose.push(moved);
    }

    /// A block with everything that can be in it.
    fn confirm(&mut self) {
        let view = self.bench.view();
        let mut spent = BTreeSet::new();
        let can = |transaction: &&Transaction| {
            let there = transaction.input.iter().all(|input| {
                let coin = view.coin(&input.previous_output);
                coin.is_some_and(|coin| coin.depth > 0 && !coin.gone() && coin.mature())
            });
            there && transaction.input.iter().all(|input| spent.insert(input.previous_output))
        };
        let block: Vec<Transaction> = self.loose.iter().filter(can).cloned().collect();
        self.bench.confirm(block);
    }

    fn label(&mut self, number: u16) {
        let all: Vec<Txid> = self.ledger.entries().map(|entry| entry.txid).collect();
        let Some(txid) = all.get(usize::from(number) % all.len().max(1)) else { return };
        let words = ["category:power", "category:sale", "just a name", "category:contribution"];
        let word = words[usize::from(number) % words.len()].to_owned();
        self.known.labels.transactions.insert(*txid, word);
    }

    fn check(&mut self) {
        let view = self.bench.view();
        self.ledger.follow(&view, &self.bench.treasury.take_touched());
        self.ledger.learn(&view, Arc::new(self.known.clone()));
        let fresh = super::ledger(&self.bench, &self.known);
        assert!(
            self.ledger.entries().eq(fresh.entries()),
            "the books that followed are the books from scratch"
        );
        let book = self.ledger.balance(Account::Treasury, false);
        assert_eq!(book, rescan(&self.bench, &self.ours), "balance identity against a rescan");
        let balance = self.bench.view().balance();
        let pending = self.bench.view();
        let spent = pending.coins.values().filter(|coin| {
            coin.height.is_some() && coin.spent.is_some_and(|spender| spender.height.is_none())
        });
        let spent: Amount = spent.map(|coin| coin.output.value).sum();
        assert_eq!(book, sum_of(balance.confirmed + balance.immature + spent));
        let all = sum_of(balance.confirmed + balance.immature + balance.pending);
        assert_eq!(self.ledger.balance(Account::Treasury, true), all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("LEDGER_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(24),
    ))]

    #[test]
    fn the_books_are_exact_after_every_block(steps in prop::collection::vec((any::<u8>(), any::<u16>()), 1..30)) {
        let mut story = Story::new();
        for step in steps {
            story.step(step);
            story.check();
        }
    }
}
