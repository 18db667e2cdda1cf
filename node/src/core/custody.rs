//! Custody: the only place that gives shares of the group key. A share for a certificate is given from a
//! [`Passing`] that the tally made, a share for a payment from a [`CheckedTx`] that the policy made, and
//! both are made here, from this node's own document and chain (`.ci/layers.sh` holds this).

use super::{Effect, Node};
use crate::core::ask::{Ask, Subject};
use crate::journal::Record;
use crate::net::protocol::Response;
use crdt::certificate::Body;
use crdt::governance::{NotPassing, exit_id, leaving, passing};
use crdt::treasury::GroupKey;
use crdt::{MemberId, Passing, ProposalId};
use std::collections::BTreeMap;
use threshold::sign::{
    CertificateBody, InputKey, KeyTest, Kind, Refusal, Request, RequestId, Signer, SigningPackage,
    TransactionRequest,
};
use threshold::{PartyId, SessionId, Wire as _};
use wallet::{CheckedTx, Purpose};

/// The rule under which a session that cannot be is refused.
pub(super) const SESSION: &str = "signing session";

/// What this node is willing to sign, and what it must remember before it does.
pub(super) struct Authorised {
    pub(super) request: Request,
    pub(super) checked: Option<CheckedTx>,
}

fn certificate_request(body: &Body) -> Request {
    Request::Certificate(CertificateBody {
        guild: body.guild.to_bytes(),
        epoch: body.epoch,
        proposal: body.proposal.to_bytes(),
        option: body.option,
        effect_hash: body.effect.0,
        close: body.close,
    })
}

/// The typed request for a transaction that the policy checked.
fn payment_request(checked: &CheckedTx) -> Result<Request, Refusal> {
    let inputs = checked.inputs().iter().map(|input| InputKey {
        prevout: input.prevout.clone(),
        path: input.path,
        merkle_root: Some(input.merkle_root),
    });
    let kind = match checked.purpose() {
        Purpose::Payment(_) | Purpose::Draw { .. } => Kind::Payment,
        Purpose::Closing(_) => Kind::ClosingMove,
        Purpose::Sweep => Kind::Sweep,
        Purpose::Renewal => Kind::Renewal,
        Purpose::Seal(_) => Kind::Seal,
    };
    let (about, transaction) = (checked.purpose().subject(), checked.transaction().clone());
    TransactionRequest::new(kind, about, transaction, inputs.collect())
        .map(|request| Request::Transaction(Box::new(request)))
        .map_err(|error| Refusal::new("signable transaction", "a request to sign", error.to_string()))
}

impl From<NotPassing> for RefusalOf {
    fn from(why: NotPassing) -> Self {
        Self(Refusal::new(why.rule(), why.expected(), why.found()))
    }
}

/// The share of the present key, or of the one that is named.
fn signer_of<'a>(
    present: &'a mut Option<Signer>,
    keyring: &'a mut BTreeMap<GroupKey, Signer>,
    key: Option<GroupKey>,
) -> Option<&'a mut Signer> {
    match key {
        Some(key) => keyring.get_mut(&key),
        None => present.as_mut(),
    }
}

/// Lets a verdict of the tally become a refusal.
struct RefusalOf(Refusal);

impl Node {
    /// Judge `ask` by our own document and chain.
    pub(super) fn authorise(&self, ask: Ask) -> Result<Authorised, Refusal> {
        if self.tip.is_none() || self.chain.is_lost() {
            return Err(Refusal::new(
                "chain",
                "a chain source that answers",
                "none now: nothing is judged by an old tip",
            ));
        }
        if self.state().members.get(&self.me).is_some_and(|member| member.paused) {
            return Err(Refusal::new("not paused", "a co-signer that signs", "guild pause is on"));
        }
        let seals =
            matches!(ask, Ask::NextTest(_) | Ask::Seal { .. } | Ask::Sweep { .. } | Ask::LateSweep { .. });
        if !seals && self.is_leaving() {
            let expected = "no seal on its way: its epoch's key signs seals and sweeps alone";
            return Err(Refusal::new("epoch", expected, "a transaction spends the seal"));
        }
        let plain = |request| Authorised { request, checked: None };
        match ask {
            Ask::KeyTest => self.key_test_request().map(plain),
            Ask::Founding => {
                let founding = Passing::founding(&self.charter, self.state()).ok_or_else(|| {
                    Refusal::new("founded", "the charter signed by all founders", "signatures are missing")
                })?;
                Ok(plain(certificate_request(founding.body())))
            }
            Ask::Certificate(proposal) => {
                let passing = self.judge(&proposal).map_err(|why| RefusalOf::from(why).0)?;
                Ok(plain(certificate_request(passing.body())))
            }
            Ask::NextTest(attempt) => self.next_test_request(attempt).map(plain),
            Ask::Payment { .. }
            | Ask::Bump(..)
            | Ask::Closing(..)
            | Ask::Draw(..)
            | Ask::Renewal(_)
            | Ask::Seal { .. }
            | Ask::Sweep { .. }
            | Ask::LateSweep { .. } => {
                let checked = self.check_transaction(&ask)?;
                Ok(Authorised { request: payment_request(&checked)?, checked: Some(checked) })
            }
        }
    }

    /// Judge a proposal, or an exit, by our own document and what we saw ourselves.
    pub(super) fn judge(&self, id: &ProposalId) -> Result<Passing, NotPassing> {
        let local = self.local(id);
        match self.leaving_by(id) {
            Some(member) => leaving(self.state(), &member, &local, &self.funds()),
            None => passing(self.state(), id, &local),
        }
    }

    /// The member whose exit goes by `id`.
    pub(super) fn leaving_by(&self, id: &ProposalId) -> Option<MemberId> {
        if self.state().proposals.contains_key(id) {
            return None;
        }
        self.state().exits.keys().copied().find(|member| exit_id(self.guild, member) == *id)
    }

    /// The bytes that we would ask others to certify: what passes here, or else its first option, so that
    /// the others say why not.
    pub(super) fn body_to_ask(&self, id: &ProposalId) -> Option<Body> {
        if let Ok(passing) = self.judge(id) {
            return Some(passing.body().clone());
        }
        if let Some(member) = self.leaving_by(id) {
            let (claim, exit) = self.state().claim(&member)?;
            return Some(exit.body(self.guild, self.state().epoch, claim.height));
        }
        self.state().proposals.get(id)?.body_of(self.guild, self.state().epoch, *id, 0)
    }

    fn key_test_request(&self) -> Result<Request, Refusal> {
        let key = self.state().key.as_ref();
        let key = key.ok_or_else(|| Refusal::new("key ready", "a key stored by all", "none yet"))?;
        let session = SessionId::from_bytes(key.ready.transcript.0);
        let epoch = key.ready.epoch;
        Ok(Request::KeyTest(KeyTest { guild: self.guild.to_bytes(), epoch, session }))
    }

    /// What the coordinator asks for, before anybody judged it. Giving a share is another matter.
    pub(super) fn request_to_ask(&self, ask: Ask) -> Result<Authorised, Refusal> {
        match ask {
            Ask::Certificate(id) => {
                let body = self.body_to_ask(&id);
                let body = body.ok_or_else(|| RefusalOf::from(NotPassing::Unknown).0)?;
                Ok(Authorised { request: certificate_request(&body), checked: None })
            }
            other => self.authorise(other),
        }
    }

    /// Draw nonces for a request that we are willing to sign.
    pub(super) fn commit(
        &mut self,
        coordinator: MemberId,
        ask: Ask,
        session: SessionId,
        expected: RequestId,
    ) -> Result<threshold::sign::Commitments, Refusal> {
        let party = self.coordinator_of(&coordinator, &ask)?;
        let authorised = self.authorise(ask)?;
        let (ours, theirs) = (authorised.request.id(), expected);
        if ours != theirs {
            return Err(Refusal::new("same request", ours.to_string(), theirs.to_string()));
        }
        let key = self.key_for(&ask.subject());
        let Some(signer) = signer_of(&mut self.signer, &mut self.keyring, key) else {
            return Err(self.no_share());
        };
        signer
            .commit(&authorised.request, session, party, &mut &mut *self.rng, self.now)
            .map_err(|why| Refusal::new(SESSION, "a seat that can be taken", why.to_string()))
    }

    /// The same, to hear of others' shares.
    pub(super) fn signer_at(&mut self, subject: &Subject) -> Option<&mut Signer> {
        let key = self.key_for(subject);
        signer_of(&mut self.signer, &mut self.keyring, key)
    }

    /// The seat of who asks, and that there is a share here to ask for: before any other work.
    fn coordinator_of(&self, coordinator: &MemberId, ask: &Ask) -> Result<PartyId, Refusal> {
        let party = self.party_in(&ask.subject(), coordinator);
        let party = party.ok_or_else(|| Refusal::new("co-signer", "a co-signer asking", "somebody else"))?;
        self.signer_for(&ask.subject()).map(|_| party).ok_or_else(|| self.no_share())
    }

    /// The key that signs what is about `subject`, if it is not the present one.
    pub(super) fn key_for(&self, subject: &Subject) -> Option<GroupKey> {
        match subject {
            Subject::NextTest(attempt) => self.made_in(*attempt).map(|made| made.group_key),
            Subject::LateSweep(epoch) => self.state().past.get(epoch).map(|past| past.group_key),
            _ => None,
        }
    }

    /// Our share of the key that signs what is about `subject`.
    pub(super) fn signer_for(&self, subject: &Subject) -> Option<&Signer> {
        match subject {
            Subject::NextTest(_) | Subject::LateSweep(_) => self.keyring.get(&self.key_for(subject)?),
            _ => self.signer.as_ref(),
        }
    }

    /// Answer a coordinator that has all commitments.
    pub(super) fn give_shares(&mut self, from: MemberId, ask: Ask, package: &[u8]) -> Response {
        let given = SigningPackage::from_wire(package)
            .map_err(|error| Refusal::new("signing package", "a package that decodes", error.to_string()))
            .and_then(|package| self.share(from, ask, &package));
        match given {
            Ok(shares) => Response::Shares(shares.to_wire()),
            Err(refusal) => Response::Refused(refusal),
        }
    }

    /// Judge once more, journal the intent, then give our shares.
    pub(super) fn share(
        &mut self,
        coordinator: MemberId,
        ask: Ask,
        package: &SigningPackage,
    ) -> Result<threshold::sign::Shares, Refusal> {
        let party = self.coordinator_of(&coordinator, &ask)?;
        let authorised = self.authorise(ask)?;
        if authorised.request.id() != package.request {
            let (ours, theirs) = (authorised.request.id().to_string(), package.request.to_string());
            return Err(Refusal::new("same request", ours, theirs));
        }
        let key = self.key_for(&ask.subject());
        let Some(signer) = signer_of(&mut self.signer, &mut self.keyring, key) else {
            return Err(self.no_share());
        };
        let shares = signer
            .sign(party, package, self.now)
            .map_err(|why| Refusal::new(SESSION, "a session with fresh nonces", why.to_string()))?;
        // Effects are carried out in order: the intent is on the disk before the answer leaves.
        if let Some(checked) = &authorised.checked {
            let decision = ProposalId(crdt::Digest(checked.purpose().subject()));
            let txid = checked.transaction().compute_txid();
            if self.decisions.intents.insert((decision, txid)) {
                self.effects.push_back(Effect::Journal(Record::SpendIntent { decision, txid }));
            }
        }
        if coordinator != self.me {
            self.remember_given((party, package.session), ask, authorised.checked);
        }
        Ok(shares)
    }
}
