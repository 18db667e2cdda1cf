//! What the books say through the command line: every report, of all time and of a part of it, every export,
//! and what is no question that can be asked.

use examples::guild::{Guild, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What one block pays.
const REWARD: i64 = 5_000_000_000;

/// A guild whose farm, alice and carol got one block reward each, in this order, and nothing else.
pub(crate) fn tell_what_came_in(guild: &Guild) {
    let heights = contributions(guild);
    pnl(guild, &heights);
    let payouts = ask(guild, "payouts", &[]);
    assert_eq!((&payouts["total_sat"], &payouts["payouts"]), (&json!(0), &json!([])));
    ledger(guild, &heights);
    exports(guild, &guild.home("alice"));
    for wrong in
        [&["pnl", "--from", "yesterday"][..], &["ledger", "--format", "xls"], &["pnl", "--currency", "EUR"]]
    {
        let refused = guild.run("alice", &[&["report"], wrong].concat()).unwrap();
        assert_eq!(refused.exit, 2, "{wrong:?}: {}", refused.message);
    }
}

fn ask(guild: &Guild, kind: &str, more: &[&str]) -> Value {
    guild.ok("alice", &[&["report", kind], more].concat()).unwrap()
}

/// Who paid in. The heights at which the three rewards came.
fn contributions(guild: &Guild) -> Vec<u64> {
    let all = ask(guild, "contributions", &[]);
    assert_eq!(all["total_sat"], json!(2 * REWARD));
    let names: BTreeSet<String> =
        all["contributors"].as_array().unwrap().iter().map(|who| text(who, "contributor").unwrap()).collect();
    assert_eq!(names, ["alice", "carol"].map(str::to_owned).into());
    assert!(all["contributors"].as_array().unwrap().iter().all(|who| who["share_ppm"] == json!(500_000)));
    for name in ["bob", "carol"] {
        assert_eq!(guild.ok(name, &["report", "contributions"]).unwrap(), all, "{name} has the same books");
    }
    let journal = ask(guild, "ledger", &[]);
    let entries = journal["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["height"].as_u64().unwrap()).collect()
}

fn pnl(guild: &Guild, heights: &[u64]) {
    let all = ask(guild, "pnl", &[]);
    assert_eq!((&all["income_sat"], &all["closing_sat"]), (&json!(REWARD), &json!(3 * REWARD)));
    let [mined, first, second] = heights else { panic!("{heights:?}") };
    assert!(mined < first && first < second);
    // both ends are included; what was before is the opening balance
    let [from, to] = [first, second].map(ToString::to_string);
    let part = ask(guild, "pnl", &["--from", &from, "--to", &to]);
    assert_eq!((&part["opening_sat"], &part["income_sat"]), (&json!(REWARD), &json!(0)));
    let before = ask(guild, "pnl", &["--to", &mined.to_string()]);
    assert_eq!((&before["opening_sat"], &before["closing_sat"]), (&json!(0), &json!(REWARD)));
    let never = ask(guild, "pnl", &["--to", "2009-01-03"]);
    assert_eq!(never["closing_sat"], json!(0));
}

fn ledger(guild: &Guild, heights: &[u64]) {
    let to = heights[1].to_string();
    let journal = ask(guild, "ledger", &["--to", &to]);
    let entries = journal["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let postings = entry["postings"].as_array().unwrap();
        assert_eq!(postings.iter().map(|posting| posting["sat"].as_i64().unwrap()).sum::<i64>(), 0);
    }
    // with prices of one day for all days, in minor units
    let day = entries[0]["date"].as_str().unwrap();
    let prices = guild.home("alice").join("prices.csv");
    fs::write(&prices, format!("date,currency,price\n{day},EUR,20000\n")).unwrap();
    let priced = ask(guild, "pnl", &["--to", &to, "--currency", "EUR", "--prices", prices.to_str().unwrap()]);
    assert_eq!(priced["income"][0]["value_minor"], json!(50 * 20_000 * 100));
}

/// Every format, to a file that its own program can read, where that is installed.
fn exports(guild: &Guild, folder: &Path) {
    let formats: [(&str, &str, Option<&[&str]>); 5] = [
        ("csv", "assets:treasury", None),
        ("hledger", "equity:contributions:alice", Some(&["hledger", "check", "--strict", "-f"])),
        ("beancount", "Equity:Contributions:Alice", Some(&["bean-check"])),
        ("koinly", "BTC", None),
        ("bip329", "\"type\":\"tx\"", None),
    ];
    for (format, word, judge) in formats {
        let file = folder.join(format!("books.{format}"));
        let path = file.to_str().unwrap();
        let said = ask(guild, "ledger", &["--format", format, "--out", path]);
        assert_eq!(said["file"], json!(path));
        let written = fs::read_to_string(&file).unwrap();
        assert!(written.contains(word), "{format}: {written}");
        let told = text(&ask(guild, "ledger", &["--format", format]), "text").unwrap();
        assert_eq!(told, written, "{format}: on the terminal as in the file");
        let Some([program, arguments @ ..]) = judge else { continue };
        if let Ok(output) = Command::new(program).args(arguments).arg(&file).output() {
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
