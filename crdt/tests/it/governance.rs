//! The charter: every rule broken once, and how many co-signers sign.

use crate::harness::{TIP, guild};
use bitcoin::bip32::{Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Network, NetworkKind};
use crdt::charter::{CharterError, ThresholdRule, grace};
use crdt::governance::Class;
use crdt::rules::{ClassRule, Preset, Rule, Rules};
use crdt::testkit::{charter, people};
use crdt::text::Line;
use crdt::*;

#[test]
fn the_threshold_is_a_majority_up_to_six_and_two_thirds_above() {
    let table = [
        (2, 2),
        (3, 2),
        (4, 3),
        (5, 3),
        (6, 4),
        (7, 5),
        (8, 6),
        (9, 7),
        (10, 7),
        (11, 8),
        (12, 9),
        (13, 9),
        (14, 10),
        (15, 11),
        (21, 15),
        (100, 67),
    ];
    for (n, t) in table {
        assert_eq!(ThresholdRule::Standard.of(n), t, "of {n}");
        assert!(2 * t > n && t <= n);
        assert_eq!(ThresholdRule::AtLeast(0).of(n), t, "never below the standard");
        assert_eq!(ThresholdRule::AtLeast(u16::try_from(n).unwrap()).of(n), n, "all {n}");
        assert_eq!(ThresholdRule::AtLeast(u16::MAX).of(n), usize::from(u16::MAX), "refused by the charter");
    }
}

fn line(text: &str) -> Line {
    Line::try_from(text.to_owned()).expect("plain")
}

fn mainnet_key() -> Xpub {
    let root = Xpriv::new_master(Network::Bitcoin, &[1; 32]).expect("a seed");
    Xpub::from_priv(&Secp256k1::new(), &root)
}

type Break = (&'static str, fn(&mut Charter));

/// (what is broken, how)
const RULES: [Break; 12] = [
    ("a fee cap of zero pays nobody", |c| c.fee_cap.sat = 0),
    ("a fee cap of zero pays nobody", |c| c.fee_cap.sat_per_vb = 0),
    ("every founder has one recovery key", |c| c.recovery.keys.truncate(3)),
    ("every founder has one recovery key", |c| c.recovery.keys.push(mainnet_key())),
    ("no two recovery keys are equal", |c| {
        c.recovery.keys = c.recovery.keys.iter().map(|_| mainnet_key()).collect()
    }),
    ("recovery keys are of the charter's network", |c| {
        c.recovery.keys.splice(1..2, [mainnet_key()]).for_each(drop)
    }),
    ("recovery keys are of the charter's network", |c| c.network = Network::Bitcoin),
    ("k recovery keys: 1 to the number of keys", |c| c.recovery.least = 0),
    ("k recovery keys: 1 to the number of keys", |c| c.recovery.least = 5),
    ("the recovery delay is 144 to 65,535 blocks", |c| c.recovery.delay = 143),
    ("the recovery delay is 144 to 65,535 blocks", |c| c.recovery.delay = 0),
    ("k recovery keys: 1 to the number of keys", |c| c.recovery.least = u16::MAX),
];

type ClassBreak = (Class, &'static str, fn(&mut Charter));

/// (whose rule, what is broken, how)
const CLASS_RULES: [ClassBreak; 19] = [
    (Class::Spend, "a decision needs more than 50 to 99 percent", |c| c.rules.spend.more_than_percent = 49),
    (Class::Text, "a decision needs more than 50 to 99 percent", |c| c.rules.text.more_than_percent = 100),
    (Class::Setting, "a quorum is 1 to 100 percent", |c| c.rules.setting.quorum_percent = 0),
    (Class::Budget, "a quorum is 1 to 100 percent", |c| c.rules.budget.quorum_percent = 101),
    (Class::Spend, "a period is at least three times the grace", |c| c.rules.spend.period = 431),
    (Class::Cancel, "a period is at least three times the grace", |c| c.rules.cancel.period = 0),
    (Class::Epoch, "a period is at most 52,560 blocks", |c| c.rules.epoch.period = 52_561),
    (Class::Spend, "a period is at most 52,560 blocks", |c| c.rules.spend.period = Height::MAX),
    (Class::Distribute, "a delay is at most 52,560 blocks", |c| c.rules.distribute.delay = 52_561),
    (Class::Spend, "a delay is at most 52,560 blocks", |c| c.rules.spend.delay = Height::MAX),
    (Class::Text, "words, settings and vetoes take effect with their certificate: no delay", |c| {
        c.rules.text.delay = 600;
    }),
    (Class::Setting, "words, settings and vetoes take effect with their certificate: no delay", |c| {
        c.rules.setting.delay = 600;
    }),
    (Class::Cancel, "words, settings and vetoes take effect with their certificate: no delay", |c| {
        c.rules.cancel.delay = 600;
    }),
    (Class::Spend, "a delay is longer than the period of a veto and the grace, or none", |c| {
        c.rules.spend.delay = 432 + 144;
    }),
    (Class::Epoch, "a delay is longer than the period of a veto and the grace, or none", |c| {
        c.rules.epoch.delay = 1;
    }),
    (Class::Spend, "with three co-signers or fewer money goes by the absolute rule", |c| {
        c.co_signers.truncate(3);
        c.rules.spend.rule = Rule::Relative;
    }),
    (Class::Cancel, "a veto has no lower quorum than what it can stop", |c| {
        c.rules.spend = ClassRule { rule: Rule::Relative, delay: 600, ..c.rules.spend.clone() };
        c.rules.cancel.quorum_percent = 49;
    }),
    (Class::Exit, "an exit cools for three times the grace, a year at most", |c| c.rules.exit.cooling = 431),
    (Class::Exit, "an exit cools for three times the grace, a year at most", |c| {
        c.rules.exit.cooling = 52_561
    }),
];

#[test]
fn a_charter_whose_class_breaks_a_rule_is_refused_for_it() {
    for (class, why, breaks) in CLASS_RULES {
        refused(breaks, &CharterError::Class(class, why));
    }
}

#[test]
fn every_preset_makes_a_sound_charter_of_any_size() {
    for preset in [Preset::Family, Preset::CoOp, Preset::Fund] {
        for n in 2..=21 {
            let mut sound = charter(&people(n));
            sound.rules = Rules::preset(preset, n, grace(n));
            assert_eq!(sound.check(), Ok(()), "{preset:?} of {n}");
            assert_eq!(Charter::from_bytes(&sound.to_bytes()), Ok(sound));
        }
    }
}

#[test]
fn a_large_spend_goes_by_the_absolute_rule() {
    let rule = ClassRule { cap_sat: Some(1_000), ..Rules::all(Rule::Relative, 50, 432).spend };
    for (amount, expected) in [
        (Some(1_000), Rule::Relative),
        (Some(1_001), Rule::Absolute),
        (Some(u64::MAX), Rule::Absolute),
        (None, Rule::Relative),
    ] {
        assert_eq!(rule.rule_for(amount), expected, "{amount:?}");
    }
    let uncapped = ClassRule { cap_sat: None, ..rule };
    assert_eq!(uncapped.rule_for(Some(u64::MAX)), Rule::Relative);
}

#[test]
fn a_charter_that_breaks_a_rule_is_refused_for_it() {
    for (rule, breaks) in RULES {
        refused(breaks, &CharterError::Rule(rule));
    }
    let [alice, bob, ..] = &people(4)[..] else { unreachable!() };
    let outsider = people(5)[4].id();
    let too_many = |c: &mut Charter| c.founders = vec![c.founders[0].clone(); 1_001];
    refused(|c| c.version = 1, &CharterError::Version(1));
    refused(|c| c.version = 3, &CharterError::Version(3));
    refused(|c| c.version = 0, &CharterError::Version(0));
    refused(|c| c.founders.truncate(1), &CharterError::Founders(1));
    refused(|c| c.founders.clear(), &CharterError::Founders(0));
    refused(too_many, &CharterError::Founders(1_001));
    refused(|c| c.founders[1].key = c.founders[0].key, &CharterError::Twice(alice.id().to_string()));
    refused(|c| c.founders[1].name = line("alice"), &CharterError::Twice("alice".to_owned()));
    refused(
        |c| c.founders[2].name = line(&c.founders[0].key.to_string()),
        &CharterError::Twice(alice.id().to_string()),
    );
    refused(|c| c.co_signers[3] = people(5)[4].id(), &CharterError::CoSigner(outsider));
    refused(|c| c.co_signers[3] = c.co_signers[1], &CharterError::CoSigner(bob.id()));
    refused(|c| c.co_signers.clear(), &CharterError::Threshold { t: 1, n: 0 });
    refused(|c| c.co_signers.truncate(1), &CharterError::Threshold { t: 1, n: 1 });
    refused(|c| c.threshold = ThresholdRule::AtLeast(5), &CharterError::Threshold { t: 5, n: 4 });
    let nothing = |c: &mut Charter| c.founders.iter_mut().for_each(|f| f.weight = Weight::default());
    refused(nothing, &CharterError::NoWeight);
}

/// A charter of four, broken: refused when checked, when read, and only for this.
fn refused(breaks: impl Fn(&mut Charter), why: &CharterError) {
    let mut broken = charter(&people(4));
    assert_eq!(broken.check(), Ok(()));
    breaks(&mut broken);
    assert_eq!(broken.check(), Err(why.clone()));
    assert_eq!(Charter::from_bytes(&broken.to_bytes()), Err(why.clone()));
}

#[test]
fn bounds_of_a_charter_are_within_it() {
    type Change = fn(&mut Charter);
    let table: [Change; 9] = [
        |c| c.rules.spend.more_than_percent = 99,
        |c| c.rules.spend.period = 432,
        |c| c.rules.spend.period = 52_560,
        |c| c.rules.spend.delay = 52_560,
        |c| c.recovery.least = 1,
        |c| c.recovery.least = 4,
        |c| c.recovery.delay = 144,
        |c| c.recovery.delay = u16::MAX,
        |c| c.threshold = ThresholdRule::AtLeast(4),
    ];
    for (index, change) in table.into_iter().enumerate() {
        let mut sound = charter(&people(4));
        change(&mut sound);
        assert_eq!(sound.check(), Ok(()), "bound {index}");
        assert_eq!(Charter::from_bytes(&sound.to_bytes()), Ok(sound));
    }
}

#[test]
fn seven_co_signers_need_less_grace() {
    let mut seven = charter(&people(7));
    seven.rules.spend.period = 18;
    assert_eq!(seven.check(), Ok(()));
    seven.rules.spend.period = 17;
    assert!(seven.check().is_err());
}

#[test]
fn a_charter_has_one_encoding_and_every_change_another_id() {
    let charter = charter(&people(3));
    let bytes = charter.to_bytes();
    assert_eq!(Charter::from_bytes(&bytes), Ok(charter.clone()));
    assert_eq!(Charter::from_bytes(&[&bytes[..], &[0]].concat()), Err(CharterError::Malformed));
    assert_eq!(Charter::from_bytes(&[&[0x81, 0], &bytes[1..]].concat()), Err(CharterError::Malformed));
    for len in 0..bytes.len() {
        assert_eq!(Charter::from_bytes(&bytes[..len]), Err(CharterError::Malformed));
    }
    for byte in 0..bytes.len() {
        let mut other = bytes.clone();
        other[byte] ^= 1;
        assert!(Charter::from_bytes(&other).map_or(true, |other| other.id() != charter.id()), "byte {byte}");
    }
    assert_eq!(NetworkKind::from(charter.network), NetworkKind::Test);
}

#[test]
fn a_guild_is_founded_once_all_founders_signed() {
    let mut guild = guild(3);
    for who in 0..3 {
        assert!(!guild.fold().state.founded());
        assert!(Passing::founding(&guild.charter, &guild.fold().state).is_none());
        guild.say(who, Payload::Accept);
    }
    let state = guild.fold().state;
    assert!(state.founded());
    let body = certificate::Body::founding(&guild.charter);
    assert_eq!(Passing::founding(&guild.charter, &state).map(|passing| passing.body().clone()), Some(body));
}

#[test]
fn an_invitation_ends() {
    let mut guild = guild(2);
    let guest = people(7)[6].id();
    let invite = |expiry| Payload::Invite(entry::Invite { guest, name: line("Zoë"), expiry });
    let longest = TIP + limits::INVITE_MAX;
    let short = guild.say(0, invite(TIP + 1));
    let long = guild.say(1, invite(longest));
    let again = guild.say(1, invite(TIP));
    let too_long = guild.say(0, invite(longest + 1));
    for signed in [&short, &long, &again] {
        assert_eq!(guild.verdict(signed), Verdict::Applied);
    }
    assert_eq!(guild.verdict(&too_long), Verdict::Ignored(Ignored::LongInvite));
    assert_eq!(guild.fold().state.guests().next(), Some((guest, longest)), "the longest one counts");
}
