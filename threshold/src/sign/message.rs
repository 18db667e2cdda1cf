//! What coordinator and signers say to each other. The transport authenticates the sender.

use super::Rejected;
use super::plan::Task;
use super::request::{MAX_INPUTS, RequestId};
use crate::message::{FixedBytes, Wire};
use crate::party::{MAX_PARTIES, PartyId};
use crate::session::SessionId;
use frost::round1::{NonceCommitment, SigningCommitments};
use frost_secp256k1_tr as frost;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The commitment to one pair of nonces: hiding, then binding, compressed points.
pub type Commitment = FixedBytes<66>;

/// The coordinator's offer of a seat: "commit to nonces for this, and say so".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The coordinator's name for the session.
    pub session: SessionId,
    /// What is to be signed, as the coordinator built it. The signer builds its own; this only says which.
    pub request: RequestId,
}

/// A signer's commitments for one session, one for each signature of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitments {
    /// For this session only.
    pub session: SessionId,
    /// In the order of the signatures.
    pub list: Vec<Commitment>,
}

/// The coordinator's demand for shares: whose commitments are used, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningPackage {
    /// The session in which the commitments were made.
    pub session: SessionId,
    /// What is signed. The signer knows the request; this only says which.
    pub request: RequestId,
    /// Exactly `t` signers and their commitments.
    pub commitments: BTreeMap<PartyId, Vec<Commitment>>,
}

/// A signer's shares, one scalar for each signature of the request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// The session that they complete.
    pub session: SessionId,
    /// In the order of the signatures.
    pub list: Vec<[u8; 32]>,
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").field("session", &self.session).field("count", &self.list.len()).finish()
    }
}

/// Why a signer does not sign: the rule, what it demands, what the signer saw. For people to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(String, String, String)", into = "(String, String, String)")]
pub struct Refusal {
    rule: String,
    expected: String,
    found: String,
}

/// Most bytes of each part of a refusal; what is longer is cut.
const MAX_REFUSAL: usize = 256;

impl Refusal {
    /// A refusal under this rule.
    pub fn new(rule: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        let [rule, expected, found] = [rule.into(), expected.into(), found.into()].map(|mut text| {
            text.truncate(text.floor_char_boundary(MAX_REFUSAL));
            text
        });
        Self { rule, expected, found }
    }

    /// The rule's name.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What the rule demands.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What the signer saw.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl From<(String, String, String)> for Refusal {
    fn from((rule, expected, found): (String, String, String)) -> Self {
        Self::new(rule, expected, found)
    }
}

impl From<Refusal> for (String, String, String) {
    fn from(refusal: Refusal) -> Self {
        (refusal.rule, refusal.expected, refusal.found)
    }
}

impl Wire for Offer {
    const KIND: u8 = 9;
    const LIMIT: usize = 128;
}

impl Wire for Commitments {
    const KIND: u8 = 5;
    const LIMIT: usize = 64 + 66 * MAX_INPUTS;
}

impl Wire for SigningPackage {
    const KIND: u8 = 6;
    const LIMIT: usize = 128 + MAX_PARTIES as usize * (8 + 66 * MAX_INPUTS);
}

impl Wire for Shares {
    const KIND: u8 = 7;
    const LIMIT: usize = 64 + 32 * MAX_INPUTS;
}

impl Wire for Refusal {
    const KIND: u8 = 8;
    const LIMIT: usize = 16 + 3 * MAX_REFUSAL;
}

pub(super) fn write(commitments: &SigningCommitments) -> Commitment {
    let own = "commitments of our own serialize";
    let points = [commitments.hiding(), commitments.binding()].map(|point| point.serialize().expect(own));
    FixedBytes(points.concat().try_into().expect("two compressed points are 66 bytes"))
}

fn read(commitment: &Commitment) -> Option<SigningCommitments> {
    let (hiding, binding) = commitment.0.split_at_checked(33)?;
    let point = |bytes| NonceCommitment::deserialize(bytes).ok();
    Some(SigningCommitments::new(point(hiding)?, point(binding)?))
}

/// The points of a party's commitments, if they are valid ones for `count` signatures.
pub(super) fn points(list: &[Commitment], count: usize) -> Option<Vec<SigningCommitments>> {
    if list.len() != count {
        return None;
    }
    list.iter().map(read).collect()
}

/// One FROST package for each signature, from the points of every seat.
pub(super) fn packages(
    tasks: &[Task],
    seats: &BTreeMap<PartyId, Vec<SigningCommitments>>,
) -> Vec<frost::SigningPackage> {
    let mut lists = vec![BTreeMap::new(); tasks.len()];
    for (party, points) in seats {
        let identifier = party.identifier();
        for (list, commitments) in lists.iter_mut().zip(points) {
            list.insert(identifier, *commitments);
        }
    }
    let packages = lists.into_iter().zip(tasks);
    packages.map(|(list, task)| frost::SigningPackage::new(list, &task.message)).collect()
}

impl SigningPackage {
    /// One FROST package for each signature.
    pub(super) fn open(&self, tasks: &[Task]) -> Result<Vec<frost::SigningPackage>, Rejected> {
        let read = |(party, list): (&PartyId, &Vec<Commitment>)| {
            let points = points(list, tasks.len()).ok_or(Rejected::Malformed(*party))?;
            Ok::<_, Rejected>((*party, points))
        };
        let seats = self.commitments.iter().map(read).collect::<Result<_, _>>()?;
        Ok(packages(tasks, &seats))
    }
}
