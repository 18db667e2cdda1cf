//! Leaving: a member's claim on its part of the treasury (§7).

use super::{Output, SpendError, spend};
use crate::Height;
use crate::certificate::{Body, Decidable};
use crate::hash::Digest;
use crate::id::{GuildId, MemberId, ProposalId};
use bitcoin::{Amount, ScriptBuf};
use serde::{Deserialize, Serialize};

/// The id of a member's exit: one per key, for ever.
#[must_use]
pub fn exit_id(guild: GuildId, member: &MemberId) -> ProposalId {
    ProposalId(Digest::tagged("hashguild/exit/v1", &[&guild.to_bytes(), &member.to_bytes()]))
}

/// What an exit pays. It names no anchor: exits go by the guild anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Who leaves.
    pub member: MemberId,
    /// How much it takes along, to the payout script that the roll has for it.
    pub output: Output,
}

impl Exit {
    /// The exit of `member` with `amount`.
    ///
    /// # Errors
    ///
    /// [`SpendError`] if that can never be paid.
    pub fn new(member: MemberId, payout: &ScriptBuf, amount: Amount) -> Result<Self, SpendError> {
        let output = Output { script: payout.clone(), amount };
        spend::check(std::slice::from_ref(&output))?;
        Ok(Self { member, output })
    }

    /// The bytes that its certificate signs, for the entry said at `height`.
    #[must_use]
    pub fn body(&self, guild: GuildId, epoch: u32, height: Height) -> Body {
        Body {
            guild,
            epoch,
            proposal: exit_id(guild, &self.member),
            option: 0,
            effect: self.effect_hash(),
            close: height,
        }
    }
}

impl Decidable for Exit {
    fn effect_hash(&self) -> Digest {
        let bytes = postcard::to_stdvec(self).expect("an exit always encodes");
        Digest::tagged("hashguild/exit-effect/v1", &[&bytes])
    }
}
