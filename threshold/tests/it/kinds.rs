//! Every kind of request, with and without a recovery leaf, under keys of both parities.

use crate::sign::{CERTIFICATE, transaction, verifies};
use threshold::SessionId;
use threshold::sign::{KeyTest, Kind, Request, TransactionRequest};
use threshold::testkit::{self, Keys};

const KINDS: [Kind; 5] = [Kind::Payment, Kind::Seal, Kind::Sweep, Kind::Renewal, Kind::ClosingMove];

/// A key with an even and one with an odd Y.
fn both_parities() -> Vec<Keys> {
    let mut keys: Vec<Keys> = (0..40).map(|seed| testkit::keys(2, 3, seed)).collect();
    keys.sort_by_key(|keys| keys.public.group().to_bytes()[0]);
    let (even, odd) = (keys.remove(0), keys.pop().unwrap());
    assert_ne!(even.public.group().to_bytes()[0], odd.public.group().to_bytes()[0]);
    vec![even, odd]
}

#[test]
fn every_kind_of_transaction_is_signed_with_and_without_a_leaf_under_both_parities() {
    for keys in both_parities() {
        let mut names = std::collections::BTreeSet::new();
        for kind in KINDS {
            for leaf in [None, Some([4; 32])] {
                let paths = [[0, 0], [1, 0], [2, 0], [0, 999]].map(|path| (path, leaf));
                let tx = transaction(&keys.public.group(), &paths);
                let request = TransactionRequest::new(kind, [8; 32], tx.tx.clone(), tx.keys.clone()).unwrap();
                let request = Request::Transaction(Box::new(request));
                assert!(tx.accepts(&keys.sign(&request)), "{kind:?} {leaf:?}");
                names.insert(request.id());
            }
        }
        assert_eq!(names.len(), 10, "a session for one kind is none for another");
    }
}

#[test]
fn certificates_and_key_tests_are_signed_by_p_itself_under_both_parities() {
    for keys in both_parities() {
        let p = keys.public.group().x_only();
        let test = KeyTest { guild: [1; 32], epoch: 1, session: SessionId::from_bytes([2; 32]) };
        assert!(verifies(&keys.sign(&Request::KeyTest(test))[0], test.message(), &p));
        assert!(verifies(&keys.sign(&Request::Certificate(CERTIFICATE))[0], CERTIFICATE.message(), &p));
    }
}
