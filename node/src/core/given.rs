//! Shares that this node gave to another coordinator. If no signature of that session is seen in time, the
//! signers tell each other what they gave, and whoever has all of it publishes the result: a coordinator
//! can waste time, but not keep a signature to itself.

use super::Node;
use crate::core::ask::Ask;
use crate::core::peers::Pending;
use crate::net::protocol::{Request, Response};
use crdt::MemberId;
use std::collections::BTreeMap;
use threshold::sign::{NONCE_LIFE, ROUND_TIMEOUT, Refusal, Shares};
use threshold::{PartyId, SessionId, Timestamp, Wire as _};
use wallet::CheckedTx;

/// By coordinator and its name for the session.
pub(super) type Given = BTreeMap<(PartyId, SessionId), Promise>;

/// A signature that shares of ours are in.
#[derive(Debug)]
pub(super) struct Promise {
    ask: Ask,
    checked: Option<CheckedTx>,
    since: Timestamp,
    told: bool,
}

impl Node {
    /// Remember that our shares for `ask` are with a coordinator.
    pub(super) fn remember_given(&mut self, at: (PartyId, SessionId), ask: Ask, checked: Option<CheckedTx>) {
        self.given.insert(at, Promise { ask, checked, since: self.now, told: false });
    }

    /// Tell the other signers what we gave where the signature is still due.
    pub(super) fn tell_given(&mut self) {
        let now = self.now;
        self.given.retain(|_, promise| now < promise.since.after(NONCE_LIFE));
        let late = |promise: &Promise| !promise.told && now >= promise.since.after(ROUND_TIMEOUT);
        if !self.given.values().any(late) {
            return;
        }
        let due = self.due();
        self.given.retain(|_, promise| due.contains_key(&promise.ask.subject()));
        let late = self.given.iter_mut().filter(|(_, promise)| late(promise));
        let late: Vec<_> =
            late.map(|(at, promise)| (*at, std::mem::replace(&mut promise.told, true))).collect();
        for ((coordinator, session), _) in late {
            let Some(subject) = self.given.get(&(coordinator, session)).map(|promise| promise.ask.subject())
            else {
                continue;
            };
            let given = self.signer_for(&subject).and_then(|signer| signer.given(coordinator, session));
            let Some((shares, others)) = given else { continue };
            let shares = shares.to_wire();
            let others = others.into_iter().filter_map(|party| self.seat_in(&subject, party));
            let others: Vec<MemberId> = others.collect();
            for member in others {
                self.ask(member, Request::Given { coordinator, shares: shares.clone() }, Pending::Sent);
            }
        }
    }

    /// Another signer tells what it gave.
    pub(super) fn hear_given(&mut self, from: MemberId, coordinator: PartyId, shares: &[u8]) -> Response {
        let told = Shares::from_wire(shares).map_err(|error| error.to_string()).and_then(|shares| {
            let at = (coordinator, shares.session);
            let none = || "no share here".to_owned();
            let subject = self.given.get(&at).map(|promise| promise.ask.subject()).ok_or_else(none)?;
            let party = self.party_in(&subject, &from).ok_or_else(none)?;
            let signer = self.signer_at(&subject).ok_or_else(none)?;
            let told = signer.told(coordinator, party, shares).map_err(|why| why.to_string())?;
            Ok(told.map(|signatures| (at, signatures)))
        });
        match told {
            Ok(Some((at, signatures))) => {
                if let Some(promise) = self.given.remove(&at) {
                    tracing::info!(target: "guild::signing", subject = %promise.ask.subject(), "added up without its coordinator");
                    self.use_signatures(promise.ask, promise.checked, &signatures);
                }
                Response::Taken
            }
            Ok(None) => Response::Taken,
            Err(why) => Response::Refused(Refusal::new("given shares", "shares of a session of ours", why)),
        }
    }
}
