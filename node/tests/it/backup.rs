//! What a backup holds and what it must not bring back; what a running daemon shows of its share, and of its
//! memory.

use crate::share::{PASSPHRASE, folder, guild, made};
use node::config::Config;
use node::home::Home;
use node::journal::{Journal, Record};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

type Json = serde_json::Map<String, serde_json::Value>;

/// As the stock `age` tool would open it.
fn opened(file: &Path) -> Json {
    let sealed = std::fs::read(file).unwrap();
    let identity = age::scrypt::Identity::new(PASSPHRASE.to_owned().into());
    let decryptor = age::Decryptor::new(sealed.as_slice()).unwrap();
    let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

fn sealed(backup: &Json) -> Vec<u8> {
    let encryptor = age::Encryptor::with_user_passphrase(PASSPHRASE.to_owned().into());
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
    writer.write_all(&serde_json::to_vec(backup).unwrap()).unwrap();
    writer.finish().unwrap();
    sealed
}

#[test]
fn a_backup_brings_back_no_nonce_no_chain_head_and_no_other_epoch() {
    let bus = made();
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let (old, new, pass, file) = (at("old"), at("new"), at("pass"), at("backup.age"));
    std::fs::write(&pass, PASSPHRASE).unwrap();
    folder(&bus, &old);
    let name = file.to_str().unwrap();
    assert!(guild(&old, &pass, &["share", "backup", name]).0);
    let mut backup = opened(&file);
    let holds: Vec<&str> = backup.keys().map(String::as_str).collect();
    let keys = ["card", "charter_hex", "config", "epoch", "member_hex", "peers", "recovery_hex"];
    assert_eq!(holds, [&keys[..], &["share_hex", "transcript_hex", "v"]].concat(), "and nothing else");

    backup.insert("epoch".to_owned(), 2.into());
    let other = at("other.age");
    std::fs::write(&other, sealed(&backup)).unwrap();
    let (restored, why) = guild(&new, &pass, &["share", "restore", other.to_str().unwrap()]);
    assert!(!restored && why.contains("epoch 2") && why.contains("epoch 1 only"), "{why}");
    assert!(!Home::at(new.clone()).config().exists(), "nothing was written");

    assert!(guild(&new, &pass, &["share", "restore", name]).0);
    let home = Home::at(new);
    let records = Journal::open(&home.journal()).unwrap().records;
    assert!(matches!(records.as_slice(), [Record::Begin(_)]), "no old chain head: {records:?}");
    assert!(!home.journal_mark().exists(), "and it asks the others before it speaks");
}

/// A daemon on a folder, as a person would start it; ended when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(home: &Path, pass: &Path, more: &[&str]) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guild"));
    command.arg("start").args(more).arg("--data-dir").arg(home).arg("--passphrase-file").arg(pass);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut daemon = Daemon(child);
    let mut line = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("runs on"), "{line}");
    daemon
}

#[test]
fn a_daemon_dumps_no_core_and_its_status_begins_with_a_locked_share() {
    let bus = made();
    let root = tempfile::tempdir().unwrap();
    let (home, pass) = (root.path().join("home"), root.path().join("pass"));
    std::fs::write(&pass, PASSPHRASE).unwrap();
    let (paths, _) = folder(&bus, &home);
    let ports = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let ports = ports.map(|held| held.local_addr().unwrap().port());
    let mut config = Config::load(&paths.config()).unwrap();
    config.listen = format!("/ip4/127.0.0.1/tcp/{}", ports[0]);
    config.api = (Ipv4Addr::LOCALHOST, ports[1]).into();
    config.save(&paths.config()).unwrap();

    let first_line = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guild"));
        let output = command.arg("status").arg("--data-dir").arg(&home).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().next().unwrap_or_default().to_owned()
    };
    let locked = start(&home, &pass, &["--locked"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", locked.0.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert!(first_line().contains("its key share: locked"), "{}", first_line());
    drop(locked);
    let _open = start(&home, &pass, &[]);
    assert!(!first_line().contains("key share"), "{}", first_line());
}
