//! The steps of the protocol, each taken once, when everything it needs is there.

use super::envelope::{self, Place};
use super::machine::{Phase, Ready, Session};
use super::message::{Body, DkgMessage, Round2};
use super::transcript::{Transcript, first_round, round1_hash};
use super::{Change, Effect, Outcome, Rejected, Statement, Why};
use crate::keyset::{KeyShare, PublicKeys};
use crate::party::PartyId;
use frost::Identifier;
use frost::keys::SigningShare;
use frost::keys::dkg::{self, round1, round2};
use frost_secp256k1_tr as frost;
use std::collections::BTreeMap;
use std::mem;
use zeroize::Zeroizing;

/// Whom to blame, and for what.
type Blame = (Vec<PartyId>, Why);

impl Session {
    /// Take every step that can be taken.
    pub(super) fn advance(&mut self) {
        let n = usize::from(self.config.threshold.n());
        // by value: a step consumes the secrets of the one before, and the phase is closed if it fails
        match mem::replace(&mut self.phase, Phase::Closed) {
            Phase::RoundOne(secret) if self.round1.len() == n => {
                self.phase = Phase::Echo(secret);
                self.publish_echo();
                self.advance();
            }
            Phase::Echo(secret) if self.echoes_differ() => {
                self.phase = Phase::Echo(secret);
                let by = self.differing_echoes();
                self.fail(vec![], Why::RoundOneDiffers { by });
            }
            Phase::Echo(secret) if self.echoes.len() == n => {
                let step = self.round_two(secret);
                self.settle(step);
            }
            Phase::RoundTwo(secret) if self.round2.len() == n => {
                let step = self.add_up(&secret);
                self.settle(step);
            }
            Phase::KeyReady(keys, ours)
                if self.config.threshold.parties().all(|party| self.agrees(party, &ours)) =>
            {
                let (keys, transcript) = (Box::new(keys), Box::new(self.transcript()));
                self.effects.push_back(Effect::Done(Outcome::Ready { keys, transcript }));
            }
            waiting => self.phase = waiting,
        }
    }

    /// The share read back is the one we stored: say so to everybody.
    pub(super) fn stored(&mut self, share: &KeyShare) -> Result<(), Rejected> {
        let Phase::Store(keys) = &self.phase else { return Err(Rejected::OutOfPhase) };
        if share.party() != self.config.me || share.check(keys).is_err() {
            return Err(Rejected::StoredShare);
        }
        let keys = keys.clone();
        let transcript_hash = self.transcript().hash(&keys);
        let ready = Ready { group_key: keys.group(), transcript_hash };
        let said = self.ready.entry(self.config.me).or_default();
        if !said.contains(&ready) {
            said.push(ready);
        }
        self.effects.push_back(Effect::Publish(Statement::KeyReady {
            session: self.config.session,
            group_key: ready.group_key,
            transcript_hash,
        }));
        self.phase = Phase::KeyReady(keys, ready);
        Ok(())
    }

    fn settle(&mut self, step: Result<Phase, Blame>) {
        match step {
            Ok(phase) => {
                self.phase = phase;
                self.advance();
            }
            Err((culprits, why)) => {
                self.effects.push_back(Effect::Done(Outcome::Failed { culprits, why }));
            }
        }
    }

    fn publish_echo(&mut self) {
        let (session, round1_hash) = (self.config.session, round1_hash(self.config.session, &self.round1));
        // what we once said stands, even if we lost what it was about
        if *self.echoes.entry(self.config.me).or_insert(round1_hash) != round1_hash {
            return self.fail(vec![self.config.me], Why::RoundOneDiffers { by: vec![self.config.me] });
        }
        self.effects.push_back(Effect::Publish(Statement::Echo { session, round1_hash }));
    }

    fn echoes_differ(&self) -> bool {
        !self.differing_echoes().is_empty()
    }

    fn differing_echoes(&self) -> Vec<PartyId> {
        let ours = self.echoes.get(&self.config.me);
        self.echoes.iter().filter(|(_, hash)| Some(*hash) != ours).map(|(party, _)| *party).collect()
    }

    /// Check the proofs of knowledge, then encrypt our polynomial's value at each party to that party.
    fn round_two(&mut self, secret: round1::SecretPackage) -> Result<Phase, Blame> {
        let me = self.config.me;
        let (secret, packages) =
            dkg::part2(secret, &self.others_packages()?).map_err(|error| self.blame(&error, Why::Proof))?;
        let hash = round1_hash(self.config.session, &self.round1);
        let mut ciphertexts = Vec::new();
        for to in self.config.threshold.parties() {
            let share = match packages.get(&to.identifier()) {
                Some(package) => Zeroizing::new(package.signing_share().serialize()),
                None => own_value(&secret),
            };
            let share: &[u8; 32] = share.as_slice().try_into().map_err(|_| (vec![], Why::Internal))?;
            let place = Place { session: self.config.session, round1_hash: &hash, from: me, to };
            let round1 = self.round1.get(&to).and_then(first_round).ok_or((vec![to], Why::Package))?;
            let sealed = envelope::seal(&round1.sealing_key, share, &place, &self.seed);
            ciphertexts.push(sealed.ok_or((vec![to], Why::SealingKey))?);
        }
        let body = Body::Round2(Round2 { ciphertexts });
        let message = DkgMessage::sign(self.config.session, me, body, &self.config.member);
        self.round2.insert(me, message.clone());
        self.effects.extend(self.config.others().map(|to| Effect::Send(to, message.clone())));
        Ok(Phase::RoundTwo(secret))
    }

    /// Decrypt what is for us, check it against the commitments, add it up.
    fn add_up(&mut self, secret: &round2::SecretPackage) -> Result<Phase, Blame> {
        let transcript = self.transcript();
        let (hash, private) =
            (transcript.round1_hash(), envelope::keypair(&self.config.member, self.config.session).0);
        let mut shares = BTreeMap::new();
        for from in self.config.others() {
            let place = Place { session: self.config.session, round1_hash: &hash, from, to: self.config.me };
            let share = transcript.ciphertext(from, self.config.me).ok().and_then(|sealed| {
                let bytes = envelope::open(&private, sealed, &place)?;
                Some(round2::Package::new(SigningShare::deserialize(&bytes).ok()?))
            });
            shares.insert(from.identifier(), share.ok_or((vec![from], Why::Decryption))?);
        }
        let (package, public) = dkg::part3(secret, &self.others_packages()?, &shares)
            .map_err(|error| self.blame(&error, Why::Share))?;
        let keys =
            PublicKeys::from_frost(&public, self.config.threshold).map_err(|_| (vec![], Why::Internal))?;
        let share = KeyShare::new(self.config.me, self.config.threshold, package);
        share.check(&keys).map_err(|_| (vec![], Why::Internal))?;
        self.effects.push_back(Effect::Persist(Change::Share(share)));
        Ok(Phase::Store(keys))
    }

    fn others_packages(&self) -> Result<BTreeMap<Identifier, round1::Package>, Blame> {
        let package = |party: PartyId| {
            let package = self.packages.get(&party).ok_or((vec![party], Why::Package))?;
            Ok((party.identifier(), package.clone()))
        };
        self.config.others().map(package).collect()
    }

    fn blame(&self, error: &frost::Error, why: Why) -> Blame {
        let n = self.config.threshold.n();
        let culprits: Vec<_> =
            error.culprits().iter().filter_map(|culprit| PartyId::find(culprit, n)).collect();
        if culprits.is_empty() { (culprits, Why::Internal) } else { (culprits, why) }
    }

    fn transcript(&self) -> Transcript {
        Transcript {
            session: self.config.session,
            threshold: self.config.threshold,
            parties: self.config.parties.clone(),
            round1: self.round1.clone(),
            round2: self.round2.clone(),
        }
    }
}

/// Our polynomial at our own number, which the crate keeps instead of sending.
fn own_value(secret: &round2::SecretPackage) -> Zeroizing<Vec<u8>> {
    let scalar = secret.secret_share();
    Zeroizing::new(<frost::Secp256K1ScalarField as frost::Field>::serialize(&scalar).to_vec())
}
