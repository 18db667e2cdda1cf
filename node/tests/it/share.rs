//! A share that is lost, locked, backed up, brought back.

use crate::bus::Bus;
use crdt::testkit;
use node::config::{Bitcoind, Config};
use node::core::Node;
use node::core::ask::Ask;
use node::home::{self, Home};
use node::keystore::{self, Keystore};
use node::net::protocol::{Request, Response};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use threshold::KeyShare;

/// Seconds in which nodes on a bus that loses all gossip make and test a key.
const KEY: u64 = 120;
pub(crate) const PASSPHRASE: &str = "correct horse";

/// Whether a text shows a good part of a secret, as hex or as numbers.
fn shows(text: &str, secret: &[u8]) -> bool {
    secret.chunks_exact(8).any(|part| {
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
        text.to_lowercase().contains(&hex) || text.contains(&numbers.join(", "))
    })
}

/// K4: everything that three nodes log while they make a key and sign with it, at the finest level.
#[test]
fn k4_no_log_line_shows_a_key_a_share_or_a_nonce() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let lines = lines.with_writer(Arc::new(Lines(log.clone()))).finish();
    let bus = tracing::subscriber::with_default(lines, made);
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the group key is ready") && log.contains("ceremony ended"), "{log}");
    let (shown, signed) = bus.nonces();
    let mut known = 0;
    for (durable, person) in bus.durable.iter().zip(&bus.people) {
        let share = durable.share.as_ref().unwrap();
        let secret = share.rchunks_exact(32).next().unwrap();
        assert!(
            shows(&format!("{secret:?}"), secret)
                && shows(&format!("{secret:02X?}").replace(", ", ""), secret)
        );
        for secret in [secret, &person.key.to_bytes()] {
            assert!(!shows(&log, secret), "a secret in the log");
        }
        for random in bus.drawn.lock().unwrap().iter().filter(|random| random.len() == 32) {
            let (nonce, commitment) = nonce(secret, random);
            known += shown.iter().filter(|shown| shown.windows(33).any(|half| half == commitment)).count();
            assert!(
                !shows(&log, &nonce) && !shows(&log, random),
                "a nonce, or what it follows from, in the log"
            );
        }
    }
    assert!(signed > 0 && known >= shown.len(), "the nonces that were looked for are those that were used");
}

/// The nonce that follows from a share and 32 random bytes (RFC 9591, 4.1), and its commitment.
fn nonce(share: &[u8], random: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let share = frost_secp256k1_tr::keys::SigningShare::deserialize(share).unwrap();
    let (nonces, commitments) = frost_secp256k1_tr::round1::commit(&share, &mut Again(random));
    (nonces.hiding().serialize(), commitments.hiding().serialize().unwrap())
}

/// Gives the same bytes again.
struct Again<'a>(&'a [u8]);

impl rand::RngCore for Again<'_> {
    fn next_u32(&mut self) -> u32 {
        0
    }
    fn next_u64(&mut self) -> u64 {
        0
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(self.0);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand::CryptoRng for Again<'_> {}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn made() -> Bus {
    let mut bus = Bus::new(3);
    bus.run(KEY);
    assert!((0..3).all(|index| bus.status(index).key_usable));
    bus
}

fn first_wait(bus: &mut Bus) -> String {
    bus.status(0).waits.first().map(|wait| wait.what.clone()).unwrap_or_default()
}

fn refusal(bus: &mut Bus) -> String {
    let asker = bus.member(1);
    let commit = Bus::offer(Ask::Founding, [7; 32], [0; 32]);
    match bus.forge(asker, 0, commit) {
        Response::Refused(refusal) => format!("{}: {}", refusal.rule(), refusal.found()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_locked_share_says_so_first_and_in_every_answer() {
    let mut bus = made();
    assert_eq!(refusal(&mut bus).split(':').next(), Some("same request"), "with its share it judges");
    bus.locked = true;
    bus.restart(0);
    bus.run(5);
    assert!(first_wait(&mut bus).contains("locked"));
    assert_eq!(refusal(&mut bus), "key share: its key share: locked, it signs nothing");
    bus.locked = false;
    bus.restart(0);
    bus.run(5);
    assert!(!first_wait(&mut bus).contains("key share"));
}

#[test]
fn a_lost_record_comes_from_a_peer_and_puts_the_share_to_work() {
    let mut bus = made();
    let kept = std::mem::take(&mut bus.durable[0].blobs);
    bus.restart(0);
    bus.run(15);
    assert_eq!(bus.durable[0].blobs, kept);
    assert_eq!(refusal(&mut bus).split(':').next(), Some("same request"));
    // and a share that is gone is said to be gone; nobody makes a second key over it
    bus.durable[0].share = None;
    bus.restart(0);
    bus.run(15);
    assert!(first_wait(&mut bus).contains("lost"));
    assert!(refusal(&mut bus).starts_with("key share"));
    let stranger = testkit::people(7)[6].id();
    assert_eq!(bus.forge(stranger, 1, Request::Transcript), Response::NotAllowed);
}

/// The folder of node 0, as its daemon would have left it.
pub(crate) fn folder(bus: &Bus, root: &Path) -> (Home, Keystore) {
    let home = Home::at(root.to_owned());
    home.create().unwrap();
    let member = bus.people[0].key.to_bytes();
    let keys = keystore::restore(&home, PASSPHRASE, &member, &[9; 32]).unwrap();
    let share = KeyShare::from_bytes(bus.durable[0].share.as_ref().unwrap()).unwrap();
    keys.store_share(Node::EPOCH, &share).unwrap();
    let transcript = &bus.durable[0].blobs[Node::TRANSCRIPT_BLOB];
    home::write_private(&home.blob(Node::TRANSCRIPT_BLOB), transcript).unwrap();
    home::write_private(&home.charter(), &bus.charter.to_bytes()).unwrap();
    home::write_private(&home.card(), b"card").unwrap();
    home::write_private(&home.peers(), b"").unwrap();
    let mut journal = node::journal::Journal::create(&home.journal(), [1; 16]).unwrap();
    bus.durable[0].journal.iter().for_each(|record| journal.append(record).unwrap());
    let config = Config {
        network: bus.charter.network,
        listen: "/ip4/127.0.0.1/tcp/1".into(),
        announce: None,
        api: "127.0.0.1:1".parse().unwrap(),
        bitcoind: Some(Bitcoind { url: "http://127.0.0.1:2".into(), cookie: "/nowhere".into() }),
        filters: None,
        electrum: None,
        esplora: None,
        passphrase_file: None,
    };
    config.save(&home.config()).unwrap();
    (home, keys)
}

/// Run `guild` on a folder: whether it succeeded, and all it said.
pub(crate) fn guild(home: &Path, passphrase: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guild"));
    command.args(arguments).arg("--data-dir").arg(home).arg("--passphrase-file").arg(passphrase);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn from_the_first_address_on_a_backup_restores_in_an_empty_folder() {
    let bus = made();
    let folder_of_all = tempfile::tempdir().unwrap();
    let at = |name: &str| folder_of_all.path().join(name);
    let (old, new, pass, file) = (at("old"), at("new"), at("pass"), at("backup.age"));
    std::fs::write(&pass, PASSPHRASE).unwrap();
    let (_, keys) = folder(&bus, &old);
    let share = keys.share(Node::EPOCH).unwrap().unwrap().to_bytes();
    let ok = |home: &Path, arguments: &[&str]| {
        let (ok, said) = guild(home, &pass, arguments);
        assert!(ok, "{arguments:?}: {said}");
        said
    };
    assert!(ok(&old, &["share", "check"]).contains(&bus_key(&share)));
    let file = file.to_str().unwrap();
    ok(&old, &["share", "backup", file]);
    ok(&new, &["share", "restore", file]);
    ok(&new, &["share", "check"]);
    let home = Home::at(new.clone());
    let restored = Keystore::open(&home, PASSPHRASE).unwrap();
    assert_eq!(restored.share(Node::EPOCH).unwrap().unwrap().to_bytes(), share);

    let (again, why) = guild(&new, &pass, &["share", "recover"]);
    assert!(!again && why.contains("nothing to recover"), "{why}");
    std::fs::remove_file(home.secret(&keystore::share_name(Node::EPOCH))).unwrap();
    assert!(!guild(&new, &pass, &["share", "check"]).0, "a check that finds no share fails");
    std::fs::remove_file(home.blob(Node::TRANSCRIPT_BLOB)).unwrap();
    let copy = Home::at(old).blob(Node::TRANSCRIPT_BLOB);
    ok(&new, &["share", "recover", "--transcript", copy.to_str().unwrap()]);
    assert_eq!(restored.share(Node::EPOCH).unwrap().unwrap().to_bytes(), share);

    let mut spoilt = share.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    restored.store_share(Node::EPOCH, &KeyShare::from_bytes(&spoilt).unwrap()).unwrap();
    let (whole, why) = guild(&new, &pass, &["share", "check"]);
    assert!(!whole && why.contains("not the one"), "{why}");

    let half = at("half");
    ok(&half, &["share", "restore", file]);
    std::fs::remove_file(Home::at(half.clone()).config()).unwrap();
    let (again, why) = guild(&half, &pass, &["share", "restore", file]);
    assert!(!again && why.contains("cut off"), "{why}");
}

/// The group key in a share, as people see it.
fn bus_key(share: &[u8]) -> String {
    KeyShare::from_bytes(share).unwrap().group().to_string()
}
