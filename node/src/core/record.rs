//! The record: what it is, what it was, and what became of one entry.

use super::Node;
use crate::api::dto::audit::Material;
use crate::api::dto::{Answer, AsOf, EntryDto, Export, Format, V};
use crate::error::{Failure, Outcome};
use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use bitcoin::hex::DisplayHex as _;
use crdt::limits::DEPTH;
use crdt::state::Settled;
use crdt::workspace::{Label, Workspace};
use crdt::{ChainFacts, Document, Height};
use std::str::FromStr as _;
use wallet::audit::LabelLine;

impl Node {
    pub(super) fn export(&self, format: Format, as_of: &AsOf) -> Outcome<Answer> {
        let fail = |error: &dyn std::fmt::Display| Failure::because("cannot export the record", error);
        let (document, facts) = self.as_of(as_of)?;
        let folded = crdt::fold(&self.charter, &document, &facts);
        let mut record =
            crdt::view::record(&self.charter, &document, &folded).map_err(|error| fail(&error))?;
        let heads = record.get_heads().iter().map(ToString::to_string).collect();
        let (json, file) = match format {
            Format::Json => (Some(crdt::view::to_json(&record).map_err(|error| fail(&error))?), None),
            Format::Automerge => (None, Some(record.save().to_lower_hex_string())),
        };
        let (height, state_hash) = (facts.height, folded.state.hash().to_string());
        Ok(Answer::Export(Export { v: V, format, record: json, file_hex: file, heads, height, state_hash }))
    }

    /// What an audit file is made of, but for headers and blocks.
    pub(super) fn audit(&self) -> Material {
        let facts = self.facts();
        let view = self.view().ok();
        let seen = view.iter().flat_map(|view| view.transactions());
        let transactions = seen.filter_map(|(txid, seen)| Some((seen.height?, txid.to_string())));
        let state = crdt::fold(&self.charter, &self.document, &facts).state;
        Material {
            v: V,
            charter: self.charter.to_bytes().to_lower_hex_string(),
            entries: self.document.all().map(|signed| signed.to_bytes().to_lower_hex_string()).collect(),
            labels: labels(&self.document),
            height: facts.height,
            block_hash: facts.block_hash.to_string(),
            state_hash: state.hash().to_string(),
            transactions: transactions.collect(),
        }
    }

    /// What we have of the record as it was.
    fn as_of(&self, as_of: &AsOf) -> Outcome<(Document, ChainFacts)> {
        let now = self.facts();
        match as_of {
            AsOf::Now => Ok((self.document.clone(), now)),
            AsOf::Height(height) => {
                let (birth, tip) = (self.charter.birth.height, now.height);
                if !(birth..=tip).contains(height) {
                    let detail =
                        format!("height {height} is not between the guild's birth {birth} and {tip}");
                    return Err(Failure::usage(detail));
                }
                Ok((self.document.only(|entry| entry.height <= *height), self.facts_at(now, *height)))
            }
            AsOf::Entry(text) => {
                let signed = self.find_entry(text)?.entry();
                let (author, seq, height) = (signed.author, signed.seq, signed.height);
                let said_before = |entry: &crdt::Entry| {
                    if entry.author == author { entry.seq <= seq } else { entry.height <= height }
                };
                Ok((self.document.only(said_before), self.facts_at(now, height)))
            }
        }
    }

    /// What was buried when the chain was `height` high.
    fn facts_at(&self, now: ChainFacts, height: Height) -> ChainFacts {
        let mut then = now;
        if height < then.height {
            let buried = |settled: &Settled| settled.height.saturating_add(DEPTH - 1) <= height;
            then.settled.retain(|_, settled| buried(settled));
            then.epochs.retain(|sealed| sealed.height <= height);
            then.block_hash = self.block_at(height).unwrap_or_else(BlockHash::all_zeros); // unknown without a wallet
            then.height = height;
        }
        then
    }

    fn block_at(&self, height: Height) -> Option<BlockHash> {
        Some(self.treasury.as_ref()?.checkpoint().get(height)?.hash())
    }

    fn find_entry(&self, text: &str) -> Outcome<&crdt::Signed> {
        let id = crdt::EntryId::from_str(text).map_err(Failure::usage)?;
        self.document.find(id).ok_or_else(|| Failure::not_found(format!("there is no entry '{text}'")))
    }

    pub(super) fn entry(&mut self, text: &str) -> Outcome<Answer> {
        let signed = self.find_entry(text)?.clone();
        let (entry, id) = (signed.entry(), signed.id());
        let verdict = self.edit_verdict(id).or_else(|| {
            let verdict = crdt::explain(&self.charter, &self.document, &self.facts(), id);
            verdict.map(|verdict| verdict.to_string())
        });
        Ok(Answer::Entry(EntryDto {
            v: V,
            id: id.to_string(),
            author: self.name(&entry.author),
            seq: entry.seq,
            height: entry.height,
            kind: entry.payload.kind().to_owned(),
            verdict: verdict.unwrap_or_default(),
        }))
    }
}

/// The labels that a document adds up to.
pub(crate) fn labels(document: &Document) -> Vec<LabelLine> {
    let mut workspace = Workspace::default();
    workspace.follow(document);
    let line = |label: Label| {
        Some(LabelLine { kind: label.kind.to_string(), reference: label.reference, label: label.label? })
    };
    workspace.labels().into_iter().filter_map(line).collect()
}
