use super::*;
use crate::testkit::Guild;
use crdt::hash::Digest;

fn later(guild: &Guild, close: Height, proposal: u8) -> PolicyAnswer {
    guild.decided(&MiningPolicy::SOLO, close, proposal)
}

fn refused(result: Result<(Solo, Held), Why>) -> Refused {
    match result {
        Err(Why::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_founding_policy_is_obeyed_and_pays_address_zero_of_the_treasury() {
    let guild = Guild::new(3);
    let (solo, held) = judge(&guild.pairing(), &guild.founding(), None).unwrap();
    let treasury = treasury_script(&guild.charter, guild.key()).unwrap();
    assert!(treasury.is_p2tr());
    assert_eq!((&solo.payout, &solo.small), (&Payout::all_to(treasury), &None));
    assert!(solo.address.to_string().starts_with("bcrt1p"), "{}", solo.address);
    // The internal key is P's child 0/0, computed here without a descriptor library.
    let secp = Secp256k1::new();
    let path = "0/0".parse::<bitcoin::bip32::DerivationPath>().unwrap();
    let child = guild.key().xpub(Network::Regtest).derive_pub(&secp, &path).unwrap();
    let text = descriptor(&guild.charter, guild.key());
    let (both, _) = Descriptor::<DescriptorPublicKey>::parse_descriptor(&secp, &text).unwrap();
    let definite = both.into_single_descriptors().unwrap()[0].at_derivation_index(0).unwrap();
    let derived = definite.derived_descriptor(&secp).unwrap();
    let Descriptor::Tr(tr) = derived else { panic!("no taproot") };
    assert_eq!(tr.internal_key().inner, child.public_key);
    // And a restart, without a node, comes to the same.
    assert_eq!(recall(&guild.pairing(), Some(&held)), Obeyed::Solo(Box::new(solo)));
}

#[test]
fn without_a_certificate_nothing_is_obeyed() {
    let guild = Guild::new(3);
    let bare = PolicyAnswer::new(&guild.charter, 1, None, None);
    assert_eq!(judge(&guild.pairing(), &bare, None), Err(Why::NotCertified));
    assert_eq!(recall(&guild.pairing(), None), Obeyed::Nothing(Why::NotAsked));
}

#[test]
fn nobody_elses_word_is_obeyed() {
    let (guild, other) = (Guild::new(3), Guild::new(4));
    let pairing = guild.pairing();
    let why = refused(judge(&pairing, &other.founding(), None));
    assert!(matches!(why, Refused::Certificate(CertificateError::Signature(_))), "another key: {why}");

    let mut elsewhere = Guild::new(3);
    elsewhere.charter.birth.height = 1;
    let why = refused(judge(&pairing, &elsewhere.founding(), None));
    assert!(matches!(why, Refused::Guild { .. }), "another charter: {why}");

    let founding = Body::founding(&guild.charter);
    let next = guild.answer(&guild.sign(Body { epoch: 2, ..founding.clone() }));
    let why = refused(judge(&pairing, &next, None));
    assert_eq!(why, Refused::Epoch { given: 2, paired: 1 });

    let moved = guild.answer(&guild.sign(Body { close: 9, ..founding.clone() }));
    assert_eq!(refused(judge(&pairing, &moved, None)), Refused::Founding);

    let other_effect = guild.answer(&guild.sign(Body { effect: Digest([1; 32]), ..later_body(&guild) }));
    let why = refused(judge(&pairing, &other_effect, None));
    assert!(matches!(why, Refused::Certificate(CertificateError::Effect { .. })), "{why}");

    let other_guild = GuildId(Digest([1; 32]));
    let foreign = guild.answer(&guild.sign(Body { guild: other_guild, ..later_body(&guild) }));
    let why = refused(judge(&pairing, &foreign, None));
    assert!(matches!(why, Refused::Certificate(CertificateError::Guild(_))), "{why}");

    let mut garbled = guild.founding();
    garbled.charter_hex.push_str("00");
    assert!(matches!(refused(judge(&pairing, &garbled, None)), Refused::Answer(_)));
}

fn later_body(guild: &Guild) -> Body {
    Body { proposal: crdt::ProposalId(Digest([5; 32])), ..Body::founding(&guild.charter) }
}

#[test]
fn f28_a_link_never_goes_back_to_an_older_decision() {
    let guild = Guild::new(3);
    let pairing = guild.pairing();
    let (_, new) = judge(&pairing, &later(&guild, 500, 1), None).unwrap();
    // (name, what is offered next, whether it is obeyed)
    let cases = [
        ("the same again", later(&guild, 500, 1), true),
        ("closed earlier", later(&guild, 499, 9), false),
        ("closed at once, lesser id", later(&guild, 500, 0), false),
        ("closed at once, greater id", later(&guild, 500, 2), true),
        ("closed later", later(&guild, 501, 0), true),
        ("the founding policy", guild.founding(), false),
    ];
    for (name, answer, obeyed) in cases {
        let judged = judge(&pairing, &answer, Some(new.standing));
        assert_eq!(judged.is_ok(), obeyed, "{name}");
        assert!(obeyed || matches!(refused(judged), Refused::Older { .. }), "{name}");
    }
}

#[test]
fn a_split_pays_the_treasury_under_the_key_that_is_obeyed() {
    use crdt::mining::{Payee, Share, Split};
    let shares = |weight| {
        let other = Payee::Script(crdt::testkit::payee(1));
        vec![Share { payee: Payee::Treasury, weight }, Share { payee: other, weight: 1 }]
    };
    for small in [Small::Treasury, Small::NoWork] {
        let split = Split::new(shares(3), small).unwrap();
        let guild = Guild::new(3).with_payout(mining::Payout::Split(split.clone()));
        let (solo, held) = judge(&guild.pairing(), &guild.founding(), None).unwrap();
        let treasury = treasury_script(&guild.charter, guild.key()).unwrap();
        assert_eq!(solo.payout, Payout::of(split, treasury.clone()));
        assert_eq!(solo.payout.outputs(bitcoin::Amount::from_sat(4))[0].script_pubkey, treasury);
        assert_eq!(solo.small.is_some(), small == Small::Treasury);
        assert_eq!(recall(&guild.pairing(), Some(&held)), Obeyed::Solo(Box::new(solo)));
        // Another weight is another policy, and the certificate is not its own.
        let other = Guild::new(3).with_payout(mining::Payout::Split(Split::new(shares(4), small).unwrap()));
        let mixed = PolicyAnswer { certified: guild.founding().certified, ..other.founding() };
        assert!(judge(&other.pairing(), &mixed, None).is_err());
    }
}
