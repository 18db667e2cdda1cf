//! The story of the demo as a test, then a look around it, then everything a clumsy person could type.

use examples::guild::{Guild, NAMES, outsider, text};
use examples::narrate::Narrator;
use examples::story::{self, STEPS};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long nodes may take to agree.
const AGREE: Duration = Duration::from_secs(60);

#[test]
fn the_whole_story() {
    let folder = crate::folder();
    let mut narrator = Narrator::new(STEPS);
    let mut guild = story::run(folder.path(), crate::programs(), &mut narrator).unwrap();
    let summary = story::summary(&narrator);
    let steps = summary["steps"].as_array().unwrap();
    assert_eq!(steps.len(), STEPS);
    assert!(steps.iter().all(|step| step["ok"] == true), "{summary}");
    looking_around_works_as_printed(&guild);
    the_record_is_the_same_everywhere(&guild);
    crate::workspace::members_write_together(&guild);
    crate::workspace::bad_words_change_nothing(&guild);
    bad_input_changes_nothing(&mut guild);
    a_backup_restores(&guild);
    a_vote_is_told_as_it_comes(&guild);
    the_past_is_what_it_was(&guild);
    a_guest_reads_along(&mut guild);
    a_lost_database_comes_back_from_others(&mut guild);
}

fn propose(guild: &Guild, title: &str) -> String {
    let pay = format!("{}=10000", outsider(title.as_bytes()).unwrap());
    text(&guild.ok("alice", &["proposal", "new", "--title", title, "--pay", &pay]).unwrap(), "id").unwrap()
}

/// bob sees on the events stream what alice does, with the place in the record where it is.
fn a_vote_is_told_as_it_comes(guild: &Guild) {
    let line = guild.command_line("bob", "events --json");
    let mut words = line.split(' ');
    let mut listener = Command::new(words.next().unwrap());
    let mut listener = listener.args(words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines().map_while(Result::ok);
    std::thread::sleep(Duration::from_secs(1)); // it must listen before there is something to hear
    let id = propose(guild, "Told as it comes");
    guild.ok("alice", &["proposal", "vote", &id, "no"]).unwrap();
    let mut told = |kind: &str| {
        let events = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        events.take(50).find(|event| event["kind"] == kind).unwrap()
    };
    assert_eq!(told("proposed")["path"], serde_json::json!(["proposals", id]));
    let voted = told("voted");
    assert_eq!(voted["path"], serde_json::json!(["proposals", id, "ballots", "alice"]));
    assert_eq!(voted["member"], "alice");
    listener.kill().unwrap();
    listener.wait().unwrap();
}

/// The record as of a height or an entry holds what had been said by then, and no more.
fn the_past_is_what_it_was(guild: &Guild) {
    let height = guild.bitcoind.height().unwrap();
    let id = propose(guild, "Not yet known");
    let at = |when: &[&str]| guild.ok("alice", &[&["document", "at"], when].concat()).unwrap();
    let now = at(&["--height", &height.to_string()]);
    assert!(now["proposals"].to_string().contains(&id));
    let early = at(&["--height", "1"]);
    assert_eq!(early["guild"]["height"], 1);
    assert!(!early["proposals"].to_string().contains(&id));
    let before = at(&["--entry", &id]);
    assert!(before["proposals"].to_string().contains(&id), "up to the entry and with it");
    guild.ok("alice", &["proposal", "withdraw", &id]).unwrap();
    assert!(at(&["--entry", &id])["proposals"].to_string().contains("\"withdrawn\":false"));
    for (when, exit, words) in [
        (["--height", "99999"], 2, "is not between"),
        (["--entry", &"ab".repeat(32)], 3, "no entry"),
        (["--entry", "xyz"], 2, "64 hexadecimal digits"),
    ] {
        let answer = guild.run("alice", &["document", "at", when[0], when[1]]).unwrap();
        assert_eq!((answer.exit, answer.message.contains(words)), (exit, true), "{}", answer.message);
    }
}

/// Something done to a folder.
type Damage = fn(&Path);

/// What must survive is in the journal; the rest is said to be lost and comes from peers.
fn a_lost_database_comes_back_from_others(guild: &mut Guild) {
    let narrator = Narrator::new(0);
    let damages: [(&str, Damage); 3] = [
        ("the database is new", |db| std::fs::remove_dir_all(db).unwrap()),
        ("the database lost", |db| {
            let db = sled::open(db).unwrap();
            db.drop_tree("packed").unwrap();
            db.drop_tree("loose").unwrap();
            db.flush().unwrap();
        }),
        ("database", |db| {
            for file in std::fs::read_dir(db).unwrap().flatten() {
                if file.file_type().unwrap().is_file() {
                    std::fs::write(file.path(), b"torn").unwrap();
                }
            }
        }),
    ];
    for (words, damage) in damages {
        guild.stop("carol").unwrap();
        damage(&guild.home("carol").join("db"));
        guild.start("carol", &narrator).unwrap();
        let log = std::fs::read_to_string(guild.log("carol")).unwrap();
        assert!(log.contains(words), "{words}: {log}");
        let state = |name| {
            let status = guild.ok(name, &["status"])?;
            Ok::<_, anyhow::Error>((
                status["height"].clone(),
                status["state_hash"].clone(),
                status["entries"].clone(),
            ))
        };
        let again = narrator.wait(AGREE, "carol to have everything again", || {
            let (carol, alice) = (state("carol")?, state("alice")?);
            Ok(if carol == alice { Ok(()) } else { Err(format!("{carol:?} {alice:?}")) })
        });
        again.unwrap();
    }
}

fn looking_around_works_as_printed(guild: &Guild) {
    let lines = story::look_around(guild);
    assert!(lines.len() >= 6);
    for line in lines {
        let output = Command::new("bash").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !output.stdout.is_empty(), "{line}: {err}");
    }
}

fn the_record_is_the_same_everywhere(guild: &Guild) {
    let file = guild.home("alice").join("record.automerge");
    let export = |name: &str| {
        let file = file.display().to_string();
        guild.ok(name, &["document", "export", "--format", "automerge", "--out", &file]).unwrap()
    };
    let heads: Vec<Value> = NAMES.iter().map(|name| export(name)["heads"].clone()).collect();
    assert!(heads.iter().all(|other| *other == heads[0]), "{heads:?}");
    assert!(std::fs::metadata(file).unwrap().len() > 1_000);
}

fn bad_input_changes_nothing(guild: &mut Guild) {
    let before = guild.ok("alice", &["status"]).unwrap()["state_hash"].clone();
    let payee = outsider(b"somebody").unwrap();
    let too_much = format!("{payee}=2100000000000000");
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4=10000";
    let dust = format!("{payee}=1");
    let little = format!("{payee}=10000");
    let unknown = "ab".repeat(32);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--no-such-flag"], 2, "--no-such-flag"),
        (&["proposal", "new", "--title", "x", "--pay", mainnet], 2, "network"),
        (&["proposal", "new", "--title", "x", "--pay", "bcrt1qgarbage=10000"], 2, "bcrt1qgarbage"),
        (&["proposal", "new", "--title", "x", "--pay", "no amount"], 2, "ADDRESS=SATOSHIS"),
        (&["proposal", "new", "--title", "x", "--pay", &dust], 2, "dust"),
        (&["proposal", "new", "--title", "two\nlines", "--pay", &little], 2, "unprintable"),
        (&["proposal", "new", "--title", "x", "--pay", &too_much], 8, "sat"),
        (&["proposal", "vote", &unknown, "yes", "--final"], 3, "no proposal"),
        (&["proposal", "show", "../../status"], 2, "proposal id"),
        (&["proposal", "execute", &unknown], 3, "no proposal"),
        (&["entry", "show", &unknown], 3, "no entry"),
        (&["start"], 6, "in use by process"),
        (
            &["init", "--network", "regtest", "--name", "x", "--bitcoind", "u", "--cookie", "c"],
            6,
            "already holds",
        ),
        (&["join", "guild1garbage", "--yes"], 6, "in use by process"),
    ];
    for (args, exit, needle) in cases {
        let answer = guild.run("alice", args).unwrap();
        assert_eq!(answer.exit, *exit, "{args:?}: {}", answer.message);
        assert_eq!(answer.message.lines().count(), 1, "{args:?}: one line: {}", answer.message);
        assert!(answer.message.contains(needle), "{args:?}: {}", answer.message);
        let detail = answer.json.pointer("/error/detail").and_then(Value::as_str).unwrap();
        assert!(answer.message.contains(detail.lines().next().unwrap()), "{args:?}: {detail}");
    }
    let after = guild.ok("alice", &["status"]).unwrap()["state_hash"].clone();
    assert_eq!(before, after);
    a_wrong_network_is_refused(guild);
}

fn a_wrong_network_is_refused(guild: &Guild) {
    let invitation = text(&guild.ok("alice", &["invite"]).unwrap(), "invitation").unwrap();
    let init = ["init", "--network", "signet", "--name", "zoe", "--bitcoind", "u", "--cookie", "c"];
    guild.ok("zoe", &init).unwrap();
    let answer = guild.run("zoe", &["join", &invitation, "--yes"]).unwrap();
    assert_eq!((answer.exit, answer.message.contains("regtest")), (2, true), "{}", answer.message);
    assert!(!guild.home("zoe").join("charter").exists());
    let none = guild.run("yves", &["init", "--name", "y", "--bitcoind", "u", "--cookie", "c"]).unwrap();
    assert_eq!((none.exit, none.message.contains("--network")), (2, true), "{}", none.message);
}

fn a_backup_restores(guild: &Guild) {
    let file = guild.home("carol").join("carol.age").display().to_string();
    guild.ok("carol", &["share", "backup", &file]).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "the stock age tool opens it");
    let restored = guild.ok("carol-again", &["share", "restore", &file]).unwrap();
    assert_eq!(restored["share"], true);
    let again = guild.run("carol-again", &["share", "restore", &file]).unwrap();
    assert_eq!(again.exit, 6, "{}", again.message);
}

fn a_guest_reads_along(guild: &mut Guild) {
    guild.init("guest").unwrap();
    let card = std::fs::read_to_string(guild.home("guest").join("card")).unwrap();
    let invitation = text(&guild.ok("alice", &["invite", &card]).unwrap(), "invitation").unwrap();
    let narrator = Narrator::new(0);
    let joined = narrator.wait(AGREE, "the invitation to be known", || {
        let answer = guild.run("guest", &["join", &invitation, "--yes"])?;
        Ok(if answer.exit == 0 { Ok(answer.json) } else { Err(answer.message) })
    });
    assert_eq!(joined.unwrap()["founder"], false);
    guild.start("guest", &narrator).unwrap();
    let state = |guild: &Guild, name| {
        let status = guild.ok(name, &["status"]).unwrap();
        (status["height"].clone(), status["state_hash"].clone())
    };
    let same = narrator.wait(AGREE, "the guest to have the members' state", || {
        let (guest, alice) = (state(guild, "guest"), state(guild, "alice"));
        Ok(if guest == alice { Ok(()) } else { Err(format!("{guest:?} {alice:?}")) })
    });
    same.unwrap();
    let payee = outsider(b"guest").unwrap();
    let spend = guild.run("guest", &["proposal", "new", "--title", "x", "--pay", &format!("{payee}=10000")]);
    assert_ne!(spend.unwrap().exit, 0, "a guest says nothing");
}
