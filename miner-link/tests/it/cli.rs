//! What people type, and what comes back.

use crate::farm::{Farm, LINK};
use miner_link::testkit::Guild;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

fn link(arguments: &[String]) -> Output {
    Command::new(LINK).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_running_link_answers_and_keeps_others_out() {
    let mut farm = Farm::start(Guild::founding);
    crate::farm::wait_for("a job", || farm.status().jobs > 0);
    let pid = miner_link::home::addresses(&farm.data_dir()).unwrap().pid;
    let second = link(&farm.arguments("run"));
    assert_eq!(second.status.code(), Some(6), "{}", said(&second));
    assert!(said(&second).contains(&format!("pid {pid}")), "{}", said(&second));

    let folder = farm.data_dir().display().to_string();
    let status = link(&words(&format!("status --data-dir {folder}")));
    assert_eq!(status.status.code(), Some(0));
    assert!(said(&status).contains("solo, all to the treasury bcrt1p"), "{}", said(&status));
    let workers = link(&words(&format!("workers --json --data-dir {folder}")));
    assert_eq!(said(&workers).trim(), r#"{"v":1,"workers":[]}"#);
    let pools = link(&words(&format!("pools --data-dir {folder}")));
    assert_eq!(said(&pools).trim(), "no pool is configured");
    let check = link(&farm.arguments("check"));
    assert_eq!(check.status.code(), Some(0), "{}", said(&check));
    assert!(said(&check).contains("would mine to the treasury"), "{}", said(&check));
    for private in ["link.key", "pairing"] {
        let mode = farm.data_dir().join(private).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }

    farm.stop_link();
    let status = link(&words(&format!("status --data-dir {folder}")));
    assert_eq!(status.status.code(), Some(69), "{}", said(&status));
    // Another guild's code does not get this folder.
    let mut other = Guild::new(3);
    other.charter.birth.height = 1;
    let arguments = farm.arguments("run").join(" ");
    let ours = arguments.split(' ').find(|word| word.starts_with("guildlink1")).unwrap().to_owned();
    let refused = link(&words(&arguments.replace(&ours, &other.pairing().to_string())));
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
}

#[test]
fn wrong_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().display();
    let good = "--bitcoind http://127.0.0.1:1 --cookie /none";
    let pairing = Guild::new(3).pairing().to_string();
    std::fs::write(dir.path().join("typo.toml"), "bitcoind = \"http://127.0.0.1:1\"\nlisen = \"x\"\n")
        .unwrap();
    let written = |name: &str, text: &str| {
        let text = format!("bitcoind = \"http://127.0.0.1:1\"\ncookie = \"/none\"\n{text}");
        std::fs::write(dir.path().join(name), text).unwrap();
        format!("run --data-dir {folder} --pairing {pairing} --config {folder}/{name}")
    };
    let pool = |url: &str| format!("[[pool]]\nurl = \"{url}\"\nuser = \"x\"\n");
    let scheme = written("scheme.toml", &pool("http://pool.example:3333"));
    let port = written("port.toml", &pool("stratum+tcp://pool.example"));
    let many = written("many.toml", &pool("stratum+tcp://pool.example:1").repeat(9));
    let authority = pool("stratum+ssl://pool.example:1") + "authority = \"/none\"\n";
    let authority = written("authority.toml", &authority).replace("run ", "run --listen 127.0.0.1:0 ");
    let zero = written("zero.toml", "difficulty = 0.0\n");
    let nobody = written("nobody.toml", "connections = 0\n");
    // (arguments, exit code, what must be said)
    let cases = [
        (scheme, 78, "stratum+tcp://"),
        (port, 78, "HOST:PORT"),
        (many, 78, "at most 8 pools"),
        (zero, 78, "difficulty"),
        (nobody, 78, "connections"),
        (format!("run --data-dir {folder} {good} --bitcoind http://127.0.0.1:2"), 78, "as many --cookie"),
        ("frobnicate".to_owned(), 2, "unrecognized"),
        (format!("run --data-dir {folder}"), 78, "--bitcoind"),
        (format!("run --data-dir {folder} {good}"), 78, "--pairing"),
        (format!("run --data-dir {folder} {good} --pairing guildlink1x"), 78, "not a pairing code"),
        (format!("run --data-dir {folder} {good} --pairing {pairing} --api 0.0.0.0:1"), 78, "loopback"),
        (format!("run --data-dir {folder} --config {folder}/typo.toml"), 78, "`lisen`"),
        (format!("run --data-dir {folder} --config {folder}/none.toml"), 78, "cannot be read"),
        (format!("check --data-dir {folder} {good} --pairing {pairing}"), 69, "not reachable"),
        (format!("status --data-dir {folder}"), 69, "no miner-link runs"),
        // The last: from here on the folder is paired.
        (authority, 1, "no certificate"),
    ];
    for (arguments, code, expected) in cases {
        let output = link(&words(&arguments));
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments}: {}", said(&output));
    }
}
