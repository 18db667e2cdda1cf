//! bitcoind goes, comes, changes its mind and lies; miners see at most a pause.

use crate::farm::{Farm, wait_for};
use crate::miner::Miner;
use crate::proxy::Proxy;
use miner_link::testkit::Guild;
use serde_json::json;
use std::time::Duration;

/// Anybody's address.
const ADDRESS: &str = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6";

fn generate(bitcoind: &regtest::Bitcoind, address: &str) -> serde_json::Value {
    bitcoind.rpc("generatetoaddress", &[json!(1), json!(address)]).unwrap()[0].clone()
}

#[test]
fn a_bitcoind_that_goes_and_comes_back_costs_nothing_but_time() {
    let mut farm = Farm::start(Guild::founding);
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    let first = miner.wait_for_job();
    farm.stop_bitcoind();
    wait_for("it is missed", || !farm.status().bitcoind_reachable);
    // Nobody is sent away, and work goes on.
    assert!(miner.hears_nothing_for(Duration::from_secs(1)));
    farm.start_bitcoind();
    generate(farm.bitcoind(), ADDRESS);
    let second = miner.wait_for_job_after(&first);
    assert_eq!(miner.find_block(&second)["result"], json!(true));
    farm.wait_for_height(2);
}

#[test]
fn a_tip_of_the_same_height_is_another_tip() {
    let farm = Farm::start(Guild::founding);
    let mut miner = Miner::connect(&farm.stratum(), "alice.rig1");
    let first = miner.wait_for_job();
    let hash = generate(farm.bitcoind(), ADDRESS);
    let second = miner.wait_for_job_after(&first);
    farm.bitcoind().rpc("invalidateblock", &[hash]).unwrap();
    let other = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    generate(farm.bitcoind(), other);
    assert_eq!(farm.bitcoind().height().unwrap(), 1);
    // On the way the tip may have been the first one again.
    let mut third = miner.wait_for_job_after(&second);
    if third[1] == first[1] {
        third = miner.wait_for_job_after(&third);
    }
    assert_eq!(miner.find_block(&third)["result"], json!(true));
    farm.wait_for_height(2);
}

#[test]
fn a_bitcoind_that_lies_about_its_height_gets_no_miner() {
    let farm = Farm::start(Guild::founding);
    let proxy = Proxy::start(farm.rpc_port());
    let settings = format!("bitcoind = \"http://127.0.0.1:{}\"\ncookie = {:?}\n", proxy.port, farm.cookie());
    let link = farm.another_link("lied-to", Guild::new(7), &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    let first = miner.wait_for_job();
    proxy.add_to_heights(5);
    generate(farm.bitcoind(), ADDRESS);
    wait_for("the lie is noticed", || {
        link.status().job_trouble.is_some_and(|why| why.contains("bad-cb-height"))
    });
    assert_eq!(miner.job.as_ref(), Some(&first), "what was true is still served");
    proxy.add_to_heights(0);
    let second = miner.wait_for_job_after(&first);
    assert_eq!(miner.find_block(&second)["result"], json!(true));
    farm.wait_for_height(2);
    assert_eq!(link.status().job_trouble, None);
}

#[test]
fn bitcoind_is_asked_about_a_coinbase_once_and_not_with_every_tip() {
    let farm = Farm::start(Guild::founding);
    let proxy = Proxy::start(farm.rpc_port());
    let settings = format!("bitcoind = \"http://127.0.0.1:{}\"\ncookie = {:?}\n", proxy.port, farm.cookie());
    let link = farm.another_link("asking", Guild::new(7), &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    let mut job = miner.wait_for_job();
    assert_eq!(proxy.proposals(), 1, "before anybody hashes");
    let first = generate(farm.bitcoind(), ADDRESS);
    job = miner.wait_for_job_after(&job);
    for _ in 0..3 {
        generate(farm.bitcoind(), ADDRESS);
        job = miner.wait_for_job_after(&job);
    }
    assert_eq!(proxy.proposals(), 1, "tips that follow each other say nothing new of a coinbase");
    farm.bitcoind().rpc("invalidateblock", &[first]).unwrap();
    wait_for("a height that was passed is no next one", || proxy.proposals() > 1);
}

#[test]
fn an_empty_block_is_mined_while_a_template_takes_long() {
    let farm = Farm::start(Guild::founding);
    let proxy = Proxy::start(farm.rpc_port());
    proxy.delay_templates(3_000);
    let settings = format!("bitcoind = \"http://127.0.0.1:{}\"\ncookie = {:?}\n", proxy.port, farm.cookie());
    let link = farm.another_link("patient", Guild::new(7), &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    let first = miner.wait_for_job();
    generate(farm.bitcoind(), ADDRESS);
    let tip = farm.bitcoind().rpc("getbestblockhash", &[]).unwrap();
    // A template of the old tip may still be on its way: what is timed is the first job on the new one.
    let told = miner.time(|miner| {
        let mut job = miner.wait_for_job_after(&first);
        while tip != json!(tip_of(&job)) {
            job = miner.wait_for_job_after(&job);
        }
        job
    });
    assert!(told.1 < Duration::from_millis(1_500), "{:?}", told.1);
    assert_eq!(miner.find_block(&told.0)["result"], json!(true));
    farm.wait_for_height(2);
}

#[test]
fn two_bitcoinds_are_told_of_blocks_and_one_is_enough() {
    let mut farm = Farm::start(Guild::founding);
    let other = farm.another_bitcoind();
    let settings = format!(
        "bitcoind = [\"http://127.0.0.1:{}\", {:?}]\ncookie = [{:?}, {:?}]\n",
        farm.rpc_port(),
        other.rpc_url(),
        farm.cookie(),
        other.cookie_file()
    );
    let link = farm.another_link("twice", Guild::new(7), &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    let first = miner.wait_for_job();
    assert_eq!(miner.find_block(&first)["result"], json!(true));
    wait_for("both have it", || farm.bitcoind().height().unwrap() == 1 && other.height().unwrap() == 1);
    farm.stop_bitcoind();
    generate(&other, ADDRESS);
    let mut job = miner.wait_for_job_after(&first);
    while other.rpc("getbestblockhash", &[]).unwrap() != json!(tip_of(&job)) {
        job = miner.wait_for_job_after(&job);
    }
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    wait_for("the other has it", || other.height().unwrap() == 3);
    assert_eq!(link.status().blocks_accepted, 2);
}

/// The tip that a job builds on, as bitcoind writes it.
fn tip_of(job: &serde_json::Value) -> String {
    let words = job[1].as_str().unwrap().as_bytes().chunks(8).rev();
    words.flat_map(|word| word.iter().map(|byte| char::from(*byte))).collect()
}
