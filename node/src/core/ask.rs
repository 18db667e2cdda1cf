//! What one node asks others to sign: names only. Every signer builds the request itself, from its own
//! document and its own chain, so nobody ever signs what it was handed.

use crdt::{Digest, EntryId, Height, MemberId, ProposalId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request to sign, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ask {
    /// The first test signature of a new key.
    KeyTest,
    /// The second: the certificate of the charter's mining policy.
    Founding,
    /// That a proposal is decided.
    Certificate(ProposalId),
    /// The payment of a decision, built at this block and rate.
    Payment {
        /// The decision.
        decision: ProposalId,
        /// The height of the block it is built at: all signers are there.
        height: Height,
        /// Satoshis per virtual byte.
        fee_rate: u64,
    },
    /// A dearer version of the payment of a decision, in the place of one that does not confirm.
    Bump(ProposalId, Quote),
    /// The move that ends a decision without paying it: it is cancelled, or expired.
    Closing(ProposalId, Quote),
    /// A draw on a budget, as this Disburse entry asks, or a dearer version of it.
    Draw(EntryId, Quote),
    /// Moves coins that their recovery leaf would soon let go.
    Renewal(Quote),
    /// The test signature of the key that this attempt made for the next epoch.
    NextTest(u32),
    /// The seal of a checkpoint.
    Seal {
        /// Its hash.
        checkpoint: Digest,
        /// At which block and price it is built.
        quote: Quote,
    },
    /// A sweep that a seal takes along.
    Sweep {
        /// The hash of the seal's checkpoint.
        checkpoint: Digest,
        /// Which sweep, from 0.
        number: u16,
        /// At which block and price the seal is built.
        quote: Quote,
    },
    /// Moves coins that reached the key of a past epoch.
    LateSweep {
        /// Which.
        epoch: u32,
        /// At which block and price.
        quote: Quote,
    },
}

/// At which block and price a transaction is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quote {
    /// The height of the block it is built at: all signers are there.
    pub height: Height,
    /// Satoshis per virtual byte. A signer takes it within bounds of its own.
    pub fee_rate: u64,
}

/// What an [`Ask`] is about: one ceremony at a time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// See [`Ask::KeyTest`].
    KeyTest,
    /// See [`Ask::Founding`].
    Founding,
    /// See [`Ask::Certificate`].
    Certificate(ProposalId),
    /// See [`Ask::Payment`] and [`Ask::Bump`].
    Payment(ProposalId),
    /// See [`Ask::Closing`].
    Closing(ProposalId),
    /// See [`Ask::Draw`].
    Draw(EntryId),
    /// See [`Ask::Renewal`].
    Renewal,
    /// See [`Ask::NextTest`].
    NextTest(u32),
    /// See [`Ask::Seal`].
    Seal(Digest),
    /// See [`Ask::Sweep`].
    Sweep(Digest, u16),
    /// See [`Ask::LateSweep`].
    LateSweep(u32),
}

impl Ask {
    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        match self {
            Self::KeyTest => Subject::KeyTest,
            Self::Founding => Subject::Founding,
            Self::Certificate(proposal) => Subject::Certificate(*proposal),
            Self::Payment { decision, .. } | Self::Bump(decision, _) => Subject::Payment(*decision),
            Self::Closing(decision, _) => Subject::Closing(*decision),
            Self::Draw(entry, _) => Subject::Draw(*entry),
            Self::Renewal(_) => Subject::Renewal,
            Self::NextTest(attempt) => Subject::NextTest(*attempt),
            Self::Seal { checkpoint, .. } => Subject::Seal(*checkpoint),
            Self::Sweep { checkpoint, number, .. } => Subject::Sweep(*checkpoint, *number),
            Self::LateSweep { epoch, .. } => Subject::LateSweep(*epoch),
        }
    }

    /// At which block and price, if it is about a transaction.
    #[must_use]
    pub const fn quote(&self) -> Option<Quote> {
        match self {
            Self::KeyTest | Self::Founding | Self::Certificate(_) | Self::NextTest(_) => None,
            Self::Seal { quote, .. } | Self::Sweep { quote, .. } | Self::LateSweep { quote, .. } => {
                Some(*quote)
            }
            Self::Payment { height, fee_rate, .. } => Some(Quote { height: *height, fee_rate: *fee_rate }),
            Self::Bump(_, quote) | Self::Closing(_, quote) | Self::Draw(_, quote) | Self::Renewal(quote) => {
                Some(*quote)
            }
        }
    }
}

impl Subject {
    /// The co-signers in the order in which they coordinate and take seats: by a hash that nobody chooses.
    /// The founding certificate takes the order of the key test backwards, so that the two test
    /// signatures come from quorums as disjoint as can be (§9).
    #[must_use]
    pub fn ranked(&self, co_signers: &[MemberId]) -> Vec<MemberId> {
        let (tag, id) = match self {
            Self::KeyTest | Self::Founding => (0, [0; 32]),
            Self::Certificate(proposal) => (1, proposal.to_bytes()),
            Self::Payment(proposal) => (2, proposal.to_bytes()),
            Self::Closing(proposal) => (3, proposal.to_bytes()),
            Self::Draw(entry) => (4, entry.to_bytes()),
            Self::Renewal => (5, [0; 32]),
            Self::NextTest(attempt) => (6, numbered(*attempt)),
            // one after the other, so that whoever has the sweeps also asks for the seal
            Self::Seal(checkpoint) | Self::Sweep(checkpoint, _) => (7, checkpoint.0),
            Self::LateSweep(epoch) => (8, numbered(*epoch)),
        };
        let rank =
            |member: &MemberId| crdt::Digest::tagged("hashguild/rank/v1", &[&[tag], &id, &member.to_bytes()]);
        let mut ranked = co_signers.to_vec();
        ranked.sort_by_key(rank);
        if *self == Self::Founding {
            ranked.reverse();
        }
        ranked
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTest => f.write_str("the key test"),
            Self::Founding => f.write_str("the founding mining policy"),
            Self::Certificate(proposal) => write!(f, "the certificate of {}", proposal.short()),
            Self::Payment(proposal) => write!(f, "the payment of {}", proposal.short()),
            Self::Closing(proposal) => write!(f, "the closing move of {}", proposal.short()),
            Self::Draw(entry) => write!(f, "the draw {}", entry.short()),
            Self::Renewal => f.write_str("the renewal of old coins"),
            Self::NextTest(attempt) => write!(f, "the test of the next key, attempt {attempt}"),
            Self::Seal(checkpoint) => write!(f, "the seal of {checkpoint}"),
            Self::Sweep(checkpoint, number) => write!(f, "sweep {number} of {checkpoint}"),
            Self::LateSweep(epoch) => write!(f, "the sweep of late coins of epoch {epoch}"),
        }
    }
}

fn numbered(number: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_quorums_are_as_disjoint_as_can_be() {
        let members: Vec<_> = crdt::testkit::people(5).iter().map(crdt::testkit::Person::id).collect();
        let first = Subject::KeyTest.ranked(&members);
        let second = Subject::Founding.ranked(&members);
        let both = first[..3].iter().filter(|member| second[..3].contains(member)).count();
        assert_eq!(both, 1, "2 × 3 seats of 5 must share exactly one");
    }
}
