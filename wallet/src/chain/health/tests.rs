//! When money may move.

use super::*;
use bitcoin::hashes::Hash as _;

fn source(name: &str, decides: bool, time: u32) -> SourceHealth {
    let tip = Some(Tip { height: 9, hash: BlockHash::all_zeros(), time });
    SourceHealth { name: name.to_owned(), tip, progress: None, decides }
}

#[test]
fn money_fails_closed_on_silence_disagreement_staleness_and_a_lone_server() {
    let now = 1_000_000;
    let young = 1_000_000 - 60;
    let old = 1_000_000 - 7_201;
    let (own, server) = (source("bitcoind", true, young), source("electrum", false, young));
    let health = |sources: &[SourceHealth], disagreements: &[Disagreement]| Health {
        sources: sources.to_vec(),
        disagreements: disagreements.to_vec(),
    };
    let split = Disagreement::Chain { height: 3, first: None, second: Some(BlockHash::all_zeros()) };
    let withheld = Disagreement::Withheld { by: "electrum".to_owned(), txid: Txid::all_zeros(), height: 8 };
    let table = [
        ("own node", Network::Bitcoin, health(std::slice::from_ref(&own), &[]), None),
        ("no source", Network::Bitcoin, health(&[], &[]), Some("no chain source")),
        (
            "lone server",
            Network::Regtest,
            health(std::slice::from_ref(&server), &[]),
            Some("alone may withhold"),
        ),
        ("two servers", Network::Bitcoin, health(&[server.clone(), server.clone()], &[]), None),
        ("split", Network::Regtest, health(&[own.clone(), server.clone()], &[split]), Some("block 3")),
        ("withheld", Network::Regtest, health(&[own, server], &[withheld]), Some("electrum does not tell")),
        ("stale", Network::Bitcoin, health(&[source("b", true, old)], &[]), Some("120 minutes old")),
        ("stale regtest", Network::Regtest, health(&[source("b", true, 1)], &[]), None),
        ("stale signet", Network::Signet, health(&[source("b", true, 1)], &[]), Some("minutes old")),
    ];
    for (name, network, health, expected) in table {
        let found = health.money(network, now);
        match expected {
            None => assert_eq!(found, Ok(()), "{name}"),
            Some(words) => assert!(found.as_ref().is_err_and(|why| why.contains(words)), "{name}: {found:?}"),
        }
    }
}

#[test]
fn two_hours_are_fresh_and_a_second_more_is_not() {
    let health = Health::of(source("b", true, 10_000));
    assert!(health.fresh(Network::Bitcoin, 10_000 + FRESH_SECONDS));
    assert!(!health.fresh(Network::Bitcoin, 10_001 + FRESH_SECONDS));
    assert!(health.fresh(Network::Bitcoin, 0), "a header of the future is as fresh as can be");
}
