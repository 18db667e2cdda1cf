//! The conversation with one pool.
//!
//! All three requests of the handshake go out at once; a pool that answers nothing to
//! `mining.configure` is one that lets no version bits be rolled. Work is reported once the account is
//! authorised. Nothing that a pool says leads anywhere else: a `client.reconnect` to another host is
//! how miners were stolen in 2014, and is noted and ignored.

use crate::clock::Now;
use crate::job::{Forward, Route, VERSION_MASK, Work};
use crate::share::target::target_of;
use crate::stratum::AGENT_OF_LINKS;
use crate::stratum::message::{call, result, unknown_method};
use crate::upstream::limits::{
    ANSWER, EXTRANONCE1_MAX, HANDSHAKE, MALFORMED_MAX, REFUSED_MAX, SILENT, UNANSWERED_MAX,
};
use crate::upstream::notify::{Context, WorkError, read};
use bitcoin::Target;
use hex::{DisplayHex as _, FromHex as _};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const CONFIGURE: u64 = 1;
const SUBSCRIBE: u64 = 2;
const AUTHORIZE: u64 = 3;
const SUGGEST: u64 = 4;
const FIRST_SUBMIT: u64 = 5;
/// Characters of what a pool says that are shown.
const NOTE_MAX: usize = 120;

/// Whom a pool pays.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Host of the pool, which is the only one we go to.
    pub host: String,
    /// User name.
    pub user: String,
    /// Password; most pools want any.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("host", &self.host).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a farm wants of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// The difficulty that suits it, if it knows what it is worth: so the pool need not find out by a
    /// flood of shares.
    pub difficulty: Option<u64>,
    /// Bytes of extranonce 2 that it cannot do without.
    pub room: usize,
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// The pool sent a line.
    Line(&'a [u8]),
    /// The pool sent more than a line may have.
    LongLine,
    /// A share for it.
    Share(&'a Forward),
    /// Time passed.
    Tick,
}

/// What a session wants done, in order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send this line.
    Send(Arc<str>),
    /// There is something to mine.
    Work(Arc<Work>),
    /// The pool answered for a share that had to meet this target.
    Answered {
        /// Why it was refused, if it was.
        refused: Option<String>,
        /// What it was worth.
        target: Target,
    },
    /// A share that is too late for this connection, or one too many.
    Late,
    /// Something that people should know, safe to show.
    Note(String),
    /// Hang up.
    Close(End),
}

/// Why a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// No work in time.
    #[error("no work within {} s of connecting", HANDSHAKE.as_secs())]
    Handshake,
    /// The pool does not know the account.
    #[error("the pool refuses the account: {0}")]
    Account(String),
    /// The pool does not say how to mine for it.
    #[error("the pool's answer to the subscription cannot be used")]
    Subscription,
    /// Not a word in a long time.
    #[error("the pool is silent")]
    Silent,
    /// Shares without an answer.
    #[error("the pool answers for no share")]
    Unanswering,
    /// A line beyond the bound.
    #[error("a line too long")]
    LongLine,
    /// Too many lines without meaning.
    #[error("too many malformed lines")]
    Malformed,
    /// Work that is of no use.
    #[error("the pool's work is not to be mined on: {0}")]
    Work(#[from] WorkError),
    /// Nothing that we find pleases it.
    #[error("the pool refused {REFUSED_MAX} shares in a row, the last for: {0}")]
    Refusing(String),
    /// It asks us to connect again.
    #[error("the pool asks us to connect again")]
    Again,
}

/// The conversation with one pool.
#[derive(Debug)]
pub struct Session {
    route: Route,
    account: Account,
    needed: usize,
    began: Duration,
    heard: Duration,
    extranonce: Option<(Vec<u8>, usize)>,
    authorised: bool,
    mask: u32,
    target: Target,
    /// The last notification, until it can be used.
    waiting: Option<Vec<Value>>,
    works: bool,
    next_id: u64,
    unanswered: BTreeMap<u64, (Target, Duration)>,
    malformed: u32,
    refused: u32,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    id: Value,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

impl Session {
    /// We connected. The effects are the first words.
    #[must_use]
    pub fn new(route: Route, account: Account, wants: Wants, now: Now) -> (Self, Vec<Effect>) {
        let agent = format!("{AGENT_OF_LINKS}{}", env!("CARGO_PKG_VERSION"));
        let mask = json!([["version-rolling"], {
            "version-rolling.mask": format!("{VERSION_MASK:08x}"), "version-rolling.min-bit-count": 0,
        }]);
        let mut words = vec![
            Effect::Send(call(CONFIGURE, "mining.configure", &mask)),
            Effect::Send(call(SUBSCRIBE, "mining.subscribe", &json!([agent]))),
            Effect::Send(call(AUTHORIZE, "mining.authorize", &json!([account.user, account.password]))),
        ];
        let suggest = |difficulty| call(SUGGEST, "mining.suggest_difficulty", &json!([difficulty]));
        words.extend(wants.difficulty.map(suggest).map(Effect::Send));
        let session = Self {
            route,
            account,
            needed: wants.room,
            began: now.since_start,
            heard: now.since_start,
            extranonce: None,
            authorised: false,
            mask: 0,
            target: target_of(1.0).expect("one is a positive number"),
            waiting: None,
            works: false,
            next_id: FIRST_SUBMIT,
            unanswered: BTreeMap::new(),
            malformed: 0,
            refused: 0,
        };
        (session, words)
    }

    /// Take one input.
    pub fn handle(&mut self, input: Input<'_>, now: Now) -> Vec<Effect> {
        match input {
            Input::Line(line) => {
                self.heard = now.since_start;
                self.line(line, now)
            }
            Input::LongLine => vec![Effect::Close(End::LongLine)],
            Input::Share(share) => vec![self.submit(share, now)],
            Input::Tick => self.tick(now).map(Effect::Close).into_iter().collect(),
        }
    }

    fn tick(&self, now: Now) -> Option<End> {
        let past = |since: Duration, limit| now.since_start.saturating_sub(since) > limit;
        let oldest = self.unanswered.values().next();
        if !self.works && past(self.began, HANDSHAKE) {
            Some(End::Handshake)
        } else if oldest.is_some_and(|(_, sent)| past(*sent, ANSWER)) {
            Some(End::Unanswering)
        } else {
            past(self.heard, SILENT).then_some(End::Silent)
        }
    }

    fn line(&mut self, line: &[u8], now: Now) -> Vec<Effect> {
        let Ok(Raw { id, method, params, result, error }) = serde_json::from_slice(line) else {
            self.malformed += 1;
            let enough = self.malformed > MALFORMED_MAX;
            return enough.then_some(Effect::Close(End::Malformed)).into_iter().collect();
        };
        match (method, id.as_u64()) {
            (Some(method), _) => self.told(&method, &id, params, now),
            (None, Some(CONFIGURE)) => {
                self.mask = granted(&result);
                Vec::new()
            }
            (None, Some(SUBSCRIBE)) => self.subscribed(&result, now),
            (None, Some(AUTHORIZE)) => self.answered_account(&result, &error, now),
            (None, Some(id)) => self.answered_share(id, &result, &error),
            (None, None) => Vec::new(),
        }
    }

    fn told(&mut self, method: &str, id: &Value, params: Value, now: Now) -> Vec<Effect> {
        let first = params.get(0);
        match method {
            "mining.notify" => {
                let Value::Array(params) = params else {
                    return vec![Effect::Close(WorkError::Field("parameters").into())];
                };
                self.waiting = Some(params);
                self.work(now)
            }
            "mining.set_difficulty" => {
                // For the next work; what is out already keeps the target it was given.
                let target = first.and_then(Value::as_f64).and_then(target_of);
                self.target = target.unwrap_or(self.target);
                Vec::new()
            }
            "mining.set_version_mask" => {
                self.mask = first.and_then(Value::as_str).map_or(0, mask_of);
                Vec::new()
            }
            "mining.set_extranonce" => {
                self.extranonce = extranonce(first, params.get(1));
                if self.extranonce.is_some() { Vec::new() } else { vec![Effect::Close(End::Subscription)] }
            }
            "client.reconnect" => self.reconnect(first),
            "client.show_message" => vec![Effect::Note(shown(first))],
            "client.get_version" => {
                let version = json!(format!("{AGENT_OF_LINKS}{}", env!("CARGO_PKG_VERSION")));
                vec![Effect::Send(result(id, &version))]
            }
            "mining.ping" => vec![Effect::Send(result(id, &json!("pong")))],
            _ if id.is_null() => Vec::new(),
            _ => vec![Effect::Send(unknown_method(id))],
        }
    }

    /// To the same host we go when asked; the address is still the configured one.
    fn reconnect(&self, host: Option<&Value>) -> Vec<Effect> {
        let host = host.and_then(Value::as_str).unwrap_or_default();
        if host.is_empty() || host.eq_ignore_ascii_case(&self.account.host) {
            return vec![Effect::Close(End::Again)];
        }
        let whither = shown(Some(&json!(host)));
        vec![Effect::Note(format!("ignored its wish that we connect to another host, {whither}"))]
    }

    fn subscribed(&mut self, result: &Value, now: Now) -> Vec<Effect> {
        self.extranonce = extranonce(result.get(1), result.get(2));
        if self.extranonce.is_none() {
            return vec![Effect::Close(End::Subscription)];
        }
        self.work(now)
    }

    fn answered_account(&mut self, result: &Value, error: &Value, now: Now) -> Vec<Effect> {
        if result.as_bool() != Some(true) {
            return vec![Effect::Close(End::Account(shown(Some(error))))];
        }
        self.authorised = true;
        self.work(now)
    }

    /// Report the last notification, once all that it needs is known.
    fn work(&mut self, now: Now) -> Vec<Effect> {
        let (Some((extranonce1, room)), true) = (&self.extranonce, self.authorised) else {
            return Vec::new();
        };
        let Some(params) = self.waiting.take() else { return Vec::new() };
        let context = Context {
            route: self.route,
            extranonce1,
            room: *room,
            needed: self.needed,
            share_target: self.target,
            version_mask: self.mask,
            unix: now.unix,
        };
        match read(&params, &context) {
            Ok(work) => {
                self.works = true;
                vec![Effect::Work(Arc::new(work))]
            }
            Err(error) => vec![Effect::Close(error.into())],
        }
    }

    fn submit(&mut self, share: &Forward, now: Now) -> Effect {
        if share.route != self.route || self.unanswered.len() >= UNANSWERED_MAX {
            return Effect::Late;
        }
        let Forward { job, extranonce2, time, nonce, version_bits, target, .. } = share;
        let mut params = vec![
            json!(self.account.user),
            json!(job),
            json!(extranonce2.to_lower_hex_string()),
            json!(format!("{time:08x}")),
            json!(format!("{nonce:08x}")),
        ];
        params.extend(version_bits.map(|bits| json!(format!("{bits:08x}"))));
        let id = self.next_id;
        self.next_id += 1;
        self.unanswered.insert(id, (*target, now.since_start));
        Effect::Send(call(id, "mining.submit", &Value::Array(params)))
    }

    fn answered_share(&mut self, id: u64, result: &Value, error: &Value) -> Vec<Effect> {
        let Some((target, _)) = self.unanswered.remove(&id) else { return Vec::new() };
        if result.as_bool() == Some(true) {
            self.refused = 0;
            return vec![Effect::Answered { refused: None, target }];
        }
        self.refused += 1;
        let why = shown(Some(error));
        let end = (self.refused >= REFUSED_MAX).then(|| Effect::Close(End::Refusing(why.clone())));
        std::iter::once(Effect::Answered { refused: Some(why), target }).chain(end).collect()
    }
}

/// The version bits that an answer to `mining.configure` grants.
fn granted(result: &Value) -> u32 {
    let rolls = result.get("version-rolling").and_then(Value::as_bool) == Some(true);
    let mask = result.get("version-rolling.mask").and_then(Value::as_str);
    mask.filter(|_| rolls).map_or(0, mask_of)
}

fn mask_of(text: &str) -> u32 {
    u32::from_str_radix(text, 16).unwrap_or(0) & VERSION_MASK
}

fn extranonce(extranonce1: Option<&Value>, size: Option<&Value>) -> Option<(Vec<u8>, usize)> {
    let extranonce1 = Vec::from_hex(extranonce1?.as_str()?).ok()?;
    let size = usize::try_from(size?.as_u64()?).ok()?;
    (extranonce1.len() <= EXTRANONCE1_MAX && size <= EXTRANONCE1_MAX).then_some((extranonce1, size))
}

/// What somebody else wrote, cut and made harmless.
fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        // [20, "text", null], as Stratum writes errors.
        Some(other) => other.get(1).and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned),
    };
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(NOTE_MAX).collect()
}

#[cfg(test)]
mod tests;
