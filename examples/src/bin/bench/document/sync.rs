//! What two nodes say to each other to find that they have the same, or to get what one lacks. The bytes
//! are those of our protocol's messages; libp2p adds its own.

use super::dataset::World;
use super::disk::verified;
use super::peer::{node, now};
use crate::report::{Row, note};
use anyhow::{Result, ensure};
use crdt::sync::Question;
use crdt::{MemberId, Signed, Verifier};
use node::core::{Effect, Input, Node};
use node::net::protocol::Request;
use node::net::{Command, Event};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Entries that one node lacks: the last of as many authors.
const LACKING: usize = 10;

/// A machine and its name.
struct End {
    node: Node,
    id: MemberId,
    /// Questions that came, by the asker's token.
    asked: BTreeSet<u64>,
    stored: usize,
    pulls: usize,
    verifier: Verifier,
}

/// Two nodes with equal documents, then two of which one lacks a few entries.
pub(crate) fn rows(world: &World) -> Result<Vec<Row>> {
    note("comparing nodes");
    let all = verified(world)?;
    let last: BTreeMap<MemberId, &Signed> =
        all.iter().map(|signed| (signed.entry().author, signed)).collect();
    let lacking: BTreeSet<_> = last.values().rev().take(LACKING).map(|signed| signed.id()).collect();
    let most: Vec<Signed> = all.iter().filter(|signed| !lacking.contains(&signed.id())).cloned().collect();
    let equal = compare(world, &all, &all)?;
    let behind = compare(world, &most, &all)?;
    ensure!(behind.stored == LACKING, "{} entries came instead of {LACKING}", behind.stored);
    Ok(vec![
        Row::plain("sync_equal", equal.bytes as f64, "B"),
        Row::plain("sync_10_of_100k", behind.bytes as f64, "B"),
        Row::plain("sync_10_of_100k_round_trips", behind.pulls as f64, "pulls"),
    ])
}

/// What a comparison took.
struct Taken {
    bytes: usize,
    stored: usize,
    /// Questions for entries until the last of them came.
    pulls: usize,
}

/// A node that has `near` meets one that has `far`, until both are silent.
fn compare(world: &World, near: &[Signed], far: &[Signed]) -> Result<Taken> {
    let mut near = End::new(world, 0, near)?;
    let mut far = End::new(world, 1, far)?;
    near.node.handle(Input::Net(Event::Connected(far.id)), now());
    let mut bytes = 0;
    loop {
        let said = near.speak_to(&mut far)? + far.speak_to(&mut near)?;
        if said == 0 {
            return Ok(Taken { bytes, stored: near.stored, pulls: near.pulls });
        }
        bytes += said;
    }
}

impl End {
    fn new(world: &World, index: usize, entries: &[Signed]) -> Result<Self> {
        let person = world.member(index);
        let mut node = node(world, &person.key, entries)?;
        while node.next_effect().is_some() {} // what it says at its start, to nobody
        Ok(Self {
            node,
            id: person.id(),
            asked: BTreeSet::new(),
            stored: 0,
            pulls: 0,
            verifier: Verifier::new(&world.charter),
        })
    }

    /// Everything this node wants said now, heard by `other`. How many bytes it was.
    fn speak_to(&mut self, other: &mut Self) -> Result<usize> {
        let mut bytes = 0;
        while let Some(effect) = self.node.next_effect() {
            let event = match effect {
                Effect::Net(Command::Ask(_, token, request)) => {
                    bytes += len(&request)?;
                    self.pulls += usize::from(matches!(request, Request::Sync(Question::Pull(_))));
                    other.asked.insert(token);
                    Event::Request(self.id, token, request)
                }
                Effect::Net(Command::Respond(number, response)) => {
                    bytes += len(&response)?;
                    ensure!(self.asked.remove(&number), "an answer to nothing");
                    Event::Response(self.id, number, Some(response))
                }
                Effect::Verify(number, entries) => {
                    let entries = entries.iter().map(|bytes| self.verifier.verify(bytes)).collect();
                    self.node.handle(Input::Verified(number, entries), now());
                    continue;
                }
                Effect::Store(entries) => {
                    self.stored += entries.len();
                    continue;
                }
                _ => continue,
            };
            other.node.handle(Input::Net(event), now());
        }
        Ok(bytes)
    }
}

fn len(message: &impl Serialize) -> Result<usize> {
    Ok(postcard::to_stdvec(message)?.len())
}
