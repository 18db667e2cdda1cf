//! A key generation among parties in one process, with a hand on every message.

use super::{Keys, config, rng};
use crate::KeyShare;
use crate::dkg::{Change, DkgMessage, Effect, Input, Outcome, RESEND_AFTER, Rejected, Session, Statement};
use crate::party::{PartyId, Threshold};
use crate::session::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// What becomes of a message on its way to a party: nothing, itself, another, several.
pub type Tamper = Box<dyn FnMut(PartyId, DkgMessage) -> Vec<DkgMessage>>;
/// Rounds without an end after which a run stops.
const MAX_IDLE: usize = 20;

/// Parties that make a key, and the network between them.
pub struct Cluster {
    threshold: Threshold,
    /// The parties.
    pub nodes: BTreeMap<PartyId, Node>,
    /// Inputs that were turned away, and by whom.
    pub rejected: Vec<(PartyId, Rejected)>,
    /// Changes messages in flight.
    pub tamper: Tamper,
    /// Deliver in random order.
    pub shuffle: bool,
    /// Kill a party right after it carried out this many effects in all, then restart it.
    pub kill_after: Option<(PartyId, usize)>,
    wire: Vec<(PartyId, Input)>,
    now: Timestamp,
    rng: StdRng,
}

/// One party: a session and its disk.
pub struct Node {
    session: Session,
    /// What was persisted, in order.
    pub disk: Vec<Change>,
    /// What it published, in order. Stays published when it is killed.
    pub published: Vec<Statement>,
    /// How its session ended.
    pub outcome: Option<Outcome>,
    /// Effects carried out so far.
    pub carried_out: usize,
}

impl Cluster {
    /// `t` of `n` parties about to begin.
    ///
    /// # Panics
    ///
    /// If that is no threshold.
    #[must_use]
    pub fn new(t: u16, n: u16, seed: u64) -> Self {
        let (mut rng, now) = (rng(seed), Timestamp::from_millis(1_000_000));
        let threshold = Threshold::new(t, n).expect("a threshold");
        let node = |me| Node {
            session: Session::new(config(t, n, me), &mut rng, now),
            disk: vec![],
            published: vec![],
            outcome: None,
            carried_out: 0,
        };
        let nodes = threshold.parties().zip(threshold.parties().map(node)).collect();
        Self {
            threshold,
            nodes,
            rejected: vec![],
            tamper: Box::new(|_, message| vec![message]),
            shuffle: false,
            kill_after: None,
            wire: vec![],
            now,
            rng,
        }
    }

    /// Run until every party has an outcome, or nothing happens any more.
    pub fn run(&mut self) {
        for _ in 0..MAX_IDLE {
            loop {
                let parties: Vec<_> = self.threshold.parties().collect();
                parties.into_iter().for_each(|party| self.carry_out(party));
                if self.wire.is_empty() {
                    break;
                }
                let at = if self.shuffle { self.rng.gen_range(0..self.wire.len()) } else { 0 };
                let (to, input) = self.wire.remove(at);
                self.give(to, input);
            }
            if self.nodes.values().all(|node| node.outcome.is_some()) {
                return;
            }
            self.now = self.now.after(RESEND_AFTER);
            for party in self.threshold.parties() {
                self.give(party, Input::Tick);
            }
        }
    }

    /// The key and all shares, if every party finished with the same.
    #[must_use]
    pub fn keys(&self) -> Option<Keys> {
        let mut made: Option<Keys> = None;
        for (party, node) in &self.nodes {
            let Some(Outcome::Ready { keys, transcript }) = &node.outcome else { return None };
            let share = node.share()?;
            let made = made.get_or_insert_with(|| Keys {
                public: (**keys).clone(),
                shares: BTreeMap::new(),
                transcript: (**transcript).clone(),
            });
            if made.public != **keys || share.check(keys).is_err() {
                return None;
            }
            made.shares.insert(*party, share);
        }
        made
    }

    /// Put a session of one's own making in a party's place.
    ///
    /// # Panics
    ///
    /// If there is no such party.
    pub fn replace(&mut self, party: PartyId, session: Session) {
        self.nodes.get_mut(&party).expect("a party of the cluster").session = session;
    }

    /// Give a party an input; what it turns away is kept in [`rejected`](Self::rejected).
    ///
    /// # Panics
    ///
    /// If there is no such party.
    pub fn give(&mut self, to: PartyId, input: Input) {
        let node = self.nodes.get_mut(&to).expect("a party of the cluster");
        if let Err(rejected) = node.session.handle(input, self.now) {
            self.rejected.push((to, rejected));
        }
    }

    fn carry_out(&mut self, party: PartyId) {
        let node = self.nodes.get_mut(&party).expect("a party of the cluster");
        let mut said = VecDeque::new();
        while let Some(effect) = node.session.next_effect() {
            node.carried_out += 1;
            match effect {
                Effect::Persist(change) => {
                    if let Change::Share(share) = &change {
                        // through bytes, as from a disk
                        let reread = KeyShare::from_bytes(&share.to_bytes()).expect("a share of our own");
                        self.wire.push((party, Input::Stored(reread)));
                    }
                    node.disk.push(change);
                }
                Effect::Send(to, message) => {
                    let messages = (self.tamper)(to, message);
                    self.wire.extend(messages.into_iter().map(|message| (to, Input::Message(message))));
                }
                Effect::Publish(statement) if node.published.contains(&statement) => {}
                Effect::Publish(statement) => {
                    node.published.push(statement.clone());
                    said.push_back(statement);
                }
                Effect::WakeAt(_) => {}
                Effect::Done(outcome) => node.outcome = Some(outcome),
            }
            if self.kill_after == Some((party, node.carried_out)) {
                break;
            }
        }
        for statement in said {
            let others = self.threshold.parties().filter(|to| *to != party);
            self.wire.extend(others.map(|to| (to, Input::Statement(party, statement.clone()))));
        }
        let carried_out = self.nodes.get(&party).map(|node| node.carried_out);
        if self.kill_after.is_some_and(|(who, after)| who == party && carried_out == Some(after)) {
            self.kill_after = None;
            self.restart(party);
        }
    }

    /// Kill a party: effects not carried out and inputs on their way are lost. Start it from its disk.
    fn restart(&mut self, party: PartyId) {
        let (t, n) = (self.threshold.t(), self.threshold.n());
        let said: Vec<_> = self
            .nodes
            .iter()
            .flat_map(|(from, node)| node.published.iter().map(|statement| (*from, statement.clone())))
            .collect();
        self.wire.retain(|(to, _)| *to != party);
        let node = self.nodes.get_mut(&party).expect("a party of the cluster");
        let read = |change: &Change| Change::from_bytes(&change.to_bytes()).expect("a change of our own");
        let disk = node.disk.iter().map(read).collect();
        node.session = match Session::resume(config(t, n, party), disk, self.now) {
            Ok(session) => session,
            // nothing left the machine yet, so a new beginning contradicts nothing
            Err(_) => Session::new(config(t, n, party), &mut self.rng, self.now),
        };
        said.into_iter().for_each(|(from, statement)| self.give(party, Input::Statement(from, statement)));
        self.give(party, Input::Tick);
    }
}

impl Node {
    /// The share on its disk.
    #[must_use]
    pub fn share(&self) -> Option<KeyShare> {
        self.disk.iter().rev().find_map(|change| match change {
            Change::Share(share) => Some(share.clone()),
            _ => None,
        })
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("nodes", &self.nodes).field("now", &self.now).finish_non_exhaustive()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("session", &self.session)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
