//! `guild certificate …`: the proof of a decision, verified with nothing but the file.

use super::proposal::plain;
use super::say::Say;
use crate::api::dto::CertificateFile;
use crate::client::Client;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use bitcoin::hex::FromHex as _;
use clap::Subcommand;
use crdt::certificate::{Body, Certificate as Proof, Signature};
use crdt::treasury::GroupKey;
use crdt::{Charter, Payload, ProposalId, Verifier, limits};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Print the certificate of a decision, for a file: its id, or "founding" for the charter's own policy.
    Show {
        /// The decision's id, or the beginning of it.
        id: String,
    },
    /// Verify a certificate. Needs no node and no network.
    Verify {
        /// The file that `certificate show --json` printed.
        file: PathBuf,
    },
}

/// What a certificate was found to prove.
#[derive(Debug, serde::Serialize)]
struct Verified {
    v: u32,
    guild: String,
    name: String,
    group_key: String,
    epoch: u32,
    decision: String,
    title: Option<String>,
    class: String,
    option: u16,
    close: u32,
    effect_hash: String,
}

impl Certificate {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        match self {
            Self::Show { id } => {
                let path = format!("proposals/{}/certificate", plain(&id, "decision")?);
                let file: CertificateFile = Client::of(home)?.get(&path)?;
                say.data(&file, || serde_json::to_string_pretty(&file).unwrap_or_default());
            }
            Self::Verify { file } => {
                let text = home::read(&file)?;
                let read = serde_json::from_slice(&text);
                let file: CertificateFile =
                    read.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
                let verified = verify(&file)?;
                say.data(&verified, || text_of(&verified));
            }
        }
        Ok(())
    }
}

/// Check everything: that the decision is what was proposed, and that the group signed it.
fn verify(file: &CertificateFile) -> Outcome<Verified> {
    let refuse =
        |what: &str, why: &dyn std::fmt::Display| Failure::new(Code::Refused, format!("{what}: {why}"));
    let bytes = |what: &str, text: &str| Vec::<u8>::from_hex(text).map_err(|why| refuse(what, &why));
    let charter =
        Charter::from_bytes(&bytes("charter", &file.charter)?).map_err(|why| refuse("charter", &why))?;
    let key =
        GroupKey::try_from(bytes("group key", &file.group_key)?).map_err(|why| refuse("group key", &why))?;
    let signature =
        Signature::try_from(bytes("signature", &file.signature)?).map_err(|why| refuse("signature", &why))?;
    let (body, title, class) = match &file.proposal {
        None => (Body::founding(&charter), None, "setting".to_owned()),
        Some(entry) => proposed(file, &charter, &bytes("proposal", entry)?)?,
    };
    let proof = Proof { body, signature };
    if !proof.signature.verifies(proof.body.digest(), key) {
        return Err(refuse("signature", &"it is not one of this key over this decision"));
    }
    Ok(Verified {
        v: 1,
        guild: charter.id().to_string(),
        name: charter.name.to_string(),
        group_key: file.group_key.clone(),
        epoch: proof.body.epoch,
        decision: proof.body.proposal.to_string(),
        title,
        class,
        option: proof.body.option,
        close: proof.body.close,
        effect_hash: proof.body.effect.to_string(),
    })
}

type Decided = (Body, Option<String>, String);

/// What the certificate of the entry `bytes` signs.
fn proposed(file: &CertificateFile, charter: &Charter, bytes: &[u8]) -> Outcome<Decided> {
    let refuse = |why: &dyn std::fmt::Display| Failure::new(Code::Refused, format!("proposal: {why}"));
    if bytes.len() > limits::ENTRY_MAX {
        return Err(refuse(&"longer than an entry"));
    }
    let signed = Verifier::new(charter).verify(bytes).map_err(|why| refuse(&why))?;
    let Payload::Propose(proposal) = &signed.entry().payload else {
        return Err(refuse(&"this entry proposes nothing"));
    };
    let effect = proposal.effect.option(file.option).ok_or_else(|| refuse(&"it has no such option"))?;
    let body = Body {
        guild: charter.id(),
        epoch: file.epoch,
        proposal: ProposalId::from(signed.id()),
        option: file.option,
        effect: effect.hash(),
        close: file.close,
    };
    Ok((body, Some(proposal.title.to_string()), effect.class().to_string()))
}

fn text_of(shown: &Verified) -> String {
    let title = shown.title.as_deref().unwrap_or("the charter's own mining policy");
    format!(
        "valid: {title}\nclass {}, option {}, closed at height {}\ndecision {}\nof {} ({}), epoch {}\nsigned by the \
         group key {}\ncompare the guild's id and the key with what you know: a file cannot vouch for them",
        shown.class,
        shown.option + 1,
        shown.close,
        shown.decision,
        shown.name,
        shown.guild,
        shown.epoch,
        shown.group_key
    )
}

#[cfg(test)]
mod tests;
