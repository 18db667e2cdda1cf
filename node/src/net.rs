//! The network: one task owns the libp2p swarm and never verifies, decides or touches the disk. It turns
//! what happens into [`Event`]s and carries out [`Command`]s.

mod behaviour;
pub mod limits;
pub mod protocol;

pub use behaviour::{member_of, peer_of};

use crate::error::{Code, Failure, Outcome};
use behaviour::{Behaviour, BehaviourEvent};
use crdt::{GuildId, MemberId};
use ed25519_dalek::SigningKey;
use libp2p::futures::StreamExt as _;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::request_response::{self, InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm};
use protocol::{Request, Response};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::mpsc;

/// What happened on the network.
#[derive(Debug)]
pub enum Event {
    /// We can be reached here.
    Listening(Multiaddr),
    /// A first connection to this peer.
    Connected(MemberId),
    /// The last connection to this peer ended.
    Disconnected(MemberId),
    /// A peer asks; answer with [`Command::Respond`] under the same number.
    Request(MemberId, u64, Request),
    /// The answer to [`Command::Ask`] of this token; none if there will be none.
    Response(MemberId, u64, Option<Response>),
    /// Something was said to all; judge it with [`Command::Judge`].
    Gossip(Received),
}

/// A gossip message and its name.
#[derive(Debug)]
pub struct Received {
    /// The content.
    pub data: Vec<u8>,
    id: MessageId,
    from: PeerId,
}

impl Received {
    /// The peer that passed it on to us.
    #[must_use]
    pub fn from(&self) -> Option<MemberId> {
        member_of(&self.from)
    }
}

/// Whether a gossip message goes on to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Pass it on.
    Good,
    /// Keep it here.
    Idle,
    /// Provably garbage: the sender's fault.
    Bad,
}

/// What the network is told to do.
#[derive(Debug)]
pub enum Command {
    /// Let exactly these peers in; drop all others.
    Allow(BTreeSet<MemberId>),
    /// Try to connect.
    Dial(Multiaddr),
    /// Ask a peer; the token comes back with the answer.
    Ask(MemberId, u64, Request),
    /// Answer a request.
    Respond(u64, Response),
    /// Say to all.
    Gossip(Vec<u8>),
    /// Judge a gossip message.
    Judge(Received, Judgement),
}

struct Task {
    swarm: Swarm<Behaviour>,
    guild: GuildId,
    events: mpsc::Sender<Event>,
    inbound: HashMap<u64, (InboundRequestId, ResponseChannel<Response>)>,
    next_inbound: u64,
    outbound: HashMap<OutboundRequestId, (MemberId, u64)>,
    allowed: BTreeSet<MemberId>,
}

/// Run the network of `guild` as `key` until the daemon drops its ends.
///
/// # Errors
///
/// If the address cannot be listened on.
pub async fn run(
    key: SigningKey,
    guild: GuildId,
    listen: Multiaddr,
    events: mpsc::Sender<Event>,
    mut commands: mpsc::Receiver<Command>,
) -> Outcome<()> {
    let mut swarm = behaviour::swarm(&key)?;
    let topic = behaviour::topic(guild);
    let fail =
        |error: &dyn std::fmt::Display| Failure::because(format_args!("cannot listen on {listen}"), error);
    swarm.behaviour_mut().gossip.subscribe(&topic).map_err(|error| fail(&error))?;
    swarm.listen_on(listen.clone()).map_err(|error| fail(&error))?;
    let mut task = Task {
        swarm,
        guild,
        events,
        inbound: HashMap::new(),
        next_inbound: 0,
        outbound: HashMap::new(),
        allowed: BTreeSet::new(),
    };
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => task.carry_out(command),
                None => return Ok(()),
            },
            event = task.swarm.select_next_some() => {
                if let SwarmEvent::ListenerClosed { reason: Err(error), .. } = &event {
                    return Err(fail(error));
                }
                for event in task.translate(event) {
                    if task.events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Task {
    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Allow(members) => self.allow(members),
            Command::Dial(address) => {
                if let Err(error) = self.swarm.dial(address.clone()) {
                    tracing::debug!(%address, %error, "cannot dial");
                }
            }
            Command::Ask(to, token, request) => {
                let id = self.swarm.behaviour_mut().direct.send_request(&peer_of(&to), request);
                self.outbound.insert(id, (to, token));
            }
            Command::Respond(number, response) => {
                if let Some((_, channel)) = self.inbound.remove(&number)
                    && self.swarm.behaviour_mut().direct.send_response(channel, response).is_err()
                {
                    tracing::debug!("the asker left before the answer");
                }
            }
            Command::Gossip(data) => {
                let topic = behaviour::topic(self.guild);
                if let Err(error) = self.swarm.behaviour_mut().gossip.publish(topic, data) {
                    tracing::debug!(%error, "gossip not sent; peers will pull");
                }
            }
            Command::Judge(received, judgement) => {
                let acceptance = match judgement {
                    Judgement::Good => MessageAcceptance::Accept,
                    Judgement::Idle => MessageAcceptance::Ignore,
                    Judgement::Bad => MessageAcceptance::Reject,
                };
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                gossip.report_message_validation_result(&received.id, &received.from, acceptance);
            }
        }
    }

    fn allow(&mut self, members: BTreeSet<MemberId>) {
        for gone in self.allowed.difference(&members) {
            let peer = peer_of(gone);
            self.swarm.behaviour_mut().allowed.disallow_peer(peer);
        }
        for member in &members {
            self.swarm.behaviour_mut().allowed.allow_peer(peer_of(member));
        }
        self.allowed = members;
    }

    fn translate(&mut self, event: SwarmEvent<BehaviourEvent>) -> Vec<Event> {
        let event = match event {
            SwarmEvent::NewListenAddr { address, .. } => Some(Event::Listening(address)),
            SwarmEvent::ConnectionEstablished { peer_id, num_established, .. } => {
                let first = num_established.get() == 1;
                member_of(&peer_id).filter(|_| first).map(Event::Connected)
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                member_of(&peer_id).map(Event::Disconnected)
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source: from,
                message_id: id,
                message,
            })) => Some(Event::Gossip(Received { data: message.data, id, from })),
            SwarmEvent::Behaviour(BehaviourEvent::Direct(event)) => self.direct(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => {
                if let Err(error) = ping.result {
                    tracing::debug!(peer = %ping.peer, %error, "no answer to a ping: hanging up");
                    self.swarm.close_connection(ping.connection);
                }
                None
            }
            _ => None,
        };
        event.into_iter().collect()
    }

    fn direct(&mut self, event: request_response::Event<Request, Response>) -> Option<Event> {
        use request_response::{Event as Direct, Message};
        match event {
            Direct::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                let from = member_of(&peer)?;
                self.next_inbound += 1;
                self.inbound.insert(self.next_inbound, (request_id, channel));
                Some(Event::Request(from, self.next_inbound, request))
            }
            Direct::Message { message: Message::Response { request_id, response }, .. } => {
                let (to, token) = self.outbound.remove(&request_id)?;
                Some(Event::Response(to, token, Some(response)))
            }
            Direct::OutboundFailure { request_id, error, .. } => {
                let (to, token) = self.outbound.remove(&request_id)?;
                tracing::debug!(peer = %to.short(), %error, "no answer");
                Some(Event::Response(to, token, None))
            }
            Direct::InboundFailure { request_id, .. } => {
                self.inbound.retain(|_, (id, _)| *id != request_id);
                None
            }
            Direct::ResponseSent { .. } => None,
        }
    }
}

/// Fetch the charter of `guild` from one of `addresses`, as `key`. For nodes that have none yet.
///
/// # Errors
///
/// [`Code::Unreachable`] if nobody answers within `patience`, with what each address said.
pub async fn fetch_charter(
    key: &SigningKey,
    addresses: &[Multiaddr],
    patience: Duration,
) -> Outcome<Vec<u8>> {
    let mut swarm = behaviour::swarm(key)?;
    let mut said = Vec::new();
    for address in addresses {
        let Some(libp2p::multiaddr::Protocol::P2p(peer)) = address.iter().last() else { continue };
        swarm.behaviour_mut().allowed.allow_peer(peer);
        match swarm.dial(address.clone()) {
            Ok(()) => drop(swarm.behaviour_mut().direct.send_request(&peer, Request::Charter)),
            Err(error) => said.push(format!("{address}: {error}")),
        }
    }
    let answer = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::Behaviour(BehaviourEvent::Direct(request_response::Event::Message {
                    message: request_response::Message::Response { response: Response::Charter(bytes), .. },
                    ..
                })) => return bytes,
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    tracing::debug!(%error, "cannot connect");
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(patience, answer).await.map_err(|_| {
        let detail = format!(
            "no member answered within {} s; tried {}. Is the inviting node running, and is your card in its charter?",
            patience.as_secs(),
            addresses.iter().map(Multiaddr::to_string).chain(said).collect::<Vec<_>>().join(", ")
        );
        Failure::new(Code::Unreachable, detail)
    })
}
