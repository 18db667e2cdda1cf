//! What a member's node and its links say to each other: the types of the node's HTTP API for links,
//! the pairing code, and what a link reports about itself.
//!
//! The node serves `GET {node}` [`POLICY_PATH`] with `Authorization: Bearer TOKEN` and answers a
//! [`PolicyAnswer`]. Nothing in the answer is believed for where it came from: the charter's bytes
//! must hash to the guild of the [`Pairing`], and the policy must carry a certificate by the group key
//! of the pairing. So the answer may come over plain HTTP, or from anybody.

mod pairing;
mod status;

pub use pairing::{Pairing, PairingError};
pub use status::{Addresses, LinkStatus, PolicyStatus, PoolStatus, SourceStatus, WorkerStatus};

use crdt::treasury::GroupKey;
use crdt::{Certificate, Charter};
use crdt::{certificate::Certified, charter::CharterError, mining::MiningPolicy};
use hex::{DisplayHex as _, FromHex as _};
use serde::{Deserialize, Serialize};

/// Where a node answers the policy, below its base URL.
pub const POLICY_PATH: &str = "/api/v1/link/policy";
/// Where a node takes receipts, one [`ReceiptHex`] at a time, below its base URL.
pub const RECEIPT_PATH: &str = "/api/v1/link/receipt";
/// The version of [`PolicyAnswer`] that this code writes.
pub const ANSWER_VERSION: u32 = 1;
/// Bytes of the largest answer that a link reads: a charter of a thousand founders in hex fits.
pub const ANSWER_MAX: u64 = 4 * 1024 * 1024;

/// What the node knows about what its links should do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// [`ANSWER_VERSION`].
    pub v: u32,
    /// The charter's canonical bytes.
    pub charter_hex: String,
    /// The epoch the node is in.
    pub epoch: u32,
    /// The epoch's group key, 33 bytes, once there is one. Shown to people; a link obeys the key of its
    /// pairing only.
    pub group_key_hex: Option<String>,
    /// The policy in force, once it is certified.
    pub certified: Option<CertifiedHex>,
}

/// A policy and its certificate, both in their canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedHex {
    /// The policy, as [`MiningPolicy::hash`] hashes it.
    pub policy_hex: String,
    /// The certificate: body and signature.
    pub certificate_hex: String,
}

/// A work receipt in its canonical bytes: what a link POSTs to its node. The node answers with a success once
/// it is durable there, 409 if it proves nothing, and anything else for later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptHex {
    /// A [`crdt::receipt::Receipt`].
    pub receipt_hex: String,
}

/// An answer that says nothing readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not hexadecimal.
    #[error("{0} is not hexadecimal")]
    Hex(&'static str),
    /// No charter.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// Bytes that are no policy or certificate in canonical form.
    #[error("{0} is not in canonical form")]
    Malformed(&'static str),
}

impl PolicyAnswer {
    /// What a node answers that knows `charter`, and the key and the certified policy once they exist.
    #[must_use]
    pub fn new(
        charter: &Charter,
        epoch: u32,
        key: Option<GroupKey>,
        certified: Option<(&MiningPolicy, &Certificate)>,
    ) -> Self {
        Self {
            v: ANSWER_VERSION,
            charter_hex: charter.to_bytes().to_lower_hex_string(),
            epoch,
            group_key_hex: key.map(|key| key.to_bytes().to_lower_hex_string()),
            certified: certified.map(|(policy, certificate)| CertifiedHex::new(policy, certificate)),
        }
    }

    /// As [`PolicyAnswer::new`], from a policy that is already verified.
    #[must_use]
    pub fn obeying(charter: &Charter, key: GroupKey, certified: &Certified<MiningPolicy>) -> Self {
        let certificate = certified.certificate();
        Self::new(charter, certificate.body.epoch, Some(key), Some((certified.effect(), certificate)))
    }

    /// The charter.
    ///
    /// # Errors
    ///
    /// [`AnswerError`], when these are not a charter's bytes.
    pub fn charter(&self) -> Result<Charter, AnswerError> {
        let bytes = Vec::from_hex(&self.charter_hex).map_err(|_| AnswerError::Hex("charter_hex"))?;
        Ok(Charter::from_bytes(&bytes)?)
    }
}

impl CertifiedHex {
    /// Write both down.
    #[must_use]
    pub fn new(policy: &MiningPolicy, certificate: &Certificate) -> Self {
        Self { policy_hex: to_hex(policy), certificate_hex: to_hex(certificate) }
    }

    /// Read both, unverified.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] names the one that cannot be read.
    pub fn read(&self) -> Result<(MiningPolicy, Certificate), AnswerError> {
        let policy = from_hex("policy_hex", &self.policy_hex)?;
        let certificate = from_hex("certificate_hex", &self.certificate_hex)?;
        Ok((policy, certificate))
    }
}

fn to_hex<T: Serialize>(value: &T) -> String {
    postcard::to_stdvec(value).expect("records of a guild always encode").to_lower_hex_string()
}

fn from_hex<T: Serialize + for<'a> Deserialize<'a>>(
    field: &'static str,
    text: &str,
) -> Result<T, AnswerError> {
    let bytes = Vec::from_hex(text).map_err(|_| AnswerError::Hex(field))?;
    let value: T = postcard::from_bytes(&bytes).map_err(|_| AnswerError::Malformed(field))?;
    // One value, one spelling: what is hashed and stored is what was sent.
    if postcard::to_stdvec(&value).is_ok_and(|again| again == bytes) {
        Ok(value)
    } else {
        Err(AnswerError::Malformed(field))
    }
}

#[cfg(test)]
mod tests;
