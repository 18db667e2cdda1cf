//! What people pass to each other by hand: member cards and invitations, in bech32m so that a slip of
//! the finger is noticed (§3).

use bech32::{Bech32m, Hrp};
use bitcoin::bip32::Xpub;
use bitcoin::{Network, ScriptBuf};
use crdt::text::Line;
use crdt::{GuildId, MemberId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, str::FromStr};

/// What a founder needs to know of a future member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCard {
    /// The chain the member was set up for.
    pub network: Network,
    /// The member's key.
    pub key: MemberId,
    /// The member's name.
    pub name: Line,
    /// Where distributions to it go.
    pub payout: ScriptBuf,
    /// Its key in the recovery leaf.
    pub recovery: Xpub,
}

/// How to find a guild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Which guild: the hash of its charter.
    pub guild: GuildId,
    /// Its chain.
    pub network: Network,
    /// Member nodes to ask, as multiaddresses that end in `/p2p/…`.
    pub addresses: Vec<Line>,
}

/// Text that is no card or invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {expected}: {why}")]
pub struct ParseCardError {
    expected: &'static str,
    why: String,
}

fn encode(hrp: &'static str, value: &impl Serialize) -> String {
    let bytes = postcard::to_stdvec(value).expect("cards always encode");
    bech32::encode::<Bech32m>(Hrp::parse_unchecked(hrp), &bytes)
        .expect("cards are far below the length limit")
}

fn decode<T: DeserializeOwned>(hrp: &str, expected: &'static str, text: &str) -> Result<T, ParseCardError> {
    let fail = |why: String| ParseCardError { expected, why };
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text.trim())
        .map_err(|error| fail(error.to_string()))?;
    if checked.hrp().as_str() != hrp {
        return Err(fail(format!("it begins with '{}', not '{hrp}1'", checked.hrp())));
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    postcard::from_bytes(&bytes).map_err(|_| fail("its content is of another version".to_owned()))
}

macro_rules! bech32_text {
    ($name:ident, $hrp:literal, $expected:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode($hrp, self))
            }
        }
        impl FromStr for $name {
            type Err = ParseCardError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                decode($hrp, $expected, text)
            }
        }
    };
}

bech32_text!(MemberCard, "guildcard", "member card (guildcard1…)");
bech32_text!(Invitation, "guild", "guild invitation (guild1…)");

#[cfg(test)]
mod tests {
    use super::*;
    use crdt::Digest;

    #[test]
    fn an_invitation_survives_text_and_notices_a_slip() {
        let address = Line::try_from("/ip4/127.0.0.1/tcp/9444/p2p/12D3KooW".to_owned()).unwrap();
        let invitation = Invitation {
            guild: GuildId(Digest([7; 32])),
            network: Network::Regtest,
            addresses: vec![address.clone(), address],
        };
        let text = invitation.to_string();
        assert!(text.starts_with("guild1"), "{text}");
        assert_eq!(text.parse::<Invitation>().unwrap(), invitation);
        let mut slipped = text.into_bytes();
        slipped[20] = if slipped[20] == b'q' { b'p' } else { b'q' };
        assert!(String::from_utf8(slipped).unwrap().parse::<Invitation>().is_err());
        assert!("guildcard1qqqq".parse::<Invitation>().is_err());
    }
}
