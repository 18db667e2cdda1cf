//! What a coordinator offers with the request for a certificate (§7): the entries that its own judgement
//! rests on. Each co-signer judges what it holds itself and these together, so that nobody signs a hash of
//! "the votes I have", and a ballot that was shown to some stops nothing.
//!
//! An entry brings all that its author said before, so the newest of each kind and author is enough.

use crate::document::Document;
use crate::entry::Payload;
use crate::id::{EntryId, ProposalId};
use crate::limits::WITNESS_MAX;
use crate::state::State;

/// The entries that judging `id` rests on: the proposal, the newest ballot of each voter, what co-signers
/// stated when its votes closed. At most [`WITNESS_MAX`]; what is above that comes by anti-entropy.
#[must_use]
pub fn witness(document: &Document, state: &State, id: &ProposalId) -> Vec<EntryId> {
    let Some(proposal) = state.proposals.get(id) else { return Vec::new() };
    let of_this_close =
        |payload: &Payload| matches!(payload, Payload::CloseStatement(said) if said.close == proposal.close);
    let stated = |author| {
        let chain = document.chain(author)?.entries().iter().rev();
        let since = chain.take_while(|signed| signed.entry().height >= proposal.close);
        since.into_iter().find(|signed| of_this_close(&signed.entry().payload)).map(crate::Signed::id)
    };
    let ballots = proposal.ballots.values().map(|held| held.entry);
    let statements = state.co_signers.iter().filter_map(stated);
    std::iter::once(EntryId(id.0)).chain(statements).chain(ballots).take(WITNESS_MAX).collect()
}

/// Whether all of an offered witness set is in `document`, up to [`WITNESS_MAX`]: more is not looked at.
#[must_use]
pub fn is_held(document: &Document, witness: &[EntryId]) -> bool {
    witness.iter().take(WITNESS_MAX).all(|id| document.find(*id).is_some())
}
