//! Attempts at a key (§9): who is left out when somebody is absent or spoils it, and who decides that.
//!
//! The first attempt is among all co-signers and needs no word. When it is over, the first in rank says who
//! makes the next: everybody who is here or did its part. Others join by repeating the entry, and refuse one
//! that leaves out somebody who did its part as far as they saw: nobody is pushed out by one word.

use super::Node;
use super::keygen::EPOCH;
use crdt::entry::Attempt;
use crdt::limits::ATTEMPTS_MAX;
use crdt::{Digest, Height, MemberId, Payload};
use std::time::Duration;

/// Blocks that an attempt has, from its entry's height.
pub(super) const ATTEMPT_BLOCKS: Height = 432;
/// How long the next in rank waits before it calls an attempt instead of one who does not.
pub(super) const NEXT_CALLER: Duration = Duration::from_secs(10);

impl Node {
    /// Turn to the newest attempt that we joined, or can join; call one if it is our turn.
    pub(super) fn follow_attempts(&mut self) {
        if !self.charter.co_signers.contains(&self.me) {
            return;
        }
        self.take_up_joined();
        if !self.attempt_is_over() {
            return;
        }
        let since = *self.keygen.over_since.get_or_insert(self.now);
        if let Some(attempt) = self.attempt_to_join() {
            return self.join(attempt);
        }
        let turn = self.rank_of_caller().map(|rank| since.after(NEXT_CALLER * rank));
        if turn.is_some_and(|turn| self.now >= turn)
            && let Some(attempt) = self.next_attempt()
        {
            self.join(attempt);
        }
    }

    /// What we joined before a restart that took the session's own state.
    fn take_up_joined(&mut self) {
        let joined = self.fold.state().attempts.range((EPOCH, self.keygen.attempt + 1)..);
        let ours = joined.filter_map(|(_, all)| all.get(&self.me)).next_back();
        if let Some((_, attempt)) = ours {
            let (number, set) = (attempt.attempt, attempt.set.clone());
            let t = self.charter.threshold.of(set.len());
            self.keygen.turn_to(number, set, t);
        }
    }

    /// Say so, which is durable before anything of the attempt leaves, then turn to it.
    fn join(&mut self, attempt: Attempt) {
        tracing::info!(target: "guild::keygen", attempt = attempt.attempt, among = attempt.set.len(), "joining");
        let (number, set) = (attempt.attempt, attempt.set.clone());
        match self.say(Payload::Attempt(attempt)) {
            Ok(_) => {
                let t = self.charter.threshold.of(set.len());
                self.keygen.turn_to(number, set, t);
            }
            Err(error) => tracing::warn!(target: "guild::keygen", %error, "cannot join the attempt"),
        }
    }

    /// The height at which the present attempt began: the last signature under the charter, or the first
    /// word of the attempt.
    fn attempt_began(&self) -> Option<Height> {
        if self.keygen.attempt == 1 {
            let founders = self.charter.founders.iter().map(|founder| self.document.chain(&founder.key));
            let accepts = founders.flatten().filter_map(|chain| {
                let mut entries = chain.entries().iter().map(crdt::Signed::entry);
                entries.find(|entry| entry.payload == Payload::Accept).map(|entry| entry.height)
            });
            return accepts.max();
        }
        let called = self.state().attempts.get(&(EPOCH, self.keygen.attempt))?.values();
        called.filter(|(_, attempt)| attempt.set == self.keygen.seats).map(|(height, _)| *height).min()
    }

    fn attempt_is_over(&self) -> bool {
        self.keygen.failed.is_some() || self.attempt_began().is_some_and(|began| self.too_late(began))
    }

    fn too_late(&self, began: Height) -> bool {
        self.tip_height() >= began.saturating_add(ATTEMPT_BLOCKS)
    }

    /// Whether this member did all it could in the present attempt, as far as we saw.
    pub(super) fn did_its_part(&self, member: &MemberId) -> bool {
        let Some(party) = self.keygen.party(member) else { return false };
        let blamed = self.keygen.failed.as_ref().is_some_and(|(_, culprits)| culprits.contains(member));
        let here = *member == self.me || self.peers.connected.contains_key(member);
        let did = self.keygen.waiting().map_or(here, |waiting| !waiting.missing.contains(&party));
        did && !blamed
    }

    /// The next attempt as we would call it; none if too few are left, or there were too many attempts.
    fn next_attempt(&self) -> Option<Attempt> {
        let blamed = |member: &MemberId| {
            self.keygen.failed.as_ref().is_some_and(|(_, culprits)| culprits.contains(member))
        };
        // who was not in the present attempt gets another chance; who was and is here in silence does not
        let takes_part = |member: &&MemberId| match self.keygen.party(member) {
            _ if **member == self.me => true,
            Some(_) => self.did_its_part(member),
            None => self.peers.connected.contains_key(*member) && !blamed(member),
        };
        let set: Vec<MemberId> = self.charter.co_signers.iter().filter(takes_part).copied().collect();
        let attempt = self.next_number()?;
        let enough = set.len() >= self.charter.signers_needed() && attempt <= ATTEMPTS_MAX;
        enough.then_some(Attempt { epoch: EPOCH, attempt, set })
    }

    /// The number of the attempt after ours, or after the newest among others; none as long as that runs.
    fn next_number(&self) -> Option<u32> {
        let newer = self.state().attempts.range((EPOCH, self.keygen.attempt + 1)..).next_back();
        let Some(((_, newest), called)) = newer else { return Some(self.keygen.attempt + 1) };
        let began = called.values().map(|(height, _)| *height).min()?;
        self.too_late(began).then_some(newest + 1)
    }

    /// The newest attempt that others called, that names us, and that leaves out nobody who did its part.
    fn attempt_to_join(&self) -> Option<Attempt> {
        let (next, state) = (self.keygen.attempt + 1, self.state());
        let (at, called) = state.attempts.range((EPOCH, next)..).next_back()?;
        let mut called: Vec<_> = called.iter().collect();
        called.sort_by_key(|(author, _)| rank(self.guild.to_bytes(), at.1, author));
        let fair = |attempt: &&Attempt| {
            // what came between we had no part in, and so no view of
            let left_out =
                self.keygen.seats.iter().find(|seat| !attempt.set.contains(seat) && self.did_its_part(seat));
            let unfair = left_out.filter(|_| attempt.attempt == next);
            if let Some(member) = unfair {
                tracing::warn!(target: "guild::keygen", attempt = attempt.attempt, member = %self.name(member), "not joined: it leaves out who did its part");
            }
            unfair.is_none() && attempt.set.contains(&self.me)
        };
        called.into_iter().map(|(_, (_, attempt))| attempt).find(fair).cloned()
    }

    /// How many who are here call the next attempt before us.
    fn rank_of_caller(&self) -> Option<u32> {
        let next = self.keygen.attempt + 1;
        let mut ranked = self.charter.co_signers.clone();
        ranked.sort_by_key(|member| rank(self.guild.to_bytes(), next, member));
        let here = |member: &&MemberId| **member == self.me || self.peers.connected.contains_key(*member);
        let rank = ranked.iter().filter(here).position(|member| *member == self.me)?;
        u32::try_from(rank).ok()
    }
}

pub(super) fn rank(guild: [u8; 32], attempt: u32, member: &MemberId) -> Digest {
    Digest::tagged("hashguild/rank/v1", &[&[3], &guild, &attempt.to_be_bytes(), &member.to_bytes()])
}
