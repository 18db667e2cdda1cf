//! `guild audit …`: the whole guild in one file, and its verification with nothing but the file.

use super::say::{Say, btc};
use crate::api::dto::audit::Material;
use crate::chain;
use crate::client::Client;
use crate::config::Config;
use crate::core::record::labels;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use bitcoin::hex::FromHex as _;
use bitcoin::{Block, BlockHash, Txid};
use clap::Subcommand;
use crdt::{Charter, Document, Height};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use wallet::audit::{self, Audited, File};
use wallet::chain::{ChainError, Source};

/// Bytes of a file that is read: a guild of many years.
const FILE_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Headers between two words on how far it is.
const TELL_EVERY: usize = 10_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Write charter, entries, certificates, transactions with their proofs, receipts and labels to a file.
    Export {
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Work such a file out again, and name the first part that does not stand. Needs no node and no network.
    Verify {
        /// The file.
        file: PathBuf,
    },
}

impl Audit {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        match self {
            Self::Export { out } => export(home, say, &out),
            Self::Verify { file } => {
                let audited = verify(&read(&file)?)?;
                say.data(&audited, || text_of(&audited));
                Ok(())
            }
        }
    }
}

fn fail(error: impl Display) -> Failure {
    Failure::because("cannot write an audit file", error)
}

fn export(home: &Home, say: Say, out: &Path) -> Outcome<()> {
    let material: Material = Client::of(home)?.get("audit")?;
    let bytes = |text: &str| Vec::<u8>::from_hex(text).map_err(fail);
    let charter = Charter::from_bytes(&bytes(&material.charter)?).map_err(fail)?;
    let mut document = Document::new(&charter);
    let verifier = document.verifier();
    for entry in &material.entries {
        document.insert(verifier.verify(&bytes(entry)?).map_err(fail)?, Height::MAX);
    }
    let mut source = chain::source(&Config::load(&home.config())?, Some(&charter));
    let hashes = hashes(source.as_mut(), (charter.birth.height, &material))?;
    let mut headers = Vec::with_capacity(hashes.len());
    for hash in hashes.values() {
        headers.push(source.header(*hash).map_err(unreachable)?);
        if headers.len().is_multiple_of(TELL_EVERY) {
            say.note(&format!("{} of {} headers", headers.len(), hashes.len()));
        }
    }
    let mut transactions = BTreeSet::new();
    let mut blocks: BTreeMap<Height, Block> = BTreeMap::new();
    for (height, txid) in &material.transactions {
        transactions.insert(txid.parse::<Txid>().map_err(fail)?);
        if let Some(hash) = hashes.get(height).filter(|_| !blocks.contains_key(height)) {
            blocks.insert(*height, source.block(*hash).map_err(unreachable)?);
        }
    }
    let (charter, document) = (&charter, &document);
    let material =
        audit::Material { charter, document, labels: material.labels, headers, blocks, transactions };
    let file = File::of(material).map_err(fail)?;
    let audited = verify(&file)?; // nobody is given what does not stand
    let text = serde_json::to_vec(&file).map_err(fail)?;
    std::fs::write(out, &text)
        .map_err(|error| Failure::because(format_args!("cannot write {}", out.display()), error))?;
    let data = serde_json::json!({
        "v": 1, "file": out.display().to_string(), "bytes": text.len(), "height": audited.height,
        "state_hash": audited.state_hash,
    });
    say.data(&data, || format!("{} bytes written to {}", text.len(), out.display()));
    say.hint(&format!("guild audit verify {}", out.display()));
    Ok(())
}

fn unreachable(error: ChainError) -> Failure {
    Failure::new(Code::Unreachable, chain::line(&error))
}

/// The best chain from the guild's birth to the block that the node told its state at.
fn hashes(
    source: &mut dyn Source,
    (birth, material): (Height, &Material),
) -> Outcome<BTreeMap<Height, BlockHash>> {
    let turned = || Failure::new(Code::TryAgain, "the chain moved while it was read: say it again");
    let mut hashes = BTreeMap::new();
    for height in birth..=material.height {
        hashes.insert(height, source.block_hash(height).map_err(unreachable)?.ok_or_else(turned)?);
    }
    let tip = hashes.values().next_back().map(ToString::to_string);
    if tip.as_ref() == Some(&material.block_hash) { Ok(hashes) } else { Err(turned()) }
}

fn read(path: &Path) -> Outcome<File> {
    let refuse = |why: &dyn Display| Failure::usage(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| refuse(&error))?.len();
    if length > FILE_MAX {
        return Err(refuse(&format_args!("{length} bytes are more than an audit file has ({FILE_MAX})")));
    }
    serde_json::from_slice(&home::read(path)?).map_err(|error| refuse(&error))
}

fn verify(file: &File) -> Outcome<Audited> {
    audit::verify(file, labels).map_err(|fault| Failure::new(Code::Refused, fault.to_string()))
}

fn text_of(audited: &Audited) -> String {
    let Audited { name, guild, height, entries, headers, transactions, .. } = audited;
    let members = audited.members.iter().map(|(name, weight)| format!("{name} (weight {weight})"));
    let mut lines = vec![
        format!("valid: {name} ({guild}) at height {height}"),
        format!("members    {}", members.collect::<Vec<_>>().join(", ")),
        format!("entries    {entries}, each signed by its author and in its place"),
        format!("key        {}", audited.group_key.as_deref().unwrap_or("none yet")),
        format!("signers    any {} of {}", audited.signers_needed, audited.co_signers),
        format!("chain      {headers} headers, made with {} hashes", audited.work),
        format!(
            "treasury   {} after {transactions} transactions, each in its block",
            btc(audited.treasury_sat)
        ),
        format!(
            "proofs     {} certificates, {} receipts of work, {} labels",
            audited.certificates, audited.receipts, audited.labels
        ),
    ];
    if !audited.forked.is_empty() {
        lines.push(format!("forked     {}", audited.forked.join(", ")));
    }
    lines.extend(audited.decisions.iter().map(|decided| {
        let id: String = decided.id.chars().take(8).collect();
        let amount = decided.amount_sat.map(btc).unwrap_or_default();
        format!("  {id}  {:<10} {:<10} {amount:>18}  {}", decided.status, decided.class, decided.title)
    }));
    lines.push(format!("state hash {}", audited.state_hash));
    lines.push(
        "compare the guild's id with what you know, and the state hash with another member's: a file cannot \
         vouch for what it leaves out"
            .to_owned(),
    );
    lines.join("\n")
}
