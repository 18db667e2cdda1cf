//! What is said on the way to the next epoch (§9, §10): who makes its key, where the chains end, who holds
//! its checkpoint.
//!
//! Everything is kept as it was said, and judged when somebody asks: what different authors say may come in
//! any order. What counts is decided by the co-signers, each for itself, when they sign the seal.

use crate::Height;
use crate::certificate::{Signature, key_test_digest};
use crate::entry::{Addresses, Attempt, KeyReady};
use crate::governance::{Effect, EpochChange};
use crate::hash::Digest;
use crate::id::{MemberId, ProposalId};
use crate::limits::CUT_AHEAD;
use crate::state::State;
use crate::treasury::GroupKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A key generation for the next epoch: called by who says it, joined by who repeats it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rekey {
    /// The decision that it is for: names the candidates.
    pub change: ProposalId,
    /// Who makes the key.
    pub attempt: Attempt,
}

/// Where the chains end for the next checkpoint, said ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cut {
    /// The decision that the checkpoint is to follow from.
    pub change: ProposalId,
    /// The attempt that made its key; 0 if the key stays.
    pub attempt: u32,
    /// Everybody remembers what it has when its tip first reaches this.
    pub height: Height,
}

/// An epoch that is over: its certificates stand, and old coins may still reach its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// P.
    pub group_key: GroupKey,
    /// Who holds shares of it, in the order of their seats.
    pub co_signers: Vec<MemberId>,
    /// How many of them sign.
    pub signers_needed: u16,
}

/// What is said on the way to the next epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// Key generations: attempt → who called or joined it → at this height, this one.
    pub rekeys: BTreeMap<u32, BTreeMap<MemberId, (Height, Rekey)>>,
    /// Test signatures, by place in their author's chain. Not checked here: see [`State::tested`].
    pub tests: BTreeMap<(MemberId, u32), Signature>,
    /// Announced cuts, by place in their author's chain, and the height it claims.
    pub cuts: BTreeMap<(MemberId, u32), (Height, Cut)>,
    /// Who holds the bytes of which checkpoint.
    pub holders: BTreeMap<Digest, BTreeSet<MemberId>>,
    /// Where the nodes of candidates can be reached.
    pub addresses: BTreeMap<MemberId, Addresses>,
}

impl Succession {
    /// Take out all that `author` said.
    pub(crate) fn forget(&mut self, author: &MemberId) {
        for said in self.rekeys.values_mut() {
            said.remove(author);
        }
        self.rekeys.retain(|_, said| !said.is_empty());
        self.tests.retain(|(tester, _), _| tester != author);
        self.cuts.retain(|(caller, _), _| caller != author);
        for holders in self.holders.values_mut() {
            holders.remove(author);
        }
        self.holders.retain(|_, holders| !holders.is_empty());
        self.addresses.remove(author);
    }
}

/// A key of the next epoch that everybody who made it stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The decision that it was made for; none for a key that stays.
    pub change: ProposalId,
    /// Which attempt made it; 0 for a key that stays.
    pub attempt: u32,
    /// P′.
    pub group_key: GroupKey,
    /// The hash of the key generation.
    pub transcript: Digest,
    /// Who holds shares, in the order of their seats.
    pub co_signers: Vec<MemberId>,
}

impl State {
    /// Changes of the epoch that are certified and not vetoed, in the order of their ids.
    pub fn changes(&self) -> impl Iterator<Item = (ProposalId, &EpochChange)> {
        self.proposals.iter().filter_map(|(id, proposal)| match &proposal.proposal.effect {
            Effect::Epoch(change) => {
                let proof = proposal.certificate().filter(|proof| proof.body.epoch == self.epoch);
                (proof.is_some() && self.cancelled(id).is_none()).then_some((*id, change.as_ref()))
            }
            _ => None,
        })
    }

    /// Who is not on the roll and may speak all the same: those whom a certified change names, for what it
    /// takes to make a key with them.
    #[must_use]
    pub fn candidates(&self) -> BTreeSet<MemberId> {
        let named = self
            .changes()
            .flat_map(|(_, change)| change.put.iter().map(|put| &put.key).chain(&change.candidates).copied());
        named.filter(|key| !self.members.contains_key(key)).collect()
    }

    /// What the next roll calls a candidate.
    #[must_use]
    pub fn candidate_name(&self, key: &MemberId) -> Option<String> {
        let mut put = self.changes().flat_map(|(_, change)| &change.put);
        put.find(|put| put.key == *key).map(|put| put.name.to_string())
    }

    /// t of the next epoch with `set` as its co-signers, if a certified change allows this set.
    #[must_use]
    pub fn next_threshold(&self, change: &ProposalId, set: &[MemberId]) -> Option<usize> {
        let (_, change) = self.changes().find(|(id, _)| id == change)?;
        let mut candidates = change.candidates.iter();
        let in_order = set.iter().all(|member| candidates.any(|candidate| candidate == member));
        let t = change.threshold.unwrap_or(self.threshold).of(set.len());
        let enough = set.len() >= usize::from(change.least).max(2) && (2..=set.len()).contains(&t);
        (in_order && enough).then_some(t)
    }

    /// The key generations for the next epoch that count: of each, the attempt and the height of its first
    /// word.
    #[must_use]
    pub fn rekeys(&self) -> Vec<(Height, &Rekey)> {
        let mut found: BTreeMap<&Rekey, Height> = BTreeMap::new();
        for (author, (height, rekey)) in self.next.rekeys.values().flatten() {
            let Attempt { epoch, set, .. } = &rekey.attempt;
            let fits = *epoch == self.epoch + 1 && set.contains(author);
            if fits && self.next_threshold(&rekey.change, set).is_some() {
                let first = found.entry(rekey).or_insert(*height);
                *first = (*first).min(*height);
            }
        }
        found.into_iter().map(|(rekey, height)| (height, rekey)).collect()
    }

    /// The keys of the next epoch that everybody in their set stored.
    pub fn made(&self) -> impl Iterator<Item = Made> {
        self.rekeys().into_iter().filter_map(|(_, rekey)| {
            let set = &rekey.attempt.set;
            let all = self.key_ready.get(&(rekey.attempt.epoch, rekey.attempt.attempt))?;
            let ready: Vec<&KeyReady> = set.iter().filter_map(|member| all.get(member)).collect();
            let first = *ready.first()?;
            let agreed = ready.len() == set.len() && ready.iter().all(|other| *other == first);
            agreed.then(|| Made {
                change: rekey.change,
                attempt: rekey.attempt.attempt,
                group_key: first.group_key,
                transcript: first.transcript,
                co_signers: set.clone(),
            })
        })
    }

    /// What `change` can be carried out with: keys that are made and tested, or the key that stays.
    pub fn made_for(&self, change: ProposalId) -> Vec<Made> {
        let stays = self.changes().any(|(id, of)| id == change && of.candidates.is_empty());
        if !stays {
            return self.made().filter(|made| made.change == change && self.tested(made)).collect();
        }
        let kept = self.key.as_ref().map(|key| Made {
            change,
            attempt: 0,
            group_key: key.ready.group_key,
            transcript: key.ready.transcript,
            co_signers: self.co_signers.clone(),
        });
        kept.into_iter().collect()
    }

    /// A signature that shows that this key works, if one was shown: of several the smallest.
    #[must_use]
    pub fn test_of(&self, made: &Made) -> Option<(MemberId, &Signature)> {
        let digest = key_test_digest(self.guild, self.epoch + 1, made.transcript);
        let verified = self.next.tests.iter().filter(|(_, test)| test.verifies(digest, made.group_key));
        verified.map(|((author, _), test)| (*author, test)).min_by(|a, b| a.1.cmp(b.1))
    }

    /// Whether this key is known to work.
    #[must_use]
    pub fn tested(&self, made: &Made) -> bool {
        self.test_of(made).is_some()
    }

    /// The cuts that co-signers announced for this, far enough ahead, the first first.
    #[must_use]
    pub fn cuts(&self, change: ProposalId, attempt: u32) -> BTreeSet<Height> {
        let said = self.next.cuts.iter().filter(|((author, _), (said, cut))| {
            let ahead = cut.height >= said.saturating_add(CUT_AHEAD);
            (cut.change, cut.attempt) == (change, attempt) && ahead && self.co_signers.contains(author)
        });
        said.map(|(_, (_, cut))| cut.height).collect()
    }

    /// Whether all of `co_signers` say that they hold the checkpoint `hash`.
    #[must_use]
    pub fn held_by_all(&self, hash: &Digest, co_signers: &[MemberId]) -> bool {
        let holders = self.next.holders.get(hash);
        holders.is_some_and(|holders| co_signers.iter().all(|member| holders.contains(member)))
    }

    /// The key that certificates of `epoch` verify under.
    #[must_use]
    pub fn key_of(&self, epoch: u32) -> Option<GroupKey> {
        if epoch == self.epoch {
            return self.key.as_ref().map(|key| key.ready.group_key);
        }
        self.past.get(&epoch).map(|past| past.group_key)
    }
}
