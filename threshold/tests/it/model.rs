//! Any order, any loss, any repetition: the same end. And a rejection changes nothing.

use proptest::prelude::*;
use rand::Rng;
use threshold::dkg::{self, Body, DkgMessage, Input, Round1, Statement};
use threshold::sign::{self, Request};
use threshold::testkit::{self, Cluster, member, party};
use threshold::{SessionId, Timestamp};

use crate::sign::CERTIFICATE;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bad_network_delays_a_key_and_changes_nothing(seed: u64, loss in 0_u32..60, repeat in 0_u32..60) {
        let mut calm = Cluster::new(2, 3, 5);
        calm.run();
        let mut cluster = Cluster::new(2, 3, 5);
        let mut rng = testkit::rng(seed);
        cluster.shuffle = true;
        cluster.tamper = Box::new(move |_, message| {
            let copies = usize::from(!rng.gen_ratio(loss, 100)) * (1 + usize::from(rng.gen_ratio(repeat, 100)));
            vec![message; copies]
        });
        let kill = testkit::rng(seed).gen_range(1..20);
        cluster.kill_after = Some((party(1), kill));
        cluster.run();
        // 20 rounds may all be lost, if hardly ever
        if let Some(keys) = cluster.keys() {
            prop_assert_eq!(keys.public, calm.keys().unwrap().public);
        } else {
            prop_assert!(loss > 30, "a key is made in the end");
        }
    }

    #[test]
    fn what_is_rejected_leaves_a_key_generation_unchanged(seed: u64, picks in prop::collection::vec(0_u8..8, 1..12)) {
        let mut session = dkg::Session::new(testkit::config(2, 3, party(1)), &mut testkit::rng(seed), NOW);
        let here = SessionId::dkg([7; 32], 1, 1);
        for pick in picks {
            let junk = Body::Round1(Round1 { package: vec![pick], sealing_key: [0; 32] });
            let input = match pick {
                0 => Input::Message(DkgMessage::sign(here, party(2), junk, &member(party(3)))),
                1 => Input::Message(DkgMessage::sign(here, party(1), junk, &member(party(1)))),
                2 => Input::Message(DkgMessage::sign(SessionId::from_bytes([0; 32]), party(2), junk, &member(party(2)))),
                3 => Input::Statement(party(3), Statement::Echo { session: here, round1_hash: [pick; 32] }),
                4 => Input::Statement(party(3), Statement::Echo { session: here, round1_hash: [9; 32] }),
                5 => Input::Stored(testkit::keys(2, 3, 1).shares[&party(1)].clone()),
                6 => Input::Statement(party(9), Statement::Echo { session: here, round1_hash: [9; 32] }),
                _ => Input::Tick,
            };
            let before = format!("{session:?}");
            if session.handle(input, NOW).is_err() {
                prop_assert_eq!(&before, &format!("{session:?}"));
            }
        }
    }

    #[test]
    fn what_is_rejected_leaves_a_ceremony_unchanged(picks in prop::collection::vec((0_u8..8, 1_u16..7), 1..30)) {
        let keys = KEYS.with(Clone::clone);
        let request = Request::Certificate(CERTIFICATE);
        let mut signers = keys.signers();
        let mut rng = testkit::rng(1);
        let mut coordinator =
            sign::Coordinator::new(&request, keys.public.clone(), keys.parties(), [1; 32], NOW).unwrap();
        let Some(sign::Effect::AskCommit(_, mut session)) = coordinator.next_effect() else { panic!() };
        for (pick, number) in picks {
            let from = party(number);
            let elsewhere = SessionId::from_bytes([pick; 32]);
            let mut commit = |session| {
                let signer = signers.get_mut(&from)?;
                let said = signer.commit(&request, session, party(1), &mut rng, NOW).ok()?;
                Some(sign::Input::Commitments(from, said))
            };
            let input = match pick {
                0 | 1 => commit(session),
                2 => commit(elsewhere),
                3 => Some(sign::Input::Shares(from, sign::Shares { session, list: vec![[1; 32]] })),
                4 => Some(sign::Input::Shares(from, sign::Shares { session: elsewhere, list: vec![] })),
                5 => Some(sign::Input::Refused(from, session, sign::Refusal::new("r", "e", "f"))),
                6 => Some(sign::Input::Commitments(from, sign::Commitments { session, list: vec![] })),
                _ => Some(sign::Input::Tick),
            };
            let Some(input) = input else { continue };
            let before = format!("{coordinator:?}");
            if coordinator.handle(input, NOW).is_err() {
                prop_assert_eq!(&before, &format!("{coordinator:?}"));
            }
            while let Some(effect) = coordinator.next_effect() {
                match effect {
                    sign::Effect::AskCommit(_, fresh) => session = fresh,
                    sign::Effect::AskSign(to, mut package) => {
                        let signer = signers.get_mut(&to).unwrap();
                        package.request = sign::RequestId::from_bytes([0; 32]);
                        let before = format!("{signer:?}");
                        prop_assert!(signer.sign(party(1), &package, NOW).is_err());
                        prop_assert_eq!(&before, &format!("{signer:?}"));
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn a_ceremony_ends_whatever_the_signers_do(seed: u64) {
        let mut rng = testkit::rng(seed);
        let keys = KEYS.with(Clone::clone);
        let mut honest = std::collections::BTreeSet::from([1, 2, 3, 4, 5].map(party));
        let report = keys.ceremony(&Request::Certificate(CERTIFICATE), keys.parties(), &mut |from, mut answer| {
            match rng.gen_range(0..8) {
                0 => { honest.remove(&from); None }
                1 => {
                    honest.remove(&from);
                    let session = crate::malicious_sign::session_of(&answer);
                    Some(sign::Input::Refused(from, session, sign::Refusal::new("r", "e", "f")))
                }
                2 => {
                    if let sign::Input::Shares(_, shares) = &mut answer {
                        honest.remove(&from);
                        shares.list[0][30] ^= 1;
                    }
                    Some(answer)
                }
                _ => Some(answer),
            }
        });
        prop_assert!(report.sessions.len() <= 3);
        match report.outcome {
            sign::Outcome::Signed(signatures) => {
                let key = keys.public.group().x_only();
                prop_assert!(crate::sign::verifies(&signatures[0], CERTIFICATE.message(), &key));
            }
            sign::Outcome::Failed(failure) => {
                prop_assert!(honest.len() < 3, "three honest parties always sign");
                let named = failure.refusals.len() + failure.silent.len() + failure.faulty.len();
                prop_assert!(named >= 3, "who did not sign is named");
            }
        }
    }

    #[test]
    fn bytes_from_anywhere_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 1_u8..9) {
        use threshold::Wire;
        let bytes = [&[1, 1, kind][..], &bytes].concat();
        let _ = threshold::PublicKeys::from_wire(&bytes);
        let _ = Statement::from_wire(&bytes);
        let _ = DkgMessage::from_wire(&bytes);
        let _ = dkg::Transcript::from_wire(&bytes).map(|transcript| transcript.verify());
        let _ = sign::Commitments::from_wire(&bytes);
        let _ = sign::SigningPackage::from_wire(&bytes);
        let _ = sign::Shares::from_wire(&bytes);
        let _ = sign::Refusal::from_wire(&bytes);
        let _ = threshold::KeyShare::from_bytes(&bytes);
        let _ = dkg::Change::from_bytes(&bytes[2..]);
        let _ = threshold::sealed::open(b"p", "x", &bytes);
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

thread_local! {
    static KEYS: testkit::Keys = testkit::keys(3, 5, 1);
}
