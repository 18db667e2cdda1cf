//! Encryption of a share to its party: HPKE base mode (RFC 9180) with X25519, HKDF-SHA256 and
//! ChaCha20-Poly1305. The sender is authenticated by its signature over all ciphertexts.

use crate::hash::tagged;
use crate::message::FixedBytes;
use crate::party::PartyId;
use crate::session::SessionId;
use ed25519_dalek::SigningKey;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::convert::Infallible;
use zeroize::Zeroizing;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

const INFO: &[u8] = b"hashguild/dkg-share/v1";

/// What a ciphertext is bound to: it opens nowhere else.
pub(super) struct Place<'a> {
    pub(super) session: SessionId,
    pub(super) round1_hash: &'a [u8; 32],
    pub(super) from: PartyId,
    pub(super) to: PartyId,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        [&self.session.to_bytes()[..], self.round1_hash, &self.from.bytes(), &self.to.bytes()].concat()
    }
}

/// The key that opens what is sealed to a member in this session. It follows from the member secret, so
/// that this secret and the transcript suffice to rebuild a share.
pub(super) fn keypair(member: &SigningKey, session: SessionId) -> (PrivateKey, [u8; 32]) {
    let ikm =
        Zeroizing::new(tagged("hashguild/dkg-sealing-key/v1", &[member.as_bytes(), &session.to_bytes()]));
    let (private, public) = X25519HkdfSha256::derive_keypair(ikm.as_slice());
    let mut bytes = [0; 32];
    public.write_exact(&mut bytes);
    (private, bytes)
}

/// Encrypt a share. `seed` makes the ephemeral key: the same seed, place and share give the same bytes.
/// `None` if the receiver's key is degenerate.
pub(super) fn seal(
    sealing_key: &[u8; 32],
    share: &[u8; 32],
    place: &Place<'_>,
    seed: &[u8; 32],
) -> Option<FixedBytes<80>> {
    let receiver = PublicKey::from_bytes(sealing_key).ok()?;
    let aad = place.bytes();
    let mut rng = SeededRng::new(seed, &aad);
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &receiver, INFO, share, &aad, &mut rng)
    .ok()?;
    let mut bytes = [0; 80];
    let (head, tail) = bytes.split_at_mut(32);
    encapsulated.write_exact(head);
    if tail.len() != sealed.len() {
        return None;
    }
    tail.copy_from_slice(&sealed);
    Some(FixedBytes(bytes))
}

/// Decrypt a share.
pub(super) fn open(
    private: &PrivateKey,
    ciphertext: &FixedBytes<80>,
    place: &Place<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    let (head, tail) = ciphertext.0.split_at_checked(32)?;
    let encapsulated = Encapsulated::from_bytes(head).ok()?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private,
        &encapsulated,
        INFO,
        tail,
        &place.bytes(),
    )
    .ok()
    .map(Zeroizing::new)
}

/// The randomness of one encryption, expanded from a secret seed and the place it is for. A stable
/// definition of our own, since a resumed session must make the same bytes in every version.
struct SeededRng {
    seed: Zeroizing<[u8; 32]>,
    block: u32,
}

impl SeededRng {
    fn new(seed: &[u8; 32], place: &[u8]) -> Self {
        Self { seed: Zeroizing::new(tagged("hashguild/dkg-ephemeral/v1", &[seed, place])), block: 0 }
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            let block = self.block.to_be_bytes();
            let block = Zeroizing::new(tagged("hashguild/dkg-ephemeral-block/v1", &[&*self.seed, &block]));
            self.block += 1;
            chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn opens_in_its_place_only() {
        let [one, two] = [1, 2].map(|number| PartyId::new(number).unwrap());
        let session = SessionId::dkg([1; 32], 1, 1);
        let (private, public) = keypair(&SigningKey::from_bytes(&[7; 32]), session);
        let place = |from, to| Place { session, round1_hash: &[3; 32], from, to };
        let sealed = seal(&public, &[9; 32], &place(one, two), &[5; 32]).unwrap();
        assert_eq!(open(&private, &sealed, &place(one, two)).unwrap().as_slice(), [9; 32]);
        assert!(open(&private, &sealed, &place(two, two)).is_none());
        let (other, _) = keypair(&SigningKey::from_bytes(&[7; 32]), SessionId::dkg([1; 32], 1, 2));
        assert!(open(&other, &sealed, &place(one, two)).is_none());
        let again = seal(&public, &[9; 32], &place(one, two), &[5; 32]).unwrap();
        assert_eq!(sealed, again, "a resumed session sends the same bytes");
        assert!(seal(&[0; 32], &[9; 32], &place(one, two), &[5; 32]).is_none(), "low-order key");
    }
}
