//! Nonces that sign once. A second signature with the same nonces gives the share away, and the crate
//! beneath takes them by reference as often as one likes; so here they are consumed.

use super::plan::Task;
use crate::keyset::KeyShare;
use frost::round1::{SigningCommitments, SigningNonces};
use frost_secp256k1_tr as frost;
use rand::{CryptoRng, RngCore};
use std::fmt;

/// One pair of nonces for each signature of one session.
///
/// # Security
///
/// Lives in memory only and cannot be copied, written or read: a crash, a restored backup or a rewound
/// machine has no nonces. Erased on drop.
pub(super) struct OneShot(Vec<SigningNonces>);

impl OneShot {
    /// Draw `count` pairs, hedged with the share against a bad source of randomness (RFC 9591, 4.1).
    pub(super) fn draw(
        count: usize,
        share: &KeyShare,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> (Self, Vec<SigningCommitments>) {
        // never grown, so that no moved copy stays behind in memory
        let mut nonces = Vec::with_capacity(count);
        let mut commitments = Vec::with_capacity(count);
        for _ in 0..count {
            let (pair, commitment) = frost::round1::commit(share.package().signing_share(), rng);
            nonces.push(pair);
            commitments.push(commitment);
        }
        (Self(nonces), commitments)
    }

    /// Sign, once.
    pub(super) fn spend(
        self,
        tasks: &[Task],
        packages: &[frost::SigningPackage],
        share: &KeyShare,
    ) -> Result<Vec<[u8; 32]>, frost::Error> {
        let mut shares = Vec::with_capacity(tasks.len());
        for ((nonces, task), package) in self.0.into_iter().zip(tasks).zip(packages) {
            let bytes = task.share(package, nonces, share)?.serialize();
            shares.push(bytes.try_into().map_err(|_| frost::Error::SerializationError)?);
        }
        Ok(shares)
    }
}

impl fmt::Debug for OneShot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneShot").field(&self.0.len()).finish()
    }
}
