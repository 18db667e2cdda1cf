//! Members of a running guild write together: drafts, labels, contacts, sites, notes.

use examples::guild::{Guild, outsider, text};
use examples::narrate::Narrator;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long words may take from node to node.
const HEARD: Duration = Duration::from_secs(60);

fn until(what: &str, mut done: impl FnMut() -> Option<bool>) {
    let waited = Narrator::new(0)
        .wait(HEARD, what, || Ok(if done() == Some(true) { Ok(()) } else { Err(what.to_owned()) }));
    waited.unwrap();
}

fn draft(guild: &Guild, name: &str, id: &str) -> Option<Value> {
    guild.ok(name, &["draft", "show", id]).ok()
}

/// Two edit one draft at once, one of them in an editor; it is proposed; the registers travel.
pub(crate) fn members_write_together(guild: &Guild) {
    let body = "The roof leaks.\nThe host asks for more.";
    let begun = guild.ok("alice", &["draft", "new", "--title", "A new roof", "--body", body]).unwrap();
    let id = text(&begun, "id").unwrap();
    until("all have the draft", || {
        Some(draft(guild, "bob", &id)? == begun && draft(guild, "carol", &id)? == begun)
    });
    let editor = guild.command_line("bob", &format!("draft edit {id}"));
    let script = r#"EDITOR='sed -i s/leaks/leaks🦀/' "#.to_owned() + &editor;
    let edited = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    let payee = outsider(b"the roofer").unwrap().to_string();
    let pay = format!("{payee}=20000");
    guild.ok("carol", &["draft", "edit", &id, "--append", "Carol agrees.", "--pay", &pay]).unwrap();
    until("all have both edits", || {
        let drafts = ["alice", "bob", "carol"].map(|name| draft(guild, name, &id));
        Some(drafts.iter().all(|draft| *draft == drafts[0]) && drafts[0].as_ref()?["edits"] == 3)
    });
    let both = draft(guild, "alice", &id[..8]).unwrap();
    assert_eq!(both["body"], "The roof leaks🦀.\nThe host asks for more.\nCarol agrees.");
    let history = guild.ok("alice", &["draft", "history", &id]).unwrap();
    assert_eq!(history["edits"].as_array().unwrap().len(), 3);
    let was = guild.ok("carol", &["draft", "show", &id, "--at", &id]).unwrap();
    assert_eq!(was["body"], body);
    let proposed = guild.ok("alice", &["draft", "propose", &id]).unwrap();
    assert_eq!(proposed["outputs"][0]["address"], payee);
    assert_eq!(proposed["text"], both["body"]);
    guild.ok("alice", &["proposal", "withdraw", &text(&proposed, "id").unwrap()]).unwrap();
    registers_travel(guild);
}

fn registers_travel(guild: &Guild) {
    let (from, to) = (guild.home("alice").join("in.jsonl"), guild.home("bob").join("out.jsonl"));
    let outpoint = format!("{}:0", "ab".repeat(32));
    let labels = format!(
        "{{\"type\":\"tx\",\"ref\":\"{0}\",\"label\":\"rent\"}}\n{{\"type\":\"output\",\"ref\":\"{outpoint}\",\"spendable\":false}}\n",
        "ab".repeat(32)
    );
    std::fs::write(&from, &labels).unwrap();
    let import = ["label", "import", from.to_str().unwrap()];
    assert_eq!(guild.ok("alice", &import).unwrap()["labels"], 2);
    guild.ok("alice", &["contact", "add", "roofer", "--address", "bcrt1q", "--field", "tel=+1"]).unwrap();
    guild.ok("alice", &["site", "add", "barn", "--field", "host=Zoë"]).unwrap();
    guild.ok("alice", &["site", "add", "barn/1", "--field", "model=S9"]).unwrap();
    guild.ok("alice", &["note", "set", "keys", "under the mat"]).unwrap();
    until("bob has it all", || {
        let note = guild.ok("bob", &["note", "list"]).ok()?;
        Some(note["items"]["keys"]["text"] == "under the mat")
    });
    guild.ok("bob", &["label", "export", "--out", to.to_str().unwrap()]).unwrap();
    let line =
        |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let mut given = line(&labels);
    given.sort_by_key(|label| label["type"].to_string());
    assert_eq!(line(&std::fs::read_to_string(&to).unwrap()), given);
    let contacts = guild.ok("bob", &["contact", "list"]).unwrap();
    assert_eq!(contacts["items"]["roofer"]["tel"], "+1");
    guild.ok("bob", &["contact", "remove", "roofer"]).unwrap();
    guild.ok("bob", &["site", "remove", "barn"]).unwrap();
    assert_eq!(guild.ok("bob", &["site", "list"]).unwrap()["items"], serde_json::json!({}));
}

/// One clear line and the documented code for each mistake, and nothing said.
pub(crate) fn bad_words_change_nothing(guild: &Guild) {
    let id = text(&guild.ok("alice", &["draft", "new", "--title", "x"]).unwrap(), "id").unwrap();
    let before = guild.ok("alice", &["status"]).unwrap()["entries"].clone();
    let bad = guild.home("alice").join("bad.jsonl");
    std::fs::write(
        &bad,
        "{\"type\":\"tx\",\"ref\":\"ab\",\"label\":\"x\"}\n{\"type\":\"coin\",\"ref\":\"ab\"}\n",
    )
    .unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["draft", "new", "--title", ""], 2, "title"),
        (&["draft", "new", "--title", "x", "--body-file", "/nowhere"], 1, "/nowhere"),
        (&["draft", "edit", &id, "--body", "a\tb"], 2, "unprintable"),
        (&["draft", "edit", &id, "--body", "a", "--append", "b"], 2, "--append"),
        (&["draft", "edit", &id, "--pay", "nobody"], 2, "ADDRESS=SATOSHIS"),
        (&["draft", "edit", &id, "--pay", "nobody=5"], 2, "nobody"),
        (&["draft", "edit", &id, "--unpay", "nobody"], 3, "nobody"),
        (&["draft", "edit", "ffffffff", "--title", "y"], 3, "no draft"),
        (&["draft", "show", "../status"], 2, "no draft id"),
        (&["draft", "propose", &id], 5, "pays nobody"),
        (&["label", "add", "coin", "ab", "x"], 2, "coin"),
        (&["label", "add", "tx", "ab", "x", "--spendable", "true"], 2, "only an output"),
        (&["label", "remove", "tx", "nowhere"], 3, "nowhere"),
        (&["label", "import", bad.to_str().unwrap()], 2, "line 2"),
        (&["contact", "add", "nobody"], 2, "--address"),
        (&["contact", "remove", "nobody"], 3, "nobody"),
        (&["site", "add", "a/b/c", "--field", "x=y"], 2, "SITE/MACHINE"),
        (&["site", "remove", "nowhere"], 3, "nowhere"),
        (&["note", "remove", "nothing"], 3, "nothing"),
    ];
    for (args, exit, needle) in cases {
        let answer = guild.run("alice", args).unwrap();
        assert_eq!(answer.exit, *exit, "{args:?}: {}", answer.message);
        assert_eq!(answer.message.lines().count(), 1, "{args:?}: one line: {}", answer.message);
        assert!(answer.message.contains(needle), "{args:?}: {}", answer.message);
    }
    assert_eq!(guild.ok("alice", &["status"]).unwrap()["entries"], before);
}
