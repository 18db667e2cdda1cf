//! Working an audit file out again, part by part.

use super::{
    CertificateLine, FORMAT, Fault, File, LabelLine, Part, VERSION, certificates, proof, receipts, short,
};
use crate::anchor;
use crate::chain::{Delta, work};
use crate::treasury::{Treasury, TreasuryError};
use crate::view::View;
use bdk_wallet::chain::{BlockId, ConfirmationBlockTime};
use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use bitcoin::{BlockHash, OutPoint, ScriptBuf, Transaction};
use crdt::certificate::{Body, Signature};
use crdt::state::{How, ProposalState};
use crdt::sync::Frontier;
use crdt::treasury::GroupKey;
use crdt::{ChainFacts, Charter, Digest, Document, Height, Insert, State, fold};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a file was found to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// The guild's id.
    pub guild: String,
    /// What people call it.
    pub name: String,
    /// Members and their weights.
    pub members: Vec<(String, u32)>,
    /// Members who signed two chains.
    pub forked: Vec<String>,
    /// How many co-signers sign…
    pub signers_needed: usize,
    /// …of how many.
    pub co_signers: usize,
    /// The key they sign with, if there is one.
    pub group_key: Option<String>,
    /// Entries, each signed by its author and in its place.
    pub entries: usize,
    /// The height of the tip.
    pub height: Height,
    /// The block there.
    pub block_hash: String,
    /// Headers that follow each other from the guild's birth on.
    pub headers: usize,
    /// The hashes it took to make them, on average.
    pub work: String,
    /// Transactions with their place in a block.
    pub transactions: usize,
    /// What the treasury holds, in satoshis.
    pub treasury_sat: u64,
    /// What the guild decided on, oldest first.
    pub decisions: Vec<Decided>,
    /// Certificates of the group, verified.
    pub certificates: usize,
    /// Receipts of work, verified.
    pub receipts: u64,
    /// Names given to things.
    pub labels: usize,
    /// What to compare with another member's node at this height.
    pub state_hash: String,
}

/// A proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its class.
    pub class: String,
    /// What it moves at the most, in satoshis.
    pub amount_sat: Option<u64>,
    /// open, withdrawn, certified, paid, closed or lost.
    pub status: String,
    /// The transaction that ended its lineage.
    pub txid: Option<String>,
}

/// What touches the treasury in one block.
pub(super) struct Place {
    pub(super) height: Height,
    pub(super) hash: BlockHash,
    pub(super) time: u32,
    pub(super) transactions: Vec<Transaction>,
}

/// Work out all of `file` again. `labels` says which labels a document adds up to.
///
/// # Errors
///
/// [`Fault`]: the first part that does not stand.
pub fn verify(file: &File, labels: impl FnOnce(&Document) -> Vec<LabelLine>) -> Result<Audited, Fault> {
    if (file.format.as_str(), file.version) != (FORMAT, VERSION) {
        let found = format!("{} {}", file.format, file.version);
        return Err(Fault::new(Part::Format, format_args!("{FORMAT} {VERSION}"), found));
    }
    let charter = charter(file)?;
    let headers = headers(file, &charter)?;
    let tip = tip(file, &charter, &headers)?;
    let document = document(file, &charter)?;
    let facts = ChainFacts { height: tip.0, block_hash: tip.1, settled: BTreeMap::new(), epochs: Vec::new() };
    let before = fold(&charter, &document, &facts).state;
    let key = before.usable_key().map(|key| key.ready.group_key);
    let found = file.summary.group_key.as_ref();
    same("group_key", &named(key.map(|key| key.to_string())), &named(found.cloned()))?;
    let places = places(file, &charter, &headers)?;
    let view = key.map(|key| view(&charter, key, places, tip)).transpose()?;
    if view.is_none() && !file.blocks.is_empty() {
        return Err(Fault::new(Part::Headers, "no blocks before there is a treasury", file.blocks.len()));
    }
    let facts = view.as_ref().map_or(facts, |view| anchor::facts(view, &anchor::lines(&document)));
    let state = fold(&charter, &document, &facts).state;
    check_certificates(file, &state)?;
    Fault::unequal(Part::Receipts, "lines", &receipts(&document), &file.receipts)?;
    Fault::unequal(Part::Labels, "labels", &labels(&document), &file.labels)?;
    same("frontier", &Frontier::of(&document).digest().to_string(), &file.summary.frontier)?;
    same("state_hash", &state.hash().to_string(), &file.summary.state_hash)?;
    let held = view.as_ref().map_or(0, held);
    same("treasury_sat", &held.to_string(), &file.summary.treasury_sat.to_string())?;
    Ok(audited(file, &charter, &state, (&headers, held, view.as_ref())))
}

fn named(key: Option<String>) -> String {
    key.unwrap_or_else(|| "none".to_owned())
}

fn same(field: &'static str, expected: &str, found: &str) -> Result<(), Fault> {
    let fault = || Fault::new(Part::Summary(field), expected, found);
    (expected == found).then_some(()).ok_or_else(fault)
}

fn bytes(part: &Part, text: &str) -> Result<Vec<u8>, Fault> {
    let bytes = Vec::<u8>::from_hex(text).ok().filter(|bytes| bytes.to_lower_hex_string() == text);
    bytes.ok_or_else(|| Fault::new(part.clone(), "lower-case hexadecimal digits", "other text"))
}

fn charter(file: &File) -> Result<Charter, Fault> {
    let read = Charter::from_bytes(&bytes(&Part::Charter, &file.charter)?);
    read.map_err(|why| Fault::new(Part::Charter, "a charter that stands", why))
}

/// The headers, each the child of the one before and with the work it claims.
fn headers(file: &File, charter: &Charter) -> Result<Vec<Header>, Fault> {
    let (mut headers, mut last) = (Vec::new(), charter.birth.hash);
    for (height, text) in (charter.birth.height..).zip(&file.headers) {
        let part = Part::Header(height);
        let header = deserialize::<Header>(&bytes(&part, text)?);
        let header = header.map_err(|why| Fault::new(part.clone(), "80 bytes of a header", why))?;
        let born = headers.is_empty();
        let link = if born { header.block_hash() } else { header.prev_blockhash };
        if link != last {
            let expected = if born { "the guild's birth block" } else { "a child of the header before" };
            return Err(Fault::new(part, format_args!("{expected}, {last}"), link));
        }
        if !work::enough(charter.network, &header) {
            let expected = format!("the work of a block of {}", charter.network);
            return Err(Fault::new(part, expected, "less"));
        }
        last = header.block_hash();
        headers.push(header);
    }
    Ok(headers)
}

fn tip(file: &File, charter: &Charter, headers: &[Header]) -> Result<(Height, BlockHash), Fault> {
    let missing = || Fault::new(Part::Headers, "the guild's birth block and what follows", "none");
    let hash = headers.last().ok_or_else(missing)?.block_hash();
    let above = Height::try_from(headers.len() - 1).map_err(|_| missing())?;
    let height = charter.birth.height.saturating_add(above);
    same("height", &height.to_string(), &file.summary.height.to_string())?;
    same("block_hash", &hash.to_string(), &file.summary.block_hash)?;
    Ok((height, hash))
}

/// All that was said: every entry signed, in its chain, and none twice.
fn document(file: &File, charter: &Charter) -> Result<Document, Fault> {
    let mut document = Document::new(charter);
    let (verifier, mut ids) = (document.verifier(), BTreeSet::new());
    for (index, text) in file.entries.iter().enumerate() {
        let part = Part::Entry(index);
        let signed = verifier.verify(&bytes(&part, text)?);
        let signed = signed.map_err(|why| Fault::new(part.clone(), "a signed entry of this guild", why))?;
        if !ids.insert(signed.id()) {
            return Err(Fault::new(part, "each entry once", format_args!("{} again", signed.id().short())));
        }
        // Whoever kept it judged its height by the tip of that day.
        match document.insert(signed, Height::MAX) {
            Insert::Invalid(why) => return Err(Fault::new(part, "an entry in its chain", why)),
            Insert::New(_) | Insert::Nothing | Insert::Held | Insert::Dropped | Insert::Stranger(_) => {}
        }
    }
    if document.len() == file.entries.len() {
        return Ok(document);
    }
    let expected = format!("{} entries that follow one another", file.entries.len());
    Err(Fault::new(Part::Entries, expected, document.len()))
}

/// The blocks of the file, their transactions proved to be in them.
fn places(file: &File, charter: &Charter, headers: &[Header]) -> Result<Vec<Place>, Fault> {
    let (mut places, mut last) = (Vec::new(), None);
    for block in &file.blocks {
        let part = Part::Block(block.height);
        let above = block.height.checked_sub(charter.birth.height);
        let header = above.and_then(|above| headers.get(usize::try_from(above).ok()?));
        let header = header.ok_or_else(|| Fault::new(part.clone(), "a height of the headers", "another"))?;
        if last >= Some(block.height) {
            return Err(Fault::new(part, "blocks in order, each once", "one out of order"));
        }
        last = Some(block.height);
        let transactions = proof::check(block, header)?;
        let (hash, time) = (header.block_hash(), header.time);
        places.push(Place { height: block.height, hash, time, transactions });
    }
    Ok(places)
}

/// The treasury as these blocks leave it. Every transaction shown touches it, but first ones of a block.
fn view(
    charter: &Charter,
    key: GroupKey,
    places: Vec<Place>,
    tip: (Height, BlockHash),
) -> Result<View, Fault> {
    let shown: Vec<(Height, usize)> =
        places.iter().map(|place| (place.height, place.transactions.len())).collect();
    let view = treasury(charter, key, places, tip);
    let view = view.map_err(|error| Fault::new(Part::Headers, "blocks of one chain", error))?;
    let mut touching: BTreeMap<Height, (usize, usize)> = BTreeMap::new();
    for (_, seen) in view.transactions() {
        let (all, rest) = touching.entry(seen.height.unwrap_or_default()).or_default();
        (*all, *rest) = (*all + 1, *rest + usize::from(!seen.transaction.is_coinbase()));
    }
    for (height, count) in shown {
        let (all, rest) = touching.get(&height).copied().unwrap_or_default();
        if all == 0 || rest + 1 != count {
            let expected = "transactions that touch the treasury";
            return Err(Fault::new(Part::Block(height), expected, "one that does not"));
        }
    }
    Ok(view)
}

/// The treasury of `key` after what touches it in `places`, at `tip`.
pub(super) fn treasury(
    charter: &Charter,
    key: GroupKey,
    places: impl IntoIterator<Item = Place>,
    tip: (Height, BlockHash),
) -> Result<View, TreasuryError> {
    let mut treasury = Treasury::create(charter, key)?;
    let mut ours =
        Ours { scripts: treasury.position().scripts.iter().cloned().collect(), coins: BTreeSet::new() };
    let mut delta = Delta::of(treasury.checkpoint());
    for Place { height, hash, time, transactions } in places {
        let block_id = BlockId { height, hash };
        delta.chain = delta.chain.insert(block_id);
        for transaction in transactions.into_iter().filter(|transaction| ours.touch(transaction)) {
            let anchor = ConfirmationBlockTime { block_id, confirmation_time: time.into() };
            delta.transactions.anchors.insert((anchor, transaction.compute_txid()));
            delta.transactions.txs.push(Arc::new(transaction));
        }
    }
    delta.chain = delta.chain.insert(BlockId { height: tip.0, hash: tip.1 });
    treasury.apply_delta(delta)?;
    Ok(treasury.view())
}

/// Tells what touches the treasury: pays one of its scripts, or spends what did.
struct Ours {
    scripts: BTreeSet<ScriptBuf>,
    coins: BTreeSet<OutPoint>,
}

impl Ours {
    fn touch(&mut self, transaction: &Transaction) -> bool {
        let txid = transaction.compute_txid();
        let spends = transaction.input.iter().any(|input| self.coins.contains(&input.previous_output));
        let outputs = (0..).zip(&transaction.output);
        let paid = outputs.filter(|(_, output)| self.scripts.contains(&output.script_pubkey));
        let paid: Vec<_> = paid.map(|(vout, _)| OutPoint { txid, vout }).collect();
        let pays = !paid.is_empty();
        self.coins.extend(paid);
        spends || pays
    }
}

/// What unspent coins hold, in satoshis.
pub(super) fn held(view: &View) -> u64 {
    let balance = view.balance();
    (balance.confirmed + balance.immature).to_sat()
}

fn check_certificates(file: &File, state: &State) -> Result<(), Fault> {
    let key = state.key.as_ref().map(|key| key.ready.group_key);
    for line in &file.certificates {
        let part = || Part::Certificate(short(&line.decision));
        let read = certificate(line, state);
        let (body, signature) = read.ok_or_else(|| Fault::new(part(), "a certificate", "other text"))?;
        if !key.is_some_and(|key| signature.verifies(body.digest(), key)) {
            return Err(Fault::new(part(), "the group's signature over this decision", "another"));
        }
    }
    Fault::unequal(Part::Certificates, "certificates", &certificates(state), &file.certificates)
}

fn certificate(line: &CertificateLine, state: &State) -> Option<(Body, Signature)> {
    let body = Body {
        guild: state.guild,
        epoch: line.epoch,
        proposal: line.decision.parse().ok()?,
        option: line.option,
        effect: Digest(<[u8; 32]>::from_hex(&line.effect).ok()?),
        close: line.close,
    };
    Some((body, Signature::from(<[u8; 64]>::from_hex(&line.signature).ok()?)))
}

fn audited(
    file: &File,
    charter: &Charter,
    state: &State,
    (headers, treasury_sat, view): (&[Header], u64, Option<&View>),
) -> Audited {
    let members = state.members.iter();
    let forked = state.members.values().filter(|member| member.forked.is_some());
    let work = headers.iter().map(Header::work).reduce(|sum, one| sum + one);
    let mut decisions: Vec<_> = state.proposals.iter().collect();
    decisions.sort_by_key(|(id, proposal)| (proposal.height, **id));
    Audited {
        guild: charter.id().to_string(),
        name: charter.name.to_string(),
        members: members.map(|(id, member)| (member.name.to_string(), state.weight(id).into())).collect(),
        forked: forked.map(|member| member.name.to_string()).collect(),
        signers_needed: state.signers_needed(),
        co_signers: state.co_signers.len(),
        group_key: file.summary.group_key.clone(),
        entries: file.entries.len(),
        height: file.summary.height,
        block_hash: file.summary.block_hash.clone(),
        headers: headers.len(),
        work: work.map_or_else(String::new, |work| work.to_string()),
        transactions: view.map_or(0, |view| view.transactions().count()),
        treasury_sat,
        decisions: decisions.into_iter().map(|(id, proposal)| decided(id.to_string(), proposal)).collect(),
        certificates: file.certificates.len(),
        receipts: file.receipts.iter().map(|line| line.count).sum(),
        labels: file.labels.len(),
        state_hash: file.summary.state_hash.clone(),
    }
}

fn decided(id: String, state: &ProposalState) -> Decided {
    let status = match &state.settled {
        Some(settled) if settled.how == How::Paid => "paid",
        Some(settled) if settled.how == How::Closed => "closed",
        Some(_) => "lost",
        None if state.decided().is_some() => "certified",
        None if state.withdrawn => "withdrawn",
        None => "open",
    };
    Decided {
        id,
        title: state.proposal.title.to_string(),
        class: state.proposal.effect.class().to_string(),
        amount_sat: state.amount_sat(),
        status: status.to_owned(),
        txid: state.settled.as_ref().map(|settled| settled.txid.to_string()),
    }
}
