//! A lost share comes back from the member secret and the transcript.

use super::envelope::{self, Place};
use super::transcript::{BadTranscript, Transcript};
use crate::keyset::{KeyShare, PublicKeys};
use crate::party::PartyId;
use bitcoin::secp256k1::{Scalar, SecretKey};
use ed25519_dalek::SigningKey;
use frost_secp256k1_tr::keys::{KeyPackage, SigningShare, Tweak, VerifyingShare};
use zeroize::Zeroizing;

/// Rebuild the share of `me` from its member secret and a transcript that any peer gave.
///
/// The result is checked against the key that the transcript makes. Whether that is the guild's key is the
/// caller's to check, as with [`Transcript::verify`].
///
/// # Errors
///
/// [`BadTranscript`] if the transcript is not valid, or not one in which this member has this seat.
pub fn recover(
    member: &SigningKey,
    me: PartyId,
    transcript: &Transcript,
) -> Result<(KeyShare, PublicKeys), BadTranscript> {
    let keys = transcript.verify()?;
    if transcript.parties.get(&me) != Some(&member.verifying_key().to_bytes()) {
        return Err(BadTranscript::NotOurs(me));
    }
    let mut sum = sum_of_shares(member, me, transcript)?;
    let bytes = Zeroizing::new(sum.secret_bytes());
    sum.non_secure_erase();
    let share = SigningShare::deserialize(bytes.as_slice()).map_err(|_| BadTranscript::Share(me))?;
    let package = KeyPackage::new(
        me.identifier(),
        share,
        VerifyingShare::from(share),
        *transcript.untweaked()?.verifying_key(),
        transcript.threshold.t(),
    );
    // what `part3` does at its end: the taproot tweak of an empty script tree
    let share = KeyShare::new(me, transcript.threshold, package.tweak::<&[u8]>(None));
    share.check(&keys).map_err(|_| BadTranscript::Share(me))?;
    Ok((share, keys))
}

/// Our share before the tweak: the sum of what every party, ourselves included, encrypted to us.
fn sum_of_shares(
    member: &SigningKey,
    me: PartyId,
    transcript: &Transcript,
) -> Result<SecretKey, BadTranscript> {
    let (private, _) = envelope::keypair(member, transcript.session);
    let round1_hash = &transcript.round1_hash();
    let mut sum: Option<SecretKey> = None;
    for from in transcript.threshold.parties() {
        let bad = BadTranscript::Share(from);
        let place = Place { session: transcript.session, round1_hash, from, to: me };
        let bytes = envelope::open(&private, transcript.ciphertext(from, me)?, &place).ok_or(bad)?;
        let mut part = SecretKey::from_slice(&bytes).map_err(|_| bad)?;
        let next = match sum {
            None => part,
            Some(mut sum) => {
                let next = sum.add_tweak(&Scalar::from(part)).map_err(|_| bad)?;
                sum.non_secure_erase();
                next
            }
        };
        part.non_secure_erase();
        sum = Some(next);
    }
    sum.ok_or(BadTranscript::Incomplete)
}
