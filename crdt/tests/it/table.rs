//! Attacks of the two reviews that need no vote by the relative rule: keys, founding, guests, epochs. Names
//! begin with the number; each asserts what honest nodes end up with.

use crate::harness::{TIP, certificate, entry, group, group_key, guild, key_test, with_charter};
use crdt::charter::ThresholdRule;
use crdt::entry::{Invite, KeyReady};
use crdt::epoch::{Carried, Next, carried};
use crdt::governance::{Budget, Effect, EpochChange, Local, NotPassing, passing};
use crdt::testkit::{Person, ballot, payee, people, spend};
use crdt::text::{Line, Note};
use crdt::*;

fn line(text: &str) -> Line {
    Line::try_from(text.to_owned()).expect("plain")
}

#[test]
fn a10_keys_of_another_epoch_sign_nothing_of_this_one() {
    let mut guild = guild(4);
    let (present, old) = (group(1), group(2));
    guild.ready(&present);
    let id = ProposalId::from(guild.say(0, spend(70_000)).id());
    let body = guild.body(id);
    let of_epoch = |epoch| crdt::certificate::Body { epoch, ..body.clone() };
    for (who, epoch, key) in [(1, 1, &old), (2, 0, &old), (3, 2, &present), (0, 0, &present)] {
        let signed = guild.say(who, certificate(of_epoch(epoch), key));
        assert!(matches!(guild.verdict(&signed), Verdict::Ignored(_)), "epoch {epoch}");
    }
    assert_eq!(guild.fold().state.proposals[&id].decided(), None);
    let signed = guild.say(1, certificate(body, &present));
    assert_eq!(guild.verdict(&signed), Verdict::Applied);
}

#[test]
fn a14_before_a_key_is_stored_by_all_and_tested_twice_nothing_is_certified_or_shown() {
    let mut guild = guild(4);
    let key = group(1);
    let ready = || KeyReady { epoch: 1, attempt: 1, group_key: group_key(&key), transcript: Digest([7; 32]) };
    let id = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 0..4 {
        guild.say(who, ballot(id, Choice::Yes, true));
    }
    let body = guild.body(id);
    guild.say(0, certificate(body, &key));
    for who in 0..4 {
        assert_eq!(Passing::founding(&guild.charter, &guild.fold().state), None, "{who} accepted");
        assert_eq!(guild.fold().state.key, None, "{who} stored it");
        guild.say(who, Payload::Accept);
        guild.say(who, Payload::KeyReady(ready()));
    }
    let state = guild.fold().state;
    assert!(state.key.is_some() && state.usable_key().is_none(), "stored by all, and not tested");
    let (id_of_guild, founding) = (guild.charter.id(), Passing::founding(&guild.charter, &state));
    guild.say(1, key_test(id_of_guild, &key));
    assert!(guild.fold().state.usable_key().is_none(), "tested once");
    guild.say(2, certificate(founding.expect("all accepted").body().clone(), &key));
    assert!(guild.fold().state.usable_key().is_some());
    assert_eq!(guild.fold().state.proposals[&id].decided(), Some(0), "a proof that came before its key");
}

#[test]
fn a17_whoever_refuses_is_seen_and_a_vote_decides_nothing_by_itself() {
    let mut guild = guild(4);
    let key = group(1);
    guild.ready(&key);
    let id = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 0..4 {
        guild.say(who, ballot(id, Choice::Yes, true));
    }
    for who in [2, 3] {
        guild.say(who, Payload::Pause { on: true });
    }
    let state = guild.fold().state;
    let refusing = state.co_signers.iter().filter(|member| state.members[*member].paused).count();
    assert_eq!(refusing, state.co_signers.len() - state.signers_needed() + 1, "enough to stop everything");
    assert!(passing(&state, &id, &Local::at(TIP)).is_ok(), "all want it");
    assert_eq!(state.proposals[&id].decided(), None, "and it is not decided without the group's signature");
    guild.say(3, Payload::Pause { on: false });
    assert!(!guild.fold().state.members[&guild.id(3)].paused, "for all to see");
}

#[test]
fn f15_a_guest_is_known_by_its_invitation_and_says_nothing() {
    let mut guild = guild(3);
    let guest = &people(7)[5];
    let invite = Invite { guest: guest.id(), name: line("guest"), expiry: TIP + 144 };
    guild.say(0, Payload::Invite(invite));
    let state = guild.fold().state;
    assert_eq!(state.guests().collect::<Vec<_>>(), [(guest.id(), TIP + 144)]);
    let said = entry(guest, guild.charter.id(), (0, None, TIP), 1, Payload::Accept);
    assert_eq!(guild.document.insert(said.clone(), TIP), Insert::Stranger(guest.id()));
    let refused = guild.document.verifier().verify(&said.to_bytes());
    assert_eq!(refused, Err(crdt::signed::NotAnEntry::Stranger(guest.id())));
}

#[test]
fn f18_one_candidate_stops_no_change_and_t_follows_from_who_is_there() {
    let guild = guild(6);
    let state = guild.fold().state;
    let candidates: Vec<MemberId> = people(7).iter().map(Person::id).take(6).collect();
    for gone in 0..6 {
        let rest: Vec<MemberId> =
            candidates.iter().copied().filter(|member| *member != candidates[gone]).collect();
        let change = EpochChange {
            put: vec![],
            remove: vec![candidates[gone]],
            rules: None,
            threshold: None,
            candidates: rest.clone(),
            least: 4,
        };
        assert_eq!(change.check(), Ok(()));
        let next = Next::of(&state, Some(&change)).expect("all are there");
        assert!(!next.roll.contains_key(&candidates[gone]) && next.roll.len() == 5);
        let least = usize::from(change.least);
        let by_size: Vec<usize> = (least..=rest.len()).map(|present| next.threshold.of(present)).collect();
        assert_eq!(by_size, [3, 3], "a majority of the four or five who show up");
    }
    assert_eq!(ThresholdRule::Standard.of(7), 5);
}

#[test]
fn f17_decisions_are_carried_by_their_anchors_and_budgets_until_they_end() {
    let mut guild = with_charter(people(4), |_| {});
    let key = group(1);
    guild.ready(&key);
    let anchor = |vout| bitcoin::OutPoint::new(bitcoin::hashes::Hash::all_zeros(), vout);
    let budget = Effect::Budget(Budget {
        limit: bitcoin::Amount::from_sat(50_000),
        period: 144,
        payees: vec![payee(1)],
        drawers: vec![guild.id(1)],
        purpose: line("power"),
        end: TIP + 1_000,
        anchor: anchor(3),
    });
    let proposal = Proposal { title: line("power"), text: Note::default(), effect: budget };
    let id = ProposalId::from(guild.say(0, Payload::Propose(proposal)).id());
    assert!(carried(&guild.fold().state, TIP).is_empty(), "what is not certified lapses");
    let body = guild.body(id);
    guild.say(1, certificate(body, &key));
    let state = guild.fold().state;
    let expected = Carried { decision: id, option: 0, anchor: anchor(3) };
    assert_eq!(carried(&state, TIP + 1_000).into_iter().collect::<Vec<_>>(), [expected]);
    assert!(carried(&state, TIP + 1_001).is_empty(), "it is over");
}

#[test]
fn f34_a_yes_of_whoever_forked_below_it_counts_by_neither_rule() {
    let mut guild = guild(4);
    let id = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 0..3 {
        guild.say(who, ballot(id, Choice::Yes, true));
    }
    assert!(passing(&guild.fold().state, &id, &Local::at(TIP)).is_ok());
    let fork = entry(guild.person(2), guild.charter.id(), (0, None, TIP), 9, Payload::Accept);
    guild.document.insert(fork, TIP);
    let why = passing(&guild.fold().state, &id, &Local::at(TIP)).unwrap_err();
    assert!(matches!(why, NotPassing::Votes(tally) if tally.final_yes == 2 && tally.roll == 4));
}
