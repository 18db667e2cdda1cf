//! `guild label …`: BIP329, one JSON object a line.

use super::register::{change, remove, set};
use super::say::Say;
use crate::api::dto::workspace::{FieldChange, Labels, Register};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use clap::{Args, Subcommand};
use crdt::workspace::{Label as Record, LabelKind};
use std::path::PathBuf;

/// Changes sent at once: their JSON stays far below what the API takes.
const CHANGES_MAX: usize = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum Label {
    /// Name a transaction, address, key or coin, or rename it.
    Add(Add),
    /// All labels.
    List,
    /// Remove a label with all its fields.
    Remove {
        /// tx, addr, pubkey, input, output or xpub.
        kind: LabelKind,
        /// The transaction id, address, key or outpoint.
        reference: String,
    },
    /// Take the labels of a BIP329 file. Doing it again changes nothing.
    Import {
        /// The file, one JSON object a line.
        file: PathBuf,
    },
    /// Give all labels as a BIP329 file.
    Export {
        /// The file. To stdout without.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// tx, addr, pubkey, input, output or xpub.
    kind: LabelKind,
    /// The transaction id, address, key or outpoint.
    reference: String,
    /// What it is called.
    label: String,
    /// Which keys made it: an abbreviated descriptor.
    #[arg(long)]
    origin: Option<String>,
    /// Whether wallets may spend this output.
    #[arg(long, value_name = "true|false")]
    spendable: Option<bool>,
}

impl Label {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        match self {
            Self::Add(add) => {
                let record = Record {
                    kind: add.kind,
                    reference: add.reference,
                    label: Some(add.label),
                    origin: add.origin,
                    spendable: add.spendable,
                };
                check(&record)?;
                change(&Client::of(home)?, Register::Labels, changes(&record))?;
                say.data(&record, || line(&record));
            }
            Self::List => {
                let all: Labels = Client::of(home)?.get("labels")?;
                say.data(&all, || lines(&all.labels, line, "no labels yet"));
            }
            Self::Remove { kind, reference } => {
                let item = Record::item(kind, &reference);
                let left = change(&Client::of(home)?, Register::Labels, vec![remove(&item)])?;
                say.data(&left, || format!("{item} removed"));
            }
            Self::Import { file } => import(home, say, &file)?,
            Self::Export { out } => export(home, say, out)?,
        }
        Ok(())
    }
}

/// The whole file is read and checked before anything is said.
fn import(home: &Home, say: Say, file: &std::path::Path) -> Outcome<()> {
    let fail = |error| Failure::because(format_args!("cannot read {}", file.display()), error);
    let text = std::fs::read_to_string(file).map_err(fail)?;
    let mut records = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let refuse = |why: &dyn std::fmt::Display| {
            Failure::usage(format!("line {number} of {}: {why}", file.display()))
        };
        let record: Record = serde_json::from_str(line).map_err(|error| refuse(&error))?;
        check(&record).map_err(|failure| refuse(&failure))?;
        records.push(record);
    }
    let changes: Vec<FieldChange> = records.iter().flat_map(changes).collect();
    let client = Client::of(home)?;
    for some in changes.chunks(CHANGES_MAX) {
        change(&client, Register::Labels, some.to_vec())?;
    }
    let count = serde_json::json!({ "v": 1, "labels": records.len() });
    say.data(&count, || format!("{} labels taken from {}", records.len(), file.display()));
    Ok(())
}

fn export(home: &Home, say: Say, out: Option<PathBuf>) -> Outcome<()> {
    let all: Labels = Client::of(home)?.get("labels")?;
    let json = |record: &Record| serde_json::to_string(record).unwrap_or_default();
    let Some(path) = out else {
        say.data(&all, || lines(&all.labels, json, ""));
        return Ok(());
    };
    let text: String = all.labels.iter().map(|record| json(record) + "\n").collect();
    std::fs::write(&path, text)
        .map_err(|error| Failure::because(format_args!("cannot write {}", path.display()), error))?;
    let data = serde_json::json!({ "v": 1, "file": path.display().to_string(), "labels": all.labels.len() });
    say.data(&data, || format!("{} labels written to {}", all.labels.len(), path.display()));
    Ok(())
}

/// What BIP329 asks for, and what a field of the workspace can hold.
fn check(record: &Record) -> Outcome<()> {
    if record.reference.is_empty() {
        return Err(Failure::usage("a label is on something: its ref is empty"));
    }
    crdt::text::Line::try_from(Record::item(record.kind, &record.reference)).map_err(Failure::usage)?;
    for words in [&record.label, &record.origin].into_iter().flatten() {
        crdt::text::Note::try_from(words.clone()).map_err(Failure::usage)?;
    }
    if record.spendable.is_some() && record.kind != LabelKind::Output {
        return Err(Failure::usage("only an output is spendable or not"));
    }
    if (&record.label, &record.origin, &record.spendable) == (&None, &None, &None) {
        return Err(Failure::usage("a label says something: it has no label, origin or spendable"));
    }
    Ok(())
}

fn changes(record: &Record) -> Vec<FieldChange> {
    let item = Record::item(record.kind, &record.reference);
    let spendable = record.spendable.map(|spendable| spendable.to_string());
    let fields = [("label", &record.label), ("origin", &record.origin), ("spendable", &spendable)];
    let given = fields.into_iter().filter_map(|(field, value)| Some(set(&item, field, value.as_ref()?)));
    given.collect()
}

fn line(record: &Record) -> String {
    let label = record.label.as_deref().unwrap_or_default();
    let spendable = match record.spendable {
        Some(true) => "  (spendable)",
        Some(false) => "  (not to be spent)",
        None => "",
    };
    format!("{:<7} {}  {label}{spendable}", record.kind, record.reference)
}

fn lines(records: &[Record], line: impl Fn(&Record) -> String, none: &str) -> String {
    let text = records.iter().map(line).collect::<Vec<_>>().join("\n");
    if text.is_empty() { none.to_owned() } else { text }
}
