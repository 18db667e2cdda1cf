use super::*;
use crate::anchor::Line;
use crate::ledger::report::{JournalPosting, Terms};
use crate::ledger::{Book, Decision, Knowledge, Ledger, Names, Payee, Period};
use crate::price::PriceFile;
use crate::testkit::Bench;
use bitcoin::{Amount, Network};
use crdt::category::Category;
use crdt::testkit::people;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

/// Names and titles that people could have, and that formats could trip over.
const STRANGE: [&str; 6] = [
    "=HYPERLINK(\"http://x\")",
    "+49 170\n2; drop | \"quoted\" \\ back",
    "-1+1",
    "@SUM(A1)",
    "東京 Zoë;  two  spaces",
    "; comment",
];

/// The books of a guild with strange people: contributions, rewards, payments, a correction.
fn books(names: [&str; 3]) -> Book {
    let (mut bench, [coin, other]) = Bench::funded();
    let members: Vec<_> = people(3).iter().map(crdt::testkit::Person::id).collect();
    let mut known = Knowledge {
        deposits: (1..).zip(members.iter().copied()).collect(),
        names: Names::of_members(members.iter().copied().zip(names)),
        ..Knowledge::default()
    };
    bench.receive([0, 3], Amount::from_sat(123_456));
    bench.receive([0, 0], Amount::from_sat(77_000));
    let categories = [Some(Category::Hosting), Some(Category::Distribution), Some(Category::Sale), None];
    for (seed, (category, title)) in (1..).zip(categories.into_iter().zip(STRANGE)) {
        let anchor = if seed % 2 == 0 { coin } else { other };
        let decided = bench.decide(seed, 100_000 + u64::from(seed), anchor);
        let payment = bench.pay(&decided, 0);
        bench.confirm(vec![payment.clone()]);
        let decision = Decision { line: Line::Once { anchor }, title: title.to_owned(), category };
        known.decisions.insert(decided.decision(), decision);
        let payee = Payee { name: STRANGE[usize::from(seed) + 1].to_owned(), member: None };
        known.payees.insert(crdt::testkit::payee(seed), payee);
        if seed == 1 {
            known.labels.transactions.insert(payment.compute_txid(), "category:power".to_owned());
        }
    }
    bench.mine(8);
    let pending = bench.contribution([0, 1], Amount::from_sat(5_000));
    bench.broadcast(&pending);
    Ledger::of(&bench.view(), Arc::new(known)).at(bench.view())
}

fn prices() -> PriceFile {
    PriceFile::parse("date,currency,price\n1970-01-01,EUR,81234.56\n1970-01-01,JPY,13000000\n").unwrap()
}

fn journal(ledger: &Book, period: Period, currency: Option<&str>) -> Journal {
    let prices = prices();
    let money = currency.map(|code| (code.parse().unwrap(), &prices as &dyn crate::price::Source));
    ledger.journal(&Terms { period, network: Network::Regtest, money })
}

fn late() -> Period {
    Period { from: Some("108".parse().unwrap()), to: None }
}

/// Every journal that a tool is shown: all of it, part of it, with and without prices, of nobody and of
/// strange people.
fn journals() -> Vec<Journal> {
    let ledgers =
        [["alice", "bob", "carol"], ["=1+1", "a  b;c", "\"\\\n"], ["Zoë", "東京", "zoë"]].map(books);
    let all = ledgers.iter().flat_map(|ledger| {
        [(Period::default(), None), (Period::default(), Some("EUR")), (late(), Some("JPY")), (late(), None)]
            .map(|(period, currency)| journal(ledger, period, currency))
    });
    let empty = Bench::default();
    let empty = Ledger::of(&empty.view(), Arc::new(Knowledge::default())).at(empty.view());
    all.chain([journal(&empty, Period::default(), Some("EUR"))]).collect()
}

/// Let a program of another project judge `text`. Skips, loudly, where it is not installed.
fn judged_by(program: &str, arguments: &[&str], extension: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("books").with_extension(extension);
    std::fs::write(&file, text).unwrap();
    let run = Command::new(program).args(arguments).arg(&file).output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: there is no {program}; Debian's packages are hledger and beancount");
            return;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} says:\n{out}{err}\nof\n{text}");
}

fn hledger(text: &str) {
    judged_by("hledger", &["check", "--strict", "ordereddates", "-f"], "journal", text);
}

fn bean_check(text: &str) {
    judged_by("bean-check", &[], "beancount", text);
}

#[test]
fn hledger_finds_nothing_wrong() {
    journals().iter().for_each(|journal| hledger(&export(journal, Format::Hledger)));
}

#[test]
fn bean_check_finds_nothing_wrong() {
    journals().iter().for_each(|journal| bean_check(&export(journal, Format::Beancount)));
}

#[test]
fn both_tools_would_find_a_satoshi_that_is_missing() {
    if Command::new("hledger").arg("--version").output().is_err() {
        println!("SKIPPED: there is no hledger");
        return;
    }
    let mut journal = journal(&books(["alice", "bob", "carol"]), Period::default(), None);
    journal.closing_sat += 1;
    for (judge, format) in [(hledger as fn(&str), Format::Hledger), (bean_check, Format::Beancount)] {
        let text = export(&journal, format);
        let found = std::panic::catch_unwind(|| judge(&text));
        assert!(found.is_err(), "{format} lets it through");
    }
}

fn records(text: &str) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        header.iter().cloned().zip(row.iter().map(str::to_owned)).collect()
    });
    let rows = rows.collect();
    (header, rows)
}

#[test]
fn no_cell_that_people_wrote_is_a_formula() {
    let journal = journal(&books(["=1+1", "+1", "@x"]), Period::default(), Some("EUR"));
    for format in [Format::Csv, Format::Koinly] {
        let (_, rows) = records(&export(&journal, format));
        let words = ["description", "payee", "account", "address", "Description", "Label"];
        let cells = rows.iter().flat_map(|row| words.iter().filter_map(|name| row.get(*name)));
        for cell in cells {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{format}: {cell}");
            assert!(!cell.contains('\n'), "{format}: {cell:?}");
        }
    }
    let (_, rows) = records(&export(&journal, Format::Csv));
    assert!(rows.iter().any(|row| row["description"] == "'=HYPERLINK(\"http://x\")"), "the words survive");
    assert!(rows.iter().any(|row| row["payee"] == "東京 Zoë;  two  spaces"));
    let numbers = rows.iter().map(|row| row["amount_sat"].parse::<i64>().unwrap());
    assert_eq!(numbers.sum::<i64>(), 0, "an amount below zero stays a number");
}

#[test]
fn koinly_gets_its_columns_its_dates_and_the_tags_that_it_knows() {
    let journal = journal(&books(["alice", "bob", "carol"]), Period::default(), Some("EUR"));
    let (header, rows) = records(&export(&journal, Format::Koinly));
    assert_eq!(
        header.join(","),
        "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,Net Worth Amount,Net Worth Currency,Label,Description,TxHash"
    );
    let find = |label: &str, column: &str| -> Vec<String> {
        rows.iter().filter(|row| row["Label"] == label).map(|row| row[column].clone()).collect()
    };
    assert_eq!(find("mining", "Received Amount"), ["50.00000000", "50.00000000", "50.00000000"]);
    assert_eq!(find("mining", "Net Worth Amount")[0], "4061728.00");
    assert!(find("cost", "Sent Amount").contains(&"0.00100001".to_owned()));
    let shape = |date: &str| date.len() == 20 && date.ends_with(" UTC") && date.as_bytes()[10] == b' ';
    assert!(rows.iter().all(|row| shape(&row["Date"])), "{:?}", rows[0]);
    // what Koinly adds up is what the treasury holds
    let sat = |text: &str| text.replace('.', "").parse::<i64>().unwrap_or_default();
    let total: i64 = rows
        .iter()
        .map(|row| sat(&row["Received Amount"]) - sat(&row["Sent Amount"]) - sat(&row["Fee Amount"]))
        .sum();
    assert_eq!(total, journal.closing_sat);
}

#[test]
fn bip329_lines_are_objects_with_exact_numbers() {
    let journal = journal(&books(["alice", "bob", "carol"]), Period::default(), Some("EUR"));
    let text = export(&journal, Format::Bip329);
    let mut sum = 0;
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(["tx", "output"].contains(&record["type"].as_str().unwrap()));
        assert!(record["ref"].is_string() && record["label"].is_string());
        if record["type"] == "tx" {
            sum += record["value"].as_i64().unwrap();
        }
        let deep = record["height"].as_u64();
        assert_eq!(deep.is_some(), record["time"].is_string(), "a time is that of the height");
        assert!(deep.is_none_or(|height| height + 5 <= u64::from(journal.height)));
    }
    assert_eq!(sum, journal.closing_sat);
    assert!(text.contains("\"rate\":{\"EUR\":81234.56}"), "digit for digit");
    assert!(text.contains("1970-01-01T00:0"));
}

#[test]
fn what_is_in_no_block_is_in_no_export() {
    let journal = journal(&books(["alice", "bob", "carol"]), Period::default(), None);
    let [pending] = journal.pending.as_slice() else { panic!("{:?}", journal.pending) };
    for (format, _) in FORMATS {
        assert!(!export(&journal, format).contains(&pending.txid), "{format}");
    }
}

#[test]
fn a_day_without_a_price_has_none_in_any_format() {
    let ledger = books(["alice", "bob", "carol"]);
    let file = PriceFile::parse("date,currency,price\n1970-01-02,EUR,81234.56\n").unwrap();
    let money = Some(("EUR".parse().unwrap(), &file as &dyn crate::price::Source));
    let journal = ledger.journal(&Terms { period: Period::default(), network: Network::Regtest, money });
    assert_eq!(journal.missing_prices, ["1970-01-01"]);
    let none = |posting: &JournalPosting| posting.value_minor.is_none();
    assert!(journal.entries.iter().flat_map(|entry| &entry.postings).all(none));
    for (format, _) in FORMATS {
        assert!(!export(&journal, format).contains("81234"), "{format}");
    }
}

#[test]
fn a_time_is_written_as_iso_8601_says() {
    let table = [
        (0, "1970-01-01T00:00:00Z"),
        (1_737_632_435, "2025-01-23T11:40:35Z"),
        (86_399, "1970-01-01T23:59:59Z"),
    ];
    for (unix, text) in table {
        assert_eq!(iso(unix), text);
    }
}
