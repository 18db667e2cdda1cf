//! From a request to what is signed: one message and one key for each signature, computed once.

use super::request::{BadRequest, Request, TransactionRequest};
use crate::derive;
use crate::keyset::{KeyError, KeyShare, PublicKeys, verifying_key};
use crate::party::PartyId;
use bitcoin::hashes::Hash;
use bitcoin::key::TweakedPublicKey;
use bitcoin::secp256k1::{All, Message, PublicKey, Scalar, Secp256k1, SecretKey, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{ScriptBuf, TxOut};
use frost::keys::{KeyPackage, PublicKeyPackage, SigningShare, Tweak};
use frost::{round1::SigningNonces, round2::SignatureShare};
use frost_core::{CheaterDetection, aggregate_custom};
use frost_secp256k1_tr as frost;
use std::collections::BTreeMap;

/// One signature to make.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) message: [u8; 32],
    /// Under this key it must verify, as Bitcoin sees it.
    key: XOnlyPublicKey,
    child: Option<ChildKey>,
}

/// How the signing key follows from P; absent where P itself signs.
#[derive(Debug, Clone)]
struct ChildKey {
    tweak: Scalar,
    /// `tweak * G`
    point: PublicKey,
    merkle_root: Option<[u8; 32]>,
}

/// The signatures that a request asks for, in order.
pub(super) fn plan(request: &Request, keys: &PublicKeys) -> Result<Vec<Task>, BadRequest> {
    let message = match request {
        Request::Certificate(body) => body.message(),
        Request::KeyTest(test) => test.message(),
        Request::Transaction(request) => return transaction_plan(request, keys),
    };
    let key = keys.group().point().x_only_public_key().0;
    Ok(vec![Task { message, key, child: None }])
}

fn transaction_plan(request: &TransactionRequest, keys: &PublicKeys) -> Result<Vec<Task>, BadRequest> {
    let secp = Secp256k1::new();
    let prevouts: Vec<TxOut> = request.inputs().iter().map(|input| input.prevout.clone()).collect();
    let mut hashes = SighashCache::new(request.transaction());
    let mut tasks = Vec::with_capacity(prevouts.len());
    for (at, input) in request.inputs().iter().enumerate() {
        let (key, child) =
            child_key(&secp, keys, input.path, input.merkle_root).ok_or(BadRequest::Path(at))?;
        // a coin of another script would make our signature worthless, or worse: of use elsewhere
        let script = ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(key));
        if script != input.prevout.script_pubkey {
            return Err(BadRequest::Script(at));
        }
        let hash = hashes
            .taproot_key_spend_signature_hash(
                at,
                &Prevouts::All(prevouts.as_slice()),
                TapSighashType::Default,
            )
            .map_err(|_| BadRequest::SignatureHash(at))?;
        tasks.push(Task { message: hash.to_byte_array(), key, child: Some(child) });
    }
    Ok(tasks)
}

fn child_key(
    secp: &Secp256k1<All>,
    keys: &PublicKeys,
    path: derive::Path,
    merkle_root: Option<[u8; 32]>,
) -> Option<(XOnlyPublicKey, ChildKey)> {
    let child = derive::child_with(secp, &keys.group(), path).ok()?;
    let key = derive::output_key(secp, &child, merkle_root)?;
    let point = derive::point(secp, &child.tweak)?;
    Some((key, ChildKey { tweak: child.tweak, point, merkle_root }))
}

impl Task {
    /// Give a share of this signature. Consumes the nonces.
    pub(super) fn share(
        &self,
        package: &frost::SigningPackage,
        nonces: SigningNonces,
        share: &KeyShare,
    ) -> Result<SignatureShare, frost::Error> {
        match &self.child {
            // BIP340's even key is the crate's business
            None => frost::round2::sign(package, &nonces, share.package()),
            Some(child) => {
                let key = child.key_package(share).map_err(|_| frost::Error::MalformedSigningKey)?;
                let root = child.merkle_root.as_ref().map(|root| &root[..]);
                frost::round2::sign_with_tweak(package, &nonces, &key, root)
            }
        }
    }

    /// Add the shares up and verify the signature, under the group key alone: the parties' own keys are
    /// worked out only when somebody is to be named ([`cheaters`](Self::cheaters)).
    pub(super) fn aggregate(
        &self,
        package: &frost::SigningPackage,
        shares: &BTreeMap<frost::Identifier, SignatureShare>,
        keys: &PublicKeys,
    ) -> Result<[u8; 64], frost::Error> {
        let public = self.public(keys, [].iter()).map_err(|_| frost::Error::MalformedVerifyingKey)?;
        let signature = aggregate_custom(package, shares, &public, CheaterDetection::Disabled)?;
        let bytes = signature.serialize()?;
        bytes.try_into().map_err(|_| frost::Error::MalformedSignature)
    }

    /// All parties whose share of this signature is wrong.
    pub(super) fn cheaters<'a>(
        &self,
        package: &frost::SigningPackage,
        shares: &BTreeMap<frost::Identifier, SignatureShare>,
        keys: &PublicKeys,
        parties: impl Iterator<Item = &'a PartyId>,
    ) -> Vec<PartyId> {
        let Ok(public) = self.public(keys, parties) else { return vec![] };
        let Err(error) = aggregate_custom(package, shares, &public, CheaterDetection::AllCheaters) else {
            return vec![];
        };
        let named: Vec<frost::Identifier> = error.culprits();
        named.iter().filter_map(|id| PartyId::find(id, keys.threshold().n())).collect()
    }

    /// The keys that this signature and these parties' shares of it are verified under.
    fn public<'a>(
        &self,
        keys: &PublicKeys,
        parties: impl Iterator<Item = &'a PartyId>,
    ) -> Result<PublicKeyPackage, KeyError> {
        let Some(child) = &self.child else { return keys.package(parties, None) };
        let public = keys.package(parties, Some(&child.point))?;
        Ok(public.tweak(child.merkle_root.as_ref()))
    }

    /// Whether Bitcoin's own library accepts the signature: an implementation that shares no code with the
    /// one that made it.
    pub(super) fn accepts<C: bitcoin::secp256k1::Verification>(
        &self,
        secp: &Secp256k1<C>,
        signature: &[u8; 64],
    ) -> bool {
        schnorr::Signature::from_slice(signature).is_ok_and(|signature| {
            secp.verify_schnorr(&signature, &Message::from_digest(self.message), &self.key).is_ok()
        })
    }
}

impl ChildKey {
    /// Our share of the child key: the public tweak added to our share. Lagrange coefficients sum to one,
    /// so adding it to every share adds it to the key.
    fn key_package(&self, share: &KeyShare) -> Result<KeyPackage, KeyError> {
        let package = share.package();
        let bytes = zeroize::Zeroizing::new(package.signing_share().serialize());
        let mut parent = SecretKey::from_slice(&bytes).map_err(|_| KeyError::Share)?;
        let tweaked = parent.add_tweak(&self.tweak);
        parent.non_secure_erase();
        let mut tweaked = tweaked.map_err(|_| KeyError::Share)?;
        let bytes = zeroize::Zeroizing::new(tweaked.secret_bytes());
        tweaked.non_secure_erase();
        let signing = SigningShare::deserialize(bytes.as_slice()).map_err(|_| KeyError::Share)?;
        let group = share.group().point().combine(&self.point).map_err(|_| KeyError::Point)?;
        Ok(KeyPackage::new(
            *package.identifier(),
            signing,
            // not this child's: signing does not look at it, and to work it out costs as much as a nonce
            *package.verifying_share(),
            verifying_key(&group)?,
            *package.min_signers(),
        ))
    }
}
