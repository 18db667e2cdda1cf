//! Cuts and checkpoints (§10): where the chains end for the next epoch, who works out what follows, and who
//! holds it.

use super::attempts::{NEXT_CALLER, rank};
use super::peers::Pending;
use super::{Effect, Node};
use crate::journal::Record;
use crate::net::protocol::{Request, Response};
use crdt::epoch::{self, NotFit, Plan};
use crdt::limits::{CHECKPOINTS_HELD, CUT_AHEAD};
use crdt::succession::{Cut, Made};
use crdt::{Checkpoint, Digest, Height, MemberId, Payload};
use std::sync::Arc;
use std::time::Duration;
use threshold::sign::Refusal;

/// How long after a cut its first drafter waits for what others said before it.
const DRAFT_AFTER: Duration = Duration::from_secs(10);
/// How long the next drafter waits for the one before.
const NEXT_DRAFTER: Duration = Duration::from_secs(20);
/// Blocks after a cut without a seal after which another one is announced.
const CUT_AGAIN: Height = 36;
/// How long a peer has to give a checkpoint before the next is asked.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// What a checkpoint's blob is called, before its hash.
const CHECKPOINT_BLOB: &str = "checkpoint-";

impl Node {
    /// Remember, durably, what we had when our tip first reached a cut.
    pub(super) fn note_cuts(&mut self, ready: &[Made]) {
        let tip = self.highest_tip();
        let cuts = ready.iter().flat_map(|made| self.state().cuts(made.change, made.attempt));
        let new: Vec<Height> =
            cuts.filter(|cut| *cut <= tip && !self.succession.at_cut.contains_key(cut)).collect();
        for height in new {
            let heads = epoch::heads(&self.document);
            let listed = heads.iter().map(|(author, head)| (*author, *head)).collect();
            self.effects.push_back(Effect::Journal(Record::Cut { height, heads: listed }));
            self.succession.at_cut.insert(height, heads);
        }
    }

    /// Whether it is our turn among `members` to do what is due since it was first seen to be.
    fn is_our_turn(
        &mut self,
        (what, about, at): (&'static str, Digest, Height),
        members: &[MemberId],
        (first, step): (Duration, Duration),
    ) -> bool {
        let since = *self.succession.since.entry((what, about, at)).or_insert(self.now);
        let here = |member: &&MemberId| **member == self.me || self.peers.connected.contains_key(*member);
        let mut ranked = members.to_vec();
        ranked.sort_by_key(|member| rank(about.0, at, member));
        let place = ranked.iter().filter(here).position(|member| *member == self.me);
        let place = place.and_then(|place| u32::try_from(place).ok());
        place.is_some_and(|place| self.now >= since.after(first + step * place))
    }

    /// Say where the chains are to end, if nobody did, or nothing came of it.
    pub(super) fn announce_cut(&mut self, made: &Made) {
        let newest = self.state().cuts(made.change, made.attempt).last().copied();
        let tip = self.highest_tip();
        let fresh = newest.is_some_and(|cut| tip < cut.saturating_add(CUT_AGAIN));
        if fresh || self.is_leaving() {
            return;
        }
        let co_signers = self.state().co_signers.clone();
        let what = ("cut", Digest(made.change.to_bytes()), newest.unwrap_or_default());
        if self.is_our_turn(what, &co_signers, (Duration::ZERO, NEXT_CALLER)) {
            let height = tip.saturating_add(CUT_AHEAD);
            self.say_or_log(Payload::Cut(Cut { change: made.change, attempt: made.attempt, height }));
        }
    }

    /// Draft the checkpoint, once the cut is reached and if there is none that fits.
    pub(super) fn draft_checkpoint(&mut self, made: &Made) {
        let tip = self.highest_tip();
        let cuts = self.state().cuts(made.change, made.attempt);
        let Some(cut) = cuts.into_iter().rfind(|cut| *cut <= tip) else { return };
        let fits = self.succession.checkpoints.iter().any(|(hash, checkpoint)| {
            (checkpoint.cut, checkpoint.transcript) == (cut, made.transcript) && self.fits(hash).is_ok()
        });
        let what = ("draft", Digest(made.change.to_bytes()), cut);
        if fits || !self.is_our_turn(what, &made.co_signers, (DRAFT_AFTER, NEXT_DRAFTER)) {
            return;
        }
        let facts = self.facts();
        let heads = epoch::heads(&self.document);
        let state = epoch::at_heads(&self.charter, &self.document, &facts, &heads);
        let before = facts.epochs.last().map(|sealed| &sealed.checkpoint);
        let plan = Plan {
            made: made.clone(),
            cut,
            heads,
            previous: before.map(|before| before.hash()),
            guild_anchor: before.and_then(|before| before.guild_anchor),
        };
        match plan.draft(&state) {
            Ok(checkpoint) => {
                let hash = checkpoint.hash();
                self.keep_checkpoint(checkpoint);
                self.say_or_log(Payload::Holds { checkpoint: hash });
            }
            Err(why) => tracing::warn!(target: "guild::core", %why, "no checkpoint"),
        }
    }

    fn keep_checkpoint(&mut self, checkpoint: Checkpoint) {
        let hash = checkpoint.hash();
        let name = format!("{CHECKPOINT_BLOB}{hash}");
        self.effects.push_back(Effect::StoreBlob(name, checkpoint.to_bytes()));
        self.succession.checkpoints.insert(hash, Arc::new(checkpoint));
        self.look_for_due = true;
    }

    /// Whether a checkpoint that we hold follows from what we hold. Judged again when that changes.
    pub(super) fn fits(&self, hash: &Digest) -> Result<(), NotFit> {
        let Some(checkpoint) = self.succession.checkpoints.get(hash) else { return Err(NotFit::Missing) };
        let now = (self.document.version(), self.tip_height());
        let known = self.succession.judged.borrow().get(hash).cloned();
        if let Some((at, judged)) = known
            && (at == now || at.1 == now.1 && judged.is_ok())
        {
            return judged;
        }
        let facts = self.facts();
        let before = facts.epochs.last().map(|sealed| Arc::clone(&sealed.checkpoint));
        let judged = epoch::judge(
            checkpoint,
            (&self.charter, &self.document, &facts),
            self.succession.at_cut.get(&checkpoint.cut),
            before.as_deref(),
        );
        self.succession.judged.borrow_mut().insert(*hash, (now, judged.clone()));
        judged
    }

    /// Say that we hold what we shall sign for.
    pub(super) fn hold_checkpoints(&mut self) {
        let next = self.state().epoch.saturating_add(1);
        let holders = &self.state().next.holders;
        let mine = |(hash, checkpoint): &(&Digest, &Arc<Checkpoint>)| {
            let said = holders.get(*hash).is_some_and(|holders| holders.contains(&self.me));
            checkpoint.epoch == next && checkpoint.co_signers.contains(&self.me) && !said
        };
        let new: Vec<Digest> =
            self.succession.checkpoints.iter().filter(mine).map(|(hash, _)| *hash).collect();
        for hash in new {
            match self.fits(&hash) {
                Ok(()) => self.say_or_log(Payload::Holds { checkpoint: hash }),
                Err(why) => {
                    tracing::debug!(target: "guild::core", %hash, %why, "a checkpoint that does not fit")
                }
            }
        }
    }

    /// Ask those who say that they hold a checkpoint for it.
    pub(super) fn fetch_checkpoints(&mut self) {
        let lacking: Vec<(Digest, Vec<MemberId>)> = self
            .state()
            .next
            .holders
            .iter()
            .filter(|(hash, _)| !self.succession.checkpoints.contains_key(*hash))
            .map(|(hash, holders)| {
                let here = holders.iter().filter(|holder| self.peers.connected.contains_key(*holder));
                (*hash, here.copied().collect())
            })
            .take(CHECKPOINTS_HELD)
            .collect();
        for (hash, holders) in lacking {
            let (then, tries) = self.succession.asked.get(&hash).copied().unwrap_or_default();
            let due = tries == 0 || self.now >= then.after(ASK_AGAIN);
            let next = tries.checked_rem(holders.len()).and_then(|at| holders.get(at)).filter(|_| due);
            if let Some(holder) = next {
                self.succession.asked.insert(hash, (self.now, tries.wrapping_add(1)));
                self.ask(*holder, Request::Checkpoint(hash), Pending::Checkpoint(hash));
            }
        }
    }

    pub(super) fn answer_checkpoint(&self, hash: &Digest) -> Response {
        let none = || Response::Refused(Refusal::new("checkpoint", "a checkpoint that is here", "none"));
        let held = self.succession.checkpoints.get(hash);
        held.map_or_else(none, |checkpoint| Response::Checkpoint(checkpoint.to_bytes()))
    }

    pub(super) fn take_checkpoint(&mut self, from: MemberId, hash: Digest, bytes: &[u8]) {
        match Checkpoint::from_bytes(bytes) {
            Ok(checkpoint) if checkpoint.hash() == hash && checkpoint.guild == self.guild => {
                self.keep_checkpoint(checkpoint);
            }
            _ => tracing::warn!(target: "guild::net", peer = %self.name(&from), "not the checkpoint"),
        }
    }
}
