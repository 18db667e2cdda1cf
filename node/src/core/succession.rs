//! From seal to seal (§10): which epoch it is, Bitcoin alone decides; whose keys and coins are at work then, and
//! who may speak. The way to the next one is in `checkpoints`, what co-signers sign on it in `sealing`.

use super::{Effect, Node};
use crate::journal::Record;
use bitcoin::{Transaction, Txid};
use crdt::epoch::{Head, NotFit, Sealed};
use crdt::limits::{AHEAD, DEPTH};
use crdt::succession::Made;
use crdt::treasury::GroupKey;
use crdt::{Checkpoint, Digest, Document, Height, MemberId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use threshold::Timestamp;
use wallet::Treasury;
use wallet::treasury::SealCoin;

/// A judgement, and the document and tip that it was made at.
pub(super) type Judged = ((u64, Height), Result<(), NotFit>);

/// What this node holds on the way to the next epoch.
#[derive(Debug, Default)]
pub(super) struct Succession {
    /// Checkpoints, by hash.
    pub(super) checkpoints: BTreeMap<Digest, Arc<Checkpoint>>,
    /// Whom we asked for one, how often, and when last.
    pub(super) asked: BTreeMap<Digest, (Timestamp, usize)>,
    /// What we had when our tip first reached a cut, from the journal.
    pub(super) at_cut: BTreeMap<Height, BTreeMap<MemberId, Head>>,
    /// Since when something is to be done by somebody in turn.
    pub(super) since: BTreeMap<(&'static str, Digest, Height), Timestamp>,
    pub(super) judged: RefCell<BTreeMap<Digest, Judged>>,
    /// What members who left had said after their last head: theirs again if the chain turns. To say
    /// something else in its place would be a fork.
    fallen: Vec<crdt::Signed>,
    /// Signed sweeps, by checkpoint, seal and number.
    pub(super) sweeps: BTreeMap<(Digest, Txid, u16), Transaction>,
    /// The transactions of one seal, as they were last worked out.
    pub(super) plan: RefCell<Option<super::sealing::Cached>>,
}

impl Succession {
    /// What the journal and the folder remember.
    pub(super) fn recall(records: &[Record], checkpoints: &[Vec<u8>]) -> Self {
        let mut succession = Self::default();
        for record in records {
            match record {
                Record::Cut { height, heads } => {
                    succession.at_cut.entry(*height).or_insert_with(|| heads.iter().copied().collect());
                }
                Record::Sweep { checkpoint, seal, number, transaction } => {
                    if let Ok(transaction) = bitcoin::consensus::deserialize(transaction) {
                        succession.sweeps.insert((*checkpoint, *seal, *number), transaction);
                    }
                }
                _ => {}
            }
        }
        let whole = checkpoints.iter().filter_map(|bytes| Checkpoint::from_bytes(bytes).ok());
        succession.checkpoints.extend(whole.map(|checkpoint| (checkpoint.hash(), Arc::new(checkpoint))));
        succession
    }
}

impl Node {
    /// Everything on the way to the next epoch that is ours to do now.
    pub(super) fn drive_succession(&mut self) {
        if self.tip.is_none() || self.recovery.is_some() {
            return;
        }
        self.open_vaults();
        if !self.fold.is_of(&self.sealed_epochs()) && !self.fold.is_of(&self.facts().epochs) {
            self.follow_chain(); // what a seal takes came after its block
        }
        if self.state().changes().next().is_none() {
            return;
        }
        let ready = self.ready_keys();
        self.note_cuts(&ready);
        self.fetch_checkpoints();
        for made in &ready {
            self.announce_cut(made);
            self.draft_checkpoint(made);
        }
        self.hold_checkpoints();
    }

    /// The treasury under this key, if we follow it.
    pub(super) fn treasury_of(&self, key: GroupKey) -> Option<&Treasury> {
        let current = self.treasury.as_ref().filter(|treasury| treasury.key() == key);
        current.or_else(|| self.vaults.get(&key))
    }

    /// From seal to seal: the epochs whose seal is K deep, and the seal of the last.
    fn walk(&self) -> (Vec<Sealed>, Option<SealCoin>) {
        let first = self.state().key_of(1).and_then(|key| self.treasury_of(key));
        let seals = first.map(Treasury::seals).unwrap_or_default();
        let mut seal = seals.into_iter().find(|seal| seal.depth >= DEPTH);
        let mut epochs: Vec<Sealed> = Vec::new();
        while let Some((sealed, next)) = seal.as_ref().and_then(|seal| self.follow_seal(seal, epochs.last()))
        {
            epochs.push(sealed);
            seal = Some(next);
        }
        (epochs, seal)
    }

    /// The epoch that the spend of `seal` begins, if it is K deep and all that it takes is here, and the seal
    /// after.
    fn follow_seal(&self, seal: &SealCoin, before: Option<&Sealed>) -> Option<(Sealed, SealCoin)> {
        let spent = seal.spent.as_ref().filter(|spent| spent.depth >= DEPTH)?;
        let checkpoint = self.succession.checkpoints.get(&Digest(spent.checkpoint()?))?;
        let epoch = before.map_or(1, |before| before.checkpoint.epoch);
        let follows = checkpoint.guild == self.guild
            && checkpoint.epoch == epoch.saturating_add(1)
            && checkpoint.previous == before.map(|before| before.checkpoint.hash());
        if !follows || !self.document.reaches(&checkpoint.heads) {
            return None;
        }
        let mut seals = self.treasury_of(checkpoint.group_key)?.seals().into_iter();
        let next = seals.find(|seal| seal.outpoint == spent.next())?;
        let height = spent.height?.saturating_add(DEPTH - 1);
        Some((Sealed { checkpoint: Arc::clone(checkpoint), height }, next))
    }

    /// The epochs that the chain shows to be sealed, as far as we hold what they are made of.
    pub(super) fn sealed_epochs(&self) -> Vec<Sealed> {
        self.walk().0
    }

    /// The seal of the present epoch, K deep; what spends it may be anywhere.
    pub(super) fn seal(&self) -> Option<SealCoin> {
        self.walk().1
    }

    /// Begin again from what the chain shows to be sealed: in another epoch other people speak.
    pub(super) fn turn_epoch(&mut self, facts: &crdt::ChainFacts) {
        let before = self.state().epoch;
        self.govern(&facts.epochs);
        self.fold = crdt::Fold::new(&self.charter, facts);
        self.fold.catch_up(&self.document);
        self.document.take_touched();
        self.admit_candidates();
        self.settle_keys();
        self.built.take();
        self.succession.plan.take();
        self.alarms_at = None;
        self.decided_may_lack = false;
        let epoch = self.state().epoch;
        tracing::info!(target: "guild::core", before, epoch, "another epoch");
        self.tell(vec![crdt::Change::Epoch(epoch), crdt::Change::Key]);
        self.allow_peers();
    }

    fn govern(&mut self, epochs: &[Sealed]) {
        let roll = epochs.last().map(|sealed| Arc::clone(&sealed.checkpoint));
        let candidates = self.state().candidates();
        let fell = self.document.govern(epochs, |member| {
            roll.as_ref().is_none_or(|roll| roll.roll.contains_key(member)) || candidates.contains(member)
        });
        self.succession.fallen.extend(fell);
        let (document, fallen) = (&mut self.document, &mut self.succession.fallen);
        fallen.retain(|signed| !matches!(document.insert(signed.clone(), Height::MAX), crdt::Insert::New(_)));
        self.effects.push_back(Effect::Verifier(self.document.verifier()));
    }

    /// Let those speak with whom the next key is to be made.
    pub(super) fn admit_candidates(&mut self) {
        let unknown = |member: &MemberId| self.document.chain(member).is_none_or(crdt::chain::Chain::is_over);
        let new: Vec<MemberId> = self.state().candidates().into_iter().filter(unknown).collect();
        if new.is_empty() {
            return;
        }
        new.iter().for_each(|member| self.document.admit(*member));
        let epochs = self.sealed_epochs();
        self.govern(&epochs);
        self.allow_peers();
        let here = new.into_iter().filter(|member| self.peers.connected.contains_key(member));
        for member in here.collect::<Vec<_>>() {
            self.meet(member);
        }
    }

    /// Put the share and the treasury of the present key to work.
    fn settle_keys(&mut self) {
        let Some(key) = self.state().usable_key().map(|key| key.ready.group_key) else { return };
        if self.treasury.as_ref().is_some_and(|treasury| treasury.key() != key)
            && let Some(present) = self.vaults.remove(&key)
            && let Some(other) = self.treasury.replace(present)
        {
            self.vaults.insert(other.key(), other);
            self.view.take();
        }
        let ours = self.signer.as_ref().and_then(|signer| key_of(signer.keys().group()));
        if ours != Some(key) {
            let present = self.keyring.remove(&key);
            if let (Some(signer), Some(of)) = (std::mem::replace(&mut self.signer, present), ours) {
                self.keyring.insert(of, signer);
            }
        }
    }

    /// Follow the coins of keys that are made and not in force, or were.
    fn open_vaults(&mut self) {
        let Some(current) = &self.treasury else { return };
        let of_checkpoint = |checkpoint: &Arc<Checkpoint>| {
            Some((checkpoint.group_key, checkpoint.certificate.as_ref()?.body.proposal))
        };
        let known = self.succession.checkpoints.values().filter_map(of_checkpoint);
        let made = self.state().made().map(|made| (made.group_key, made.change));
        let wanted: BTreeMap<_, _> = known.chain(made.collect::<Vec<_>>()).collect();
        let chain = current.checkpoint();
        for (key, change) in wanted {
            if self.treasury_of(key).is_some() {
                continue;
            }
            let proposed = self.state().proposals.get(&change).map(|proposal| proposal.height);
            let Some(from) = proposed.map(|height| height.saturating_sub(AHEAD + 1)) else { continue };
            match Treasury::create_from(&self.charter, key, &chain, from) {
                Ok(vault) => {
                    self.vaults.insert(key, vault);
                    self.follow_anew = true;
                }
                Err(error) => tracing::error!(target: "guild::wallet", %error, "cannot follow a key"),
            }
        }
    }

    /// Keys that a certified change can be carried out with.
    fn ready_keys(&self) -> Vec<Made> {
        if self.seal().is_none() {
            return Vec::new();
        }
        let state = self.state();
        state.changes().flat_map(|(id, _)| state.made_for(id)).collect()
    }

    /// Whether the seal of the present epoch is spent, in the mempool or a block: from then on its key signs
    /// seals and sweeps alone.
    pub(super) fn is_leaving(&self) -> bool {
        self.seal().is_some_and(|seal| seal.spent.is_some())
    }
}

/// The group key as the record has it.
pub(super) fn key_of(key: threshold::GroupKey) -> Option<GroupKey> {
    GroupKey::try_from(key.to_bytes().to_vec()).ok()
}

/// Entries of a document's authors, for a reader at the start: who spoke before may be read again.
pub(super) fn admit_authors<'a>(document: &mut Document, said: impl Iterator<Item = &'a crdt::Signed>) {
    said.for_each(|signed| document.admit(signed.entry().author));
}
