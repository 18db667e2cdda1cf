//! What two sources must show alike.

use super::*;
use crate::chain::NewBlock;
use crate::testkit::Bench;
use bdk_wallet::chain::BlockId;
use bitcoin::{Amount, Block, Network};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A source that knows the first blocks of a bench, as many as it is let.
#[derive(Debug, Clone)]
struct Told {
    name: &'static str,
    blocks: Arc<Mutex<Vec<Block>>>,
    known: Arc<AtomicUsize>,
    /// Blocks that it told.
    told: Arc<AtomicUsize>,
    silent: Arc<AtomicBool>,
}

impl Told {
    fn new(name: &'static str, bench: &Bench) -> Self {
        let blocks = Arc::new(Mutex::new(bench.blocks().to_vec()));
        let known = Arc::new(AtomicUsize::new(bench.blocks().len()));
        Self { name, blocks, known, told: Arc::default(), silent: Arc::default() }
    }

    fn knows(&self, count: usize) {
        self.known.store(count, Ordering::Relaxed);
    }

    fn hash(&self, height: usize) -> BlockHash {
        let genesis = bitcoin::constants::genesis_block(Network::Regtest).block_hash();
        height.checked_sub(1).map_or(genesis, |index| self.blocks.lock().unwrap()[index].block_hash())
    }

    fn answer<T>(&self, answer: T) -> Result<T, ChainError> {
        let why = "nobody there".to_owned();
        let waits = self.silent.load(Ordering::Relaxed);
        if waits { Err(ChainError::Waiting { who: self.name(), why }) } else { Ok(answer) }
    }
}

impl Source for Told {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn decides(&self) -> bool {
        false
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        let known = self.known.load(Ordering::Relaxed);
        self.answer(Tip { height: u32::try_from(known).unwrap(), hash: self.hash(known), time: 0 })
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        let height = usize::try_from(height).unwrap();
        self.answer((height <= self.known.load(Ordering::Relaxed)).then(|| self.hash(height)))
    }

    fn follow(&mut self, at: &Position, _anew: bool) -> Result<News, ChainError> {
        let from = usize::try_from(at.checkpoint.height()).unwrap();
        let blocks = self.blocks.lock().unwrap().clone();
        let known = blocks.get(from..self.known.load(Ordering::Relaxed)).unwrap_or_default();
        let blocks = (at.checkpoint.height() + 1..).zip(known).map(|(height, block)| {
            let connected_to = BlockId { height: height - 1, hash: block.header.prev_blockhash };
            NewBlock { block: block.clone(), height, connected_to }
        });
        let news = self.answer(News { blocks: blocks.collect(), ..News::default() })?;
        self.told.fetch_add(news.blocks.len(), Ordering::Relaxed);
        Ok(news)
    }

    fn progress(&self) -> Option<Progress> {
        None
    }

    fn estimate_fee(&mut self, _target: u16) -> Result<Option<u64>, ChainError> {
        Ok(None)
    }

    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        Ok(transaction.compute_txid())
    }
}

/// One round: what the first tells is taken, and what both do not agree on.
fn round(cross: &mut Cross, treasury: &mut Treasury) -> Vec<Disagreement> {
    let news = cross.follow(&treasury.position(), false).unwrap();
    treasury.apply(news).unwrap();
    cross.follow(&treasury.position(), false).unwrap();
    cross.health().disagreements
}

fn pair(bench: &Bench) -> (Told, Told, Cross, Treasury) {
    let (first, second) = (Told::new("first", bench), Told::new("second", bench));
    let cross = Cross::new(Box::new(first.clone()), Box::new(second.clone()), bench.charter.clone());
    let treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    (first, second, cross, treasury)
}

#[test]
fn a_source_may_lag_two_blocks_and_not_three() {
    let (bench, _) = Bench::funded();
    let (first, second, mut cross, mut treasury) = pair(&bench);
    let all = bench.blocks().len();
    for (source, other) in [(&second, &first), (&first, &second)] {
        other.knows(all);
        for (behind, named) in [(0, false), (2, false), (3, true), (40, true), (1, false)] {
            source.knows(all - behind);
            let found = round(&mut cross, &mut treasury);
            let expected =
                Disagreement::Behind { who: source.name(), blocks: u32::try_from(behind).unwrap() };
            let expected = if named { vec![expected] } else { Vec::new() };
            assert_eq!(found, expected, "{} is {behind} blocks behind", source.name);
            let money = cross.health().money(Network::Regtest, 0);
            assert_eq!(money.is_ok(), !named, "{money:?}");
        }
        source.knows(all);
    }
}

#[test]
fn what_the_second_source_told_survives_a_silence_and_a_start() {
    let (mut bench, _) = Bench::funded();
    let (_, second, mut cross, mut treasury) = pair(&bench);
    assert_eq!(round(&mut cross, &mut treasury), []);
    let before = bench.blocks().len();
    assert_eq!(second.told.load(Ordering::Relaxed), before);
    second.silent.store(true, Ordering::Relaxed);
    let silent = round(&mut cross, &mut treasury);
    assert!(
        matches!(silent.as_slice(), [Disagreement::Silent { who, .. }, ..] if who == "second"),
        "{silent:?}"
    );
    second.silent.store(false, Ordering::Relaxed);
    assert_eq!(round(&mut cross, &mut treasury), []);
    assert_eq!(second.told.load(Ordering::Relaxed), before, "nothing is told twice");
    // a start: what was staged is remembered, and one more block is all that is told
    let stored = cross.take_staged().expect("it learnt something");
    assert!(cross.take_staged().is_none());
    bench.receive([0, 3], Amount::from_int_btc(3));
    let (_, second, mut cross, _) = pair(&bench);
    cross.remember(stored.clone());
    assert_eq!(round(&mut cross, &mut treasury), []);
    assert_eq!(second.told.load(Ordering::Relaxed), 1);
    // what is of another treasury is not believed
    let other = Bench::new(2);
    let (_, second, mut cross, _) = pair(&bench);
    let mut treasury = other.treasury;
    cross.remember(stored);
    cross.follow(&treasury.position(), false).unwrap();
    assert_eq!(second.told.load(Ordering::Relaxed), before + 1, "from the beginning");
    assert!(treasury.take_staged().is_some());
}

#[test]
fn equal_views_agree_and_one_that_is_behind_is_compared_where_both_are() {
    let (one, _) = Bench::funded();
    let (other, _) = Bench::funded();
    assert_eq!(compare(("a", &one.view()), ("b", &other.view())), []);
    let mut ahead = other;
    let txid = ahead.receive([0, 3], Amount::from_int_btc(3)).txid;
    assert_eq!(compare(("a", &one.view()), ("b", &ahead.view())), [], "the other has not seen that block");
    let mut empty = one;
    empty.mine(1);
    let found = compare(("a", &empty.view()), ("b", &ahead.view()));
    let height = ahead.view().tip();
    assert_eq!(found, [Disagreement::Withheld { by: "a".to_owned(), txid, height }]);
    let found = compare(("b", &ahead.view()), ("a", &empty.view()));
    assert_eq!(
        found,
        [Disagreement::Withheld { by: "a".to_owned(), txid, height }],
        "whoever is asked first"
    );
}

#[test]
fn one_transaction_in_two_blocks_or_with_two_witnesses_is_named() {
    let (mut one, [coin, _]) = Bench::funded();
    let (mut other, _) = Bench::funded();
    let moved = one.move_coin(coin, vec![]);
    let mut altered = moved.clone();
    altered.input[0].witness = bitcoin::Witness::from_slice(&[vec![1; 64], vec![2; 34], vec![3; 33]]);
    assert_eq!(moved.compute_txid(), altered.compute_txid(), "the id does not cover the witness");
    one.confirm(vec![moved.clone()]);
    other.confirm(vec![altered]);
    let txid = moved.compute_txid();
    assert!(compare(("a", &one.view()), ("b", &other.view())).contains(&Disagreement::Differs { txid }));

    let (mut late, _) = Bench::funded();
    late.mine(1);
    late.confirm(vec![moved]);
    one.mine(1);
    assert!(compare(("a", &one.view()), ("b", &late.view())).contains(&Disagreement::Differs { txid }));
}
