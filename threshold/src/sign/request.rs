//! What may be signed: a closed list of typed requests. No request carries a digest.

use crate::derive::Path;
use crate::hash::tagged;
use crate::session::SessionId;
use bitcoin::consensus::Encodable;
use bitcoin::{Transaction, TxOut};
use std::fmt;

/// Most inputs of one transaction to sign: one ceremony stays below two megabytes with 100 parties.
pub const MAX_INPUTS: usize = 200;

/// Something to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// That a proposal is decided. Signed by P itself.
    Certificate(CertificateBody),
    /// That a new key can sign. Signed by P itself.
    KeyTest(KeyTest),
    /// A transaction of the treasury. Every input is signed by a key below P.
    Transaction(Box<TransactionRequest>),
}

/// The name of a request: the tagged hash of all of it. Equal requests have equal names everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// A name from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// "Decided: this option of this proposal, with this effect."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateBody {
    /// The guild's id.
    pub guild: [u8; 32],
    /// The epoch whose key signs.
    pub epoch: u32,
    /// The proposal's id.
    pub proposal: [u8; 32],
    /// Which of its options.
    pub option: u16,
    /// Hash of the option's effect.
    pub effect_hash: [u8; 32],
    /// The height at which voting closed.
    pub close: u32,
}

impl CertificateBody {
    /// The fixed layout that is hashed: guild, epoch, proposal, option, effect hash, close; numbers
    /// big-endian.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (epoch, option, close) =
            (self.epoch.to_be_bytes(), self.option.to_be_bytes(), self.close.to_be_bytes());
        let parts: [&[u8]; 6] = [&self.guild, &epoch, &self.proposal, &option, &self.effect_hash, &close];
        parts.concat()
    }

    /// What the signature is over: the tagged hash `hashguild/certificate/v1` of [`bytes`](Self::bytes).
    #[must_use]
    pub fn message(&self) -> [u8; 32] {
        tagged("hashguild/certificate/v1", &[&self.bytes()])
    }
}

/// "This key of this epoch can sign."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTest {
    /// The guild's id.
    pub guild: [u8; 32],
    /// The epoch of the key.
    pub epoch: u32,
    /// The key generation that made it.
    pub session: SessionId,
}

impl KeyTest {
    /// What the signature is over: the tagged hash `hashguild/key-test/v1` of guild, epoch, session.
    #[must_use]
    pub fn message(&self) -> [u8; 32] {
        let parts: [&[u8]; 3] = [&self.guild, &self.epoch.to_be_bytes(), &self.session.to_bytes()];
        tagged("hashguild/key-test/v1", &parts)
    }
}

/// Why a transaction is signed. Part of the request's name; each kind has its own checks at the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Pays a decision.
    Payment = 1,
    /// Moves the seal: a change of epoch.
    Seal = 2,
    /// Moves coins of an old key to the new one.
    Sweep = 3,
    /// Moves a seal or a coin before its recovery leaf matures.
    Renewal = 4,
    /// Ends an unpaid decision.
    ClosingMove = 5,
}

/// A transaction to sign: all that its signature hashes commit to, and where its keys lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRequest {
    kind: Kind,
    decision: [u8; 32],
    transaction: Transaction,
    inputs: Vec<InputKey>,
}

/// The coin that an input spends, and how its key follows from P.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputKey {
    /// The spent output, from the signer's own view of the chain.
    pub prevout: TxOut,
    /// Keychain and index of its key below P.
    pub path: Path,
    /// Root of its script tree, `None` for none.
    pub merkle_root: Option<[u8; 32]>,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// No input, or too many.
    #[error("{0} inputs are not between 1 and {MAX_INPUTS}")]
    Inputs(usize),
    /// Not one key for each input.
    #[error("{keys} keys for {inputs} inputs")]
    Keys {
        /// Inputs of the transaction.
        inputs: usize,
        /// Keys given.
        keys: usize,
    },
    /// The transaction carries a script or witness already.
    #[error("input {0} is signed already")]
    Signed(usize),
    /// The path leads to no key.
    #[error("input {0} has no key at its path")]
    Path(usize),
    /// The coin is not locked to the key and script tree that the request names.
    #[error("input {0} spends an output of another script")]
    Script(usize),
    /// The signature hash cannot be computed.
    #[error("input {0} has no signature hash")]
    SignatureHash(usize),
    /// Fewer candidates than signers needed, or one that is no party.
    #[error("{found} candidates for {needed} seats")]
    Candidates {
        /// `t`.
        needed: u16,
        /// How many different parties were named.
        found: usize,
    },
}

impl TransactionRequest {
    /// A transaction to sign, with one key for each of its inputs.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] if the numbers do not match, or the transaction is not unsigned. Whether the scripts
    /// belong to P is checked when signing begins.
    pub fn new(
        kind: Kind,
        decision: [u8; 32],
        transaction: Transaction,
        inputs: Vec<InputKey>,
    ) -> Result<Self, BadRequest> {
        let count = transaction.input.len();
        if count == 0 || count > MAX_INPUTS {
            return Err(BadRequest::Inputs(count));
        }
        if inputs.len() != count {
            return Err(BadRequest::Keys { inputs: count, keys: inputs.len() });
        }
        let signed = |input: &bitcoin::TxIn| !input.script_sig.is_empty() || !input.witness.is_empty();
        if let Some(at) = transaction.input.iter().position(signed) {
            return Err(BadRequest::Signed(at));
        }
        Ok(Self { kind, decision, transaction, inputs })
    }

    /// Why it is signed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The decision that it serves, as the caller names it.
    #[must_use]
    pub fn decision(&self) -> [u8; 32] {
        self.decision
    }

    /// The unsigned transaction.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The coins and keys, one for each input.
    #[must_use]
    pub fn inputs(&self) -> &[InputKey] {
        &self.inputs
    }

    /// Transaction and coins in Bitcoin's own encoding, which is of one piece and needs no lengths.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind as u8];
        bytes.extend(self.decision);
        let infallible = "writing to a Vec does not fail";
        self.transaction.consensus_encode(&mut bytes).expect(infallible);
        for input in &self.inputs {
            input.prevout.consensus_encode(&mut bytes).expect(infallible);
            bytes.extend(input.path.iter().flat_map(|step| step.to_be_bytes()));
            bytes.push(u8::from(input.merkle_root.is_some()));
            bytes.extend(input.merkle_root.iter().flatten());
        }
        bytes
    }
}

impl Request {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> RequestId {
        let (variant, bytes) = match self {
            Self::Certificate(body) => (1, body.bytes()),
            Self::KeyTest(test) => {
                let epoch = test.epoch.to_be_bytes();
                (2, [&test.guild[..], &epoch, &test.session.to_bytes()].concat())
            }
            Self::Transaction(request) => (3, request.bytes()),
        };
        RequestId(tagged("hashguild/sign-request/v1", &[&[variant], &bytes]))
    }

    /// How many signatures it asks for.
    #[must_use]
    pub fn signatures(&self) -> usize {
        match self {
            Self::Certificate(_) | Self::KeyTest(_) => 1,
            Self::Transaction(request) => request.inputs.len(),
        }
    }
}
