//! From `t` shares to a signature, or to the names of those whose shares are wrong.

use super::message::{Shares, SigningPackage};
use super::plan::Task;
use crate::keyset::PublicKeys;
use crate::party::PartyId;
use bitcoin::secp256k1::Secp256k1;
use frost::round2::SignatureShare;
use frost_secp256k1_tr as frost;
use std::collections::{BTreeMap, BTreeSet};

/// The shares that are scalars, up to the first that is none.
pub(super) fn read(shares: &Shares) -> Vec<SignatureShare> {
    shares.list.iter().map_while(|share| SignatureShare::deserialize(share).ok()).collect()
}

/// Every signature, or the parties whose shares are wrong.
pub(super) fn add_up(
    tasks: &[Task],
    keys: &PublicKeys,
    package: &SigningPackage,
    shares: &BTreeMap<PartyId, Shares>,
) -> Result<Vec<[u8; 64]>, Vec<PartyId>> {
    let packages = package.open(tasks).map_err(|_| vec![])?;
    let mut lists = vec![BTreeMap::new(); tasks.len()];
    for (party, shares) in shares {
        for (list, share) in lists.iter_mut().zip(read(shares)) {
            list.insert(party.identifier(), share);
        }
    }
    let secp = Secp256k1::verification_only();
    let (mut signatures, mut culprits) = (vec![], BTreeSet::new());
    for ((task, package), shares_of_task) in tasks.iter().zip(&packages).zip(&lists) {
        let public = |tweak: Option<&_>| keys.package(shares.keys(), tweak);
        match task.aggregate(package, shares_of_task, public) {
            Ok(signature) if task.accepts(&secp, &signature) => signatures.push(signature),
            Ok(_) => return Err(vec![]),
            Err(error) => {
                let named: Vec<frost::Identifier> = error.culprits();
                culprits.extend(named.iter().filter_map(|id| PartyId::find(id, keys.threshold().n())));
                if named.is_empty() {
                    return Err(vec![]);
                }
            }
        }
    }
    if culprits.is_empty() { Ok(signatures) } else { Err(culprits.into_iter().collect()) }
}
