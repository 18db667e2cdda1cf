//! The scripts that a treasury watches, for BDK to know at once: it would derive them one after the other, each
//! from the top, which takes half a second with three recovery keys and many seconds with fifty.
//!
//! Addresses that people are shown never come from here: BDK derives them anew.

use super::{ADDRESSES, CHANGE, LOOKAHEAD};
use bdk_wallet::ChangeSet;
use bdk_wallet::chain::{DescriptorExt as _, Merge as _};
use bdk_wallet::miniscript::descriptor::{DescriptorPublicKey, DescriptorXKey};
use bdk_wallet::miniscript::{Descriptor, TranslatePk as _, Translator, translate_hash_clone};
use bitcoin::ScriptBuf;
use bitcoin::bip32::{self, DerivationPath};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread;

/// Add to what is stored the scripts that it lacks. Gives what was added.
pub(super) fn fill(stored: &mut ChangeSet) -> ChangeSet {
    let mut added = ChangeSet::default();
    let [_, change] = CHANGE;
    for (descriptor, last) in [(&stored.descriptor, ADDRESSES - 1), (&stored.change_descriptor, change)] {
        let Some(descriptor) = descriptor else { continue };
        let (id, count) = (descriptor.descriptor_id(), last + 1 + LOOKAHEAD);
        if stored.indexer.last_revealed.get(&id) < Some(&last) {
            added.indexer.last_revealed.insert(id, last);
        }
        let known = stored.indexer.spk_cache.get(&id);
        if known.is_none_or(|known| !(0..count).all(|index| known.contains_key(&index)))
            && let Some(scripts) = derive(descriptor, count)
        {
            added.indexer.spk_cache.insert(id, scripts);
        }
    }
    stored.merge(added.clone());
    added
}

/// The first `count` scripts; none for a descriptor that BDK would not have taken.
fn derive(descriptor: &Descriptor<DescriptorPublicKey>, count: u32) -> Option<BTreeMap<u32, ScriptBuf>> {
    let mut keychain = Keychain(Secp256k1::verification_only());
    let descriptor = descriptor.translate_pk(&mut keychain).ok()?;
    let script =
        |index| Some((index, descriptor.derived_descriptor(&keychain.0, index).ok()?.script_pubkey()));
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let part = count.div_ceil(u32::try_from(threads).unwrap_or(1)).max(1);
    thread::scope(|scope| {
        let starts = (0..count).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        let parts = starts.map(|from| from..count.min(from.saturating_add(part)));
        let workers: Vec<_> =
            parts.map(|part| scope.spawn(|| part.map(&script).collect::<Option<Vec<_>>>())).collect();
        let done: Option<Vec<_>> = workers.into_iter().map(|worker| worker.join().ok().flatten()).collect();
        Some(done?.into_iter().flatten().collect())
    })
}

/// Takes every key down to its keychain once and not for each script.
struct Keychain(Secp256k1<VerifyOnly>);

impl Translator<DescriptorPublicKey, DescriptorPublicKey, bip32::Error> for Keychain {
    fn pk(&mut self, key: &DescriptorPublicKey) -> Result<DescriptorPublicKey, bip32::Error> {
        let DescriptorPublicKey::XPub(key) = key else { return Ok(key.clone()) };
        Ok(DescriptorPublicKey::XPub(DescriptorXKey {
            origin: None,
            xkey: key.xkey.derive_pub(&self.0, &key.derivation_path)?,
            derivation_path: DerivationPath::master(),
            wildcard: key.wildcard,
        }))
    }

    translate_hash_clone!(DescriptorPublicKey, DescriptorPublicKey, bip32::Error);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Treasury;
    use crate::testkit::Bench;
    use bdk_wallet::KeychainKind;

    #[test]
    fn they_are_what_bdk_derives() {
        let mut bench = Bench::default();
        let watched = |treasury: &Treasury, keychain, index| {
            treasury.wallet.spk_index().spk_at_index(keychain, index).expect("watched")
        };
        for index in [0, 1, 499, 500, 501, ADDRESSES - 1, ADDRESSES] {
            let derived = bench.treasury.wallet.peek_address(KeychainKind::External, index).address;
            assert_eq!(
                watched(&bench.treasury, KeychainKind::External, index),
                derived.script_pubkey(),
                "{index}"
            );
        }
        let [_, change] = CHANGE;
        let derived = bench.treasury.wallet.peek_address(KeychainKind::Internal, change).address;
        assert_eq!(watched(&bench.treasury, KeychainKind::Internal, change), derived.script_pubkey());
        // what was stored before there was this, is as good
        let mut old = bench.treasury.take_staged().expect("all of it");
        old.wallet.indexer = Default::default();
        let mut loaded = Treasury::load(&bench.charter, bench.secret.key(), old.clone()).unwrap();
        assert_eq!(loaded.scripts, bench.treasury.scripts);
        old.merge(loaded.take_staged().expect("the scripts"));
        let mut again = Treasury::load(&bench.charter, bench.secret.key(), old).unwrap();
        assert_eq!(again.scripts, bench.treasury.scripts);
        assert!(again.take_staged().is_none(), "nothing is derived twice");
    }
}
