//! Mining for pools. The pools are other links: what serves miners serves links.

use crate::farm::{Farm, Link, free_port, wait_for};
use crate::miner::Miner;
use crate::solo::block_at;
use bitcoin::Amount;
use miner_link::contract::PolicyStatus;
use miner_link::policy::treasury_script;
use miner_link::testkit::Guild;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

fn pool(address: &str) -> String {
    format!("[[pool]]\nurl = \"stratum+tcp://{address}\"\nuser = \"farm.link\"\n")
}

/// Find a block on the job at hand, of whatever it is, until it is not stale; the height it got.
fn mine_on(farm: &Farm, miner: &mut Miner, last: &Value) -> Value {
    let height = farm.bitcoind().height().unwrap() + 1;
    // Whatever was said before the switch is not what there is to mine now.
    while !miner.hears_nothing_for(Duration::from_millis(300)) {}
    let job = miner.wait_for_job_after(last);
    assert_eq!(miner.find_block(&job)["result"], json!(true), "{job}");
    farm.wait_for_height(height);
    job
}

fn pays(farm: &Farm, guild: &Guild) -> bool {
    let script = treasury_script(&guild.charter, guild.key()).unwrap();
    let block = block_at(farm, farm.bitcoind().height().unwrap());
    block.txdata[0].output.iter().any(|out| out.value > Amount::ZERO && out.script_pubkey == script)
}

fn in_use(link: &Link) -> Option<usize> {
    link.pools().iter().position(|pool| pool.state == "in use")
}

/// One miner, one connection, three sources of work and back again.
#[test]
fn pools_come_and_go_under_a_running_miner() {
    let farm = Farm::start(Guild::founding);
    let address = format!("127.0.0.1:{}", free_port());
    let first = |farm: &Farm| farm.another_link("first", Guild::new(5), &format!("listen = \"{address}\"\n"));
    let best = first(&farm);
    let second = farm.another_link("second", Guild::new(6), "");
    let ours = Guild::new(7).with_pools();
    let settings = [pool(&address), pool(&second.stratum())].concat();
    let link = farm.another_link("lower", ours, &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    wait_for("the first pool is used", || in_use(&link) == Some(0));
    assert_eq!(link.pools()[1].state, "not connected", "it is not needed");
    assert!(matches!(link.status().policy, PolicyStatus::Pool { .. }));

    let job = mine_on(&farm, &mut miner, &json!(["", ""]));
    assert!(pays(&farm, &best.guild), "the pool's block");
    wait_for("the pool answered", || link.pools()[0].shares_accepted == 1);

    best.kill();
    wait_for("the second pool is used", || in_use(&link) == Some(1));
    let job = mine_on(&farm, &mut miner, &job);
    assert!(pays(&farm, &second.guild), "the other pool's block");
    wait_for("the pool answered", || link.pools()[1].shares_accepted == 1);

    second.kill();
    wait_for("no pool is used", || in_use(&link).is_none());
    let job = mine_on(&farm, &mut miner, &job);
    assert!(pays(&farm, &link.guild), "our own block");

    let best = first(&farm);
    wait_for("the first pool is used again", || in_use(&link) == Some(0));
    mine_on(&farm, &mut miner, &job);
    assert!(pays(&farm, &best.guild), "the pool's block");

    // Each is counted apart, and nothing was lost on the way.
    let status = link.status();
    let counted: Vec<_> = status
        .sources
        .iter()
        .map(|source| (source.source.starts_with("pool"), source.shares_accepted))
        .collect();
    assert_eq!(counted, [(false, 1), (true, 2), (true, 1)], "{:?}", status.sources);
    assert_eq!((status.shares_accepted, status.shares_rejected, status.blocks_found), (4, 0, 1));
    wait_for("the pool answered", || link.pools()[0].shares_accepted == 2);
    assert!(link.pools().iter().all(|pool| (pool.shares_refused, pool.shares_late) == (0, 0)));
    let metrics = link.page("/metrics");
    let line = format!("minerlink_pool_shares_accepted_total{{pool=\"{address}\"}} 2");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(link.page("/readyz").starts_with("HTTP/1.1 200"));
}

/// M1: no hash rate moves without a certificate that says so, whatever the configuration says.
#[test]
fn a_solo_policy_calls_no_pool() {
    let farm = Farm::start(Guild::founding);
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = pool(&trap.local_addr().unwrap().to_string());
    let link = farm.another_link("lower", Guild::new(7), &settings);
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    let job = miner.wait_for_job();
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(1);
    assert!(pays(&farm, &link.guild));
    assert_eq!(link.pools()[0].state, "not connected");
    trap.set_nonblocking(true).unwrap();
    assert!(trap.accept().is_err(), "somebody called");
}

/// A farm's own certificate, and nobody else's, for both ends of one connection.
#[test]
fn pools_and_miners_may_speak_tls() {
    let farm = Farm::start(Guild::founding);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = |name: &str| farm.data_dir().join(name);
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.key_pair.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.cert.pem()).unwrap();
    let port = free_port();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let tls = format!("[tls]\nlisten = \"127.0.0.1:{port}\"\ncertificate = {cert:?}\nkey = {key:?}\n");
    let upper = farm.another_link("upper", Guild::new(5), &tls);
    let secured = |name: &str| {
        let authority = path(name);
        format!(
            "[[pool]]\nurl = \"stratum+ssl://localhost:{port}\"\nuser = \"f\"\nauthority = {authority:?}\n"
        )
    };
    let doubting = farm.another_link("doubting", Guild::new(6).with_pools(), &secured("other.pem"));
    let trusting = farm.another_link("trusting", Guild::new(7).with_pools(), &secured("cert.pem"));
    wait_for("the pool is used", || in_use(&trusting) == Some(0));
    let mut miner = Miner::connect(&trusting.stratum(), "alice.rig1");
    let job = miner.wait_for_job();
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(1);
    assert!(pays(&farm, &upper.guild));
    wait_for("the certificate is refused", || doubting.pools()[0].trouble.is_some());
    assert_eq!(in_use(&doubting), None);
}
