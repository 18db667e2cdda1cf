//! Every chain source on a real bitcoind: each must lead a treasury to what bitcoind itself leads it to,
//! over payments and turns of the chain, and no lie may go unnoticed.

use crate::bench::Bench;
use crate::electrumx;
use crate::esplora::{Lie, Server};
use bitcoin::Network;
use crdt::charter::Birth;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wallet::anchor::{self, CONFIRMED, lineage};
use wallet::chain::cross::compare;
use wallet::chain::filters::Peers;
use wallet::chain::{
    ChainError, Cross, Disagreement, Electrum, Esplora, Filters, FullNode, Position, Source,
};
use wallet::{Lineage, Store, Treasury, View};

/// How often a source is asked before it counts as stuck.
const ASKED: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// What a source is asked about.
type Ask = fn(&Treasury) -> Position;

/// All scripts, as a node does.
fn all(treasury: &Treasury) -> Position {
    treasury.position()
}

/// The first addresses and the change: what a server written in Python answers in a second.
fn few(treasury: &Treasury) -> Position {
    const FEW: usize = 20;
    let position = treasury.position();
    let scripts = position.scripts.iter().take(FEW).chain(position.scripts.last()).cloned().collect();
    Position { scripts: Arc::new(scripts), ..position }
}

/// Bring `treasury` to where bitcoind is.
fn lead(source: &mut dyn Source, treasury: &mut Treasury, bench: &Bench) -> View {
    lead_by(all, source, treasury, bench)
}

fn lead_by(ask: Ask, source: &mut dyn Source, treasury: &mut Treasury, bench: &Bench) -> View {
    let mut last = String::new();
    for _ in 0..ASKED {
        match source.follow(&ask(treasury), false) {
            Ok(news) => {
                let more = news.more;
                treasury.apply(news).unwrap();
                let best = bench.chain.tip().unwrap();
                if !more && source.progress().is_none() && treasury.tip() == best {
                    return treasury.view();
                }
                last = format!("{more} {:?} {:?} of {best:?}", source.progress(), treasury.tip());
            }
            Err(error) => last = format!("{error} {:?}", std::error::Error::source(&error)),
        }
        std::thread::sleep(PAUSE);
    }
    panic!("{} does not get there: {last}", source.name());
}

fn same(bench: &Bench, view: &View, source: &dyn Source) {
    let expected = bench.treasury.view();
    assert_eq!(compare(("bitcoind", &expected), (&source.name(), view)), []);
    assert_eq!(view.balance(), expected.balance(), "{}", source.name());
    assert_eq!((view.tip(), view.tip_hash()), (expected.tip(), expected.tip_hash()));
    assert_eq!(view.transactions().count(), expected.transactions().count(), "{}", source.name());
    assert!(anchor::guild(&expected).is_some());
    assert_eq!(anchor::guild(view), anchor::guild(&expected), "{}: the order within a block", source.name());
}

fn birth(bench: &Bench, height: u32) -> Birth {
    Birth { height, hash: bench.chain.block_hash(height).unwrap().unwrap() }
}

/// The whole way: from nothing, over a payment that the source itself sends, over a turn of the chain, and
/// on from what was stored.
fn tells_the_same(ask: Ask, bench: &mut Bench, mut make: impl FnMut() -> Box<dyn Source>) {
    let mut source = make();
    let mut treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    let view = lead_by(ask, &mut *source, &mut treasury, bench);
    same(bench, &view, &*source);
    assert!(view.balance().confirmed.to_sat() > 0);

    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let decided = bench.decide(1, 700_000, anchor);
    let paid = bench.pay(&decided, 0);
    assert_eq!(source.broadcast(&paid).unwrap(), paid.compute_txid());
    assert_eq!(source.broadcast(&paid).unwrap(), paid.compute_txid(), "the same bytes again");
    bench.mine(3);
    let view = lead_by(ask, &mut *source, &mut treasury, bench);
    same(bench, &view, &*source);
    assert!(matches!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Paid(_)));
    assert!(view.coin(&anchor).unwrap().spent.unwrap().key_path, "seen by its witness");

    let height = view.tip() - 2;
    let old = bench.chain.block_hash(height).unwrap().unwrap();
    bench.node.rpc("invalidateblock", &[json!(old)]).unwrap();
    for _ in 0..4 {
        bench.node.rpc("generateblock", &[json!("raw(51)"), json!([])]).unwrap();
    }
    bench.sync();
    let view = lead_by(ask, &mut *source, &mut treasury, bench);
    assert_eq!(view.tip(), height + 3);
    assert_eq!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Open { tip: anchor });
    bench.mine(1);
    let view = lead_by(ask, &mut *source, &mut treasury, bench);
    same(bench, &view, &*source);
    assert!(matches!(lineage(&view, decided.decision(), anchor, CONFIRMED), Lineage::Paid(_)));

    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&sled::open(folder.path()).unwrap()).unwrap();
    store.append(&treasury.take_staged().unwrap()).unwrap();
    drop(source);
    bench.reward(2, 1);
    let stored = store.load().unwrap().unwrap();
    let mut loaded = Treasury::load(&bench.charter, bench.secret.key(), stored).unwrap();
    let mut again = make();
    let view = lead_by(ask, &mut *again, &mut loaded, bench);
    same(bench, &view, &*again);
}

#[test]
fn bitcoind_as_a_source_tells_what_it_has() {
    let mut bench = Bench::funded();
    let (url, cookie) = (bench.node.rpc_url(), bench.node.cookie_file().to_owned());
    let birth = birth(&bench, 0);
    tells_the_same(all, &mut bench, || {
        Box::new(FullNode::new(url.clone(), cookie.clone(), Network::Regtest, Some(birth.clone())))
    });
}

#[test]
fn block_filters_lead_to_the_same_coins_as_bitcoind() {
    let mut bench = Bench::funded_with(&["-blockfilterindex=1", "-peerblockfilters=1"]);
    let peers = Peers { addresses: vec![format!("127.0.0.1:{}", bench.node.p2p_port())], agree: 1 };
    let birth = birth(&bench, 0);
    tells_the_same(all, &mut bench, || {
        Box::new(Filters::new(Network::Regtest, Some(birth.clone()), peers.clone()))
    });

    let nowhere = Birth { height: 3, hash: bitcoin::hashes::Hash::from_byte_array([9; 32]) };
    let mut lost = Filters::new(Network::Regtest, Some(nowhere), peers);
    let mut treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    let refused = (0..ASKED).find_map(|_| {
        std::thread::sleep(PAUSE);
        let news = lost.follow(&treasury.position(), false);
        news.map(|news| treasury.apply(news).unwrap()).err()
    });
    let refused = refused.expect("no peer has that birth block").to_string();
    assert!(refused.contains("at height 3"), "{refused}");
    assert_eq!(treasury.view().transactions().count(), 0);
}

#[test]
fn an_electrum_server_leads_to_the_same_coins_as_bitcoind() {
    let mut bench = Bench::start_with(&["-txindex=1", "-txospenderindex=1"]);
    bench.two_in_one_block();
    bench.fund();
    let Some(server) = electrumx::start(&bench.node) else { return };
    let birth = birth(&bench, 0);
    let url = server.url.clone();
    tells_the_same(few, &mut bench, || {
        Box::new(Electrum::new(url.clone(), Network::Regtest, Some(birth.clone())))
    });
    let mut other = Electrum::new(server.url.clone(), Network::Signet, None);
    assert!(matches!(other.tip(), Err(ChainError::Network { found: Network::Regtest, .. })));
    let nowhere = Birth { height: 3, hash: bench.treasury.view().tip_hash() };
    let mut other = Electrum::new(server.url.clone(), Network::Regtest, Some(nowhere));
    assert!(matches!(other.tip(), Err(ChainError::Birth { .. })));
    assert!(!other.decides(), "one server alone decides nothing");
}

#[test]
fn an_esplora_server_leads_to_the_same_coins_as_bitcoind() {
    let mut bench = Bench::funded();
    let server = Server::start(&bench.node);
    let birth = birth(&bench, 0);
    let url = server.url.clone();
    tells_the_same(all, &mut bench, || Box::new(Esplora::new(&url, Network::Regtest, Some(birth.clone()))));
    let mut esplora = Esplora::new(&url, Network::Regtest, None);
    assert_eq!(esplora.estimate_fee(6).unwrap(), Some(4), "3.01 rounded up");
    server.lie(Lie::Genesis);
    assert!(matches!(
        Esplora::new(&url, Network::Regtest, None).tip(),
        Err(ChainError::Network { found: Network::Bitcoin, .. })
    ));
}

#[test]
fn an_esplora_server_that_gives_altered_blocks_is_not_believed() {
    let mut bench = Bench::funded();
    let server = Server::start(&bench.node);
    let mut source = Esplora::new(&server.url, Network::Regtest, None);
    let mut treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    lead(&mut source, &mut treasury, &bench);
    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let paid = bench.pay(&bench.decide(1, 700_000, anchor), 0);
    bench.chain.broadcast(&paid).unwrap();
    bench.mine(1);
    for (lie, words) in
        [(Lie::Witness, "witnesses in block"), (Lie::Block, "a block as"), (Lie::Header, "header")]
    {
        server.lie(lie);
        let mut source = Esplora::new(&server.url, Network::Regtest, None);
        let refused = (0..ASKED).find_map(|_| source.follow(&treasury.position(), false).err());
        let refused = refused.unwrap_or_else(|| panic!("{lie:?} goes unnoticed")).to_string();
        assert!(refused.contains(words), "{lie:?}: {refused}");
    }
    server.lie(Lie::No);
    let view = lead(&mut source, &mut treasury, &bench);
    same(&bench, &view, &source);
}

#[test]
fn two_sources_that_differ_are_named_and_money_waits() {
    let mut bench = Bench::funded();
    let server = Server::start(&bench.node);
    let (url, cookie) = (bench.node.rpc_url(), bench.node.cookie_file().to_owned());
    let first = Box::new(FullNode::new(url, cookie, Network::Regtest, None));
    let second = Box::new(Esplora::new(&server.url, Network::Regtest, None));
    let mut cross = Cross::new(first, second, bench.charter.clone());
    let mut treasury = Treasury::create(&bench.charter, bench.secret.key()).unwrap();
    let agree = |cross: &mut Cross,
                 treasury: &mut Treasury,
                 bench: &Bench,
                 wanted: &dyn Fn(&[Disagreement]) -> bool| {
        for _ in 0..ASKED {
            lead(cross, treasury, bench);
            let health = cross.health();
            if wanted(&health.disagreements) {
                return health;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{:?}", cross.health());
    };
    let health = agree(&mut cross, &mut treasury, &bench, &|found| found.is_empty());
    assert_eq!(health.money(Network::Regtest, 0), Ok(()));
    assert_eq!(health.sources.len(), 2);

    let anchor = anchor::choose(&bench.treasury.view(), &BTreeMap::new()).unwrap();
    let paid = bench.pay(&bench.decide(1, 700_000, anchor), 0);
    let txid = paid.compute_txid();
    bench.chain.broadcast(&paid).unwrap();
    server.lie(Lie::Withhold(txid));
    bench.mine(1);
    let withheld = |found: &[Disagreement]| {
        found.iter().any(|it| matches!(it, Disagreement::Withheld { txid: named, .. } if *named == txid))
    };
    let health = agree(&mut cross, &mut treasury, &bench, &withheld);
    let why = health.money(Network::Regtest, 0).unwrap_err();
    assert!(why.contains("esplora at") && why.contains(&txid.to_string()), "{why}");
    assert!(!health.decides());

    server.lie(Lie::No);
    agree(&mut cross, &mut treasury, &bench, &|found| found.is_empty());
    server.lie(Lie::Header);
    bench.mine(1);
    let silent = |found: &[Disagreement]| found.iter().any(|it| matches!(it, Disagreement::Silent { .. }));
    let health = agree(&mut cross, &mut treasury, &bench, &silent);
    assert!(health.money(Network::Regtest, 0).is_err());
}
