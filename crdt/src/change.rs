//! What an entry or a block changed in the state: what the events stream tells.

use crate::Height;
use crate::edit::Sheet;
use crate::id::{EntryId, MemberId, ProposalId};

/// One change of the replicated state, or of the workspace beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A founder signed the charter.
    Accepted(MemberId),
    /// A member's node moved.
    Moved(MemberId),
    /// Somebody may read along.
    Invited(MemberId),
    /// A member signed two entries for one place: what it said from there on does not count.
    Forked(MemberId),
    /// A co-signer is a step further in making a key.
    KeyStep(MemberId),
    /// Somebody is a step further on the way to the next epoch.
    Succession(MemberId),
    /// The epoch is another one now.
    Epoch(u32),
    /// There is a key that all co-signers stored, or another one than before.
    Key,
    /// A test signature of the key was shown.
    KeyTested,
    /// Something was proposed.
    Proposed(ProposalId),
    /// A member voted.
    Voted(ProposalId, MemberId),
    /// A member commented.
    Commented(ProposalId, MemberId),
    /// A proposal was taken back.
    Withdrawn(ProposalId),
    /// A decision was proven.
    Certified(ProposalId),
    /// A decision's lineage ended.
    Settled(ProposalId),
    /// A co-signer said what it had seen of the votes that closed at this height.
    Stated(Height, MemberId),
    /// A member drew on a budget.
    Drawn(ProposalId, EntryId),
    /// A member wants to leave.
    Leaving(MemberId),
    /// A member's node stopped signing, or signs again.
    Paused(MemberId, bool),
    /// A member chose who votes for it, or nobody.
    Delegated(MemberId),
    /// The workspace was edited.
    Edited(Sheet, EntryId),
}
