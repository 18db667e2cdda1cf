//! The conversation with one miner.

mod issued;

use crate::clock::Now;
use crate::job::{EXTRANONCE1, EXTRANONCE2, Job, VERSION_MASK};
use crate::share::target::{Level, wire_difficulty};
use crate::share::vardiff::Vardiff;
use crate::share::{Reason, Submission, Terms, Verdict, judge};
use crate::stratum::limits::{AGENT_MAX, HANDSHAKE, IDLE, MALFORMED_MAX, NAME_MAX, NAMES_MAX, REJECTED_MAX};
use crate::stratum::message::{self, Line, Request};
use bitcoin::{Block, Target};
use hex::DisplayHex as _;
use issued::Issued;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What we answer to who asks what we are.
const VERSION: &str = concat!("miner-link/", env!("CARGO_PKG_VERSION"));

/// What happens to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// The miner sent a line.
    Line(&'a [u8]),
    /// The miner sent more than a line may have.
    LongLine,
    /// There is something new to mine.
    Job(Arc<Job>),
    /// Time passed.
    Tick,
}

/// What a session wants done, in order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send this line.
    Send(String),
    /// A name is at work on this connection from now on.
    Joined {
        /// `member.worker`.
        name: String,
        /// What the miner calls itself.
        agent: String,
    },
    /// A share of this name was judged; none counts for a reason.
    Share {
        /// `member.worker`.
        name: String,
        /// Why it did not count.
        rejected: Option<Reason>,
        /// The target it was judged at.
        target: Target,
    },
    /// Take this block to bitcoind.
    Found {
        /// Who found it.
        name: String,
        /// What was found.
        block: Box<Block>,
    },
    /// Hang up.
    Close(End),
}

/// Why a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// No subscription and authorisation in time.
    #[error("no handshake in time")]
    Handshake,
    /// Not a word in a long time.
    #[error("idle")]
    Idle,
    /// A line beyond the bound.
    #[error("a line too long")]
    LongLine,
    /// Too many lines without meaning.
    #[error("too many malformed lines")]
    Malformed,
    /// Too many shares in a row that do not count.
    #[error("too many rejected shares in a row")]
    Rejected,
}

/// The conversation with one miner.
#[derive(Debug)]
pub struct Session {
    extranonce1: [u8; EXTRANONCE1],
    began: Duration,
    heard: Duration,
    agent: String,
    subscribed: bool,
    names: Vec<String>,
    mask: u32,
    vardiff: Vardiff,
    suggested: Option<Level>,
    told: Option<Target>,
    latest: Option<Arc<Job>>,
    issued: Issued,
    malformed: u32,
    rejected: u32,
}

impl Session {
    /// A miner connected. `extranonce1` is no other connection's.
    #[must_use]
    pub fn new(extranonce1: [u8; EXTRANONCE1], now: Now) -> Self {
        Self {
            extranonce1,
            began: now.since_start,
            heard: now.since_start,
            agent: String::new(),
            subscribed: false,
            names: Vec::new(),
            mask: 0,
            vardiff: Vardiff::new(start_level(""), now.since_start),
            suggested: None,
            told: None,
            latest: None,
            issued: Issued::default(),
            malformed: 0,
            rejected: 0,
        }
    }

    /// Take one input.
    pub fn handle(&mut self, input: Input<'_>, now: Now) -> Vec<Effect> {
        match input {
            Input::Line(line) => {
                self.heard = now.since_start;
                self.line(line, now)
            }
            Input::LongLine => vec![Effect::Close(End::LongLine)],
            Input::Job(job) => {
                self.latest = Some(job);
                self.issue(now)
            }
            Input::Tick => self.tick(now),
        }
    }

    fn tick(&self, now: Now) -> Vec<Effect> {
        let past = |since: Duration, limit| now.since_start.saturating_sub(since) > limit;
        if !self.ready() && past(self.began, HANDSHAKE) {
            vec![Effect::Close(End::Handshake)]
        } else if past(self.heard, IDLE) {
            vec![Effect::Close(End::Idle)]
        } else {
            Vec::new()
        }
    }

    fn line(&mut self, line: &[u8], now: Now) -> Vec<Effect> {
        match message::read(line) {
            Line::Request { id, request } => self.request(&id, request, now),
            Line::Reply => Vec::new(),
            Line::Malformed => {
                self.malformed += 1;
                if self.malformed > MALFORMED_MAX { vec![Effect::Close(End::Malformed)] } else { Vec::new() }
            }
        }
    }

    fn request(&mut self, id: &Value, request: Request, now: Now) -> Vec<Effect> {
        let done = |value: Value| vec![Effect::Send(message::result(id, &value))];
        match request {
            Request::Configure { extensions, mask } => done(self.configure(&extensions, mask)),
            Request::Subscribe { agent } => self.subscribe(id, &agent, now),
            Request::Authorize { name } => self.authorize(id, name, now),
            Request::Submit(params) => self.submit(id, &params, now),
            Request::SuggestDifficulty(difficulty) => {
                let mut effects = done(json!(true));
                effects.extend(self.suggest(difficulty, now));
                effects
            }
            Request::Noted => done(json!(true)),
            Request::Ping => done(json!("pong")),
            Request::Version => done(json!(VERSION)),
            Request::Unknown(_) => vec![Effect::Send(message::unknown_method(id))],
        }
    }

    fn configure(&mut self, extensions: &[String], mask: u32) -> Value {
        let mut answer = Map::new();
        for name in extensions.iter().take(8) {
            // A minimum could not be kept where the network's own difficulty is below it.
            let granted = matches!(name.as_str(), "version-rolling" | "subscribe-extranonce");
            answer.insert(name.clone(), json!(granted));
            if name == "version-rolling" {
                self.mask = mask & VERSION_MASK;
                answer.insert("version-rolling.mask".to_owned(), json!(format!("{:08x}", self.mask)));
            }
        }
        Value::Object(answer)
    }

    fn subscribe(&mut self, id: &Value, agent: &str, now: Now) -> Vec<Effect> {
        self.agent = agent.chars().filter(char::is_ascii).filter(|c| !c.is_ascii_control()).collect();
        self.agent.truncate(AGENT_MAX);
        if !self.subscribed {
            self.vardiff.suggest(start_level(&self.agent), now.since_start);
        }
        self.subscribed = true;
        let session = self.extranonce1.to_lower_hex_string();
        let subscriptions = [["mining.set_difficulty", &session], ["mining.notify", &session]];
        let answer = json!([subscriptions, session, EXTRANONCE2]);
        let mut effects = vec![Effect::Send(message::result(id, &answer))];
        effects.extend(self.issue(now));
        effects
    }

    fn authorize(&mut self, id: &Value, name: String, now: Now) -> Vec<Effect> {
        let known = self.names.contains(&name);
        if !known && (!is_name(&name) || self.names.len() >= NAMES_MAX) {
            return vec![Effect::Send(message::refusal(id, Reason::Unauthorised))];
        }
        let mut effects = vec![Effect::Send(message::result(id, &json!(true)))];
        if !known {
            self.names.push(name.clone());
            effects.push(Effect::Joined { name, agent: self.agent.clone() });
        }
        if self.told.is_none() {
            effects.extend(self.issue(now));
        }
        effects
    }

    /// Begin anew at what the miner suggests: at once while nothing was counted yet, later with the next
    /// job.
    fn suggest(&mut self, difficulty: f64, now: Now) -> Vec<Effect> {
        // Some miners repeat themselves to keep the connection alive: that is no reason to start over.
        let level = Level::at_most(difficulty).filter(|level| Some(*level) != self.suggested);
        let Some(level) = level else { return Vec::new() };
        self.suggested = Some(level);
        self.vardiff.suggest(level, now.since_start);
        if self.issued.nothing_counted() { self.issue(now) } else { Vec::new() }
    }

    fn ready(&self) -> bool {
        self.subscribed && !self.names.is_empty()
    }

    /// Give the latest job to a miner that is ready for it. A difficulty comes before the job that it
    /// is first used for, and that job is clean: some firmware confuses the two otherwise.
    fn issue(&mut self, now: Now) -> Vec<Effect> {
        let Some(job) = self.latest.clone().filter(|_| self.ready()) else { return Vec::new() };
        self.vardiff.retarget(now.since_start);
        let target = crate::share::target::share_target(self.vardiff.level(), job.template.target);
        let changed = self.told != Some(target);
        let mut effects = Vec::new();
        if changed {
            self.told = Some(target);
            let difficulty = json!([wire_difficulty(target)]);
            effects.push(Effect::Send(message::notification("mining.set_difficulty", &difficulty)));
        }
        let first = self.issued.is_empty();
        let params = job.notify_params(job.clean || changed || first);
        self.issued.push(job, target);
        effects.push(Effect::Send(message::notification("mining.notify", &params)));
        effects
    }

    fn submit(&mut self, id: &Value, params: &[Value], now: Now) -> Vec<Effect> {
        let (name, verdict, target) = match self.weigh(params, now) {
            Ok(weighed) => weighed,
            Err(reason) => {
                let mut effects = vec![Effect::Send(message::refusal(id, reason))];
                effects.extend(self.reject());
                return effects;
            }
        };
        let mut effects = Vec::new();
        let rejected = match verdict {
            // The block goes first: nothing that is said to the miner is worth a moment of it.
            Verdict::Block(block) => {
                effects.push(Effect::Found { name: name.clone(), block });
                None
            }
            Verdict::Accepted { .. } => None,
            Verdict::Rejected(reason) => Some(reason),
        };
        let reply =
            rejected.map_or_else(|| message::result(id, &json!(true)), |reason| message::refusal(id, reason));
        effects.push(Effect::Send(reply));
        effects.push(Effect::Share { name, rejected, target });
        if rejected.is_none() {
            self.rejected = 0;
            self.vardiff.count();
        } else {
            effects.extend(self.reject());
        }
        effects
    }

    fn weigh(&mut self, params: &[Value], now: Now) -> Result<(String, Verdict, Target), Reason> {
        if !self.subscribed {
            return Err(Reason::NotSubscribed);
        }
        let (name, submission) = Submission::read(params)?;
        if !self.names.iter().any(|known| known == name) {
            return Err(Reason::Unauthorised);
        }
        let (extranonce1, version_mask) = (self.extranonce1, self.mask);
        let tip = self.latest.as_ref().map(|job| job.template.previous);
        let Some(entry) = submission.job.and_then(|job| self.issued.find(job)) else {
            let target = self.told.unwrap_or(Target::MAX);
            return Ok((name.to_owned(), Verdict::Rejected(Reason::UnknownJob), target));
        };
        let stale = tip != Some(entry.job.template.previous);
        let (target, unix) = (entry.target, now.unix);
        let terms = Terms { job: &entry.job, extranonce1, version_mask, target, stale, unix };
        let verdict = judge(&submission, &terms, &mut entry.seen);
        Ok((name.to_owned(), verdict, target))
    }

    fn reject(&mut self) -> Option<Effect> {
        self.rejected += 1;
        (self.rejected > REJECTED_MAX).then_some(Effect::Close(End::Rejected))
    }
}

/// A name that is safe to log, to show and to keep.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Where to begin with a miner that calls itself `agent`: one share in about ten seconds for the
/// slowest device that is known to use the name.
fn start_level(agent: &str) -> Level {
    const KNOWN: [(&str, i32); 7] = [
        ("software-miner", -6),
        ("cpuminer", -6),
        ("NerdMiner", -12),
        ("bitaxe", 10),
        ("Antminer S21", 18),
        ("whatsminer", 17),
        ("NiceHash", 19),
    ];
    let exponent =
        KNOWN.iter().find(|(name, _)| agent.starts_with(name)).map_or(13, |(_, exponent)| *exponent);
    Level::new(exponent)
}

#[cfg(test)]
mod tests;
