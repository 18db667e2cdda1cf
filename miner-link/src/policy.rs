//! What a link obeys, and why.
//!
//! Pure. [`judge`] takes what the node answered and gives the one policy that may be obeyed: certified
//! by the key of the pairing, in the guild of the pairing, and no older than what was obeyed before
//! (M1). The script that blocks pay is derived here, from the charter and the key; no address is taken
//! from anybody.

use crate::contract::{AnswerError, Pairing, PolicyAnswer, PolicyStatus};
use crate::job::Payout;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Address, Network, ScriptBuf};
use crdt::certificate::{Body, CertificateError};
use crdt::mining::{self, MiningPolicy, Mode, Small};
use crdt::treasury::{GroupKey, descriptor};
use crdt::{Certificate, Certified, Charter, GuildId, Height, ProposalId};
use miniscript::{Descriptor, DescriptorPublicKey};
use serde::{Deserialize, Serialize};

/// The index of the treasury's address for mining, on its receiving keychain (§9).
const MINING_INDEX: u32 = 0;

/// Which of two policies is the later decision (§8): a link never obeys a lesser one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Standing {
    /// The epoch of the certificate.
    pub epoch: u32,
    /// The height at which voting closed.
    pub close: Height,
    /// The decision.
    pub proposal: ProposalId,
    /// Which of its options.
    pub option: u16,
}

impl Standing {
    const fn of(certificate: &Certificate) -> Self {
        let Body { epoch, close, proposal, option, .. } = certificate.body;
        Self { epoch, close, proposal, option }
    }
}

/// What a link keeps of the policy it obeys: enough to obey it again after a restart, without a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The mark below which nothing is obeyed any more.
    pub standing: Standing,
    /// The answer it came in, which is verified again when it is read.
    pub answer: PolicyAnswer,
}

/// What a link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obeyed {
    /// It serves no job.
    Nothing(Why),
    /// It mines on templates of its own bitcoind.
    Solo(Box<Solo>),
}

/// Why no job is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Nobody was asked yet.
    #[error("the member's node did not answer yet")]
    NotAsked,
    /// The guild has no key, or its founding policy has no certificate yet.
    #[error("the guild has not certified a mining policy yet")]
    NotCertified,
    /// What the node answered is not to be obeyed.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// All value of our own blocks goes where the policy says; and pools may be used, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solo {
    /// Whom our own blocks pay.
    pub payout: Payout,
    /// Whom they pay where a device would cut the coinbase of `payout` short; none gives it no work.
    pub small: Option<Payout>,
    /// The treasury's mining address, for people.
    pub address: Address,
    /// The chain the guild lives on.
    pub network: Network,
    /// The decision and its proof.
    pub certified: Certified<MiningPolicy>,
}

impl Solo {
    /// Whether the guild decided that its farms mine for pools where they can (M1: no pool is used
    /// without).
    #[must_use]
    pub fn allows_pools(&self) -> bool {
        self.certified.effect().mode == Mode::Pool
    }

    /// How many the coinbase of our own block pays.
    #[must_use]
    pub fn payees(&self) -> usize {
        match &self.certified.effect().payout {
            mining::Payout::Treasury => 1,
            mining::Payout::Split(split) => split.shares().len(),
        }
    }
}

/// Why an answer is not obeyed. What was obeyed before goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It cannot be read.
    #[error("the node's answer: {0}")]
    Answer(#[from] AnswerError),
    /// The charter is of another guild.
    #[error("the node's charter is of guild {given}, and this link is paired with {paired}")]
    Guild {
        /// What its bytes hash to.
        given: GuildId,
        /// What was paired.
        paired: GuildId,
    },
    /// The certificate is of an epoch whose key this link does not know.
    #[error("the certificate is of epoch {given}, and this link is paired with the key of epoch {paired}")]
    Epoch {
        /// The certificate's.
        given: u32,
        /// The pairing's.
        paired: u32,
    },
    /// The certificate does not prove the policy.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It calls itself the founding certificate, but is not the charter's.
    #[error("the certificate bears the guild's own id but does not certify the charter's policy")]
    Founding,
    /// A later decision was obeyed before.
    #[error("the policy closed at height {}, and a later one, closed at {}, was obeyed before",
        given.close, held.close)]
    Older {
        /// What was offered.
        given: Standing,
        /// What was obeyed.
        held: Standing,
    },
    /// Nothing of a treasury can be derived from the charter.
    #[error("no treasury address follows from the charter: {0}")]
    Treasury(String),
}

/// What to do about `answer`, when the decision of `held` was obeyed before.
///
/// [`Why::NotCertified`] says nothing against a policy that is already obeyed.
///
/// # Errors
///
/// [`Why`], when there is nothing in the answer to obey.
pub fn judge(pairing: &Pairing, answer: &PolicyAnswer, held: Option<Standing>) -> Result<(Solo, Held), Why> {
    let charter = charter_of(pairing, answer)?;
    let Some(certified) = &answer.certified else { return Err(Why::NotCertified) };
    let (policy, certificate) = certified.read().map_err(Refused::from)?;
    let certified = verify(pairing, &charter, policy, certificate)?;
    let standing = Standing::of(certified.certificate());
    if let Some(held) = held.filter(|held| standing < *held) {
        return Err(Refused::Older { given: standing, held }.into());
    }
    let solo = follow(&charter, pairing.group_key, certified)?;
    Ok((solo, Held { standing, answer: answer.clone() }))
}

/// Take up again what was obeyed before a restart.
#[must_use]
pub fn recall(pairing: &Pairing, held: Option<&Held>) -> Obeyed {
    match held.map(|held| judge(pairing, &held.answer, Some(held.standing))) {
        None => Obeyed::Nothing(Why::NotAsked),
        Some(Ok((solo, _))) => Obeyed::Solo(Box::new(solo)),
        Some(Err(why)) => Obeyed::Nothing(why),
    }
}

fn charter_of(pairing: &Pairing, answer: &PolicyAnswer) -> Result<Charter, Refused> {
    let charter = answer.charter()?;
    let (given, paired) = (charter.id(), pairing.guild);
    if given == paired { Ok(charter) } else { Err(Refused::Guild { given, paired }) }
}

fn verify(
    pairing: &Pairing,
    charter: &Charter,
    policy: MiningPolicy,
    certificate: Certificate,
) -> Result<Certified<MiningPolicy>, Refused> {
    let (given, paired) = (certificate.body.epoch, pairing.epoch);
    if given != paired {
        return Err(Refused::Epoch { given, paired });
    }
    // A certificate under the guild's own id is the one the charter prescribes, to the last bit (§11).
    let founding = Body::founding(charter);
    if certificate.body.proposal == founding.proposal && certificate.body != founding {
        return Err(Refused::Founding);
    }
    Ok(Certified::verify(policy, certificate, pairing.guild, pairing.group_key)?)
}

fn follow(charter: &Charter, key: GroupKey, certified: Certified<MiningPolicy>) -> Result<Solo, Refused> {
    let treasury = treasury_script(charter, key)?;
    let unaddressed = |error: bitcoin::address::FromScriptError| Refused::Treasury(error.to_string());
    let address = Address::from_script(&treasury, charter.network).map_err(unaddressed)?;
    let (payout, small) = match &certified.effect().payout {
        mining::Payout::Treasury => (Payout::all_to(treasury), None),
        mining::Payout::Split(split) => {
            let small = split.small() == Small::Treasury;
            let small = small.then(|| Payout::all_to(treasury.clone()));
            (Payout::of(split.clone(), treasury), small)
        }
    };
    Ok(Solo { payout, small, address, network: charter.network, certified })
}

/// The script of the treasury's external address 0 under `key`.
///
/// # Errors
///
/// [`Refused::Treasury`], when the charter's descriptor does not parse.
pub fn treasury_script(charter: &Charter, key: GroupKey) -> Result<ScriptBuf, Refused> {
    let refuse = |why: &dyn std::fmt::Display| Refused::Treasury(why.to_string());
    let text = descriptor(charter, key);
    let (both, _) = Descriptor::<DescriptorPublicKey>::parse_descriptor(&Secp256k1::new(), &text)
        .map_err(|error| refuse(&error))?;
    let paths = both.into_single_descriptors().map_err(|error| refuse(&error))?;
    let receiving = paths.first().ok_or_else(|| refuse(&"it has no keychain"))?;
    let at = receiving.at_derivation_index(MINING_INDEX).map_err(|error| refuse(&error))?;
    Ok(at.script_pubkey())
}

impl From<&Obeyed> for PolicyStatus {
    fn from(obeyed: &Obeyed) -> Self {
        match obeyed {
            Obeyed::Nothing(why) => Self::Nothing { why: why.to_string() },
            Obeyed::Solo(solo) => {
                let body = &solo.certified.certificate().body;
                let (address, decision) = (solo.address.to_string(), body.proposal.to_string());
                let (epoch, close) = (body.epoch, body.close);
                let payees = solo.payees();
                if solo.allows_pools() {
                    Self::Pool { address, payees, epoch, close, decision }
                } else {
                    Self::Solo { address, payees, epoch, close, decision }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
