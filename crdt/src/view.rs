//! The record view: the guild's whole record as one Automerge document, for export and for reading with
//! stock Automerge. Derived from the state in canonical order by one fixed actor, so that equal states
//! give equal heads; never merged, never read back (§6).

use crate::charter::Charter;
use crate::document::Document;
use crate::fold::Folded;
use crate::governance::Payable;
use crate::id::EntryId;
use crate::state::{ProposalState, State};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, AutoSerde, AutomergeError, ObjId, ObjType, ROOT, ScalarValue};

/// Keys in one map at most: Automerge's cost of a write grows with the map it goes to.
pub const SHARD: usize = 32;

/// Build the record view.
///
/// # Errors
///
/// Only if Automerge refuses a write, which would be a mistake of ours.
pub fn record(charter: &Charter, document: &Document, folded: &Folded) -> Result<AutoCommit, AutomergeError> {
    let state = &folded.state;
    let mut doc = AutoCommit::new().with_actor(ActorId::from(state.guild.to_bytes().as_slice()));
    let guild = doc.put_object(ROOT, "guild", ObjType::Map)?;
    put(&mut doc, &guild, "id", state.guild.to_string())?;
    put(&mut doc, &guild, "name", charter.name.to_string())?;
    put(&mut doc, &guild, "network", charter.network.to_string())?;
    put(&mut doc, &guild, "height", u64::from(state.height))?;
    put(&mut doc, &guild, "state_hash", state.hash().to_string())?;
    if let Some(key) = &state.key {
        put(&mut doc, &guild, "group_key", key.ready.group_key.to_string())?;
    }
    members(&mut doc, state)?;
    let mut shards = Shards::new(&mut doc, &ROOT, "proposals")?;
    for (id, proposal) in &state.proposals {
        let map = shards.object(&mut doc, &id.to_string())?;
        self::proposal(&mut doc, &map, state, proposal)?;
    }
    entries(&mut doc, document, folded)?;
    doc.commit_with(CommitOptions::default().with_time(0));
    Ok(doc)
}

/// The record view as JSON.
///
/// # Errors
///
/// Only if JSON cannot be written, which would be a mistake of ours.
pub fn to_json(record: &AutoCommit) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(AutoSerde::from(record))
}

fn put(
    doc: &mut AutoCommit,
    map: &ObjId,
    key: &str,
    value: impl Into<ScalarValue>,
) -> Result<(), AutomergeError> {
    doc.put(map, key, value)
}

/// Spreads many keys over a list of maps of [`SHARD`] keys each, filled in order.
struct Shards {
    list: ObjId,
    current: Option<ObjId>,
    used: usize,
    count: usize,
}

impl Shards {
    fn new(doc: &mut AutoCommit, parent: &ObjId, key: &str) -> Result<Self, AutomergeError> {
        let list = doc.put_object(parent, key, ObjType::List)?;
        Ok(Self { list, current: None, used: 0, count: 0 })
    }

    /// The shard that the next key goes into.
    fn next(&mut self, doc: &mut AutoCommit) -> Result<ObjId, AutomergeError> {
        let shard = match self.current.take().filter(|_| self.used < SHARD) {
            Some(shard) => shard,
            None => {
                self.used = 0;
                self.count += 1;
                doc.insert_object(&self.list, self.count - 1, ObjType::Map)?
            }
        };
        self.used += 1;
        self.current = Some(shard.clone());
        Ok(shard)
    }

    fn object(&mut self, doc: &mut AutoCommit, key: &str) -> Result<ObjId, AutomergeError> {
        let shard = self.next(doc)?;
        doc.put_object(&shard, key, ObjType::Map)
    }
}

fn members(doc: &mut AutoCommit, state: &State) -> Result<(), AutomergeError> {
    let mut shards = Shards::new(doc, &ROOT, "members")?;
    for (id, member) in &state.members {
        let map = shards.object(doc, &id.to_string())?;
        put(doc, &map, "name", member.name.to_string())?;
        put(doc, &map, "weight", u64::from(u32::from(member.weight)))?;
        put(doc, &map, "co_signer", state.co_signers.contains(id))?;
        put(doc, &map, "accepted", member.accepted)?;
    }
    Ok(())
}

fn proposal(
    doc: &mut AutoCommit,
    map: &ObjId,
    state: &State,
    proposal: &ProposalState,
) -> Result<(), AutomergeError> {
    put(doc, map, "title", proposal.proposal.title.to_string())?;
    put(doc, map, "text", proposal.proposal.text.to_string())?;
    put(doc, map, "author", state.name(&proposal.author))?;
    put(doc, map, "height", u64::from(proposal.height))?;
    put(doc, map, "close", u64::from(proposal.close))?;
    put(doc, map, "withdrawn", proposal.withdrawn)?;
    put(doc, map, "class", proposal.proposal.effect.class().to_string())?;
    if let Some(anchor) = proposal.anchor() {
        put(doc, map, "anchor", anchor.to_string())?;
    }
    let outputs = doc.put_object(map, "outputs", ObjType::List)?;
    let written_out = proposal.payable().map(Payable::outputs).unwrap_or_default();
    for (index, output) in written_out.iter().enumerate() {
        let entry = doc.insert_object(&outputs, index, ObjType::Map)?;
        put(doc, &entry, "script", output.script.to_hex_string())?;
        put(doc, &entry, "amount_sat", output.amount.to_sat())?;
    }
    let mut ballots = Shards::new(doc, map, "ballots")?;
    for (voter, held) in &proposal.ballots {
        let ballot = ballots.object(doc, &state.name(voter))?;
        put(doc, &ballot, "choice", held.choice.to_string())?;
        put(doc, &ballot, "final", held.last)?;
        put(doc, &ballot, "reason", held.reason.to_string())?;
    }
    if let Some(certificate) = proposal.certificate() {
        put(doc, map, "certificate", format!("{:?}", certificate.signature))?;
    }
    if let Some(settled) = &proposal.settled {
        put(doc, map, "settled", format!("{:?}", settled.how).to_lowercase())?;
        put(doc, map, "txid", settled.txid.to_string())?;
    }
    Ok(())
}

fn entries(doc: &mut AutoCommit, document: &Document, folded: &Folded) -> Result<(), AutomergeError> {
    let mut authors = Shards::new(doc, &ROOT, "entries")?;
    for (author, chain) in document.chains() {
        let shard = authors.next(doc)?;
        let mut shards = Shards::new(doc, &shard, &author.to_string())?;
        let adopted = document.adopted().filter(|signed| signed.entry().author == *author);
        let evidence: Vec<EntryId> =
            chain.fork().into_iter().flat_map(|fork| [fork.low.id(), fork.high.id()]).collect();
        let adopted = adopted.filter(|signed| !evidence.contains(&signed.id()));
        for signed in chain.all().chain(adopted) {
            let map = shards.object(doc, &signed.id().to_string())?;
            let entry = signed.entry();
            put(doc, &map, "seq", u64::from(entry.seq))?;
            put(doc, &map, "height", u64::from(entry.height))?;
            put(doc, &map, "kind", entry.payload.kind())?;
            put(doc, &map, "bytes", ScalarValue::Bytes(signed.to_bytes()))?;
            if let Some(verdict) = folded.verdicts.get(&signed.id()) {
                put(doc, &map, "verdict", verdict.to_string())?;
            }
        }
    }
    Ok(())
}
