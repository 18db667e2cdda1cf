//! How the guild's key comes to be: attempts, echoes, words of having stored it, test signatures.

use super::Fold;
use super::judge::place;
use crate::certificate::{Signature, key_test_digest};
use crate::change::Change;
use crate::document::Document;
use crate::entry::{Attempt, Entry, KeyReady};
use crate::hash::Digest;
use crate::id::MemberId;
use crate::limits::ATTEMPTS_MAX;
use crate::verdict::Ignored;
use std::collections::BTreeSet;

impl Fold {
    /// Whether this member can be among those who make the key.
    pub(super) fn candidate(&self, member: &MemberId) -> Result<(), Ignored> {
        let known = self.charter.co_signers.contains(member);
        if known { Ok(()) } else { Err(Ignored::NotACoSigner(*member)) }
    }

    pub(super) fn echo(&mut self, entry: &Entry, attempt: (u32, u32), round1: Digest) -> Result<(), Ignored> {
        self.may_make(&entry.author, attempt)?;
        let echoes = self.state.echoes.entry(attempt).or_default();
        if echoes.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        echoes.insert(entry.author, round1);
        self.changes.push(Change::KeyStep(entry.author));
        Ok(())
    }

    pub(super) fn key_ready(
        &mut self,
        document: &Document,
        entry: &Entry,
        ready: &KeyReady,
    ) -> Result<(), Ignored> {
        self.stored(entry, ready)?;
        self.agree_on_key(document);
        Ok(())
    }

    /// Who made a key of this epoch or the next says that its share is stored: once.
    pub(super) fn stored(&mut self, entry: &Entry, ready: &KeyReady) -> Result<(), Ignored> {
        self.may_make(&entry.author, (ready.epoch, ready.attempt))?;
        let all = self.state.key_ready.entry((ready.epoch, ready.attempt)).or_default();
        if all.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        all.insert(entry.author, ready.clone());
        self.changes.push(Change::KeyStep(entry.author));
        Ok(())
    }

    /// A co-signer calls a key generation among some, or joins one that another called.
    pub(super) fn attempt(
        &mut self,
        document: &Document,
        entry: &Entry,
        attempt: &Attempt,
    ) -> Result<(), Ignored> {
        self.candidate(&entry.author)?;
        self.check_attempt(entry, attempt)?;
        let all = self.state.attempts.entry((attempt.epoch, attempt.attempt)).or_default();
        if all.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        all.insert(entry.author, (entry.height, attempt.clone()));
        self.changes.push(Change::KeyStep(entry.author));
        self.agree_on_key(document);
        Ok(())
    }

    /// As many as the charter wants signatures of, at least: fewer could not be trusted with the treasury.
    fn check_attempt(&self, entry: &Entry, attempt: &Attempt) -> Result<(), Ignored> {
        let Attempt { epoch, attempt: number, set } = attempt;
        let mut seats = self.charter.co_signers.iter();
        let in_order = set.iter().all(|member| seats.any(|seat| seat == member));
        let t = self.charter.threshold.of(set.len());
        let enough = set.len() >= self.charter.signers_needed() && (2..=set.len()).contains(&t);
        let number = (2..=ATTEMPTS_MAX).contains(number);
        let fine = *epoch == 1 && number && in_order && enough && set.contains(&entry.author);
        if fine { Ok(()) } else { Err(Ignored::BadAttempt) }
    }

    /// The newest key that everybody who made it stored.
    pub(super) fn agreed_key(&self) -> Option<KeyReady> {
        let attempts = self.state.key_ready.iter().rev().filter(|((epoch, _), _)| *epoch == 1);
        attempts
            .map(|(at, _)| at)
            .find_map(|at| self.sets(*at).into_iter().find_map(|set| self.agreed_among(*at, set)))
    }

    /// Who makes the key in this attempt, as far as anybody said.
    fn sets(&self, at: (u32, u32)) -> BTreeSet<&[MemberId]> {
        if at.1 == 1 {
            return BTreeSet::from([self.charter.co_signers.as_slice()]);
        }
        let called = self.state.attempts.get(&at).into_iter().flatten();
        called.map(|(_, (_, attempt))| attempt.set.as_slice()).collect()
    }

    /// What all of `set` stored. A co-signer whose word fell in its own fork cannot take the key from the
    /// others: those who remain must agree, and be enough to sign.
    fn agreed_among(&self, at: (u32, u32), set: &[MemberId]) -> Option<KeyReady> {
        let all = self.state.key_ready.get(&at)?;
        let said: Vec<&KeyReady> = set.iter().filter_map(|member| all.get(member)).collect();
        let ready = *said.first()?;
        let forked =
            |member: &MemberId| self.state.members.get(member).is_some_and(|member| member.forked.is_some());
        let complete = set.iter().all(|member| all.contains_key(member) || forked(member));
        let enough = said.len() >= self.charter.threshold.of(set.len());
        (complete && enough && said.iter().all(|other| *other == ready)).then(|| ready.clone())
    }

    /// Who made this key.
    pub(super) fn seats_of(&self, ready: &KeyReady) -> Vec<MemberId> {
        let at = (ready.epoch, ready.attempt);
        let sets = self.sets(at).into_iter();
        let mut made = sets.filter(|set| self.agreed_among(at, set).as_ref() == Some(ready));
        made.next().map(<[MemberId]>::to_vec).unwrap_or_default()
    }

    /// Anybody may show a test signature: it proves itself.
    pub(super) fn key_test(
        &mut self,
        entry: &Entry,
        epoch: u32,
        signature: &Signature,
    ) -> Result<(), Ignored> {
        if epoch == self.state.epoch.saturating_add(1) {
            return self.next_test(entry, signature);
        }
        self.proofs.insert(place(entry));
        let guild = self.state.guild;
        let key = self.state.key.as_mut().filter(|key| key.ready.epoch == epoch).ok_or(Ignored::NoKey)?;
        if key.tests.contains_key(&entry.author) {
            return Err(Ignored::Repeated);
        }
        let digest = key_test_digest(guild, epoch, key.ready.transcript);
        if !signature.verifies(digest, key.ready.group_key) {
            return Err(Ignored::BadSignature);
        }
        key.tests.insert(entry.author, signature.clone());
        self.changes.push(Change::KeyTested);
        Ok(())
    }
}
