//! The bare work of the FROST crate: what every participant computes, from bytes to bytes, one after another.

use super::Size;
use crate::measure::spent;
use anyhow::{Context as _, Result};
use frost::keys::dkg::{part1, part2, part3, round1 as dkg1, round2 as dkg2};
use frost::keys::{KeyPackage, PublicKeyPackage};
use frost::{Identifier, round1, round2};
use frost_secp256k1_tr as frost;
use rand::rngs::OsRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// The root of a recovery leaf: any 32 bytes.
const ROOT: [u8; 32] = [7; 32];
const MESSAGE: [u8; 32] = [8; 32];

/// All parties of a key generation, and both test signatures.
pub(super) fn key_generation(size: Size) -> Result<Duration> {
    let Size { t, n } = size;
    let ids: Vec<Identifier> = (1..=n).map(Identifier::try_from).collect::<Result<_, _>>()?;
    let (made, work) = spent(|| -> Result<_> {
        let mut first = Vec::new();
        for id in &ids {
            let (secret, package) = part1(*id, n, t, OsRng)?;
            first.push((*id, secret, package.serialize()?));
        }
        let sent: Vec<(Identifier, Vec<u8>)> =
            first.iter().map(|(id, _, bytes)| (*id, bytes.clone())).collect();
        let mut second = Vec::new();
        for (id, secret, _) in first {
            let mut heard = BTreeMap::new();
            for (from, bytes) in sent.iter().filter(|(from, _)| *from != id) {
                heard.insert(*from, dkg1::Package::deserialize(bytes)?);
            }
            let (secret, packages) = part2(secret, &heard)?;
            second.push((id, secret, heard, packages));
        }
        let sent: BTreeMap<Identifier, BTreeMap<Identifier, dkg2::Package>> =
            second.iter().map(|(id, _, _, packages)| (*id, packages.clone())).collect();
        let mut keys = BTreeMap::new();
        let mut public = None;
        for (id, secret, heard, _) in &second {
            let shares = sent.iter().filter(|(from, _)| *from != id);
            let shares = shares.map(|(from, all)| Ok((*from, all.get(id).context("a share")?.clone())));
            let (key, group) = part3(secret, heard, &shares.collect::<Result<_>>()?)?;
            keys.insert(*id, key);
            public = Some(group);
        }
        Ok((keys, public.context("a key")?))
    });
    let (keys, public) = made?;
    let keys: BTreeMap<_, _> = keys.into_iter().take(usize::from(t)).collect();
    Ok(work + one_signature(&keys, &public)? * 2)
}

/// All signers and the coordinator of a payment.
pub(super) fn signing(size: Size, inputs: usize) -> Result<Duration> {
    let Size { t, n } = size;
    let (shares, public) =
        frost::keys::generate_with_dealer(n, t, frost::keys::IdentifierList::Default, OsRng)?;
    let keys = shares.into_iter().take(usize::from(t));
    let keys: BTreeMap<Identifier, KeyPackage> =
        keys.map(|(id, share)| Ok((id, KeyPackage::try_from(share)?))).collect::<Result<_>>()?;
    let mut work = Duration::ZERO;
    for _ in 0..inputs {
        work += one_signature(&keys, &public)?;
    }
    Ok(work)
}

/// One input: everybody commits, reads all commitments and signs; one reads all shares and adds them up.
fn one_signature(keys: &BTreeMap<Identifier, KeyPackage>, public: &PublicKeyPackage) -> Result<Duration> {
    let (signed, work) = spent(|| -> Result<()> {
        let mut nonces = BTreeMap::new();
        let mut sent = Vec::new();
        for (id, key) in keys {
            let (ours, commitments) = round1::commit(key.signing_share(), &mut OsRng);
            nonces.insert(*id, ours);
            sent.push((*id, commitments.serialize()?));
        }
        let read = || -> Result<BTreeMap<Identifier, round1::SigningCommitments>> {
            let read = |(id, bytes): &(Identifier, Vec<u8>)| {
                Ok((*id, round1::SigningCommitments::deserialize(bytes)?))
            };
            sent.iter().map(read).collect()
        };
        let mut shares = Vec::new();
        for (id, key) in keys {
            let package = frost::SigningPackage::new(read()?, &MESSAGE);
            let ours = nonces.get(id).context("nonces")?;
            shares.push((*id, round2::sign_with_tweak(&package, ours, key, Some(&ROOT))?.serialize()));
        }
        let package = frost::SigningPackage::new(read()?, &MESSAGE);
        let shares = shares.iter().map(|(id, bytes)| Ok((*id, round2::SignatureShare::deserialize(bytes)?)));
        frost::aggregate_with_tweak(&package, &shares.collect::<Result<_>>()?, public, Some(&ROOT))?;
        Ok(())
    });
    signed.map(|()| work)
}
