//! Evidence that a party broke the protocol, which anybody can check.

use crate::dkg::DkgMessage;
use crate::party::PartyId;

/// Two messages that one party signed where the protocol allows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivocation {
    /// The message that came first.
    pub first: DkgMessage,
    /// The one that contradicts it.
    pub second: DkgMessage,
}

impl Equivocation {
    /// Who signed both.
    #[must_use]
    pub fn culprit(&self) -> PartyId {
        self.first.from()
    }

    /// Whether both are signed by `member_key` (Ed25519) as the same round of the same session, with
    /// different contents.
    #[must_use]
    pub fn holds(&self, member_key: &[u8; 32]) -> bool {
        let (first, second) = (&self.first, &self.second);
        first.same_place(second)
            && !first.same_content(second)
            && first.signed_by(member_key)
            && second.signed_by(member_key)
    }
}
