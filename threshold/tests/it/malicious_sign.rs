//! Signers and coordinators that lie, refuse or fall silent.

use crate::sign::{CERTIFICATE, transaction, verifies};
use threshold::sign::{self, Commitments, Coordinator, Failure, Refusal, Request};
use threshold::testkit::{self, party};
use threshold::{FixedBytes, PartyId, SessionId, Timestamp, Wire as _};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// The session that an answer to a coordinator is about.
pub(crate) fn session_of(answer: &sign::Input) -> SessionId {
    match answer {
        sign::Input::Commitments(_, commitments) => commitments.session,
        sign::Input::Shares(_, shares) => shares.session,
        other => panic!("{other:?}"),
    }
}

fn ranked(order: &[u16]) -> Vec<PartyId> {
    order.iter().map(|number| party(*number)).collect()
}

#[test]
fn a_silent_seat_is_replaced_by_the_next_in_rank() {
    let keys = testkit::keys(3, 5, 1);
    let report =
        keys.ceremony(&Request::Certificate(CERTIFICATE), ranked(&[4, 2, 5, 1, 3]), &mut |from, answer| {
            (from != party(2)).then_some(answer)
        });
    let sign::Outcome::Signed(signatures) = report.outcome else { panic!("{report:?}") };
    assert!(verifies(&signatures[0], CERTIFICATE.message(), &keys.public.group().x_only()));
    let asked: Vec<_> = report.sessions.into_iter().map(|(_, asked)| asked).collect();
    assert_eq!(asked, [ranked(&[2, 4, 5]), ranked(&[1, 4, 5])]);
}

#[test]
fn who_commits_and_then_is_silent_is_replaced_too() {
    let keys = testkit::keys(2, 3, 1);
    let report =
        keys.ceremony(&Request::Certificate(CERTIFICATE), ranked(&[1, 2, 3]), &mut |from, answer| {
            (from != party(2) || matches!(answer, sign::Input::Commitments(..))).then_some(answer)
        });
    assert!(matches!(report.outcome, sign::Outcome::Signed(_)));
    assert_eq!(report.sessions.len(), 2);
}

#[test]
fn a12_lying_shares_are_found_and_their_party_replaced() {
    let keys = testkit::keys(3, 5, 1);
    let tx = transaction(&keys.public.group(), &[([0, 0], None), ([1, 3], Some([4; 32]))]);
    let request = tx.request().unwrap();
    let report = keys.ceremony(&request, ranked(&[1, 2, 3, 4, 5]), &mut |from, mut answer| {
        if let (sign::Input::Shares(_, shares), true) = (&mut answer, [1, 3].map(party).contains(&from)) {
            // different lies, so that they do not cancel out
            shares.list[1][31] ^= u8::try_from(from.number()).unwrap();
        }
        Some(answer)
    });
    let sign::Outcome::Signed(signatures) = &report.outcome else { panic!("{report:?}") };
    assert!(tx.accepts(signatures));
    let last = &report.sessions.last().unwrap().1;
    assert_eq!(*last, ranked(&[2, 4, 5]));
    assert!(report.sessions.len() <= 3, "at most n - t + 1 sessions");
}

#[test]
fn liars_are_named_when_too_few_are_left() {
    let keys = testkit::keys(2, 3, 1);
    let report =
        keys.ceremony(&Request::Certificate(CERTIFICATE), ranked(&[1, 2, 3]), &mut |from, mut answer| {
            match &mut answer {
                sign::Input::Shares(_, shares) if from == party(1) => shares.list[0] = [0xff; 32],
                sign::Input::Commitments(_, commitments) if from == party(2) => {
                    commitments.list[0] = FixedBytes([0; 66]);
                }
                _ => {}
            }
            Some(answer)
        });
    let faulty = ranked(&[1, 2]);
    assert_eq!(report.outcome, sign::Outcome::Failed(Failure { faulty, ..Failure::default() }));
}

#[test]
fn when_all_refuse_all_were_asked() {
    let keys = testkit::keys(3, 5, 1);
    let report =
        keys.ceremony(&Request::Certificate(CERTIFICATE), ranked(&[5, 4, 3, 2, 1]), &mut |from, answer| {
            let refusal = Refusal::new("tally", "passing", format!("{from} says no"));
            Some(sign::Input::Refused(from, session_of(&answer), refusal))
        });
    let sign::Outcome::Failed(failure) = report.outcome else { panic!() };
    let refused: Vec<_> = failure.refusals.iter().map(|(party, _)| *party).collect();
    assert_eq!(refused, ranked(&[1, 2, 3, 4, 5]));
    assert_eq!(failure.refusals[1].1.found(), "party 2 says no");
    assert_eq!((failure.silent, failure.faulty), (vec![], vec![]));
}

#[test]
fn when_all_are_silent_it_ends() {
    let keys = testkit::keys(3, 5, 1);
    let report =
        keys.ceremony(&Request::Certificate(CERTIFICATE), ranked(&[1, 2, 3, 4, 5]), &mut |_, _| None);
    let silent = ranked(&[1, 2, 3, 4, 5]);
    assert_eq!(report.outcome, sign::Outcome::Failed(Failure { silent, ..Failure::default() }));
    assert!(report.sessions.len() <= 3);
}

/// Two signers with open sessions of one request, and the package that would complete them.
fn opened() -> (Vec<sign::Signer>, sign::SigningPackage) {
    let keys = testkit::keys(2, 3, 1);
    let (request, session) = (Request::Certificate(CERTIFICATE), SessionId::from_bytes([1; 32]));
    let mut signers: Vec<_> = keys.signers().into_values().take(2).collect();
    let mut rng = testkit::rng(1);
    let commitments = signers.iter_mut().map(|signer| {
        let commitments = signer.commit(&request, session, party(3), &mut rng, NOW).unwrap();
        (signer.party(), commitments.list)
    });
    let commitments = commitments.collect();
    (signers, sign::SigningPackage { session, request: request.id(), commitments })
}

#[test]
fn k1_a_nonce_signs_once() {
    let (mut signers, package) = opened();
    signers[0].sign(party(3), &package, NOW).unwrap();
    let again = signers[0].sign(party(3), &package, NOW);
    assert_eq!(again, Err(sign::Rejected::NoSuchSession(package.session)));
    let mut other = package.clone();
    other.commitments.insert(party(2), signers[1].commit_again());
    assert_eq!(signers[0].sign(party(3), &other, NOW), Err(sign::Rejected::NoSuchSession(package.session)));
}

trait CommitAgain {
    fn commit_again(&mut self) -> Vec<sign::Commitment>;
}

impl CommitAgain for sign::Signer {
    /// Fresh commitments for the same request in another session.
    fn commit_again(&mut self) -> Vec<sign::Commitment> {
        let session = SessionId::from_bytes([2; 32]);
        let request = Request::Certificate(CERTIFICATE);
        self.commit(&request, session, party(3), &mut testkit::rng(2), NOW).unwrap().list
    }
}

#[test]
fn a_new_session_drops_the_nonces_of_the_old_one_of_its_coordinator() {
    let (mut signers, package) = opened();
    signers[0].commit_again();
    assert_eq!(signers[0].sign(party(3), &package, NOW), Err(sign::Rejected::NoSuchSession(package.session)));
}

/// Party 2 coordinates the same request, under new names and under the name that party 3 uses; it drops
/// none of party 3's nonces, cannot use them, and nobody's nonces are the same.
#[test]
fn a_session_is_its_coordinators_alone() {
    let (mut signers, package) = opened();
    let request = Request::Certificate(CERTIFICATE);
    let mut rng = testkit::rng(5);
    for name in [package.session, SessionId::from_bytes([4; 32]), package.session] {
        let theirs = signers[0].commit(&request, name, party(2), &mut rng, NOW).unwrap();
        assert_ne!(Some(&theirs.list), package.commitments.get(&party(1)));
    }
    let stolen = signers[0].sign(party(2), &package, NOW);
    assert_eq!(stolen, Err(sign::Rejected::OurCommitments));
    let unknown = signers[0].sign(party(1), &package, NOW);
    assert_eq!(unknown, Err(sign::Rejected::NoSuchSession(package.session)));
    signers[0].sign(party(3), &package, NOW).expect("party 3 signs in its own session");
}

#[test]
fn asking_again_gives_the_same_commitments() {
    let (mut signers, package) = opened();
    let request = Request::Certificate(CERTIFICATE);
    let again = signers[0].commit(&request, package.session, party(3), &mut testkit::rng(9), NOW).unwrap();
    assert_eq!(Some(&again.list), package.commitments.get(&party(1)));
    let other = Request::Certificate(sign::CertificateBody { option: 9, ..CERTIFICATE });
    let taken = signers[0].commit(&other, package.session, party(3), &mut testkit::rng(9), NOW);
    assert_eq!(taken, Err(sign::Rejected::SessionTaken(package.session)));
}

#[test]
fn nonces_expire() {
    let (mut signers, package) = opened();
    let late = NOW.after(sign::NONCE_LIFE);
    assert_eq!(
        signers[0].sign(party(3), &package, late),
        Err(sign::Rejected::NoSuchSession(package.session))
    );
}

#[test]
fn sessions_are_bounded() {
    let keys = testkit::keys(2, 3, 1);
    let mut signer = keys.signers().remove(&party(1)).unwrap();
    let mut rng = testkit::rng(1);
    let mut commit = |coordinator, number: usize| {
        let body = sign::CertificateBody { close: u32::try_from(number).unwrap(), ..CERTIFICATE };
        let session = SessionId::from_bytes([u8::try_from(number).unwrap(); 32]);
        signer.commit(&Request::Certificate(body), session, party(coordinator), &mut rng, NOW).map(drop)
    };
    (0..sign::MAX_OPEN_SESSIONS).for_each(|number| commit(2, number).unwrap());
    let busy = Err(sign::Rejected::Busy { open: sign::MAX_OPEN_SESSIONS });
    assert_eq!(commit(2, sign::MAX_OPEN_SESSIONS), busy);
    // a full coordinator takes nobody else's seats
    (0..sign::MAX_OPEN_SESSIONS).for_each(|number| commit(3, number).unwrap());
}

#[test]
fn a_coordinator_cannot_change_what_is_signed_or_by_whom() {
    let (mut signers, package) = opened();
    let [two, three] = [2, 3].map(party);
    let other = Request::Certificate(sign::CertificateBody { option: 9, ..CERTIFICATE }).id();
    type Change = Box<dyn Fn(&mut sign::SigningPackage)>;
    let changes: Vec<(&str, Change)> = vec![
        ("other request", Box::new(move |package| package.request = other)),
        ("other session", Box::new(|package| package.session = SessionId::from_bytes([9; 32]))),
        ("too few", Box::new(move |package| drop(package.commitments.remove(&two)))),
        (
            "too many",
            Box::new(move |package| {
                let copy = package.commitments[&two].clone();
                package.commitments.insert(three, copy);
            }),
        ),
        (
            "stranger",
            Box::new(move |package| {
                let copy = package.commitments.remove(&two).unwrap();
                package.commitments.insert(party(9), copy);
            }),
        ),
        (
            "ours changed",
            Box::new(move |package| {
                let copy = package.commitments[&two].clone();
                package.commitments.insert(party(1), copy);
            }),
        ),
        ("none", Box::new(move |package| drop(package.commitments.insert(two, vec![])))),
        (
            "no point",
            Box::new(move |package| {
                package.commitments.insert(two, vec![FixedBytes([0; 66])]);
            }),
        ),
    ];
    for (name, change) in changes {
        let mut changed = package.clone();
        change(&mut changed);
        assert!(signers[0].sign(party(3), &changed, NOW).is_err(), "{name}");
    }
    signers[0].sign(party(3), &package, NOW).expect("a rejection left the session as it was");
}

/// The session that a coordinator asks for.
fn asked(coordinator: &mut Coordinator) -> SessionId {
    let effects = std::iter::from_fn(|| coordinator.next_effect());
    let session = effects.filter_map(|effect| match effect {
        sign::Effect::AskCommit(_, session) => Some(session),
        _ => None,
    });
    session.last().unwrap()
}

/// Party 2 was busy, or out of reach, in the first session. It has a seat in the second, and what arrives
/// late from the first takes it from it in no way.
#[test]
fn what_was_said_in_an_old_session_costs_nobody_a_new_seat() {
    let keys = testkit::keys(2, 3, 1);
    let request = Request::Certificate(CERTIFICATE);
    let mut coordinator = Coordinator::new(&request, keys.public, ranked(&[1, 2, 3]), [1; 32], NOW).unwrap();
    let first = asked(&mut coordinator);
    coordinator.handle(sign::Input::Gone(party(1)), NOW).unwrap();
    let second = asked(&mut coordinator);
    assert_ne!(first, second);
    let stale = Err(sign::Rejected::NoSuchSession(first));
    let busy = Refusal::new("signing session", "a seat", "busy");
    assert_eq!(coordinator.handle(sign::Input::Refused(party(2), first, busy.clone()), NOW), stale);
    assert_eq!(coordinator.handle(sign::Input::Silent(party(2), first), NOW), stale);
    assert_eq!(coordinator.waiting_on().missing, [(party(2), NOW), (party(3), NOW)]);
    coordinator.handle(sign::Input::Refused(party(2), second, busy), NOW).unwrap();
    assert_eq!(coordinator.waiting_on().step, sign::Step::Reasons);
}

#[test]
fn a_late_refusal_is_kept() {
    let keys = testkit::keys(2, 3, 1);
    let request = Request::Certificate(CERTIFICATE);
    let all = ranked(&[1, 2, 3]);
    let mut coordinator = Coordinator::new(&request, keys.public, all, [1; 32], NOW).unwrap();
    let late = NOW.after(sign::ROUND_TIMEOUT);
    let refusal = |number| Refusal::new("tally", "passing", format!("{number}"));
    let first = asked(&mut coordinator);
    coordinator.handle(sign::Input::Gone(party(1)), NOW).unwrap();
    coordinator.handle(sign::Input::Refused(party(1), first, refusal(1)), NOW).unwrap();
    let second = asked(&mut coordinator);
    coordinator.handle(sign::Input::Refused(party(2), second, refusal(2)), NOW).unwrap();
    assert_eq!(coordinator.waiting_on().step, sign::Step::Reasons);
    assert_eq!(coordinator.waiting_on().missing, [(party(3), NOW)]);
    coordinator.handle(sign::Input::Tick, late).unwrap();
    let done = std::iter::from_fn(|| coordinator.next_effect()).last();
    let Some(sign::Effect::Done(sign::Outcome::Failed(failure))) = done else { panic!("{done:?}") };
    assert_eq!(failure.refusals, [(party(1), refusal(1)), (party(2), refusal(2))]);
    assert_eq!(failure.silent, [party(3)]);
}

#[test]
fn strangers_and_old_sessions_have_no_say() {
    let keys = testkit::keys(2, 3, 1);
    let request = Request::Certificate(CERTIFICATE);
    let mut coordinator = Coordinator::new(&request, keys.public, ranked(&[1, 2, 3]), [1; 32], NOW).unwrap();
    let old = SessionId::from_bytes([0; 32]);
    let said = |session| Commitments { session, list: vec![] };
    let no_seat = Err(sign::Rejected::NoSeat(party(3)));
    assert_eq!(coordinator.handle(sign::Input::Commitments(party(3), said(old)), NOW), no_seat);
    let no_session = Err(sign::Rejected::NoSuchSession(old));
    assert_eq!(coordinator.handle(sign::Input::Commitments(party(1), said(old)), NOW), no_session);
    assert_eq!(coordinator.waiting_on().missing, [(party(1), NOW), (party(2), NOW)]);
    assert_eq!(coordinator.waiting_on().next, Some(party(3)));
    let few = Coordinator::new(&request, testkit::keys(2, 3, 1).public, ranked(&[1, 1, 9]), [1; 32], NOW);
    assert_eq!(few.err(), Some(sign::BadRequest::Candidates { needed: 2, found: 1 }));
}

/// Every message of a ceremony that a signer sends, edited in flight in every way: who sent it is named or
/// passed over, and what comes out in the end is the signature on the request, or nothing.
#[test]
fn every_answer_edited_in_flight_costs_at_most_its_sender_a_seat() {
    type Edit = fn(&mut sign::Input);
    fn commitments(input: &mut sign::Input) -> Option<&mut Commitments> {
        if let sign::Input::Commitments(_, said) = input { Some(said) } else { None }
    }
    fn shares(input: &mut sign::Input) -> Option<&mut sign::Shares> {
        if let sign::Input::Shares(_, said) = input { Some(said) } else { None }
    }
    fn refuse(input: &mut sign::Input, rule: &str, session: SessionId) {
        *input = sign::Input::Refused(party(2), session, Refusal::new(rule, "e", "f"));
    }
    let edits: [(&str, Edit); 12] = [
        ("a refusal instead", |input| refuse(input, "tally", session_of(input))),
        ("a refusal of a wrong session", |input| refuse(input, "tally", SessionId::from_bytes([0; 32]))),
        ("an oversized refusal", |input| refuse(input, &"x".repeat(100_000), session_of(input))),
        ("identity point", |input| {
            commitments(input).into_iter().for_each(|said| said.list[0] = FixedBytes([0; 66]));
        }),
        ("truncated commitments", |input| {
            commitments(input).into_iter().for_each(|said| said.list.clear());
        }),
        ("oversized commitments", |input| {
            commitments(input).into_iter().for_each(|said| said.list.push(said.list[0]));
        }),
        ("commitments of a wrong session", |input| {
            commitments(input).into_iter().for_each(|said| said.session = SessionId::from_bytes([0; 32]));
        }),
        ("another point", |input| {
            commitments(input).into_iter().for_each(|said| said.list[0].0.rotate_left(33));
        }),
        ("truncated shares", |input| shares(input).into_iter().for_each(|said| said.list.clear())),
        ("oversized shares", |input| shares(input).into_iter().for_each(|said| said.list.push([1; 32]))),
        ("shares of a wrong session", |input| {
            shares(input).into_iter().for_each(|said| said.session = SessionId::from_bytes([0; 32]));
        }),
        ("a wrong share", |input| shares(input).into_iter().for_each(|said| said.list[0][31] ^= 1)),
    ];
    let keys = testkit::keys(2, 3, 1);
    for (name, edit) in edits {
        let request = Request::Certificate(CERTIFICATE);
        let report = keys.ceremony(&request, ranked(&[1, 2, 3]), &mut |from, mut answer| {
            if from == party(2) {
                edit(&mut answer);
            }
            Some(answer)
        });
        let sign::Outcome::Signed(signatures) = &report.outcome else { panic!("{name}: {report:?}") };
        assert!(verifies(&signatures[0], CERTIFICATE.message(), &keys.public.group().x_only()), "{name}");
        let last = &report.sessions.last().unwrap().1;
        assert_eq!(*last, ranked(&[1, 3]), "{name}: the honest keep their seats, and only they");
    }
}

/// Every bit of the package that a coordinator sends to one signer, flipped on the way. What is turned away
/// costs the signer nothing; what it signs all the same fits no other share, and signs nothing at all.
#[test]
fn a_package_with_any_bit_flipped_signs_nothing() {
    let keys = testkit::keys(2, 3, 1);
    let (request, coordinator) = (Request::Certificate(CERTIFICATE), party(3));
    let (signers, package) = opened();
    let bits = package.to_wire().len() * 8;
    drop(signers);
    let (mut turned_away, mut signed) = (0, 0);
    for bit in 0..bits {
        let (mut signers, package) = opened();
        let mut bytes = package.to_wire();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let edited = sign::SigningPackage::from_wire(&bytes);
        let Some(given) = edited.ok().and_then(|edited| signers[0].sign(coordinator, &edited, NOW).ok())
        else {
            turned_away += 1;
            signers[0].sign(coordinator, &package, NOW).expect("the session is as it was");
            continue;
        };
        signed += 1;
        let honest = signers[1].sign(coordinator, &package, NOW).unwrap();
        let ranked = ranked(&[1, 2]);
        let mut ceremony = Coordinator::new(&request, keys.public.clone(), ranked, [1; 32], NOW).unwrap();
        let session = asked(&mut ceremony);
        for (number, list) in &package.commitments {
            let said = Commitments { session, list: list.clone() };
            ceremony.handle(sign::Input::Commitments(*number, said), NOW).unwrap();
        }
        for (number, shares) in [(1, given), (2, honest)] {
            let said = sign::Shares { session, list: shares.list };
            ceremony.handle(sign::Input::Shares(party(number), said), NOW).unwrap();
        }
        let done = std::iter::from_fn(|| ceremony.next_effect()).last();
        assert!(matches!(done, Some(sign::Effect::Done(sign::Outcome::Failed(_)))), "bit {bit}: {done:?}");
    }
    // Only another valid point of the other signer is anything that can be signed.
    assert!(turned_away > signed && signed > 0, "{turned_away} and {signed} of {bits}");
}

/// A coordinator shows another list of commitments to one signer, or replays an old one. Both are shares
/// that fit nothing: no signature comes out, and no nonce is used again.
#[test]
fn lists_that_differ_make_shares_and_no_signature() {
    let (mut signers, package) = opened();
    let mut other = package.clone();
    // what party 2 committed to in a session of another coordinator
    let replayed = signers[1]
        .commit(&Request::Certificate(CERTIFICATE), package.session, party(2), &mut testkit::rng(3), NOW)
        .unwrap();
    other.commitments.insert(party(2), replayed.list);
    let one = signers[0].sign(party(3), &other, NOW).unwrap();
    let two = signers[1].sign(party(3), &package, NOW).unwrap();
    let keys = testkit::keys(2, 3, 1);
    let request = Request::Certificate(CERTIFICATE);
    let mut coordinator = Coordinator::new(&request, keys.public, ranked(&[1, 2]), [1; 32], NOW).unwrap();
    let session = asked(&mut coordinator);
    for (number, list) in &package.commitments {
        let said = Commitments { session, list: list.clone() };
        coordinator.handle(sign::Input::Commitments(*number, said), NOW).unwrap();
    }
    for (number, shares) in [(1, one), (2, two)] {
        let said = sign::Shares { session, list: shares.list };
        coordinator.handle(sign::Input::Shares(party(number), said), NOW).unwrap();
    }
    let done = std::iter::from_fn(|| coordinator.next_effect()).last();
    let Some(sign::Effect::Done(sign::Outcome::Failed(failure))) = done else { panic!("{done:?}") };
    assert_eq!(
        failure.faulty,
        [party(1)],
        "a verdict of this ceremony only: the coordinator could have lied"
    );
    for signer in signers.iter_mut() {
        let again = signer.sign(party(3), &package, NOW);
        assert_eq!(again, Err(sign::Rejected::NoSuchSession(package.session)));
    }
}

/// n − t silent or lying signers, of whatever kind: the signature comes within two time-outs.
#[test]
fn with_n_minus_t_silent_or_lying_it_is_signed_within_two_time_outs() {
    let keys = testkit::keys(3, 5, 1);
    let request = Request::Certificate(CERTIFICATE);
    for (lying, seed) in [(false, 1), (true, 2)] {
        let mut now = NOW;
        let mut rng = testkit::rng(seed);
        let mut signers = keys.signers();
        let order = ranked(&[1, 2, 3, 4, 5]);
        let mut coordinator = Coordinator::new(&request, keys.public.clone(), order, [1; 32], now).unwrap();
        let bad = |who: PartyId| [1, 2].map(party).contains(&who);
        let (mut timeouts, mut outcome) = (0, None);
        while outcome.is_none() {
            let mut inputs = vec![];
            while let Some(effect) = coordinator.next_effect() {
                match effect {
                    sign::Effect::AskCommit(to, session) if lying || !bad(to) => {
                        let signer = signers.get_mut(&to).unwrap();
                        let said = signer.commit(&request, session, party(5), &mut rng, now).unwrap();
                        inputs.push(sign::Input::Commitments(to, said));
                    }
                    sign::Effect::AskSign(to, package) => {
                        let mut said = signers.get_mut(&to).unwrap().sign(party(5), &package, now).unwrap();
                        said.list[0][31] ^= u8::from(bad(to)) * u8::try_from(to.number()).unwrap();
                        inputs.push(sign::Input::Shares(to, said));
                    }
                    sign::Effect::Done(done) => outcome = Some(done),
                    sign::Effect::AskCommit(..) | sign::Effect::WakeAt(_) => {}
                }
            }
            if inputs.is_empty() && outcome.is_none() {
                timeouts += 1;
                now = now.after(sign::ROUND_TIMEOUT);
                inputs.push(sign::Input::Tick);
            }
            for input in inputs {
                let _ = coordinator.handle(input, now);
            }
        }
        let Some(sign::Outcome::Signed(signatures)) = outcome else { panic!("{outcome:?}") };
        assert!(verifies(&signatures[0], CERTIFICATE.message(), &keys.public.group().x_only()));
        assert!(timeouts <= 2, "{timeouts} time-outs");
        let verdicts = coordinator.verdicts();
        let named = if lying { verdicts.faulty } else { verdicts.silent };
        assert_eq!(named, ranked(&[1, 2]), "each is named, though the others signed");
    }
}
