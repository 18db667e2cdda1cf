//! The key of the next epoch (§9, §10): who makes it, and that it works. The first key needs no word, every
//! later one is made in an attempt that somebody calls for a certified change and all of its set join.

use super::Node;
use super::ask::{Ask, Subject};
use super::attempts::{ATTEMPT_BLOCKS, NEXT_CALLER, rank};
use super::keygen::EPOCH;
use crdt::entry::Attempt;
use crdt::limits::ATTEMPTS_MAX;
use crdt::succession::{Made, Rekey};
use crdt::{MemberId, Payload, ProposalId};
use std::time::Duration;
use threshold::sign::{KeyTest, Refusal, Request};
use threshold::{SessionId, Timestamp};

/// How long a first attempt waits for candidates that are not here, before it is called among fewer.
const WAIT_FOR_ALL: Duration = Duration::from_secs(120);

/// Where our part in the next key stands, besides the key generation itself.
#[derive(Debug, Default)]
pub(super) struct Rekeying {
    /// For which change there is a key to be made, and since when we know.
    since: Option<(ProposalId, Timestamp)>,
}

impl Node {
    /// Join or call the attempt that is due, and begin it when all are here.
    pub(super) fn drive_rekey(&mut self) {
        if self.tip.is_none() || self.recovery.is_some() || self.seal().is_none() {
            return;
        }
        self.take_up_rekey();
        if let Some(change) = self.change_without_key() {
            self.follow_rekeys(change);
        }
        let next = self.state().epoch.saturating_add(1);
        let kept = self.keygen.is_kept();
        if self.keygen.epoch != next || self.keygen.epoch == EPOCH {
            return;
        }
        let here = |member: &MemberId| *member == self.me || self.peers.connected.contains_key(member);
        if (kept || self.keygen.seats.iter().all(here)) && !self.is_made(self.keygen.attempt) {
            self.begin_attempt();
        }
    }

    /// The first certified change that names candidates, us among them, and has no key yet; or one whose
    /// makers did not get it sealed in time: somebody of them may be gone.
    fn change_without_key(&self) -> Option<ProposalId> {
        let state = self.state();
        let rekeys = state.rekeys();
        let fresh = rekeys
            .iter()
            .filter(|(began, rekey)| !self.is_late(*began) && self.is_made(rekey.attempt.attempt));
        let made: Vec<ProposalId> = fresh.map(|(_, rekey)| rekey.change).collect();
        let mut open =
            state.changes().filter(|(id, change)| change.candidates.contains(&self.me) && !made.contains(id));
        open.next().map(|(id, _)| id).filter(|_| !self.is_leaving())
    }

    fn is_made(&self, attempt: u32) -> bool {
        self.state().made().any(|made| made.attempt == attempt)
    }

    /// What we joined before a restart.
    fn take_up_rekey(&mut self) {
        let next = self.state().epoch.saturating_add(1);
        let mut joined = self.state().next.rekeys.values().filter_map(|said| said.get(&self.me));
        let Some((_, rekey)) = joined.next_back().cloned() else { return };
        let ours = (self.keygen.epoch, self.keygen.attempt);
        if ours < (next, rekey.attempt.attempt) {
            self.turn_to_rekey(&rekey);
        }
    }

    fn turn_to_rekey(&mut self, rekey: &Rekey) {
        let Attempt { epoch, attempt, set } = &rekey.attempt;
        let Some(t) = self.state().next_threshold(&rekey.change, set) else { return };
        self.keygen.turn_to_next((*epoch, *attempt), set.clone(), t);
    }

    fn follow_rekeys(&mut self, change: ProposalId) {
        let since = match self.rekeying.since {
            Some((of, since)) if of == change => since,
            _ => self.rekeying.since.insert((change, self.now)).1,
        };
        if self.runs_for(change) {
            return;
        }
        if let Some(rekey) = self.rekey_to_join(change) {
            return self.join_rekey(rekey);
        }
        let turn = self.rank_among(change).map(|rank| since.after(NEXT_CALLER * rank));
        if turn.is_some_and(|turn| self.now >= turn)
            && let Some(rekey) = self.next_rekey(change, since)
        {
            self.join_rekey(rekey);
        }
    }

    /// Whether we take part in an attempt for `change` that is not over.
    fn runs_for(&self, change: ProposalId) -> bool {
        let ours = (self.keygen.epoch, self.keygen.attempt);
        let rekeys = self.state().rekeys();
        let mut mine = rekeys.iter().filter(|(_, rekey)| {
            (rekey.attempt.epoch, rekey.attempt.attempt) == ours
                && rekey.change == change
                && rekey.attempt.set == self.keygen.seats
        });
        mine.any(|(height, _)| self.keygen.failed.is_none() && !self.is_late(*height))
    }

    fn is_late(&self, began: crdt::Height) -> bool {
        self.tip_height() >= began.saturating_add(ATTEMPT_BLOCKS)
    }

    /// The newest attempt for `change` that names us, runs, and leaves out nobody who did its part in ours.
    fn rekey_to_join(&self, change: ProposalId) -> Option<Rekey> {
        let next = self.state().epoch.saturating_add(1);
        let ours = if self.keygen.epoch == next { self.keygen.attempt } else { 0 };
        let state = self.state();
        let mut found: Vec<_> = state
            .rekeys()
            .into_iter()
            .filter(|(height, rekey)| {
                let Attempt { attempt, set, .. } = &rekey.attempt;
                let unfair = || {
                    let follows = *attempt == ours + 1 && ours > 0;
                    follows
                        && self.keygen.seats.iter().any(|seat| !set.contains(seat) && self.did_its_part(seat))
                };
                rekey.change == change
                    && *attempt > ours
                    && set.contains(&self.me)
                    && !self.is_late(*height)
                    && !unfair()
            })
            .collect();
        found.sort_by_key(|(_, rekey)| {
            let caller = rekey.attempt.set.first().copied().unwrap_or(self.me);
            (
                std::cmp::Reverse(rekey.attempt.attempt),
                rank(self.guild.to_bytes(), rekey.attempt.attempt, &caller),
            )
        });
        found.first().map(|(_, rekey)| (*rekey).clone())
    }

    /// The attempt that we would call: among all candidates who are here, or all of them.
    fn next_rekey(&self, change: ProposalId, since: Timestamp) -> Option<Rekey> {
        let (_, effect) = self.state().changes().find(|(id, _)| *id == change)?;
        let here = |member: &&MemberId| **member == self.me || self.peers.connected.contains_key(*member);
        let blamed = |member: &MemberId| {
            self.keygen.failed.as_ref().is_some_and(|(_, culprits)| culprits.contains(member))
        };
        let set: Vec<MemberId> =
            effect.candidates.iter().filter(here).filter(|member| !blamed(member)).copied().collect();
        let waited = self.now >= since.after(WAIT_FOR_ALL);
        if set.len() < effect.candidates.len() && !waited {
            return None;
        }
        self.state().next_threshold(&change, &set)?;
        let newest = self.state().next.rekeys.keys().next_back().copied().unwrap_or_default();
        let attempt = newest.checked_add(1).filter(|attempt| *attempt <= ATTEMPTS_MAX)?;
        let epoch = self.state().epoch.checked_add(1)?;
        Some(Rekey { change, attempt: Attempt { epoch, attempt, set } })
    }

    /// Say so, which is durable before anything of the attempt leaves, then turn to it.
    fn join_rekey(&mut self, rekey: Rekey) {
        let (attempt, among) = (rekey.attempt.attempt, rekey.attempt.set.len());
        tracing::info!(target: "guild::keygen", attempt, among, "joining the next key");
        match self.say(Payload::Rekey(rekey.clone())) {
            Ok(_) => self.turn_to_rekey(&rekey),
            Err(error) => tracing::warn!(target: "guild::keygen", %error, "cannot join the attempt"),
        }
    }

    /// How many candidates who are here call before us.
    fn rank_among(&self, change: ProposalId) -> Option<u32> {
        let (_, effect) = self.state().changes().find(|(id, _)| *id == change)?;
        let newest = self.state().next.rekeys.keys().next_back().copied().unwrap_or_default();
        let mut ranked = effect.candidates.clone();
        ranked.sort_by_key(|member| rank(self.guild.to_bytes(), newest.saturating_add(1), member));
        let here = |member: &&MemberId| **member == self.me || self.peers.connected.contains_key(*member);
        let rank = ranked.iter().filter(here).position(|member| *member == self.me)?;
        u32::try_from(rank).ok()
    }

    /// The keys of the next epoch that all stored and nobody showed to work, of which we hold a share.
    pub(super) fn due_tests(&self) -> impl Iterator<Item = Ask> {
        let untested = self.state().made().filter(|made| !self.state().tested(made));
        let ours = untested.filter(|made| self.keyring.contains_key(&made.group_key));
        ours.map(|made| Ask::NextTest(made.attempt)).collect::<Vec<_>>().into_iter()
    }

    /// The key that an attempt made, if all of its set say so.
    pub(super) fn made_in(&self, attempt: u32) -> Option<Made> {
        self.state().made().find(|made| made.attempt == attempt)
    }

    pub(super) fn next_test_request(&self, attempt: u32) -> Result<Request, Refusal> {
        let made = self.made_in(attempt).ok_or_else(|| {
            Refusal::new("next key", "a key of the next epoch that all of its set stored", "none")
        })?;
        let session = SessionId::from_bytes(made.transcript.0);
        let epoch = self.state().epoch.saturating_add(1);
        Ok(Request::KeyTest(KeyTest { guild: self.guild.to_bytes(), epoch, session }))
    }

    /// Who signs what is about `subject`, in the order of their seats, and how many it takes.
    pub(super) fn quorum(&self, subject: &Subject) -> (Vec<MemberId>, usize) {
        let state = self.state();
        match subject {
            Subject::NextTest(attempt) => {
                let made = self.made_in(*attempt);
                let t = made.as_ref().and_then(|made| state.next_threshold(&made.change, &made.co_signers));
                (made.map(|made| made.co_signers).unwrap_or_default(), t.unwrap_or(usize::MAX))
            }
            Subject::LateSweep(epoch) => {
                let past = state.past.get(epoch);
                let needed = past.map_or(usize::MAX, |past| usize::from(past.signers_needed));
                (past.map(|past| past.co_signers.clone()).unwrap_or_default(), needed)
            }
            _ => (state.co_signers.clone(), state.signers_needed()),
        }
    }
}
