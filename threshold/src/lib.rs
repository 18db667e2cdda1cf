//! Threshold keys and signatures of a guild, as machines that never touch a socket.
//!
//! `n` parties make a taproot key together ([`dkg::Session`]); any `t` of them sign with it
//! ([`sign::Signer`], led by a [`sign::Coordinator`]); nobody ever holds the whole key. The scheme is
//! FROST (RFC 9591) over secp256k1 with BIP340 signatures, from the crate `frost-secp256k1-tr`, and
//! what that crate leaves to its caller: an echo of round 1, encrypted shares, an agreement of all
//! parties on one transcript, recovery, nonces that sign once, and replacement of silent or lying
//! signers.
//!
//! # How a shell drives it
//!
//! Every machine takes an `Input` and the time, and gives `Effect`s to be carried out **in the order
//! given**; a `Persist` is durable before a later effect leaves. Nothing here reads a clock, draws
//! randomness it was not given, or opens anything. An input answered with `Rejected` left the machine
//! as it was.
//!
//! - *Key:* [`dkg::Session::new`] → send [`dkg::DkgMessage`]s to their addressees, publish
//!   [`dkg::Statement`]s as signed entries and feed everybody's back, store the share sealed
//!   ([`sealed`]), read it again, answer [`dkg::Input::Stored`]. The end is [`dkg::Outcome::Ready`]
//!   with the [`PublicKeys`] and the [`dkg::Transcript`], from which a member secret alone rebuilds the
//!   share ([`dkg::recover()`]).
//! - *Signature:* the caller judges a [`sign::Request`] first; this crate signs what it is given.
//!   [`sign::Signer::commit`], then the caller journals its intent, then [`sign::Signer::sign`].
//!
//! # What it never does
//!
//! No function takes a digest to sign: requests are typed, and hashes are computed here. No nonce is
//! stored or used twice. No secret is shown by `Debug`. The crate knows neither document nor wallet.

pub mod derive;
pub mod dkg;
mod error;
pub mod fault;
mod hash;
pub mod keyset;
pub mod message;
mod party;
pub mod sealed;
mod session;
pub mod sign;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

pub use error::Error;
pub use keyset::{GroupKey, KeyError, KeyShare, PublicKeys};
pub use message::{FixedBytes, Wire, WireError};
pub use party::{BadParty, BadThreshold, MAX_PARTIES, PartyId, Threshold};
pub use session::{SessionId, Timestamp};
