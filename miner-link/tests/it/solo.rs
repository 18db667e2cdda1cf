//! Solo mining, from the certificate to the treasury.

use crate::farm::{Farm, LIMIT, wait_for};
use crate::miner::Miner;
use bitcoin::consensus::encode::deserialize;
use bitcoin::{Amount, Block};
use hex::FromHex as _;
use miner_link::contract::PolicyStatus;
use miner_link::policy::treasury_script;
use miner_link::testkit::Guild;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn block_at(farm: &Farm, height: u64) -> Block {
    let hash = farm.bitcoind().rpc("getblockhash", &[json!(height)]).unwrap();
    let hex = farm.bitcoind().rpc("getblock", &[hash, json!(0)]).unwrap();
    deserialize(&Vec::from_hex(hex.as_str().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_block_of_a_miner_pays_the_treasury() {
    let mut farm = Farm::start(Guild::founding);
    let script = treasury_script(&farm.guild.charter, farm.guild.key()).unwrap();
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");

    let first = miner.wait_for_job();
    let answer = miner.find_block(&first);
    assert_eq!((&answer["result"], &answer["error"]), (&json!(true), &Value::Null));
    farm.wait_for_height(1);
    let block = block_at(&farm, 1);
    let coinbase = &block.txdata[0];
    let paid: Vec<_> = coinbase.output.iter().filter(|output| output.value > Amount::ZERO).collect();
    assert_eq!(paid.len(), 1);
    assert_eq!((paid[0].value.to_sat(), &paid[0].script_pubkey), (50_0000_0000, &script));
    assert_eq!(farm.bitcoind().scan_script(&script).unwrap().to_sat(), 50_0000_0000);

    // The tag names guild, member and this link's own key.
    let pairing = farm.guild.pairing();
    let link = <[u8; 32]>::from_hex(&farm.status().link).unwrap();
    let tag = crdt::mining::coinbase_tag(pairing.guild, pairing.member, link, 1 << 18);
    let script_sig = coinbase.input[0].script_sig.as_bytes();
    assert!(script_sig.windows(32).any(|window| window == tag));

    // The next job is on the new tip, and voids the first.
    let second = miner.wait_for_job_after(&first);
    assert_eq!(second[8], json!(true));
    let repeated = miner.find_block(&second);
    assert_eq!(repeated["result"], json!(true));
    farm.wait_for_height(2);
    wait_for("both are counted", || farm.status().blocks_accepted == 2);
    let status = farm.status();
    assert_eq!((status.blocks_found, status.shares_accepted, status.workers), (2, 2, 1));

    // Mining goes on without the node, and over a restart (M3).
    farm.node.go_away();
    farm.stop_link();
    farm.start_link();
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    let third = miner.wait_for_job_after(&second);
    assert_eq!(miner.find_block(&third)["result"], json!(true));
    farm.wait_for_height(3);
    assert_eq!(block_at(&farm, 3).txdata[0].output[0].script_pubkey, script);
    assert!(!farm.status().node_reachable);
}

#[test]
fn without_a_certificate_no_job_is_served() {
    let farm = Farm::start(Guild::uncertified);
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    wait_for("the node answered", || farm.status().node_reachable && farm.status().bitcoind_reachable);
    assert!(miner.hears_nothing_for(Duration::from_secs(3)));
    let status = farm.status();
    assert!(matches!(status.policy, PolicyStatus::Nothing { .. }), "{status:?}");
    assert_eq!(status.jobs, 0);

    // A certificate by another key changes nothing; the right one does.
    farm.node.answer_from_now_on(Guild::new(4).founding());
    wait_for("the refusal shows", || farm.status().policy_refused.is_some());
    assert_eq!(farm.status().jobs, 0);
    farm.node.answer_from_now_on(farm.guild.founding());
    miner.wait_for_job();
    wait_for("the policy shows", || matches!(farm.status().policy, PolicyStatus::Solo { .. }));
    assert_eq!(farm.status().policy_refused, None);
}

#[test]
fn a_found_block_waits_for_bitcoind_even_over_a_crash() {
    let mut farm = Farm::start(Guild::founding);
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    let job = miner.wait_for_job();
    farm.stop_bitcoind();
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    // Whoever is told that it counts may pull the plug at once.
    farm.kill_link();
    let blocks = farm.data_dir().join("blocks");
    let kept = || std::fs::read_dir(&blocks).unwrap().count();
    assert_eq!(kept(), 1, "it is on disk");
    farm.start_bitcoind();
    assert_eq!(farm.bitcoind().height().unwrap(), 0);
    farm.start_link();
    farm.wait_for_height(1);
    wait_for("the file is gone", || kept() == 0);
}

/// Two decisions after the founding reach running miners over one connection; an older one never does.
#[test]
fn a_later_decision_is_followed_without_a_reconnect() {
    use crdt::mining::{MiningPolicy, Mode, Payee, Payout, Share, Small, Split};
    let farm = Farm::start(Guild::founding);
    let treasury = treasury_script(&farm.guild.charter, farm.guild.key()).unwrap();
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    let founding = miner.wait_for_job();
    let other = crdt::testkit::payee(1);
    let split = |small, others: u8| {
        let more =
            (2..=others).map(|seed| Share { payee: Payee::Script(crdt::testkit::payee(seed)), weight: 1 });
        let first = [
            Share { payee: Payee::Treasury, weight: 2 },
            Share { payee: Payee::Script(other.clone()), weight: 1 },
        ];
        let split = Split::new(first.into_iter().chain(more).collect(), small).unwrap();
        MiningPolicy { mode: Mode::Solo, payout: Payout::Split(split) }
    };
    let closed = |farm: &Farm| match farm.status().policy {
        PolicyStatus::Solo { close, payees, .. } => Some((close, payees)),
        _ => None,
    };
    let paid = |farm: &Farm, height| {
        let outputs = block_at(farm, height).txdata[0].output.clone();
        let worth = outputs.into_iter().filter(|output| output.value > Amount::ZERO);
        worth.map(|output| (output.value.to_sat(), output.script_pubkey)).collect::<Vec<_>>()
    };
    // A split that every device takes.
    farm.node.answer_from_now_on(farm.guild.decided(&split(Small::NoWork, 1), 500, 1));
    wait_for("the split is obeyed", || closed(&farm) == Some((500, 2)));
    let job = miner.wait_for_another_job(&founding);
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(1);
    assert_eq!(paid(&farm, 1), [(3_333_333_333, treasury.clone()), (1_666_666_667, other.clone())]);

    // A longer one, which this device would cut: it mines for the treasury, as the split says.
    farm.node.answer_from_now_on(farm.guild.decided(&split(Small::Treasury, 40), 600, 2));
    wait_for("the longer split is obeyed", || closed(&farm) == Some((600, 41)));
    let job = miner.wait_for_another_job(&job);
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(2);
    assert_eq!(paid(&farm, 2), [(50_0000_0000, treasury)]);
    let mut large = Miner::connect_as(&farm.stratum(), "alice.rig2", "whatsminer/v1");
    let wide = large.wait_for_job_after(&job);
    assert_eq!(large.find_block(&wide)["result"], json!(true));
    farm.wait_for_height(3);
    let parts = paid(&farm, 3);
    assert_eq!((parts.len(), parts.iter().map(|(sat, _)| sat).sum::<u64>()), (41, 50_0000_0000));

    // What was decided before is not obeyed again, nor after a restart; and nobody was sent away.
    farm.node.answer_from_now_on(farm.guild.decided(&split(Small::NoWork, 1), 500, 1));
    wait_for("the older one is refused", || farm.status().policy_refused.is_some());
    assert_eq!(closed(&farm), Some((600, 41)));
    let job = miner.wait_for_job_after(&job);
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    let mut farm = farm;
    farm.stop_link();
    farm.start_link();
    assert_eq!(closed(&farm), Some((600, 41)));
}

/// Needs the path of a stock cpuminer in `MINERD_EXE`.
#[test]
fn stock_cpuminer_finds_a_block() {
    let Some(minerd) = std::env::var_os("MINERD_EXE") else {
        eprintln!("SKIPPED: stock_cpuminer_finds_a_block needs MINERD_EXE, the path of a minerd");
        return;
    };
    let farm = Farm::start(Guild::founding);
    let url = format!("stratum+tcp://{}", farm.stratum());
    let mut command = Command::new(minerd);
    command.args(["-a", "sha256d", "-o", &url, "-u", "alice.cpu", "-p", "x", "-t", "1"]);
    let mut minerd = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ticks = LIMIT.as_millis() / 100;
    let found = (0..ticks).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        farm.bitcoind().height().unwrap() > 0
    });
    minerd.kill().unwrap();
    minerd.wait().unwrap();
    let status = farm.status();
    assert!(found, "no block within {LIMIT:?}: {status:?}");
    assert!(status.shares_accepted > 0, "{status:?}");
    eprintln!("minerd: {} shares accepted, {} rejected", status.shares_accepted, status.shares_rejected);
}
