//! Decisions by whole nodes on the bus: votes, statements, certificates by real FROST signatures, and what
//! survives a restart. Here the tip is a number and time is ours.

use crate::bus::Bus;
use crdt::Payload;
use crdt::rules::{Rule, Rules};
use node::api::dto::governance::{Explanation, NewEffect, Settings};
use node::api::dto::{Answer, CertificateFile, ChoiceDto, Command, NewBallot, NewSpend, ProposalDto};
use node::core::ask::Ask;
use node::error::Code;
use node::net::protocol::{Request, Response};
use threshold::sign::{Commitments, RequestId, SigningPackage};
use threshold::{PartyId, SessionId, Wire as _};

/// Seconds in which nodes on the bus make and test a key.
const KEY: u64 = 120;
/// The height everybody starts at, the close of what is proposed there, and the end of its grace.
const START: u32 = 1;
const CLOSE: u32 = START + 432;
const OVER: u32 = CLOSE + 144;

fn guild(count: usize) -> Bus {
    let mut bus = Bus::with(count, |charter| charter.rules = Rules::all(Rule::Relative, 50, 432));
    bus.run(KEY);
    assert!(bus.status(0).key_usable);
    bus
}

fn propose(bus: &mut Bus, who: usize, effect: NewEffect) -> String {
    let title = "Shall we?".to_owned();
    let new =
        NewSpend { title, text: String::new(), outputs: vec![], distribute_sat: None, effect: Some(effect) };
    match bus.command(who, Command::Propose(new)) {
        Ok(Answer::Proposal(shown)) => shown.id,
        other => panic!("{other:?}"),
    }
}

fn vote(bus: &mut Bus, who: usize, id: &str, choice: ChoiceDto, options: Vec<u16>) {
    let ballot = NewBallot { choice, last: false, reason: String::new(), options };
    bus.command(who, Command::Vote(id.to_owned(), ballot)).expect("counts");
}

fn shown(bus: &mut Bus, who: usize, id: &str) -> ProposalDto {
    match bus.command(who, Command::Proposal(id.to_owned())) {
        Ok(Answer::Proposal(shown)) => *shown,
        other => panic!("{other:?}"),
    }
}

fn explained(bus: &mut Bus, who: usize, id: &str) -> Explanation {
    match bus.command(who, Command::Explain(id.to_owned())) {
        Ok(Answer::Explanation(explained)) => *explained,
        other => panic!("{other:?}"),
    }
}

fn settings(bus: &mut Bus, who: usize) -> Settings {
    match bus.command(who, Command::Settings) {
        Ok(Answer::Settings(settings)) => settings,
        other => panic!("{other:?}"),
    }
}

fn statements(bus: &Bus, who: usize) -> usize {
    let said = bus.said(who);
    said.iter().filter(|signed| matches!(signed.entry().payload, Payload::CloseStatement(_))).count()
}

#[test]
fn those_who_vote_decide_and_a_restart_forgets_nothing_it_saw() {
    let mut bus = guild(5);
    let id = propose(&mut bus, 0, NewEffect::Text);
    bus.run(40);
    for who in 0..3 {
        vote(&mut bus, who, &id, ChoiceDto::Yes, vec![]);
    }
    bus.run(40);
    bus.restart(4); // what it saw in time is in its journal
    bus.run(40);
    bus.reach(CLOSE);
    bus.run(5);
    assert!(shown(&mut bus, 4, &id).certificate.is_none(), "not before c + G");
    let before = explained(&mut bus, 4, &id);
    let grace = before.checks.iter().find(|check| check.rule == "grace").expect("by the relative rule");
    assert_eq!((grace.holds, grace.expected.as_str()), (Some(false), "a tip of 577 or more"));
    bus.reach(OVER);
    bus.run(120);
    for who in 0..5 {
        assert_eq!(statements(&bus, who), 1, "node {who} speaks once");
        let shown = shown(&mut bus, who, &id);
        assert!(shown.certificate.is_some(), "node {who}: {}", shown.next);
        assert_eq!(shown.status, "in force");
    }
    let own = bus.said(4);
    let statement = own.iter().find_map(|signed| match &signed.entry().payload {
        Payload::CloseStatement(statement) => Some(statement.clone()),
        _ => None,
    });
    assert_eq!(statement.expect("one").seen[0].ballots.len(), 3, "seen before its restart");
    let after = explained(&mut bus, 4, &id);
    assert!(
        after
            .checks
            .iter()
            .filter(|check| check.rule != "absolute rule")
            .all(|check| check.holds == Some(true)),
        "{after:#?}"
    );
    assert_eq!(after.voters.iter().filter(|voter| voter.counts == "certain yes").count(), 3);
}

#[test]
fn a_choice_of_policies_reaches_the_register_and_its_proof_stands_alone() {
    let mut bus = guild(4);
    assert_eq!(settings(&mut bus, 1).settings[0].decision, None, "the charter's");
    let options =
        ["solo", "pool"].map(|mode| node::api::dto::governance::NewOption::Mining { mode: mode.to_owned() });
    let id = propose(&mut bus, 1, NewEffect::Choose { options: options.to_vec() });
    bus.run(40);
    for who in 0..3 {
        vote(&mut bus, who, &id, ChoiceDto::Yes, vec![2]);
    }
    let plain = NewBallot { choice: ChoiceDto::Yes, last: false, reason: String::new(), options: vec![] };
    let refused = bus.command(3, Command::Vote(id.clone(), plain)).unwrap_err();
    assert_eq!(refused.code, Code::Usage, "{}", refused.detail);
    bus.run(40);
    bus.reach(OVER);
    bus.run(120);
    for who in 0..4 {
        let value = settings(&mut bus, who).settings.remove(0);
        assert_eq!(value.decision.as_ref(), Some(&id));
        assert!(value.value.starts_with("pool"), "{}", value.value);
    }
    let Ok(Answer::Certificate(file)) = bus.command(2, Command::Certificate(id.clone())) else {
        panic!("a proof")
    };
    let file: CertificateFile = *file;
    assert_eq!((file.option, file.close), (1, CLOSE));
}

#[test]
fn a17_whoever_refuses_is_named_with_rule_expected_and_found_and_all_see_who_pauses() {
    let mut bus = guild(3 + 1);
    for who in [0, 1] {
        bus.command(who, Command::Pause(true)).expect("said");
    }
    let id = propose(&mut bus, 2, NewEffect::Text);
    bus.run(40);
    for who in 0..4 {
        vote(&mut bus, who, &id, ChoiceDto::Yes, vec![]);
    }
    bus.run(40);
    bus.reach(OVER);
    bus.run(120);
    assert!(shown(&mut bus, 3, &id).certificate.is_none(), "two of four are fewer than three");
    let explained = explained(&mut bus, 3, &id);
    assert_eq!(explained.co_signers.iter().filter(|co_signer| co_signer.paused).count(), 2);
    let seen = [2, 3].map(|who| self::explained(&mut bus, who, &id).co_signers).concat();
    let mut refusals = seen.iter().filter_map(|one| Some((one.member.as_str(), one.refusal.as_ref()?)));
    let (member, refusal) = refusals.next().expect("one of the two who sign led, and was refused");
    assert!(["alice", "bob"].contains(&member), "{member}");
    assert_eq!((refusal.rule.as_str(), refusal.found.as_str()), ("not paused", "guild pause is on"));
    assert_eq!(refusal.expected, "a co-signer that signs");
    bus.command(1, Command::Pause(false)).expect("said");
    bus.run(120);
    assert!(shown(&mut bus, 3, &id).certificate.is_some());
}

#[test]
fn a5_ballots_kept_back_from_real_nodes_until_the_close_are_disputed() {
    let mut bus = guild(5);
    let id = propose(&mut bus, 0, NewEffect::Text);
    bus.run(40);
    for who in [0, 1] {
        vote(&mut bus, who, &id, ChoiceDto::Yes, vec![]);
    }
    bus.run(40);
    // The fifth votes by its own word in time, and shows it when the votes are over.
    let proposal = id.parse().expect("an id");
    bus.puppet(4, |_, _| {});
    bus.reach(OVER);
    bus.puppet(4, |document, person| {
        person.say(document, START, crdt::testkit::ballot(proposal, crdt::Choice::Yes, false));
    });
    bus.run(120);
    bus.reach(OVER + 145);
    bus.run(120);
    for who in 0..4 {
        let shown = shown(&mut bus, who, &id);
        assert!(shown.certificate.is_none(), "node {who}");
        assert!(shown.ballots.len() == 3, "it is held: {:?}", shown.ballots);
    }
    let explained = explained(&mut bus, 0, &id);
    let late = explained.voters.iter().find(|voter| voter.member == "erin").expect("a member");
    assert_eq!(late.counts, "nothing: disputed", "{late:?}");
}

/// A coordinator that gathers shares and keeps the signature to itself, while it is connected and everybody
/// else waits for it: the signers tell each other what they gave, and one of them says the certificate.
#[test]
fn a_coordinator_that_keeps_the_signature_to_itself_keeps_nothing() {
    let mut bus = Bus::new(5);
    bus.chatty = true;
    bus.run(KEY);
    let id = propose(&mut bus, 0, NewEffect::Text);
    bus.run(5);
    let proposal: crdt::ProposalId = id.parse().expect("an id");
    let ask = Ask::Certificate(proposal);
    let first = ask.subject().ranked(&bus.charter.co_signers)[0];
    let leader = (0..5).find(|index| bus.member(*index) == first).expect("a member");
    bus.puppet(leader, |_, _| {}); // here, and silent
    let signers: Vec<usize> = (0..5).filter(|index| *index != leader).take(3).collect();
    for who in &signers {
        let ballot = NewBallot { choice: ChoiceDto::Yes, last: true, reason: String::new(), options: vec![] };
        bus.command(*who, Command::Vote(id.clone(), ballot)).expect("counts");
    }
    bus.run(2);
    let session = [7; 32];
    let commit = |request| Bus::offer(ask, session, request);
    let Response::Refused(refusal) = bus.forge(first, signers[0], commit([0; 32])) else {
        panic!("no such request")
    };
    let request: [u8; 32] =
        bitcoin::hex::FromHex::from_hex(refusal.expected()).expect("the name of the request");
    let mut commitments = std::collections::BTreeMap::new();
    for who in &signers {
        let Response::Commitments(bytes) = bus.forge(first, *who, commit(request)) else {
            panic!("it passes")
        };
        let said = Commitments::from_wire(&bytes).expect("commitments");
        let seat = bus.charter.co_signers.iter().position(|seat| *seat == bus.member(*who));
        let party = PartyId::new(u16::try_from(seat.expect("a seat") + 1).expect("few")).expect("a party");
        commitments.insert(party, said.list);
    }
    let (session, request) = (SessionId::from_bytes(session), RequestId::from_bytes(request));
    let package = SigningPackage { session, request, commitments }.to_wire();
    for who in &signers {
        let asked = Request::Sign { ask, package: package.clone() };
        assert!(matches!(bus.forge(first, *who, asked), Response::Shares(_)), "node {who} signs");
    }
    assert!(shown(&mut bus, signers[0], &id).certificate.is_none(), "the leader has it, and says nothing");
    bus.run(7); // less than the 10 seconds after which another would begin anew
    let shown = shown(&mut bus, signers[0], &id);
    assert!(shown.certificate.is_some(), "{}", shown.next);
}
