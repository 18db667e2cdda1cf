//! Honest parties sign; Bitcoin's own library verifies.

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use bitcoin::{absolute, transaction};
use threshold::sign::{BadRequest, CertificateBody, InputKey, Kind, Outcome, Request, TransactionRequest};
use threshold::testkit::{self, Keys, party};
use threshold::{GroupKey, derive};

pub(crate) const CERTIFICATE: CertificateBody = CertificateBody {
    guild: [1; 32],
    epoch: 2,
    proposal: [3; 32],
    option: 4,
    effect_hash: [5; 32],
    close: 6,
};

pub(crate) fn verifies(signature: &[u8; 64], message: [u8; 32], key: &[u8]) -> bool {
    let signature = schnorr::Signature::from_slice(signature).unwrap();
    let key = XOnlyPublicKey::from_slice(key).unwrap();
    Secp256k1::new().verify_schnorr(&signature, &Message::from_digest(message), &key).is_ok()
}

/// One input for each path and merkle root.
pub(crate) fn transaction(group: &GroupKey, inputs: &[(derive::Path, Option<[u8; 32]>)]) -> Transaction3 {
    let keys = inputs.iter().map(|(path, merkle_root)| InputKey {
        prevout: TxOut {
            value: Amount::from_sat(50_000),
            script_pubkey: derive::script(group, *path, *merkle_root).unwrap(),
        },
        path: *path,
        merkle_root: *merkle_root,
    });
    let input = |index| TxIn {
        previous_output: OutPoint { txid: Txid::from_byte_array([9; 32]), vout: index },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let count = u32::try_from(inputs.len()).unwrap();
    Transaction3 {
        keys: keys.collect(),
        tx: Transaction {
            version: transaction::Version::non_standard(3),
            lock_time: absolute::LockTime::from_consensus(100),
            input: (0..count).map(input).collect(),
            output: vec![TxOut { value: Amount::from_sat(40_000), script_pubkey: ScriptBuf::new() }],
        },
    }
}

/// A transaction with the keys of its inputs.
#[derive(Clone)]
pub(crate) struct Transaction3 {
    pub(crate) tx: Transaction,
    pub(crate) keys: Vec<InputKey>,
}

impl Transaction3 {
    pub(crate) fn request(&self) -> Result<Request, BadRequest> {
        let request = TransactionRequest::new(Kind::Payment, [8; 32], self.tx.clone(), self.keys.clone())?;
        Ok(Request::Transaction(Box::new(request)))
    }

    /// Verify as a node of Bitcoin would: against the output keys in the spent scripts.
    pub(crate) fn accepts(&self, signatures: &[[u8; 64]]) -> bool {
        let prevouts: Vec<TxOut> = self.keys.iter().map(|key| key.prevout.clone()).collect();
        let mut hashes = SighashCache::new(&self.tx);
        signatures.len() == prevouts.len()
            && signatures.iter().enumerate().all(|(at, signature)| {
                let all = Prevouts::All(prevouts.as_slice());
                let hash = hashes.taproot_key_spend_signature_hash(at, &all, TapSighashType::Default);
                let script = prevouts[at].script_pubkey.as_bytes();
                verifies(signature, hash.unwrap().to_byte_array(), &script[2..])
            })
    }
}

fn both_parities(t: u16, n: u16) -> [Keys; 2] {
    let mut found = [None, None];
    for seed in 0.. {
        let keys = testkit::keys(t, n, seed);
        let parity = usize::from(keys.public.group().to_bytes()[0] - 2);
        found[parity].get_or_insert(keys);
        if let [Some(even), Some(odd)] = &found {
            return [even.clone(), odd.clone()];
        }
    }
    unreachable!()
}

#[test]
fn a_certificate_verifies_under_p_with_any_quorum() {
    let request = Request::Certificate(CERTIFICATE);
    for keys in both_parities(3, 5) {
        for first in 1..=5 {
            let ranked = (0..5).map(|i| party((first + i - 1) % 5 + 1)).collect();
            let report = keys.ceremony(&request, ranked, &mut |_, answer| Some(answer));
            let Outcome::Signed(signatures) = report.outcome else { panic!("{report:?}") };
            assert_eq!(report.sessions.len(), 1);
            assert!(verifies(&signatures[0], CERTIFICATE.message(), &keys.public.group().x_only()));
        }
    }
}

#[test]
fn every_input_is_signed_by_its_own_key() {
    for keys in both_parities(2, 3) {
        let inputs = [([0, 0], None), ([1, 7], Some([4; 32])), ([2, 0], Some([5; 32]))];
        let tx = transaction(&keys.public.group(), &inputs);
        assert!(tx.accepts(&keys.sign(&tx.request().unwrap())));
    }
}

#[test]
fn two_hundred_inputs_in_one_ceremony() {
    let keys = testkit::keys(2, 2, 1);
    let inputs: Vec<_> = (0..200).map(|index| ([0, index], Some([4; 32]))).collect();
    let tx = transaction(&keys.public.group(), &inputs);
    assert!(tx.accepts(&keys.sign(&tx.request().unwrap())));
    let more: Vec<_> = (0..201).map(|index| ([0, index], None)).collect();
    let tx = transaction(&keys.public.group(), &more);
    assert_eq!(tx.request().unwrap_err(), BadRequest::Inputs(201));
}

#[test]
fn a_coin_of_another_script_is_not_signed() {
    let keys = testkit::keys(2, 3, 1);
    let group = keys.public.group();
    let honest = transaction(&group, &[([0, 0], None), ([0, 1], Some([4; 32]))]);
    let session = threshold::SessionId::from_bytes([1; 32]);
    let commit = |tx: &Transaction3| {
        let mut signer = keys.signers().remove(&party(1)).unwrap();
        let request = tx.request().unwrap();
        let now = threshold::Timestamp::default();
        signer.commit(&request, session, party(2), &mut testkit::rng(1), now).map(drop)
    };
    assert_eq!(commit(&honest), Ok(()));
    let bad = |change: &dyn Fn(&mut Transaction3)| {
        let mut tx = honest.clone();
        change(&mut tx);
        commit(&tx)
    };
    let expected = |reason| Err(threshold::sign::Rejected::Request(reason));
    assert_eq!(bad(&|tx| tx.keys[1].path = [0, 2]), expected(BadRequest::Script(1)));
    assert_eq!(bad(&|tx| tx.keys[1].merkle_root = None), expected(BadRequest::Script(1)));
    assert_eq!(bad(&|tx| tx.keys[0].merkle_root = Some([0; 32])), expected(BadRequest::Script(0)));
    assert_eq!(bad(&|tx| tx.keys[0].path = [1 << 31, 0]), expected(BadRequest::Path(0)));
    assert_eq!(
        bad(&|tx| tx.keys[0].prevout.script_pubkey = ScriptBuf::new()),
        expected(BadRequest::Script(0))
    );
}

#[test]
fn a_request_matches_its_transaction() {
    let keys = testkit::keys(2, 3, 1);
    let tx = transaction(&keys.public.group(), &[([0, 0], None)]);
    let mut few = tx.clone();
    few.keys.clear();
    assert_eq!(few.request().unwrap_err(), BadRequest::Keys { inputs: 1, keys: 0 });
    let mut signed = tx.clone();
    signed.tx.input[0].witness.push([1]);
    assert_eq!(signed.request().unwrap_err(), BadRequest::Signed(0));
    let mut empty = tx;
    empty.tx.input.clear();
    assert_eq!(empty.request().unwrap_err(), BadRequest::Inputs(0));
}

#[test]
fn every_part_of_a_request_is_in_its_name() {
    let keys = testkit::keys(2, 3, 1);
    let tx = transaction(&keys.public.group(), &[([0, 0], None), ([0, 1], None)]);
    let id = tx.request().unwrap().id();
    let changes: [&dyn Fn(&mut Transaction3); 6] = [
        &|tx| tx.tx.lock_time = absolute::LockTime::from_consensus(101),
        &|tx| tx.tx.output[0].value = Amount::from_sat(1),
        &|tx| tx.keys[0].prevout.value = Amount::from_sat(1),
        &|tx| tx.keys[0].path = [0, 5],
        &|tx| tx.keys[1].merkle_root = Some([0; 32]),
        &|tx| tx.keys.reverse(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = tx.clone();
        change(&mut other);
        assert_ne!(other.request().unwrap().id(), id, "change {number}");
    }
    let same = TransactionRequest::new(Kind::Sweep, [8; 32], tx.tx.clone(), tx.keys.clone()).unwrap();
    assert_ne!(Request::Transaction(Box::new(same)).id(), id);
}
