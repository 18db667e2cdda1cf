//! Strangers at the door: slow ones, loud ones, and too many. Honest miners are to notice little.

use crate::farm::Farm;
use crate::miner::Miner;
use miner_link::testkit::Guild;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::net::TcpSocket;

/// Longer on demand: `MINER_LINK_ABUSE_SECONDS=60`.
const SECONDS: u64 = 3;
/// Connections that say a byte now and then, and never a line.
const SLOW: usize = 1_000;
/// Threads that send garbage, a hundred megabytes a second together where the link takes as much.
const LOUD: u64 = 4;
const PAUSE: Duration = Duration::from_micros(2_000);

/// Somebody from any of the addresses of this machine; `who` says from which.
fn stranger(port: u16, who: u64) -> Option<TcpStream> {
    let [.., high, middle, low] = who.to_be_bytes();
    // Honest miners come from 127.0.0.1.
    let from = Ipv4Addr::new(127, high.saturating_add(1), middle, low);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?.into_std()
    });
    let stream = stream.ok()?;
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
    Some(stream)
}

/// The time that two in a hundred of these answers took longer than, in microseconds.
fn slowness(miner: &mut Miner, count: usize) -> u128 {
    let mut times: Vec<u128> = (0..count).map(|_| miner.ping().as_micros()).collect();
    times.sort_unstable();
    times[count * 98 / 100]
}

#[test]
fn honest_miners_are_served_among_strangers() {
    let farm = Farm::start(Guild::founding);
    // The door would keep most of the slow ones out; it is opened wide to see what those inside can do.
    let link = farm.another_link("besieged", Guild::new(7), "connections_per_address = 4000\n");
    let port: u16 = link.stratum().rsplit(':').next().unwrap().parse().unwrap();
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    miner.wait_for_job();
    let before = slowness(&mut miner, 2_000);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut slow: Vec<TcpStream> = (0..SLOW).filter_map(|_| stranger(port, 0)).collect();
    assert_eq!(slow.len(), SLOW);
    let loud: Vec<_> = (1..=LOUD)
        .map(|name| {
            let (stop, sent) = (stop.clone(), sent.clone());
            thread::spawn(move || shout(port, name << 16, &stop, &sent))
        })
        .collect();
    let seconds = std::env::var("MINER_LINK_ABUSE_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(SECONDS);
    let mut during = Vec::new();
    for _ in 0..seconds {
        slow.retain_mut(|stream| stream.write_all(b"{").is_ok());
        during.push(slowness(&mut miner, 500));
        thread::sleep(Duration::from_millis(500));
    }
    stop.store(true, Ordering::SeqCst);
    loud.into_iter().for_each(|thread| thread.join().unwrap());
    let megabytes = sent.load(Ordering::SeqCst) / 1_000_000;
    during.sort_unstable();
    let (typical, worst) = (during[during.len() / 2], during[during.len() - 1]);
    eprintln!(
        "answers: {before} µs alone; among {SLOW} slow ones and {megabytes} MB of garbage in about {seconds} \
         rounds {typical} µs, in the worst round {worst} µs"
    );
    assert!(megabytes > 0);
    // On a busy machine with two cores nothing tighter can be promised; the figures are above.
    assert!(typical < 100_000, "{during:?} µs");
    let job = miner.wait_for_job();
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(1);
}

/// Send what is no line, and what is no message, as often as it is taken, from one address after the other.
fn shout(port: u16, name: u64, stop: &AtomicBool, sent: &AtomicU64) {
    let long = vec![b'x'; 64 * 1024];
    let short = b"{\"id\":1,\"method\":\n".repeat(1_000);
    for round in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Some(mut stream) = stranger(port, name + round % 60_000) else { continue };
        let garbage = if round % 2 == 0 { &long } else { &short };
        while stream.write_all(garbage).is_ok() && !stop.load(Ordering::SeqCst) {
            sent.fetch_add(garbage.len().try_into().unwrap(), Ordering::SeqCst);
            thread::sleep(PAUSE);
        }
    }
}

#[test]
fn an_address_has_its_share_of_connections() {
    let farm = Farm::start(Guild::founding);
    let settings = "connections_per_address = 5\n";
    let link = farm.another_link("door", Guild::new(7), settings);
    let port: u16 = link.stratum().rsplit(':').next().unwrap().parse().unwrap();
    let guests: Vec<_> = (0..12).filter_map(|_| stranger(port, 0)).collect();
    let inside = guests.iter().filter(|guest| is_open(guest)).count();
    assert_eq!(inside, 5);
}

/// Whether the other end still holds the connection: a read waits instead of ending.
fn is_open(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}
