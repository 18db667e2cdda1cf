//! Bytes that must never change, because other nodes, other crates and old disks have them.
//!
//! A change here is a new version of the format, never an edit of the expectation.

use crate::sign::{CERTIFICATE, transaction};
use bitcoin::NetworkKind;
use hex::DisplayHex;
use threshold::dkg::{Body, DkgMessage, Round1, Round2, Statement};
use threshold::sign::{Commitments, KeyTest, Offer, Refusal, Request, Shares, SigningPackage};
use threshold::testkit::{member, party};
use threshold::{FixedBytes, GroupKey, KeyShare, SessionId, Wire, derive, sealed};

/// The generator of secp256k1: the public key of the secret 1.
fn generator() -> GroupKey {
    let hex = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    GroupKey::from_bytes(hex::FromHex::from_hex(hex).unwrap()).unwrap()
}

const KEY_TEST: KeyTest = KeyTest { guild: [1; 32], epoch: 2, session: SessionId::from_bytes([3; 32]) };

#[track_caller]
fn pinned(name: &str, bytes: &[u8], expected: &str) {
    assert_eq!(bytes.to_lower_hex_string(), expected, "{name}");
}

#[test]
fn what_is_signed() {
    let layout = [
        "01".repeat(32),
        "00000002".into(),
        "03".repeat(32),
        "0004".into(),
        "05".repeat(32),
        "00000006".into(),
    ];
    pinned("certificate", &CERTIFICATE.bytes(), &layout.concat());
    pinned(
        "certificate message",
        &CERTIFICATE.message(),
        "79c3a5ddaebcafd1cb2a027d611f7e58bb1758a81ec03b8ab1a1f10de07d77db",
    );
    pinned(
        "key test message",
        &KEY_TEST.message(),
        "6880f2f163b479ebecf80c22177e3454f93e7ecc98c305a2046a1d5c3573fd5c",
    );
}

#[test]
fn names() {
    pinned(
        "dkg session",
        &SessionId::dkg([1; 32], 2, 3).to_bytes(),
        "652d57897c41ca9944db7267c9223b248e4a014e66f19b11692b6c5ff23b25ed",
    );
    pinned(
        "certificate",
        &Request::Certificate(CERTIFICATE).id().to_bytes(),
        "a242b4db71e2297f823b747641628e21e869c8f69ddb98077e3c08040a0172c3",
    );
    pinned(
        "key test",
        &Request::KeyTest(KEY_TEST).id().to_bytes(),
        "68f23109a070c7564ce32f3424ced00c89abf9325ed0d348af90980318184c7a",
    );
    let tx = transaction(&generator(), &[([0, 0], None), ([1, 7], Some([4; 32]))]);
    pinned(
        "transaction",
        &tx.request().unwrap().id().to_bytes(),
        "e58b767f419fe35da07a0cfc411c0e0a6e3de6d3ad4955f9095873c3698fc7cb",
    );
}

#[test]
fn keys_below_p() {
    let xpub = derive::synthetic_xpub(&generator(), NetworkKind::Main);
    assert_eq!(
        xpub.to_string(),
        "xpub661MyMwAqRbcEk1fqJsXS8cmfr3N3zFGACtgtw5k3VahFkJvwHgzpwVvuq5UNif4ms2VtJgfArYyGyyjDqyfUkjFwaxyKMJR7LtCp7n4Bow"
    );
    let script = |path, root| derive::script(&generator(), path, root).unwrap();
    pinned(
        "no tree",
        script([0, 0], None).as_bytes(),
        "5120937458da5e389a63382c128984f5626443cec8646e06ec7eab974bc6ff7a39d1",
    );
    pinned(
        "a tree",
        script([1, 7], Some([4; 32])).as_bytes(),
        "512022da5222749b03eab1f040fa26d35db0696ac952304be29f12def9387bd2e5b1",
    );
    let child = derive::child(&generator(), [1, 7]).unwrap();
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let steps = [1, 7].map(|index| bitcoin::bip32::ChildNumber::Normal { index });
    assert_eq!(child.key, xpub.derive_pub(&secp, &steps).unwrap().public_key, "as any BIP32 wallet derives");
}

#[test]
fn statements_and_messages() {
    let session = SessionId::from_bytes([1; 32]);
    let echo = Statement::Echo { session, round1_hash: [2; 32] };
    pinned("echo", &echo.to_wire(), &format!("01010200{}{}", "01".repeat(32), "02".repeat(32)));
    let ready = Statement::KeyReady { session, group_key: generator(), transcript_hash: [2; 32] };
    let key = generator().to_bytes().to_lower_hex_string();
    pinned("ready", &ready.to_wire(), &format!("01010201{}{key}{}", "01".repeat(32), "02".repeat(32)));
    let bodies = [
        (
            "0101030101010101010101010101010101010101010101010101010101010101010101030002050607070707070707070707070707070707070707070707070707070707070707078e72a5c053576615cc106385ea1d0731c5ca06a3e5f3599b49cde60e109f46fa71a1a5225beec0536f163fe2e8b220f66fd9930fb8089dc1904388e5c083b10d",
            Body::Round1(Round1 { package: vec![5, 6], sealing_key: [7; 32] }),
        ),
        (
            "010103010101010101010101010101010101010101010101010101010101010101010103010108080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808084aec61184f39d29c550057a3e2a50c3f7523a8e78fdf44421bdd24c1b6bc6f6d3f5da069d769f71ec1d0bc92ebd8609fb74b7e670fe975bfc0230b88df1b870b",
            Body::Round2(Round2 { ciphertexts: vec![FixedBytes([8; 80])] }),
        ),
    ];
    for (expected, body) in bodies {
        let message = DkgMessage::sign(session, party(3), body, &member(party(3)));
        pinned("message", &message.to_wire(), expected);
        assert!(message.signed_by(&member(party(3)).verifying_key().to_bytes()));
    }
}

#[test]
fn signing_messages() {
    let session = SessionId::from_bytes([1; 32]);
    let (one, two) = ("01".repeat(32), "02".repeat(32));
    let commitments = Commitments { session, list: vec![FixedBytes([3; 66])] };
    pinned("commitments", &commitments.to_wire(), &format!("010105{one}01{}", "03".repeat(66)));
    let shares = Shares { session, list: vec![[2; 32]] };
    pinned("shares", &shares.to_wire(), &format!("010107{one}01{two}"));
    let request = threshold::sign::RequestId::from_bytes([2; 32]);
    pinned("offer", &Offer { session, request }.to_wire(), &format!("010109{one}{two}"));
    let commitments = [(party(3), vec![FixedBytes([3; 66])])].into();
    let package = SigningPackage { session, request, commitments };
    pinned("package", &package.to_wire(), &format!("010106{one}{two}010301{}", "03".repeat(66)));
    pinned("refusal", &Refusal::new("a", "bc", "d").to_wire(), "01010801610262630164");
}

#[test]
fn shares_at_rest() {
    let group = generator().to_bytes().to_lower_hex_string();
    let hex = format!("0101000100020003{group}{}", "09".repeat(32));
    let bytes: Vec<u8> = hex::FromHex::from_hex(&hex).unwrap();
    pinned("share", &KeyShare::from_bytes(&bytes).unwrap().to_bytes(), &hex);
    let sealed: Vec<u8> = hex::FromHex::from_hex("68677365616c01080000000100000001000000611830d3641a68f94a690dcc25d1f4b0dac948325ac18f6dd32564371735f32c54743dc5e24d2a415efe9004519b91cc1ab9b3ca02939a9d828da499fb2d").unwrap();
    assert_eq!(sealed::open(b"passphrase", "purpose", &sealed).unwrap().as_slice(), b"secret");
}

#[test]
fn a_whole_key_generation() {
    // holds as long as the same random bytes are drawn in the same order
    let keys = threshold::testkit::keys(2, 3, 1);
    pinned(
        "key",
        &keys.public.group().to_bytes(),
        "034b1e647a25c32c9006b9587af877bca2855425a32444692fa96aae1b8c033fd8",
    );
    pinned(
        "transcript",
        &keys.transcript.hash(&keys.public),
        "a4c0ade3762875a1fc27470bf220c33c870b4f2349ebea864deb6f726bc04f83",
    );
    let shares: String = keys.public.shares().map(|(_, share)| share.to_lower_hex_string()).collect();
    let key = keys.public.group().to_bytes().to_lower_hex_string();
    pinned("public keys", &keys.public.to_wire(), &format!("0101010203{key}03{shares}"));
}

/// BIP340's own vectors, under the verifier that every final signature passes before it leaves the crate.
#[test]
fn bip340_vectors() {
    let hex = |text: &str| -> Vec<u8> { hex::FromHex::from_hex(text).unwrap() };
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let mut counts = [0, 0];
    for line in include_str!("../data/bip340.csv").lines().skip(1) {
        let fields: Vec<&str> = line.splitn(8, ',').collect();
        let [_, secret, key, aux, message, signature, expected, comment] = fields[..] else {
            panic!("{line}")
        };
        let message = bitcoin::secp256k1::Message::from_digest(hex(message).try_into().unwrap());
        let key = bitcoin::secp256k1::XOnlyPublicKey::from_slice(&hex(key));
        let parsed = bitcoin::secp256k1::schnorr::Signature::from_slice(&hex(signature)).unwrap();
        let valid = key.is_ok_and(|key| secp.verify_schnorr(&parsed, &message, &key).is_ok());
        assert_eq!(valid, expected == "TRUE", "{comment}");
        counts[usize::from(valid)] += 1;
        if !secret.is_empty() {
            let pair = bitcoin::secp256k1::Keypair::from_seckey_slice(&secp, &hex(secret)).unwrap();
            let made = secp.sign_schnorr_with_aux_rand(&message, &pair, &hex(aux).try_into().unwrap());
            assert_eq!(made, parsed);
        }
    }
    assert_eq!(counts, [10, 5], "false, true");
}
