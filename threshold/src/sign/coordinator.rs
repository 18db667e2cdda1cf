//! The coordinator: asks `t` signers, replaces who fails, adds the shares up.

use super::Rejected;
use super::aggregate::{add_up, read};
use super::ceremony::{Effect, Failure, Input, Outcome, ROUND_TIMEOUT, Step, Waiting};
use super::message::{self, Commitments, Refusal, Shares, SigningPackage};
use super::plan::{Task, plan};
use super::request::{BadRequest, Request, RequestId};
use crate::keyset::PublicKeys;
use crate::party::PartyId;
use crate::session::{SessionId, Timestamp};
use frost::round1::SigningCommitments;
use frost_secp256k1_tr as frost;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// One request, from the first question to the signature.
#[derive(Debug)]
pub struct Coordinator {
    tasks: Vec<Task>,
    keys: PublicKeys,
    request: RequestId,
    seed: [u8; 32],
    timeout: Duration,
    /// Who may still be asked, best rank first.
    reserve: VecDeque<PartyId>,
    seats: BTreeSet<PartyId>,
    round: u16,
    session: SessionId,
    phase: Phase,
    /// When the present question was asked.
    asked: Timestamp,
    verdicts: BTreeMap<PartyId, Verdict>,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
enum Phase {
    Commit(BTreeMap<PartyId, Committed>),
    Sign {
        package: SigningPackage,
        /// The same as the crate reads it, one for each signature.
        packages: Vec<frost::SigningPackage>,
        shares: BTreeMap<PartyId, Shares>,
    },
    /// Seats that have not answered yet.
    Reasons(BTreeSet<PartyId>),
    Closed,
}

/// What a seat committed to: its bytes, and the points that they are.
#[derive(Debug)]
struct Committed {
    said: Commitments,
    points: Vec<SigningCommitments>,
}

#[derive(Debug, Clone)]
enum Verdict {
    Refused(Refusal),
    Silent,
    Faulty,
}

impl Coordinator {
    /// Open a ceremony. Seats go to the first `t` of `ranked`, the others replace them in order. `seed` is
    /// random, and makes the session names of this ceremony its own.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] if the request cannot be signed with these keys, or fewer than `t` different parties
    /// are named.
    pub fn new(
        request: &Request,
        keys: PublicKeys,
        ranked: Vec<PartyId>,
        seed: [u8; 32],
        now: Timestamp,
    ) -> Result<Self, BadRequest> {
        let (tasks, request) = (plan(request, &keys)?, request.id());
        let threshold = keys.threshold();
        let mut reserve = VecDeque::new();
        for party in ranked.into_iter().filter(|party| threshold.has(*party)) {
            if !reserve.contains(&party) {
                reserve.push_back(party);
            }
        }
        if reserve.len() < usize::from(threshold.t()) {
            return Err(BadRequest::Candidates { needed: threshold.t(), found: reserve.len() });
        }
        let mut coordinator = Self {
            tasks,
            keys,
            request,
            seed,
            timeout: ROUND_TIMEOUT,
            reserve,
            seats: BTreeSet::new(),
            round: 0,
            session: SessionId::signing(&seed, &request.to_bytes(), 0),
            phase: Phase::Closed,
            asked: now,
            verdicts: BTreeMap::new(),
            effects: VecDeque::new(),
        };
        coordinator.fill_seats(now);
        Ok(coordinator)
    }

    /// Wait this long for an answer instead of [`ROUND_TIMEOUT`].
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.wake(self.asked);
    }

    /// What is being signed.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// Take one input.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the input has no place now; the ceremony is unchanged.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Result<(), Rejected> {
        if matches!(self.phase, Phase::Closed) {
            return Err(Rejected::OutOfPhase);
        }
        match input {
            Input::Commitments(from, commitments) => self.committed(from, commitments, now),
            Input::Shares(from, shares) => self.shared(from, shares, now),
            Input::Refused(from, session, refusal) => self.refused(from, session, refusal, now),
            Input::Silent(from, session) => {
                self.seated_in(from, session).map(|()| self.unseat([from], &Verdict::Silent, now))
            }
            Input::Gone(from) => self.seated(from).map(|()| self.unseat([from], &Verdict::Silent, now)),
            Input::Tick => {
                if now >= self.asked.after(self.timeout) {
                    self.unseat(self.missing(), &Verdict::Silent, now);
                }
                Ok(())
            }
        }
    }

    /// The next effect to carry out, if any.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// For whom the ceremony waits.
    #[must_use]
    pub fn waiting_on(&self) -> Waiting {
        let step = match self.phase {
            Phase::Commit(_) => Step::Commitments,
            Phase::Sign { .. } => Step::Shares,
            Phase::Reasons(_) => Step::Reasons,
            Phase::Closed => Step::Closed,
        };
        let missing = self.missing().into_iter().map(|party| (party, self.asked)).collect();
        Waiting { step, missing, next: self.reserve.front().copied() }
    }

    fn missing(&self) -> Vec<PartyId> {
        let without = |answered: &dyn Fn(&PartyId) -> bool| {
            self.seats.iter().filter(|party| !answered(party)).copied().collect()
        };
        match &self.phase {
            Phase::Commit(commitments) => without(&|party| commitments.contains_key(party)),
            Phase::Sign { shares, .. } => without(&|party| shares.contains_key(party)),
            Phase::Reasons(missing) => missing.iter().copied().collect(),
            Phase::Closed => vec![],
        }
    }

    fn seated(&self, party: PartyId) -> Result<(), Rejected> {
        if self.seats.contains(&party) { Ok(()) } else { Err(Rejected::NoSeat(party)) }
    }

    /// Whether this party has a seat in this session, and the session is the present one.
    fn seated_in(&self, party: PartyId, session: SessionId) -> Result<(), Rejected> {
        self.seated(party)?;
        if session == self.session { Ok(()) } else { Err(Rejected::NoSuchSession(session)) }
    }

    fn committed(&mut self, from: PartyId, said: Commitments, now: Timestamp) -> Result<(), Rejected> {
        self.seated_in(from, said.session)?;
        match &mut self.phase {
            Phase::Commit(commitments) => match commitments.get(&from) {
                Some(first) if first.said == said => return Ok(()),
                Some(_) => return Err(Rejected::Duplicate(from)),
                None => match message::points(&said.list, self.tasks.len()) {
                    Some(points) => drop(commitments.insert(from, Committed { said, points })),
                    None => self.unseat([from], &Verdict::Faulty, now),
                },
            },
            Phase::Sign { package, .. } if package.commitments.get(&from) == Some(&said.list) => {
                return Ok(());
            }
            Phase::Sign { .. } => return Err(Rejected::Duplicate(from)),
            // it would have signed
            Phase::Reasons(missing) => drop(missing.remove(&from)),
            Phase::Closed => return Err(Rejected::OutOfPhase),
        }
        self.advance(now);
        Ok(())
    }

    fn shared(&mut self, from: PartyId, said: Shares, now: Timestamp) -> Result<(), Rejected> {
        self.seated_in(from, said.session)?;
        let Phase::Sign { shares, .. } = &mut self.phase else { return Err(Rejected::OutOfPhase) };
        match shares.get(&from) {
            Some(first) if *first == said => return Ok(()),
            Some(_) => return Err(Rejected::Duplicate(from)),
            None if read(&said).len() == self.tasks.len() => drop(shares.insert(from, said)),
            None => self.unseat([from], &Verdict::Faulty, now),
        }
        self.advance(now);
        Ok(())
    }

    /// A refusal from who was taken for silent stands, however late. From who has a seat it counts in the
    /// present session only: what was refused before (too busy, no chain) says nothing of now.
    fn refused(
        &mut self,
        from: PartyId,
        session: SessionId,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<(), Rejected> {
        match self.verdicts.get_mut(&from) {
            Some(verdict @ Verdict::Silent) => *verdict = Verdict::Refused(refusal),
            Some(_) => return Err(Rejected::Duplicate(from)),
            None => {
                self.seated_in(from, session)?;
                self.unseat([from], &Verdict::Refused(refusal), now);
            }
        }
        Ok(())
    }

    /// Take seats away, and give them to the next in rank.
    fn unseat(&mut self, parties: impl IntoIterator<Item = PartyId>, verdict: &Verdict, now: Timestamp) {
        let mut changed = false;
        for party in parties {
            changed |= self.seats.remove(&party);
            self.verdicts.entry(party).or_insert_with(|| verdict.clone());
            if let Phase::Reasons(missing) = &mut self.phase {
                missing.remove(&party);
            }
        }
        match self.phase {
            Phase::Reasons(_) => self.advance(now),
            _ if changed => self.fill_seats(now),
            _ => {}
        }
    }

    /// Open a new session with the seats filled, or, if there are too few for one, hear the last reasons.
    fn fill_seats(&mut self, now: Timestamp) {
        let t = usize::from(self.keys.threshold().t());
        while self.seats.len() < t
            && let Some(next) = self.reserve.pop_front()
        {
            self.seats.insert(next);
        }
        if self.seats.len() < t {
            // every candidate was asked; who committed needs no reason
            let committing = matches!(self.phase, Phase::Commit(_));
            let missing = if committing { self.missing() } else { vec![] };
            self.phase = Phase::Reasons(missing.into_iter().collect());
            self.advance(now);
            return;
        }
        self.round += 1;
        self.session = SessionId::signing(&self.seed, &self.request.to_bytes(), self.round);
        self.phase = Phase::Commit(BTreeMap::new());
        self.effects.extend(self.seats.iter().map(|party| Effect::AskCommit(*party, self.session)));
        self.wake(now);
    }

    fn advance(&mut self, now: Timestamp) {
        match &mut self.phase {
            Phase::Commit(commitments) if commitments.len() == self.seats.len() => {
                let committed = std::mem::take(commitments);
                self.demand_shares(committed, now);
            }
            Phase::Sign { packages, shares, .. } if shares.len() == self.seats.len() => {
                match add_up(&self.tasks, &self.keys, packages, shares) {
                    Ok(signatures) => self.close(Outcome::Signed(signatures)),
                    // nobody to blame is a fault of ours; it must not run for ever
                    Err(culprits) if culprits.is_empty() => self.close(Outcome::Failed(self.verdicts())),
                    Err(culprits) => self.unseat(culprits, &Verdict::Faulty, now),
                }
            }
            Phase::Reasons(missing) if missing.is_empty() => {
                self.close(Outcome::Failed(self.verdicts()));
            }
            _ => {}
        }
    }

    /// All seats committed: ask each for its shares, over the commitments of all.
    fn demand_shares(&mut self, committed: BTreeMap<PartyId, Committed>, now: Timestamp) {
        let (mut commitments, mut points) = (BTreeMap::new(), BTreeMap::new());
        for (party, committed) in committed {
            commitments.insert(party, committed.said.list);
            points.insert(party, committed.points);
        }
        let package = SigningPackage { session: self.session, request: self.request, commitments };
        self.effects.extend(self.seats.iter().map(|party| Effect::AskSign(*party, package.clone())));
        let packages = message::packages(&self.tasks, &points);
        self.phase = Phase::Sign { package, packages, shares: BTreeMap::new() };
        self.wake(now);
    }

    fn wake(&mut self, now: Timestamp) {
        self.asked = now;
        self.effects.push_back(Effect::WakeAt(now.after(self.timeout)));
    }

    fn close(&mut self, outcome: Outcome) {
        self.phase = Phase::Closed;
        self.effects.push_back(Effect::Done(outcome));
    }

    /// Who did not sign so far, and why: also after the others signed without them. A verdict for this
    /// ceremony only.
    #[must_use]
    pub fn verdicts(&self) -> Failure {
        let mut failure = Failure::default();
        for (party, verdict) in &self.verdicts {
            match verdict {
                Verdict::Refused(refusal) => failure.refusals.push((*party, refusal.clone())),
                Verdict::Silent => failure.silent.push(*party),
                Verdict::Faulty => failure.faulty.push(*party),
            }
        }
        failure
    }
}
