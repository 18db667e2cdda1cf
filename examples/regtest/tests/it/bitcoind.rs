//! A real node.

use std::path::PathBuf;

use bitcoin::hashes::Hash;
use bitcoin::{Address, Amount, Network, PubkeyHash};
use regtest::{Bitcoind, Options, Provide, provide, to_stderr};
use serde_json::json;

use crate::{comes_true_within, state_of, the_keeper};

fn the_bitcoind() -> PathBuf {
    provide(&Provide { install: true, progress: &to_stderr }).expect("a bitcoind").bitcoind
}

fn start(options: &Options) -> Bitcoind {
    Bitcoind::start(&the_keeper(), &the_bitcoind(), options).expect("it starts")
}

#[test]
fn a_chain_outlives_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path());
    let address = Address::p2pkh(PubkeyHash::from_byte_array([7; 20]), Network::Regtest);

    let node = start(&options);
    let blocks = node.generate_to(&address, 101).unwrap();
    assert_eq!((blocks.len(), node.height().unwrap()), (101, 101));
    let earned = node.scan_script(&address.script_pubkey()).unwrap();
    assert_eq!(earned, Amount::from_sat(101 * 50_0000_0000));
    assert_eq!(node.scan_balance(&[format!("addr({address})")]).unwrap(), earned);
    node.stop().unwrap();

    let mut node = start(&options);
    assert_eq!(node.height().unwrap(), 101);
    assert_eq!(node.rpc("getbestblockhash", &[]).unwrap(), json!(blocks.last()));

    // Killed, not stopped: the cookie stays behind, and the next node starts all the same.
    let pid = node.process().pid();
    drop(node);
    assert_eq!(state_of(pid), None);
    assert!(start(&options).height().is_ok());
}

#[test]
fn a_fraction_of_a_bitcoin_is_counted_to_the_satoshi() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::p2pkh(PubkeyHash::from_byte_array([8; 20]), Network::Regtest);
    let node = start(&Options::new(folder.path()));
    // A regtest subsidy halves every 150 blocks: 150 blocks of 50, then 25, then 12.5.
    node.generate_to(&address, 301).unwrap();
    let earned = node.scan_script(&address.script_pubkey()).unwrap();
    assert_eq!(earned.to_sat(), 149 * 50_0000_0000 + 150 * 25_0000_0000 + 2 * 12_5000_0000);
}

#[test]
fn a_compact_filter_peer_is_a_matter_of_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.extra_args = vec!["-blockfilterindex=1".into(), "-peerblockfilters=1".into()];
    let node = start(&options);
    let info = node.rpc("getnetworkinfo", &[]).unwrap();
    let services = info["localservicesnames"].as_array().unwrap();
    assert!(services.contains(&json!("COMPACT_FILTERS")), "{services:?}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", node.p2p_port())).is_ok());
}

#[test]
fn a_refused_call_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&Options::new(folder.path()));
    let error = node.rpc("getblockhash", &[json!(9)]).unwrap_err();
    assert_eq!(format!("{error:#}"), "rpc getblockhash failed: Block height out of range");
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.extra_args.push("-nonsense".into());
    let error = Bitcoind::start(&the_keeper(), &the_bitcoind(), &options).unwrap_err();
    assert!(error.to_string().contains("-nonsense"), "{error:#}");

    let error = Bitcoind::start(&the_keeper(), "/no/such/bitcoind".as_ref(), &options).unwrap_err();
    assert!(error.to_string().contains("cannot run /no/such/bitcoind"), "{error:#}");
}

#[test]
fn a_paused_node_is_killed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = start(&Options::new(folder.path()));
    let pid = node.process().pid();
    node.process().pause().unwrap();
    assert!(comes_true_within(regtest::keeper::GRACE, || state_of(pid) == Some('T')));
    drop(node);
    assert_eq!(state_of(pid), None);
}
