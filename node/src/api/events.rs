//! The events stream: what changes in the record while one looks on. Server-sent events, one JSON object
//! each, with the path of what changed in the record view.

use axum::response::sse::{self, KeepAlive, Sse};
use crdt::{Change, MemberId};
use libp2p::futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use tokio::sync::broadcast::{self, error::RecvError};

/// Events that a listener may be behind. One that is further behind is told how many it missed.
pub const BEHIND_MAX: usize = 1_024;

/// One change of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`super::dto::V`].
    pub v: u32,
    /// What happened, in one word; `missed` when the listener was too slow: read the record again.
    pub kind: String,
    /// Where in the record view something changed.
    pub path: Vec<String>,
    /// Whose doing it is, where it is somebody's.
    pub member: Option<String>,
}

impl Event {
    /// The event that tells `change`.
    #[must_use]
    pub fn of(change: &Change, name: impl Fn(&MemberId) -> String) -> Self {
        let member = |id: &MemberId| vec!["members".to_owned(), id.to_string()];
        let proposal = |id: &dyn ToString, part: &[&str]| {
            let parts = part.iter().map(|part| (*part).to_owned());
            ["proposals".to_owned(), id.to_string()].into_iter().chain(parts).collect::<Vec<_>>()
        };
        let (kind, path, by) = match change {
            Change::Accepted(id) => ("accepted", member(id), Some(id)),
            Change::Moved(id) => ("moved", member(id), Some(id)),
            Change::Invited(id) => ("invited", vec!["guests".to_owned(), id.to_string()], None),
            Change::Forked(id) => ("forked", member(id), Some(id)),
            Change::Succession(id) => ("succession", vec!["succession".to_owned()], Some(id)),
            Change::Epoch(epoch) => ("epoch", vec!["epoch".to_owned(), epoch.to_string()], None),
            Change::KeyStep(id) => ("key-step", vec!["key".to_owned()], Some(id)),
            Change::Key => ("key", vec!["key".to_owned()], None),
            Change::KeyTested => ("key-tested", vec!["key".to_owned()], None),
            Change::Proposed(id) => ("proposed", proposal(id, &[]), None),
            Change::Voted(id, voter) => ("voted", proposal(id, &["ballots", &name(voter)]), Some(voter)),
            Change::Commented(id, author) => ("commented", proposal(id, &["comments"]), Some(author)),
            Change::Withdrawn(id) => ("withdrawn", proposal(id, &["withdrawn"]), None),
            Change::Certified(id) => ("certified", proposal(id, &["certificate"]), None),
            Change::Settled(id) => ("settled", proposal(id, &["settled"]), None),
            Change::Stated(close, id) => {
                ("stated", vec!["statements".to_owned(), close.to_string(), id.to_string()], Some(id))
            }
            Change::Drawn(id, entry) => ("drawn", proposal(id, &["draws", &entry.to_string()]), None),
            Change::Leaving(id) => ("leaving", member(id), Some(id)),
            Change::Paused(id, on) => (if *on { "paused" } else { "resumed" }, member(id), Some(id)),
            Change::Delegated(id) => ("delegated", member(id), Some(id)),
            Change::Edited(sheet, entry) => {
                ("edited", vec!["workspace".to_owned(), sheet.to_string(), entry.to_string()], None)
            }
        };
        Self { v: super::dto::V, kind: kind.to_owned(), path, member: by.map(name) }
    }

    /// The event that tells of coins that left the treasury for nothing that was decided.
    #[must_use]
    pub fn alarm(what: String) -> Self {
        Self {
            v: super::dto::V,
            kind: "alarm".to_owned(),
            path: vec!["treasury".to_owned(), what],
            member: None,
        }
    }

    fn missed(count: u64) -> Self {
        Self { v: super::dto::V, kind: "missed".to_owned(), path: vec![count.to_string()], member: None }
    }
}

/// Answer with all events from now on.
pub(crate) fn stream(
    events: broadcast::Receiver<Event>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let next = |mut events: broadcast::Receiver<Event>| async move {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(count)) => Event::missed(count),
            Err(RecvError::Closed) => return None,
        };
        let told = sse::Event::default().event(&event.kind).json_data(&event);
        Some((Ok(told.expect("an event is plain JSON")), events))
    };
    Sse::new(stream::unfold(events, next)).keep_alive(KeepAlive::default())
}
