//! The conversation with one miner.

mod issued;

use crate::allowance::Allowance;
use crate::clock::Now;
use crate::job::{EXTRANONCE1, EXTRANONCE2, EXTRANONCE2_OF_LINK, Forward, Offer, Proof, Shape, VERSION_MASK};
use crate::share::target::{Level, share_target, wire_difficulty};
use crate::share::vardiff::Vardiff;
use crate::share::{Reason, Submission, Terms, Verdict, judge, proof};
use crate::stratum::firmware::{self, AGENT_OF_LINKS};
use crate::stratum::limits::{
    AGENT_MAX, GRACE, HANDSHAKE, IDLE, MALFORMED_MAX, MALFORMED_OF_STRANGER, NAME_MAX, NAMES_MAX,
    REJECTED_MAX, SUBMITS_BURST, SUBMITS_PER_SECOND,
};
use crate::stratum::message::{self, Line, Request};
use bitcoin::{Block, BlockHash, Target};
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
    Job(Offer),
    /// Time passed.
    Tick,
}

/// What a session wants done, in order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Send this line.
    Send(Arc<str>),
    /// A name is at work on this connection from now on.
    Joined {
        /// `member.worker`.
        name: String,
        /// What the miner calls itself.
        agent: String,
    },
    /// A share of this name was judged.
    Share {
        /// `member.worker`.
        name: String,
        /// Its hash if it counts, and else why not.
        outcome: Result<BlockHash, Reason>,
        /// The target it was judged at.
        target: Target,
        /// The pool whose job it was for; none if it was our own work.
        pool: Option<usize>,
    },
    /// Take this share to the pool.
    Forward(Box<Forward>),
    /// Take this block to bitcoind.
    Found {
        /// Who found it.
        name: String,
        /// What was found.
        block: Box<Block>,
    },
    /// Keep what shows that this share was hashed for the guild.
    Keep(Box<Proof>),
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
    /// A link that wants more room than the pool in use leaves. It has pools of its own to go to.
    #[error("the pool leaves no room for another link")]
    Room,
    /// A device that would cut the coinbase short, and so hash for nothing.
    #[error("its firmware takes no coinbase as long as this one")]
    Coinbase,
}

/// What the operator decides about shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// One difficulty for everybody and for good, instead of one that follows each miner.
    pub fixed: Option<Level>,
    /// Bytes that a miner counts through, other links apart.
    pub extranonce2: usize,
    /// What a share of our own work must meet to be kept as a receipt.
    pub kept: Target,
}

impl Default for Rules {
    fn default() -> Self {
        Self { fixed: None, extranonce2: EXTRANONCE2, kept: Target::ZERO }
    }
}

/// The conversation with one miner.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    extranonce1: [u8; EXTRANONCE1],
    /// Bytes of the miner's extranonce 2. Told once, and never changed.
    size: usize,
    began: Duration,
    heard: Duration,
    agent: String,
    subscribed: bool,
    names: Vec<String>,
    /// The version bits that the miner asked for.
    mask: u32,
    told_mask: u32,
    vardiff: Vardiff,
    suggested: Option<Level>,
    /// Below which the miner wants no difficulty.
    least: Level,
    told: Option<Target>,
    /// The coinbases that the miner takes.
    shape: Shape,
    latest: Option<Offer>,
    /// The tip before the latest job's, and since when it is not the tip any more.
    left: Option<(BlockHash, Duration)>,
    issued: Issued,
    allowance: Allowance,
    malformed: u32,
    rejected: u32,
}

impl Session {
    /// A miner connected. `extranonce1` is no other connection's.
    #[must_use]
    pub fn new(extranonce1: [u8; EXTRANONCE1], rules: Rules, now: Now) -> Self {
        let mut session = Self {
            rules,
            extranonce1,
            size: rules.extranonce2,
            began: now.since_start,
            heard: now.since_start,
            agent: String::new(),
            subscribed: false,
            names: Vec::new(),
            mask: 0,
            told_mask: 0,
            vardiff: Vardiff::new(firmware::level(""), Level::LEAST, now.since_start),
            suggested: None,
            least: Level::LEAST,
            told: None,
            shape: firmware::shape(""),
            latest: None,
            left: None,
            issued: Issued::default(),
            allowance: Allowance::new(SUBMITS_PER_SECOND, SUBMITS_BURST, now.since_start),
            malformed: 0,
            rejected: 0,
        };
        session.begin_at(firmware::level(""), now);
        session
    }

    /// Whether the miner has both subscribed and authorised, and is given jobs.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.subscribed && !self.names.is_empty()
    }

    fn begin_at(&mut self, level: Level, now: Now) {
        let level = self.rules.fixed.unwrap_or(level);
        self.vardiff = Vardiff::new(level, self.least, now.since_start);
    }

    /// Take one input.
    pub fn handle(&mut self, input: Input<'_>, now: Now) -> Vec<Effect> {
        match input {
            Input::Line(line) => {
                self.heard = now.since_start;
                self.line(line, now)
            }
            Input::LongLine => vec![Effect::Close(End::LongLine)],
            Input::Job(job) => self.job(job, now),
            Input::Tick => self.tick(now),
        }
    }

    fn job(&mut self, offer: Offer, now: Now) -> Vec<Effect> {
        let tip = self.latest.as_ref().map(Offer::tip);
        if let Some(tip) = tip.filter(|tip| *tip != offer.tip()) {
            self.left = Some((tip, now.since_start));
        }
        self.latest = Some(offer);
        self.issue(now)
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
                let most = if self.ready() { MALFORMED_MAX } else { MALFORMED_OF_STRANGER };
                if self.malformed > most { vec![Effect::Close(End::Malformed)] } else { Vec::new() }
            }
        }
    }

    fn request(&mut self, id: &Value, request: Request, now: Now) -> Vec<Effect> {
        let done = |value: Value| vec![Effect::Send(message::result(id, &value))];
        match request {
            Request::Configure { extensions, mask, least } => {
                if let Some(least) = least.and_then(Level::at_least) {
                    self.least = least;
                    self.begin_at(self.vardiff.level(), now);
                }
                done(self.configure(&extensions, mask))
            }
            Request::Subscribe { agent } => self.subscribe(id, &agent, now),
            Request::Authorize { name, difficulty } => {
                let mut effects = difficulty.map_or_else(Vec::new, |wish| self.suggest(wish, now));
                effects.extend(self.authorize(id, name, now));
                effects
            }
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
            let granted = match name.as_str() {
                "version-rolling" | "subscribe-extranonce" => true,
                "minimum-difficulty" => self.keeps_least(),
                _ => false,
            };
            answer.insert(name.clone(), json!(granted));
            if name == "version-rolling" {
                self.mask = mask & VERSION_MASK;
                let allowed = self.latest.as_ref().map_or(VERSION_MASK, |offer| offer.job().version_mask());
                self.told_mask = self.mask & allowed;
                answer.insert("version-rolling.mask".to_owned(), json!(format!("{:08x}", self.told_mask)));
            }
        }
        Value::Object(answer)
    }

    /// Whether the least difficulty that the miner wants is one that it can be given: not where the
    /// chain, or the pool, asks for less than that, since what they want must not be kept from them.
    fn keeps_least(&self) -> bool {
        let hardest = self.latest.as_ref().map(|offer| offer.job().hardest());
        hardest.is_none_or(|hardest| self.least.target() >= hardest)
    }

    fn subscribe(&mut self, id: &Value, agent: &str, now: Now) -> Vec<Effect> {
        self.agent = agent.chars().filter(char::is_ascii).filter(|c| !c.is_ascii_control()).collect();
        self.agent.truncate(AGENT_MAX);
        if !self.subscribed {
            self.begin_at(firmware::level(&self.agent), now);
            self.shape = firmware::shape(&self.agent);
            let link = self.agent.starts_with(AGENT_OF_LINKS);
            self.size = if link { EXTRANONCE2_OF_LINK } else { self.rules.extranonce2 };
        }
        self.subscribed = true;
        let session = self.extranonce1.to_lower_hex_string();
        let subscriptions = [["mining.set_difficulty", &session], ["mining.notify", &session]];
        let answer = json!([subscriptions, session, self.size]);
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
        self.begin_at(level, now);
        if self.issued.nothing_counted() { self.issue(now) } else { Vec::new() }
    }

    /// Give the latest job to a miner that is ready for it. A difficulty comes before the job that it
    /// is first used for, and that job is clean: some firmware confuses the two otherwise.
    fn issue(&mut self, now: Now) -> Vec<Effect> {
        let Some(offer) = self.latest.as_ref().filter(|_| self.ready()) else { return Vec::new() };
        if !offer.job().has_room_for(self.size) {
            return vec![Effect::Close(End::Room)];
        }
        let Some(job) = offer.for_device(self.size, self.shape).cloned() else { return refuse_kindly() };
        if self.rules.fixed.is_none() {
            let asked = self.told.map_or(self.vardiff.level(), Level::of);
            self.vardiff.retarget(asked, now.since_start);
        }
        let target = share_target(self.vardiff.level(), job.hardest());
        let changed = self.told != Some(target);
        let mut effects = Vec::new();
        if changed {
            self.told = Some(target);
            let difficulty = json!([wire_difficulty(target)]);
            effects.push(Effect::Send(message::notification("mining.set_difficulty", &difficulty)));
        }
        let mask = self.mask & job.version_mask();
        if mask != self.told_mask {
            self.told_mask = mask;
            let mask = json!([format!("{mask:08x}")]);
            effects.push(Effect::Send(message::notification("mining.set_version_mask", &mask)));
        }
        // The channel of jobs holds the latest only, so that a miner may have missed the clean one.
        let moved = self
            .issued
            .latest()
            .is_none_or(|last| last.head.previous != job.head.previous || last.route() != job.route());
        let clean = job.clean || changed || moved;
        effects.push(Effect::Send(job.notice(self.size, clean)));
        self.issued.push(job, target);
        effects
    }

    fn submit(&mut self, id: &Value, params: &[Value], now: Now) -> Vec<Effect> {
        let Weighed { name, verdict, target, pool, proof } = match self.weigh(params, now) {
            Ok(weighed) => weighed,
            Err(reason) => {
                let mut effects = vec![Effect::Send(message::refusal(id, reason))];
                effects.extend(self.reject());
                return effects;
            }
        };
        let mut effects = Vec::new();
        let outcome = match verdict {
            // The block goes first: nothing that is said to the miner is worth a moment of it.
            Verdict::Block(block) => {
                let hash = block.block_hash();
                effects.push(Effect::Found { name: name.clone(), block });
                Ok(hash)
            }
            Verdict::Accepted { hash, forward, .. } => {
                effects.extend(forward.map(Effect::Forward));
                Ok(hash)
            }
            Verdict::Rejected(reason) => Err(reason),
        };
        let reply = match outcome {
            Ok(_) => message::accepted(id),
            Err(reason) => message::refusal(id, reason),
        };
        effects.extend(proof.map(Effect::Keep));
        effects.push(Effect::Send(reply));
        effects.push(Effect::Share { name, outcome, target, pool });
        if outcome.is_ok() {
            self.rejected = 0;
            self.vardiff.count();
        } else {
            effects.extend(self.reject());
        }
        effects
    }

    fn weigh(&mut self, params: &[Value], now: Now) -> Result<Weighed, Reason> {
        if !self.subscribed {
            return Err(Reason::NotSubscribed);
        }
        if !self.allowance.take(now.since_start) {
            return Err(Reason::TooFast);
        }
        let (name, submission) = Submission::read(params, self.size)?;
        let known = self.names.iter().find(|known| *known == name).ok_or(Reason::Unauthorised)?;
        let name = known.clone();
        let grace = self.left.filter(|(_, since)| now.since_start.saturating_sub(*since) <= GRACE);
        let tips = [self.latest.as_ref().map(Offer::tip), grace.map(|(tip, _)| tip)];
        let Some((entry, seen)) = submission.job.and_then(|job| self.issued.find(job)) else {
            let (target, pool) =
                (self.told.unwrap_or(Target::MAX), self.latest.as_ref().and_then(|offer| offer.job().pool()));
            let verdict = Verdict::Rejected(Reason::UnknownJob);
            return Ok(Weighed { name, verdict, target, pool, proof: None });
        };
        let target = entry.target;
        let terms = Terms {
            job: &entry.job,
            extranonce1: self.extranonce1,
            version_mask: self.mask & entry.job.version_mask(),
            target,
            stale: !tips.contains(&Some(entry.job.head.previous)),
            unix: now.unix,
        };
        let verdict = judge(&submission, &terms, seen);
        let proof = proof(&submission, &terms, &verdict, self.rules.kept);
        Ok(Weighed { name, verdict, target, pool: entry.job.pool(), proof })
    }

    fn reject(&mut self) -> Option<Effect> {
        self.rejected += 1;
        (self.rejected > REJECTED_MAX).then_some(Effect::Close(End::Rejected))
    }
}

/// A submission, judged.
struct Weighed {
    name: String,
    verdict: Verdict,
    target: Target,
    pool: Option<usize>,
    proof: Option<Box<Proof>>,
}

/// A name that is safe to log, to show and to keep.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Say why there is no work, and hang up: the miner has pools of its own to go to.
fn refuse_kindly() -> Vec<Effect> {
    let why = json!(["the guild pays so many in its blocks that this firmware would cut them short"]);
    let told = message::notification("client.show_message", &why);
    vec![Effect::Send(told), Effect::Close(End::Coinbase)]
}

#[cfg(test)]
mod tests;
