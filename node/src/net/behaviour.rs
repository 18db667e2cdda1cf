//! The libp2p parts a node is made of.

use crate::error::{Failure, Outcome};
use crate::net::limits;
use crate::net::protocol::{self, Codec};
use crdt::{Digest, GuildId, MemberId};
use ed25519_dalek::SigningKey;
use libp2p::allow_block_list::{AllowedPeers, Behaviour as AllowList};
use libp2p::connection_limits::{Behaviour as Limits, ConnectionLimits};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, Swarm, SwarmBuilder, identity, noise, ping, tcp, yamux};
use zeroize::Zeroizing;

/// Members only, by key; limits first.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) allowed: AllowList<AllowedPeers>,
    limits: Limits,
    pub(crate) gossip: gossipsub::Behaviour,
    pub(crate) direct: request_response::Behaviour<Codec>,
    ping: ping::Behaviour,
}

/// The gossip topic of a guild.
pub(crate) fn topic(guild: GuildId) -> IdentTopic {
    IdentTopic::new(format!("hashguild/{guild}/1"))
}

/// The libp2p name of a member: the same key, so a peer's name proves membership.
#[must_use]
pub fn peer_of(member: &MemberId) -> PeerId {
    let key = identity::ed25519::PublicKey::try_from_bytes(&member.to_bytes())
        .expect("a member id is a valid Ed25519 key");
    PeerId::from_public_key(&identity::PublicKey::from(key))
}

/// The member behind a libp2p name: an Ed25519 peer id carries its key.
#[must_use]
pub fn member_of(peer: &PeerId) -> Option<MemberId> {
    let bytes = peer.to_bytes();
    let key = identity::PublicKey::try_decode_protobuf(bytes.get(2..)?).ok()?; // after the multihash header
    MemberId::try_from(key.try_into_ed25519().ok()?.to_bytes()).ok()
}

/// A swarm that speaks as `key`.
pub(crate) fn swarm(key: &SigningKey) -> Outcome<Swarm<Behaviour>> {
    let fail = |error: &dyn std::fmt::Display| Failure::because("cannot start the network", error);
    let mut secret = Zeroizing::new(key.to_bytes());
    let keypair = identity::Keypair::ed25519_from_bytes(&mut secret[..]).map_err(|error| fail(&error))?;
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| fail(&error))?
        .with_behaviour(|_| behaviour())
        .map_err(|error| fail(&error))?
        .with_swarm_config(|config| config.with_idle_connection_timeout(limits::IDLE))
        .build();
    Ok(swarm)
}

fn behaviour() -> Result<Behaviour, Box<dyn std::error::Error + Send + Sync>> {
    // Entries carry their own signature, so gossip need not sign again.
    let gossip = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .max_transmit_size(limits::GOSSIP_MAX)
        .forward_queue_duration(limits::GOSSIP_QUEUE)
        .publish_queue_duration(limits::GOSSIP_QUEUE)
        .flood_publish(true)
        .message_id_fn(|message| {
            MessageId::from(Digest::tagged("hashguild/gossip/v1", &[&message.data]).0.to_vec())
        })
        .build()?;
    let connections = ConnectionLimits::default()
        .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER))
        .with_max_pending_incoming(Some(limits::PENDING_INCOMING))
        .with_max_established(Some(limits::CONNECTIONS));
    let direct = request_response::Config::default()
        .with_request_timeout(limits::REQUEST_TIMEOUT)
        .with_max_concurrent_streams(limits::STREAMS_PER_CONNECTION);
    Ok(Behaviour {
        allowed: AllowList::default(),
        limits: Limits::new(connections),
        gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, gossip)?,
        direct: request_response::Behaviour::with_codec(
            Codec,
            [(protocol::NAME, ProtocolSupport::Full)],
            direct,
        ),
        ping: ping::Behaviour::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_is_a_member_key() {
        let person = &crdt::testkit::people(1)[0];
        assert_eq!(member_of(&peer_of(&person.id())), Some(person.id()));
        let rsa_like = PeerId::random();
        assert!(member_of(&rsa_like).is_none_or(|member| peer_of(&member) == rsa_like));
    }
}
