//! Strangers at the door: slow ones, loud ones, and too many. Honest miners are to notice little.

use crate::farm::Farm;
use crate::miner::Miner;
use miner_link::testkit::Guild;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Longer on demand: `MINER_LINK_ABUSE_SECONDS=60`.
const SECONDS: u64 = 3;
/// Connections that say a byte now and then, and never a line.
const SLOW: usize = 1_000;
/// Threads that send garbage as fast as it is taken.
const LOUD: usize = 4;

fn stranger(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    Some(stream)
}

/// The time of the slowest of a hundred pings, in microseconds, without the very slowest.
fn slowness(miner: &mut Miner) -> u128 {
    let mut times: Vec<u128> = (0..100).map(|_| miner.ping().as_micros()).collect();
    times.sort_unstable();
    times[98]
}

#[test]
fn honest_miners_are_served_among_strangers() {
    let farm = Farm::start(Guild::founding);
    // The door would keep most of them out; it is opened wide to see what those inside can do.
    let link = farm.another_link("besieged", Guild::new(7), "connections_per_address = 4000\n");
    let port: u16 = link.stratum().rsplit(':').next().unwrap().parse().unwrap();
    let mut miner = Miner::connect(&link.stratum(), "alice.rig1");
    miner.wait_for_job();
    let before = slowness(&mut miner);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut slow: Vec<TcpStream> = (0..SLOW).filter_map(|_| stranger(port)).collect();
    let loud: Vec<_> = (0..LOUD)
        .map(|_| {
            let (stop, sent) = (stop.clone(), sent.clone());
            thread::spawn(move || shout(port, &stop, &sent))
        })
        .collect();
    let seconds = std::env::var("MINER_LINK_ABUSE_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(SECONDS);
    let mut during = 0;
    for _ in 0..seconds {
        slow.retain_mut(|stream| stream.write_all(b"{").is_ok());
        during = during.max(slowness(&mut miner));
        thread::sleep(Duration::from_millis(500));
    }
    stop.store(true, Ordering::SeqCst);
    loud.into_iter().for_each(|thread| thread.join().unwrap());
    let megabytes = sent.load(Ordering::SeqCst) / 1_000_000;
    eprintln!(
        "p98 of an answer: {before} µs alone, {during} µs among {} slow ones and {megabytes} MB of garbage",
        slow.len()
    );
    assert!(megabytes > 0);
    // On a busy machine with two cores nothing tighter can be promised; figures are printed above.
    assert!(during < 200_000, "{during} µs");
    let job = miner.wait_for_job();
    assert_eq!(miner.find_block(&job)["result"], json!(true));
    farm.wait_for_height(1);
}

/// Send what is no line, and what is no message, on one connection after the other.
fn shout(port: u16, stop: &AtomicBool, sent: &AtomicU64) {
    let long = vec![b'x'; 64 * 1024];
    let short = b"{\"id\":1,\"method\":\n".repeat(1_000);
    for round in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Some(mut stream) = stranger(port) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let garbage = if round % 2 == 0 { &long } else { &short };
        while stream.write_all(garbage).is_ok() && !stop.load(Ordering::SeqCst) {
            sent.fetch_add(garbage.len().try_into().unwrap(), Ordering::SeqCst);
        }
    }
}

#[test]
fn an_address_has_its_share_of_connections() {
    let farm = Farm::start(Guild::founding);
    let settings = "connections_per_address = 5\n";
    let link = farm.another_link("door", Guild::new(7), settings);
    let port: u16 = link.stratum().rsplit(':').next().unwrap().parse().unwrap();
    let guests: Vec<_> = (0..12).filter_map(|_| stranger(port)).collect();
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
