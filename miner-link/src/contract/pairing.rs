//! The pairing code: all that a link must know before it believes anything.

use bech32::{Bech32m, Hrp};
use crdt::treasury::GroupKey;
use crdt::{GuildId, MemberId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a code begins with, before the separator `1`.
const PREFIX: &str = "guildlink";
/// The version of the bytes inside.
const VERSION: u8 = 1;
/// Bytes of the longest node URL.
const URL_MAX: usize = 256;
/// Bytes of the longest token.
const TOKEN_MAX: usize = 128;

/// A link's bond to one guild, one member and that member's node. `guild mining pair` prints it as a
/// code, `guildlink1…`, which contains the token: treat it like a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// The base URL of the node's HTTP API, such as `http://127.0.0.1:8780`.
    pub node_url: String,
    /// What the node knows this link by.
    pub token: String,
    /// The guild, and with it the charter.
    pub guild: GuildId,
    /// Whose farm this is.
    pub member: MemberId,
    /// The epoch of the key.
    pub epoch: u32,
    /// The key that certificates must verify under.
    pub group_key: GroupKey,
}

/// Text that is no pairing code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// Mistyped, cut off, or something else.
    #[error("this is not a pairing code: it begins with '{PREFIX}1' and has a checksum that fits")]
    Text,
    /// Written by another version.
    #[error("pairing code version {0} is not {VERSION}, the one known here")]
    Version(u8),
    /// A sound checksum over something else.
    #[error("the pairing code's content cannot be read")]
    Malformed,
    /// A node that no link can reach.
    #[error("the node's URL must be http://… or https://…, of at most {URL_MAX} printable characters")]
    Url,
    /// A token that no HTTP header can carry.
    #[error("the token must be 1 to {TOKEN_MAX} printable characters without spaces")]
    Token,
}

impl Pairing {
    /// Check what the types do not say.
    ///
    /// # Errors
    ///
    /// [`PairingError::Url`] and [`PairingError::Token`].
    pub fn check(&self) -> Result<(), PairingError> {
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let Self { node_url: url, token, .. } = self;
        let scheme = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        if url.len() > URL_MAX || !printable(url) || scheme.is_none_or(str::is_empty) {
            return Err(PairingError::Url);
        }
        let fits = (1..=TOKEN_MAX).contains(&token.len()) && printable(token);
        if fits { Ok(()) } else { Err(PairingError::Token) }
    }
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_stdvec(self).map_err(|_| fmt::Error)?);
        let text = bech32::encode::<Bech32m>(Hrp::parse_unchecked(PREFIX), &bytes);
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Pairing {
    type Err = PairingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text.trim());
        let checked = checked.map_err(|_| PairingError::Text)?;
        if checked.hrp() != Hrp::parse_unchecked(PREFIX) {
            return Err(PairingError::Text);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let (version, content) = bytes.split_first().ok_or(PairingError::Text)?;
        if *version != VERSION {
            return Err(PairingError::Version(*version));
        }
        let read = postcard::take_from_bytes::<Self>(content);
        let (pairing, rest) = read.map_err(|_| PairingError::Malformed)?;
        if !rest.is_empty() {
            return Err(PairingError::Malformed);
        }
        pairing.check()?;
        Ok(pairing)
    }
}

/// Without the token.
impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairing")
            .field("node_url", &self.node_url)
            .field("guild", &self.guild)
            .field("member", &self.member)
            .field("epoch", &self.epoch)
            .field("group_key", &self.group_key)
            .finish_non_exhaustive()
    }
}
