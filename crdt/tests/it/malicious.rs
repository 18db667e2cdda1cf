//! Members who lie, fork, flood and over-claim: what an honest node makes of it (D2, D3).

use crate::harness::{TIP, branch, certificate, entry, group, guild, key_ready, key_test};
use crdt::certificate::CertificateError;
use crdt::chain::Broken;
use crdt::limits::{AHEAD, HELD_PER_AUTHOR, QUOTA_BLOCKS, QUOTA_BYTES, QUOTA_ENTRIES};
use crdt::testkit::{ballot, spend};
use crdt::text::Note;
use crdt::*;

fn word(seq: u32) -> (Height, u8, Payload) {
    (TIP, u8::try_from(seq % 200).expect("small"), Payload::Accept)
}

#[test]
fn more_entries_than_a_quota_are_invalid_until_the_next_bucket() {
    let mut guild = guild(2);
    let chain = branch(&guild.people[0], guild.charter.id(), None, QUOTA_ENTRIES, word);
    for signed in &chain {
        assert!(matches!(guild.document.insert(signed.clone(), TIP), Insert::New(_)));
    }
    let one_more = |height, salt| {
        let place = (QUOTA_ENTRIES, chain.last().map(Signed::id), height);
        entry(&guild.people[0], guild.charter.id(), place, salt, Payload::Accept)
    };
    let bucket = (TIP / QUOTA_BLOCKS + 1) * QUOTA_BLOCKS;
    let mut document = guild.document.clone();
    assert_eq!(document.insert(one_more(bucket - 1, 1), bucket), Insert::Invalid(Broken::Quota));
    assert!(matches!(document.insert(one_more(bucket, 2), bucket), Insert::New(_)));
    assert_eq!(document.insert(one_more(bucket - 1, 3), bucket), Insert::Invalid(Broken::Quota));
    assert!(document.chain(&guild.id(0)).unwrap().fork().is_none(), "an invalid entry is no evidence");
}

#[test]
fn more_bytes_than_a_quota_are_invalid() {
    let mut guild = guild(2);
    let text = Note::try_from("x".repeat(16_000)).unwrap();
    let comment =
        |_| (TIP, 1, Payload::Comment { proposal: ProposalId(Digest([1; 32])), text: text.clone() });
    let chain = branch(&guild.people[0], guild.charter.id(), None, 70, comment);
    let fits = QUOTA_BYTES / chain[1].to_bytes().len();
    assert!(fits < 70);
    for (index, signed) in chain.iter().enumerate() {
        let inserted = guild.document.insert(signed.clone(), TIP);
        match index.cmp(&fits) {
            std::cmp::Ordering::Less => assert!(matches!(inserted, Insert::New(_)), "{index}"),
            std::cmp::Ordering::Equal => assert_eq!(inserted, Insert::Invalid(Broken::Quota)),
            std::cmp::Ordering::Greater => assert_eq!(inserted, Insert::Held),
        }
    }
}

#[test]
fn an_entry_that_breaks_its_chain_is_invalid_by_name() {
    let guild = guild(2);
    let (person, id) = (&guild.people[0], guild.charter.id());
    let first = entry(person, id, (0, None, 50), 1, Payload::Accept);
    let second = entry(person, id, (1, Some(first.id()), 60), 1, Payload::Accept);
    let table = [
        ((2, Some(second.id()), 59), Insert::Invalid(Broken::HeightFell { claimed: 59, before: 60 })),
        ((1, Some(first.id()), 49), Insert::Invalid(Broken::HeightFell { claimed: 49, before: 50 })),
        ((0, Some(first.id()), 50), Insert::Invalid(Broken::Predecessor(0))),
        ((1, None, 60), Insert::Invalid(Broken::Predecessor(1))),
        ((2, Some(first.id()), 60), Insert::Held),
        ((3, Some(second.id()), 60), Insert::Held),
        ((u32::MAX, Some(second.id()), 60), Insert::Held),
        ((2, Some(second.id()), TIP + AHEAD + 1), Insert::Held),
        ((2, Some(second.id()), u32::MAX), Insert::Held),
    ];
    for (place, expected) in table {
        let mut document = guild.empty();
        document.insert(first.clone(), TIP);
        document.insert(second.clone(), TIP);
        assert_eq!(document.insert(entry(person, id, place, 9, Payload::Accept), TIP), expected, "{place:?}");
        assert!(document.chain(&guild.id(0)).unwrap().fork().is_none());
        assert_eq!(document.len(), 2);
    }
}

#[test]
fn a_height_ahead_of_our_tip_waits_for_it() {
    let mut guild = guild(2);
    let ahead = entry(&guild.people[0], guild.charter.id(), (0, None, TIP + AHEAD + 1), 1, Payload::Accept);
    assert_eq!(guild.document.insert(ahead.clone(), TIP), Insert::Held);
    assert!(guild.document.tip_reached(TIP).is_empty());
    assert_eq!(guild.document.tip_reached(TIP + 1), vec![ahead]);
    let just = entry(&guild.people[1], guild.charter.id(), (0, None, TIP + AHEAD), 1, Payload::Accept);
    assert!(matches!(guild.document.insert(just, TIP), Insert::New(_)));
}

#[test]
fn what_waits_is_bounded_and_the_lowest_is_kept() {
    let mut guild = guild(2);
    let count = u32::try_from(HELD_PER_AUTHOR).unwrap() * 2;
    let chain = branch(&guild.people[0], guild.charter.id(), None, count + 1, word);
    let (mut held, mut dropped) = (0, 0);
    for signed in chain[1..].iter().rev() {
        match guild.document.insert(signed.clone(), TIP) {
            Insert::Held => held += 1,
            Insert::Dropped => dropped += 1,
            other => panic!("{other:?}"),
        }
        assert!(guild.document.held() <= HELD_PER_AUTHOR);
    }
    assert_eq!((held, dropped), (count, 0), "lower ones push out higher ones");
    assert_eq!(guild.document.insert(chain.last().unwrap().clone(), TIP), Insert::Dropped);
    let Insert::New(new) = guild.document.insert(chain[0].clone(), TIP) else { panic!("the first is next") };
    assert_eq!(new, chain[..=HELD_PER_AUTHOR].to_vec());
    // Garbage of one author keeps nobody else's entries out.
    for salt in 0..200 {
        let nothing = Some(EntryId(Digest([salt; 32])));
        guild.document.insert(
            entry(&guild.people[0], guild.charter.id(), (900, nothing, TIP), salt, Payload::Accept),
            TIP,
        );
    }
    let other = branch(&guild.people[1], guild.charter.id(), None, 2, word);
    assert_eq!(guild.document.insert(other[1].clone(), TIP), Insert::Held);
}

#[test]
fn a_fork_leaves_what_others_said() {
    let mut guild = guild(3);
    let proposal = ProposalId::from(guild.say(1, spend(70_000)).id());
    let first = guild.say(0, Payload::Accept);
    let vote = guild.say(0, ballot(proposal, Choice::Yes, true));
    guild.say(2, ballot(proposal, Choice::No, false));
    guild.say(1, ballot(proposal, Choice::Yes, true));
    let before = guild.fold().state;
    let twin = entry(
        &guild.people[0],
        guild.charter.id(),
        (1, Some(first.id()), TIP),
        9,
        ballot(proposal, Choice::No, true),
    );
    assert!(matches!(guild.document.insert(twin.clone(), TIP), Insert::New(_)));
    let after = guild.fold().state;
    let ballots = |state: &State, who| state.proposals[&proposal].ballots.get(&guild.id(who)).cloned();
    assert!(ballots(&before, 0).is_some());
    assert_eq!(ballots(&after, 0), None, "neither of two votes counts");
    for who in [1, 2] {
        assert_eq!(ballots(&after, who), ballots(&before, who));
    }
    assert!(after.members[&guild.id(0)].accepted, "what was said below the fork stands");
    for evidence in [&vote, &twin] {
        assert_eq!(guild.verdict(evidence), Verdict::Ignored(Ignored::Forked));
    }
    let more = entry(&guild.people[0], guild.charter.id(), (2, Some(vote.id()), TIP), 3, Payload::Accept);
    assert_eq!(guild.document.insert(more, TIP), Insert::Nothing, "suspended from there on");
}

/// All orders of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(index);
        all.extend(orders(&rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}

#[test]
fn evidence_is_the_two_smallest_at_the_lowest_forked_place_in_any_order() {
    let guild = guild(2);
    let (person, id) = (&guild.people[0], guild.charter.id());
    let first = entry(person, id, (0, None, 5), 1, Payload::Accept);
    let twins: Vec<Signed> =
        (1..=3).map(|salt| entry(person, id, (1, Some(first.id()), 5), salt, Payload::Accept)).collect();
    let after = |twin: &Signed, salt| entry(person, id, (2, Some(twin.id()), 5), salt, Payload::Accept);
    let higher = [after(&twins[0], 4), after(&twins[0], 5)];
    let mut all = [vec![first.clone()], twins.clone(), higher.to_vec()].concat();
    let mut smallest = twins.iter().map(Signed::id).collect::<Vec<_>>();
    smallest.sort();
    for order in orders(&all) {
        let mut document = guild.empty();
        order.iter().for_each(|signed| drop(document.insert(signed.clone(), TIP)));
        let chain = document.chain(&guild.id(0)).unwrap();
        let fork = chain.fork().unwrap();
        assert_eq!([fork.low.id(), fork.high.id()], smallest[..2], "in order {order:?}");
        assert_eq!(chain.entries(), std::slice::from_ref(&first));
    }
    // Two first entries: nothing stands.
    all.push(entry(person, id, (0, None, 5), 6, Payload::Accept));
    all.rotate_right(1);
    let mut document = guild.empty();
    all.iter().for_each(|signed| drop(document.insert(signed.clone(), TIP)));
    assert!(document.chain(&guild.id(0)).unwrap().entries().is_empty());
}

#[test]
fn only_what_the_group_signed_for_this_very_proposal_is_certified() {
    let mut guild = guild(2);
    let (key, other) = (group(1), group(2));
    let first = ProposalId::from(guild.say(0, spend(70_000)).id());
    let second = ProposalId::from(guild.say(0, spend(80_000)).id());
    let state = guild.fold().state;
    let body = state.proposals[&first].body(state.guild, first);
    guild.ready(&key);

    let forgeries = [
        ("another key", certificate(body.clone(), &other)),
        ("another effect", certificate(certificate::Body { effect: Digest([1; 32]), ..body.clone() }, &key)),
        (
            "another guild",
            certificate(certificate::Body { guild: GuildId(Digest([1; 32])), ..body.clone() }, &key),
        ),
        ("another epoch", certificate(certificate::Body { epoch: 2, ..body.clone() }, &key)),
        ("another option", certificate(certificate::Body { option: 1, ..body.clone() }, &key)),
        ("another close", certificate(certificate::Body { close: body.close + 1, ..body.clone() }, &key)),
        ("another proposal", certificate(certificate::Body { proposal: second, ..body.clone() }, &key)),
        (
            "no proposal",
            certificate(certificate::Body { proposal: ProposalId(Digest([1; 32])), ..body.clone() }, &key),
        ),
    ];
    let mut said = Vec::new();
    for (name, forgery) in forgeries {
        said.push((name, guild.say(0, forgery)));
    }
    assert!(guild.fold().state.proposals.values().all(|proposal| proposal.certificate().is_none()));
    let group_key = crate::harness::group_key(&key);
    for (name, signed) in said {
        let Verdict::Ignored(why) = guild.verdict(&signed) else { panic!("{name} applied") };
        match name {
            "another key" => assert_eq!(why, Ignored::Certificate(CertificateError::Signature(group_key))),
            "no proposal" => assert!(matches!(why, Ignored::NoProposal(_))),
            _ => assert_eq!(why, Ignored::OtherBody, "{name}"),
        }
    }
    guild.say(0, certificate(body, &key));
    let state = guild.fold().state;
    assert!(
        state.proposals[&first].certificate().is_some() && state.proposals[&second].certificate().is_none()
    );
}

#[test]
fn without_a_key_nothing_is_certified() {
    let mut guild = guild(2);
    let proposal = ProposalId::from(guild.say(0, spend(70_000)).id());
    let body = guild.body(proposal);
    for payload in
        [certificate(body, &group(1)), certificate(certificate::Body::founding(&guild.charter), &group(1))]
    {
        let early = guild.say(1, payload);
        assert_eq!(guild.verdict(&early), Verdict::Ignored(Ignored::NoKey));
    }
    assert!(guild.fold().state.proposals[&proposal].certificate().is_none());
}

#[test]
fn a_key_stands_only_if_every_co_signer_stored_the_same() {
    let (key, other) = (group(1), group(2));
    let ready = |attempt, key| Payload::KeyReady(key_ready(attempt, key));
    let set = crdt::testkit::people(3).iter().map(crdt::testkit::Person::id).collect();
    let called = Payload::Attempt(crdt::entry::Attempt { epoch: 1, attempt: 2, set });
    let tables = [
        ("all agree", vec![(0, ready(1, &key)), (1, ready(1, &key)), (2, ready(1, &key))], Some(1)),
        ("one is missing", vec![(0, ready(1, &key)), (1, ready(1, &key))], None),
        ("one disagrees", vec![(0, ready(1, &key)), (1, ready(1, &other)), (2, ready(1, &key))], None),
        (
            "one changes its mind",
            vec![(0, ready(1, &key)), (1, ready(1, &other)), (1, ready(1, &key)), (2, ready(1, &key))],
            None,
        ),
        ("an outsider fills in", vec![(0, ready(1, &key)), (1, ready(1, &key)), (3, ready(1, &key))], None),
        (
            "a later attempt that nobody called",
            vec![
                (0, ready(1, &key)),
                (1, ready(1, &key)),
                (2, ready(1, &key)),
                (0, ready(2, &other)),
                (1, ready(2, &other)),
                (2, ready(2, &other)),
            ],
            Some(1),
        ),
        (
            "a later attempt",
            vec![
                (0, ready(1, &key)),
                (1, ready(1, &key)),
                (2, ready(1, &key)),
                (1, called),
                (0, ready(2, &other)),
                (1, ready(2, &other)),
                (2, ready(2, &other)),
            ],
            Some(2),
        ),
        (
            "half a later attempt",
            vec![(0, ready(1, &key)), (1, ready(1, &key)), (2, ready(1, &key)), (0, ready(2, &other))],
            Some(1),
        ),
    ];
    for (name, said, attempt) in tables {
        let mut guild = crate::harness::with_charter(crdt::testkit::people(4), |charter| {
            charter.co_signers.truncate(3); // the fourth is a member without a share
        });
        for (who, payload) in said {
            guild.say(who, payload);
        }
        let known = guild.fold().state.key.map(|key| key.ready.attempt);
        assert_eq!(known, attempt, "{name}");
    }
}

#[test]
fn a_member_without_a_share_has_no_say_on_keys() {
    let mut guild =
        crate::harness::with_charter(crdt::testkit::people(4), |charter| charter.co_signers.truncate(3));
    let echo = Payload::DkgEcho { epoch: 1, attempt: 1, round1: Digest([1; 32]) };
    for payload in [Payload::KeyReady(key_ready(1, &group(1))), echo] {
        let signed = guild.say(3, payload);
        assert_eq!(guild.verdict(&signed), Verdict::Ignored(Ignored::NotACoSigner(guild.id(3))));
    }
    let state = guild.fold().state;
    assert!(state.key_ready.values().chain([]).all(std::collections::BTreeMap::is_empty));
    assert!(state.echoes.is_empty());
}

#[test]
fn a_key_test_by_another_key_proves_nothing() {
    let mut guild = guild(2);
    let id = guild.charter.id();
    let early = guild.say(0, key_test(id, &group(1)));
    assert_eq!(guild.verdict(&early), Verdict::Ignored(Ignored::NoKey));
    let mut guild = crate::harness::guild(2);
    guild.ready(&group(1));
    let wrong = guild.say(0, key_test(id, &group(2)));
    let elsewhere = guild.say(0, key_test(GuildId(Digest([5; 32])), &group(1)));
    for signed in [wrong, elsewhere] {
        assert_eq!(guild.verdict(&signed), Verdict::Ignored(Ignored::BadSignature));
    }
    assert!(guild.fold().state.key.unwrap().tested().is_none());
    guild.say(0, key_test(id, &group(1)));
    let state = guild.fold().state;
    assert!(state.key.as_ref().unwrap().tested().is_some());
    assert!(state.usable_key().is_none(), "not before the founding certificate (K2)");
    guild.say(1, certificate(certificate::Body::founding(&guild.charter), &group(1)));
    assert!(guild.fold().state.usable_key().is_some());
}
