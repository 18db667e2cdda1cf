//! From `t` shares to a signature, or to the names of those whose shares are wrong.

use super::message::Shares;
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

/// Every signature, or the parties whose shares are wrong. Nobody is named if the fault is ours.
pub(super) fn add_up(
    tasks: &[Task],
    keys: &PublicKeys,
    packages: &[frost::SigningPackage],
    shares: &BTreeMap<PartyId, Shares>,
) -> Result<Vec<[u8; 64]>, Vec<PartyId>> {
    let mut lists = vec![BTreeMap::new(); tasks.len()];
    for (party, shares) in shares {
        for (list, share) in lists.iter_mut().zip(read(shares)) {
            list.insert(party.identifier(), share);
        }
    }
    let secp = Secp256k1::verification_only();
    let (mut signatures, mut culprits) = (vec![], BTreeSet::new());
    for ((task, package), shares_of_task) in tasks.iter().zip(packages).zip(&lists) {
        match task.aggregate(package, shares_of_task, keys) {
            Ok(signature) if task.accepts(&secp, &signature) => signatures.push(signature),
            _ => {
                let named = task.cheaters(package, shares_of_task, keys, shares.keys());
                if named.is_empty() {
                    return Err(vec![]);
                }
                culprits.extend(named);
            }
        }
    }
    if culprits.is_empty() { Ok(signatures) } else { Err(culprits.into_iter().collect()) }
}
