//! `guild report …`: what the books say.

use super::say::Say;
use crate::api::dto::report::{Exported, Report as Kind, Terms, Versioned};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use clap::{Args, Subcommand};
use serde::{Serialize, de::DeserializeOwned};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use wallet::export::Format;
use wallet::ledger::report::{Contributions, Journal, JournalEntry, Line, Payouts, Pnl};
use wallet::price::{BYTES_MAX, Currency};

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Income, expenses, and what is left.
    Pnl(About),
    /// Every entry of the books, also for hledger, beancount, Koinly, spreadsheets and wallets.
    Ledger(Ledger),
    /// Who was paid.
    Payouts(About),
    /// Who paid in.
    Contributions(About),
}

/// What a report is about.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// The first day (YYYY-MM-DD, UTC) or block.
    #[arg(long, value_name = "DAY|HEIGHT")]
    from: Option<String>,
    /// The last.
    #[arg(long, value_name = "DAY|HEIGHT")]
    to: Option<String>,
    /// Say what amounts were worth when they moved.
    #[arg(long, value_name = "CODE", requires = "prices")]
    currency: Option<Currency>,
    /// What a bitcoin was worth: a CSV file with the columns date,currency,price.
    #[arg(long, value_name = "FILE", requires = "currency")]
    prices: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    #[command(flatten)]
    about: About,
    /// csv, hledger, beancount, koinly or bip329.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write it to this file.
    #[arg(long, value_name = "FILE", requires = "format")]
    out: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::Pnl(about) => show(&client, say, Kind::Pnl, about, pnl),
            Self::Payouts(about) => show(&client, say, Kind::Payouts, about, payouts),
            Self::Contributions(about) => show(&client, say, Kind::Contributions, about, contributions),
            Self::Ledger(Ledger { about, format: None, .. }) => {
                show(&client, say, Kind::Ledger, about, journal)
            }
            Self::Ledger(Ledger { about, format, out }) => {
                let exported: Versioned<Exported> = ask(&client, Kind::Ledger, about, format)?;
                written(say, &exported, out.as_deref())
            }
        }
    }
}

fn show<T: Serialize + DeserializeOwned>(
    client: &Client,
    say: Say,
    kind: Kind,
    about: About,
    text: fn(&T) -> Vec<String>,
) -> Outcome<()> {
    let report: Versioned<T> = ask(client, kind, about, None)?;
    say.data(&report, || text(&report.report).join("\n"));
    Ok(())
}

fn ask<T: DeserializeOwned>(client: &Client, kind: Kind, about: About, format: Option<Format>) -> Outcome<T> {
    let prices = about.prices.as_deref().map(read).transpose()?;
    let currency = about.currency.map(|currency| currency.to_string());
    let path = match kind {
        Kind::Pnl => "reports/pnl",
        Kind::Ledger => "reports/ledger",
        Kind::Payouts => "reports/payouts",
        Kind::Contributions => "reports/contributions",
    };
    client.post(path, &Terms { from: about.from, to: about.to, currency, prices, format })
}

/// A price file, as far as one may be long.
fn read(path: &Path) -> Outcome<String> {
    let fail = |error| Failure::because(format_args!("cannot read {}", path.display()), error);
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    std::fs::File::open(path).map_err(fail)?.take(limit).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}

fn written(say: Say, exported: &Versioned<Exported>, out: Option<&Path>) -> Outcome<()> {
    let Some(path) = out else {
        say.data(exported, || exported.report.text.trim_end().to_owned());
        return Ok(());
    };
    std::fs::write(path, &exported.report.text)
        .map_err(|error| Failure::because(format_args!("cannot write {}", path.display()), error))?;
    let file = path.display().to_string();
    let data = serde_json::json!({ "v": 1, "format": exported.report.format, "file": file });
    say.data(&data, || format!("the ledger as {} is in {file}", exported.report.format));
    Ok(())
}

/// Satoshis as bitcoin, with a sign.
fn btc(sat: i64) -> String {
    let whole = super::say::btc(sat.unsigned_abs());
    if sat < 0 { format!("-{whole}") } else { whole }
}

/// A value, or that its price is missing; nothing if none was asked for.
fn worth(minor: Option<i64>, currency: Option<&str>) -> String {
    let Some(currency) = currency.and_then(|code| code.parse::<Currency>().ok()) else {
        return String::new();
    };
    minor.map_or_else(
        || format!("  (no price in {currency})"),
        |minor| format!("  {} {currency}", currency.decimal(minor)),
    )
}

fn missing(days: &[String]) -> Option<String> {
    (!days.is_empty()).then(|| format!("no price for {} days: {}", days.len(), days.join(" ")))
}

fn pnl(pnl: &Pnl) -> Vec<String> {
    let currency = pnl.currency.as_deref();
    let row = |name: &str, sat: i64, value: &str| format!("{name:<44} {:>20}{value}", btc(sat));
    let line = |line: &Line| row(&line.account, line.sat, &worth(line.value_minor, currency));
    let mut lines = vec![row("before", pnl.opening_sat, "")];
    for (title, part) in [("income", &pnl.income), ("expenses", &pnl.expenses), ("other", &pnl.equity)] {
        if !part.is_empty() {
            lines.push(format!("{title}:"));
            lines.extend(part.iter().map(|one| format!("  {}", line(one))));
        }
    }
    lines.push(row("income less expenses", pnl.net_sat, &worth(pnl.net_minor, currency)));
    lines.push(row(&format!("in the treasury (height {})", pnl.height), pnl.closing_sat, ""));
    lines.extend(missing(&pnl.missing_prices));
    lines
}

fn journal(journal: &Journal) -> Vec<String> {
    let currency = journal.currency.as_deref();
    let mut lines = Vec::new();
    for entry in journal.entries.iter().chain(&journal.pending) {
        lines.push(head(entry));
        let postings = entry.postings.iter().map(|posting| {
            let payee = posting.payee.as_ref().map(|payee| format!("  {}", printable(payee)));
            format!(
                "    {:<40} {:>20}{}{}",
                posting.account,
                btc(posting.sat),
                worth(posting.value_minor, currency),
                payee.unwrap_or_default()
            )
        });
        lines.extend(postings);
    }
    if lines.is_empty() {
        lines.push("nothing moved".to_owned());
    }
    lines.extend(missing(&journal.missing_prices));
    lines
}

fn head(entry: &JournalEntry) -> String {
    let height = entry.height.map_or_else(|| "mempool".to_owned(), |height| height.to_string());
    let words = printable(&entry.description);
    format!("{} {height:>7}  {}  {}  {words}", entry.date, entry.kind, entry.txid).trim_end().to_owned()
}

fn payouts(payouts: &Payouts) -> Vec<String> {
    let currency = payouts.currency.as_deref();
    let mut lines: Vec<String> = payouts
        .payouts
        .iter()
        .map(|paid| {
            let value = worth(paid.value_minor, currency);
            let to = printable(&paid.payee);
            format!("{}  {:>20}{value}  {}  {to}", paid.date, btc(paid.sat), paid.account)
        })
        .collect();
    lines.extend(payouts.payees.iter().map(|paid| {
        let times = format!("{} × {}", paid.count, printable(&paid.payee));
        format!("{:<10}  {:>20}{}  {times}", "in all", btc(paid.sat), worth(paid.value_minor, currency))
    }));
    lines.push(format!("{:<10}  {:>20}", "total", btc(payouts.total_sat)));
    lines.extend(missing(&payouts.missing_prices));
    lines
}

fn contributions(report: &Contributions) -> Vec<String> {
    let currency = report.currency.as_deref();
    let mut lines: Vec<String> = report
        .contributions
        .iter()
        .map(|one| {
            let value = worth(one.value_minor, currency);
            format!("{}  {:>20}{value}  {}", one.date, btc(one.sat), one.contributor)
        })
        .collect();
    lines.extend(report.contributors.iter().map(|one| {
        let value = worth(one.value_minor, currency);
        let share = format!("{}.{} %", one.share_ppm / 10_000, one.share_ppm / 1_000 % 10);
        format!("{:<10}  {:>20}{value}  {} ({share})", "in all", btc(one.sat), one.contributor)
    }));
    lines.push(format!("{:<10}  {:>20}", "total", btc(report.total_sat)));
    lines.extend(missing(&report.missing_prices));
    lines
}

/// What others wrote, for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
