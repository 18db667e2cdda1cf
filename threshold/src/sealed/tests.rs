use super::*;
use crate::testkit;

const FAST: Params = Params { memory_kib: 8, passes: 1, lanes: 1 };

#[test]
fn opens_with_its_passphrase_and_purpose_alone() {
    let mut rng = testkit::rng(1);
    let sealed = seal(b"correct horse", "member key", b"secret", FAST, &mut rng).unwrap();
    assert_eq!(open(b"correct horse", "member key", &sealed).unwrap().as_slice(), b"secret");
    let wrong = Err(SealError::WrongPassphraseOrAltered);
    assert_eq!(open(b"wrong horse", "member key", &sealed), wrong);
    assert_eq!(open(b"correct horse", "key share", &sealed), wrong);
}

#[test]
fn any_flipped_bit_is_noticed() {
    let mut rng = testkit::rng(2);
    let key = SealingKey::new(b"p", FAST, &mut rng).unwrap();
    let sealed = key.seal("x", b"secret", &mut rng);
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(key.open("x", &altered).is_err(), "byte {at}");
    }
    assert_eq!(key.open("x", &sealed[..HEADER - 1]), Err(SealError::Format));
    assert!(key.open("x", &sealed[..HEADER + 3]).is_err());
}

#[test]
fn a_file_cannot_ask_for_any_amount_of_memory() {
    let mut rng = testkit::rng(3);
    let mut sealed = seal(b"p", "x", b"secret", FAST, &mut rng).unwrap();
    sealed[7..11].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(open(b"p", "x", &sealed), Err(SealError::Params));
}

#[test]
fn another_key_is_named_as_such() {
    let mut rng = testkit::rng(4);
    let [one, two] = [1, 2].map(|_| SealingKey::new(b"p", FAST, &mut rng).unwrap());
    assert_eq!(two.open("x", &one.seal("x", b"s", &mut rng)), Err(SealError::OtherKey));
}

#[test]
fn a_share_survives_and_is_not_shown() {
    let mut rng = testkit::rng(5);
    let keys = testkit::keys(2, 2, 5);
    let key = SealingKey::new(b"p", FAST, &mut rng).unwrap();
    let share = keys.shares.values().next().unwrap();
    let reread = key.open_share(&key.seal_share(share, &mut rng)).unwrap();
    assert_eq!(reread.to_bytes(), share.to_bytes());
    reread.check(&keys.public).unwrap();
    let secret: String = share.to_bytes()[41..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!format!("{share:?}{key:?}").contains(&secret));
}
