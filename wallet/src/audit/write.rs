//! Writing an audit file from what a node and a chain source give.

use super::{BlockPart, FORMAT, File, LabelLine, Summary, VERSION, certificates, proof, receipts};
use crate::anchor;
use crate::audit::verify::{Place, treasury};
use bitcoin::block::Header;
use bitcoin::consensus::encode::serialize;
use bitcoin::hex::DisplayHex as _;
use bitcoin::{Block, Txid};
use crdt::sync::Frontier;
use crdt::{ChainFacts, Charter, Document, Height, fold};
use std::collections::{BTreeMap, BTreeSet};

/// What an audit file is made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// The charter.
    pub charter: &'a Charter,
    /// All that was said.
    pub document: &'a Document,
    /// What members call things.
    pub labels: Vec<LabelLine>,
    /// The best chain's headers from the guild's birth on.
    pub headers: Vec<Header>,
    /// The blocks that touch the treasury, by height.
    pub blocks: BTreeMap<Height, Block>,
    /// The transactions in them that do.
    pub transactions: BTreeSet<Txid>,
}

/// Why there is no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no header: not even the block of the guild's birth.
    #[error("there are no headers from the guild's birth on")]
    NoHeaders,
    /// The blocks are of another chain than the headers, or the treasury does not take them.
    #[error("the blocks do not fit the headers: {0}")]
    Blocks(String),
}

impl File {
    /// Write everything down.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if the material is not of one chain.
    pub fn of(material: Material<'_>) -> Result<Self, WriteError> {
        let Material { charter, document, labels, headers, blocks, transactions } = material;
        let tip = headers.last().ok_or(WriteError::NoHeaders)?.block_hash();
        let above = Height::try_from(headers.len() - 1).map_err(|_| WriteError::NoHeaders)?;
        let height = charter.birth.height.saturating_add(above);
        let facts = ChainFacts { height, block_hash: tip, settled: BTreeMap::new(), epochs: Vec::new() };
        let before = fold(charter, document, &facts).state;
        let key = before.usable_key().map(|key| key.ready.group_key);
        let parts: Vec<BlockPart> =
            blocks.iter().filter_map(|(height, block)| proof::part(*height, block, &transactions)).collect();
        let places = blocks.iter().map(|(height, block)| Place {
            height: *height,
            hash: block.block_hash(),
            time: block.header.time,
            transactions: {
                let ours = block.txdata.iter().filter(|one| transactions.contains(&one.compute_txid()));
                ours.cloned().collect()
            },
        });
        let view = key.map(|key| treasury(charter, key, places, (height, tip))).transpose();
        let view = view.map_err(|error| WriteError::Blocks(error.to_string()))?;
        let facts = view.as_ref().map_or(facts, |view| anchor::facts(view, &anchor::lines(document)));
        let state = fold(charter, document, &facts).state;
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            charter: charter.to_bytes().to_lower_hex_string(),
            entries: document.all().map(|signed| signed.to_bytes().to_lower_hex_string()).collect(),
            certificates: certificates(&state),
            headers: headers.iter().map(|header| serialize(header).to_lower_hex_string()).collect(),
            blocks: parts,
            receipts: receipts(document),
            labels,
            summary: Summary {
                height,
                block_hash: tip.to_string(),
                frontier: Frontier::of(document).digest().to_string(),
                state_hash: state.hash().to_string(),
                group_key: key.map(|key| key.to_string()),
                treasury_sat: view.map_or(0, |view| super::verify::held(&view)),
            },
        })
    }
}
