//! Bytes that claim to be entries: what the door refuses, each by its name.

use crate::harness::{TIP, entry, guild, with_charter};
use crdt::limits::ENTRY_MAX;
use crdt::signed::NotAnEntry;
use crdt::testkit::{people, spend};
use crdt::text::{Line, Note, TextError};
use crdt::*;
use ed25519_dalek::{Signature, Signer as _, Verifier as _};

/// Where things lie in the bytes of an entry: signature, version, guild, author, then the sequence number.
const BODY: usize = 64;
const SEQ: usize = BODY + 1 + 32 + 32;

/// `body` signed by person `who` as it stands, whatever it says.
fn sealed(who: usize, body: &[u8]) -> Vec<u8> {
    let id = Digest::tagged("hashguild/entry/v1", &[body]);
    let mut bytes = people(7).swap_remove(who).key.sign(&id.0).to_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

fn genuine() -> (Signed, crdt::Verifier) {
    let guild = guild(3);
    let id = guild.charter.id();
    (entry(guild.person(0), id, (0, None, 5), 1, spend(70_000)), crdt::Verifier::new(&guild.charter))
}

#[test]
fn a_genuine_entry_is_read_as_it_was_written() {
    let (signed, door) = genuine();
    assert_eq!(door.verify(&signed.to_bytes()), Ok(signed.clone()));
    assert_eq!(sealed(0, &signed.to_bytes()[BODY..]), signed.to_bytes(), "the forger's tools work");
}

#[test]
fn any_flipped_bit_is_refused() {
    let (signed, door) = genuine();
    for bit in 0..signed.to_bytes().len() * 8 {
        let mut bytes = signed.to_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(door.verify(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_signature_of_somebody_else_is_refused() {
    let (signed, door) = genuine();
    let forged = sealed(1, &signed.to_bytes()[BODY..]);
    assert_eq!(door.verify(&forged), Err(NotAnEntry::Signature(signed.entry().author)));
}

#[test]
fn a_signature_with_a_larger_scalar_is_refused() {
    // s + L verifies under sloppy rules: a second set of bytes for one entry.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (signed, door) = genuine();
    let mut bytes = signed.to_bytes().to_vec();
    let mut carry = 0;
    for (byte, add) in bytes[32..64].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(door.verify(&bytes), Err(NotAnEntry::Signature(signed.entry().author)));
}

#[test]
fn a_signature_without_a_nonce_is_refused() {
    // R is the neutral point, s = H(R ‖ A ‖ M)·a: whoever checks loosely, or in batches, lets it pass.
    let old: Vec<u8> = hex::FromHex::from_hex(include_str!("../data/entry-accept.hex").trim()).unwrap();
    let guild = guild(3);
    let signed = crdt::Verifier::new(&guild.charter).verify(&old).unwrap();
    let mut bytes = old.clone();
    bytes[..32].fill(0);
    bytes[0] = 1;
    let s = "b55d6ac0b96f7dd43a371bfb70c113cd4af0d07f3dc6ed9551020f515e7c3306";
    bytes[32..BODY].copy_from_slice(&<[u8; 32] as hex::FromHex>::from_hex(s).unwrap());
    let loose = Signature::from_slice(&bytes[..BODY]).unwrap();
    assert!(guild.person(0).key.verifying_key().verify(&signed.id().to_bytes(), &loose).is_ok());
    let refused = crdt::Verifier::new(&guild.charter).verify(&bytes);
    assert_eq!(refused, Err(NotAnEntry::Signature(guild.id(0))));
}

#[test]
fn a_second_encoding_of_an_entry_is_refused() {
    let (signed, door) = genuine();
    let body = &signed.to_bytes()[BODY..];
    let seq = SEQ - BODY;
    assert_eq!(body[seq], 0, "the sequence number is here");
    let overlong = [&body[..seq], &[0x80, 0x00], &body[seq + 1..]].concat();
    let trailing = [body, &[0]].concat();
    for (name, other) in [("an overlong varint", overlong), ("trailing bytes", trailing)] {
        assert_eq!(door.verify(&sealed(0, &other)), Err(NotAnEntry::NotCanonical), "{name}");
    }
}

#[test]
fn a_cut_an_empty_or_an_overlong_entry_is_refused() {
    let (signed, door) = genuine();
    for len in 0..signed.to_bytes().len() {
        assert!(door.verify(&signed.to_bytes()[..len]).is_err(), "{len} bytes");
    }
    let long = vec![0; ENTRY_MAX + 1];
    assert_eq!(door.verify(&long), Err(NotAnEntry::TooLong(ENTRY_MAX + 1)));
    assert_eq!(door.verify(&vec![0; ENTRY_MAX]), Err(NotAnEntry::Malformed));
}

#[test]
fn an_entry_of_another_guild_or_version_is_refused() {
    let (signed, door) = genuine();
    let other = with_charter(people(3), |charter| charter.birth.height = 1).charter;
    let refused = crdt::Verifier::new(&other).verify(&signed.to_bytes());
    assert_eq!(refused, Err(NotAnEntry::Guild(signed.entry().guild)));
    let mut body = signed.to_bytes()[BODY..].to_vec();
    body[0] = 2;
    assert_eq!(door.verify(&sealed(0, &body)), Err(NotAnEntry::Malformed));
}

#[test]
fn an_unknown_kind_of_payload_is_refused() {
    let (signed, door) = genuine();
    let body = &signed.to_bytes()[BODY..];
    let kind = SEQ - BODY + 1 + 1 + 1 + 33; // after seq, prev, height and the block's hash
    assert_eq!(body[kind], 6, "the kind of a proposal is here");
    for unknown in [12, 50, 127] {
        let mut body = body.to_vec();
        body[kind] = unknown;
        assert_eq!(door.verify(&sealed(0, &body)), Err(NotAnEntry::Malformed));
    }
}

#[test]
fn a_weak_key_signs_for_nobody() {
    // The eight points of small order: under each, one signature fits every message.
    let weak = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ];
    let (signed, door) = genuine();
    for key in weak {
        let key: Digest = Digest(key.parse::<GuildId>().unwrap().to_bytes());
        assert!(MemberId::try_from(key.0).is_err(), "{key}");
        let mut bytes = signed.to_bytes().to_vec();
        bytes[..BODY].fill(0);
        bytes[0] = 1; // R = identity, s = 0
        bytes[BODY + 33..SEQ].copy_from_slice(&key.0);
        assert!(matches!(door.verify(&bytes), Err(NotAnEntry::Stranger(_))), "{key}");
    }
}

#[test]
fn a_charter_with_a_weak_key_is_none() {
    let charter = guild(3).charter;
    let mut bytes = charter.to_bytes();
    let key = charter.founders[2].key.to_bytes();
    let at = bytes.windows(32).position(|window| window == key).unwrap();
    bytes[at..at + 32].fill(0);
    let refused = Charter::from_bytes(&bytes);
    assert!(matches!(refused, Err(charter::CharterError::Key(_))), "{refused:?}");
}

#[test]
fn a_stranger_is_not_heard() {
    let mut guild = guild(3);
    let stranger = &people(4)[3];
    let signed = entry(stranger, guild.charter.id(), (0, None, 5), 1, Payload::Accept);
    assert_eq!(guild.document.insert(signed, TIP), Insert::Stranger(stranger.id()));
    assert!(guild.document.is_empty());
}

#[test]
fn text_that_fools_a_terminal_or_a_reader_never_decodes() {
    let (signed, door) = genuine();
    let body = &signed.to_bytes()[BODY..];
    let title = body.windows(12).position(|bytes| bytes == b"Pay the host").unwrap();
    let fools = [
        "\u{1b}[2J",
        "\u{7f}",
        "\n",
        "\r",
        "\u{9b}",
        "\u{202e}",
        "\u{2066}",
        "\u{61c}",
        "\u{2028}",
        "\u{feff}",
    ];
    for fool in fools.into_iter().chain(["\u{ad}", "\u{200b}", "\u{3164}", "\u{e0041}"]) {
        let mut body = body.to_vec();
        body[title..title + fool.len()].copy_from_slice(fool.as_bytes());
        let refused = door.verify(&sealed(0, &body));
        assert_eq!(refused, Err(NotAnEntry::Malformed), "{fool:?} in a title");
        let unprintable = Err(TextError::Unprintable(fool.chars().next().unwrap()));
        assert_eq!(Line::try_from(fool.to_owned()).map(String::from), unprintable);
        if fool != "\n" {
            assert!(Note::try_from(fool.to_owned()).is_err(), "{fool:?} in a note");
        }
    }
    for fine in ["Zürich – 5 % für Ärzte", "支払い", "دفع", "₿ 0.1 → host ✓", "❤\u{fe0f}"]
    {
        assert!(Line::try_from(fine.to_owned()).is_ok(), "{fine}");
    }
    assert!(Line::try_from("x".repeat(120)).is_ok() && Line::try_from("x".repeat(121)).is_err());
    assert!(Note::try_from("x".repeat(16 * 1024 + 1)).is_err());
}
