//! What the members of a guild say, and what it adds up to.
//!
//! Members speak in [`Entry`]s, each signed and chained to its author's previous one. The valid
//! entries form a [`Document`]: a set that any two nodes merge in any order. [`fold()`] turns a
//! document and the deeply buried facts of the chain into the replicated [`State`], the same on every
//! node that has the same entries.
//!
//! This crate reads no clock, draws no randomness, opens nothing and never lets Automerge parse bytes
//! that a peer made: behind the feature `automerge` the record view is built from the state, for export
//! only, and the [`workspace`] from verified edits, by Automerge's own transactions.
//!
//! The rules are those of `docs/PROTOCOL.md`; section numbers in comments (§) refer to it.

pub mod amount;
mod bounded;
pub mod category;
pub mod certificate;
pub mod chain;
pub mod change;
pub mod charter;
pub mod document;
pub mod edit;
pub mod entry;
pub mod epoch;
pub mod fold;
pub mod governance;
pub mod hash;
pub mod id;
pub mod limits;
pub mod mining;
pub mod receipt;
pub mod rules;
pub mod signed;
pub mod state;
pub mod succession;
pub mod sync;
pub mod text;
pub mod treasury;
pub mod verdict;
#[cfg(feature = "automerge")]
pub mod view;
#[cfg(feature = "automerge")]
pub mod workspace;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

pub use amount::Weight;
pub use certificate::{Certificate, Certified};
pub use change::Change;
pub use charter::{Charter, Founder};
pub use document::{Document, Insert};
pub use entry::{Entry, Payload};
pub use epoch::{Checkpoint, Sealed};
pub use fold::{ChainFacts, Fold, Folded, explain, fold};
pub use governance::{Ballot, Choice, Effect, Passing, Proposal};
pub use hash::Digest;
pub use id::{EntryId, GuildId, MemberId, ProposalId};
pub use signed::{Signed, Verifier};
pub use state::State;
pub use verdict::{Ignored, Verdict};

/// A position in the best chain: the only clock validity knows (§2).
pub type Height = u32;
