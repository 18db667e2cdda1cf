//! D1: the same entries, in any order, at any node, by any way, are the same document and the same state.

use crate::harness::{Guild, TIP, cases, converge, entry, group, guild, key_ready};
use crdt::sync::Frontier;
use crdt::testkit::{Person, ballot, facts, spend};
use crdt::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use std::collections::BTreeSet;

/// One entry to be made. Small numbers, so that a failure shrinks to a story.
#[derive(Debug, Clone)]
struct Step {
    author: usize,
    /// 0…14 goes on from the author's newest entry, 15…18 from an older one, 19 starts anew.
    parent: usize,
    lift: u32,
    /// 1: another predecessor, 2: the height falls, 3: the height is far above the first tip, 4: claims
    /// a height nobody has reached, 5: a predecessor at the wrong place. Anything else: sound.
    flaw: u8,
    said: u8,
    /// Bit i: node i hears it.
    heard: u8,
    /// Where in the order it comes.
    order: u16,
    /// Heard again here.
    again: Option<u16>,
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0usize..3, 0usize..20, 0u32..3, 0u8..40);
    let way = (0u8..8, 1u8..8, any::<u16>(), proptest::option::of(any::<u16>()));
    (place, way).prop_map(|((author, parent, lift, flaw), (said, heard, order, again))| Step {
        author,
        parent,
        lift,
        flaw,
        said,
        heard,
        order,
        again,
    })
}

const LOW_TIP: Height = 100;

fn payload(said: u8, proposals: &[ProposalId], salt: u8) -> Payload {
    let Some(proposal) = proposals.get(usize::from(salt) % proposals.len().max(1)).copied() else {
        return spend(1_000 + u64::from(salt));
    };
    match said {
        0 => spend(1_000 + u64::from(salt)),
        1 => ballot(proposal, Choice::Yes, true),
        2 => ballot(proposal, Choice::Yes, false),
        3 => ballot(proposal, Choice::No, false),
        4 => Payload::Withdraw { proposal },
        5 => Payload::KeyReady(key_ready(1, &group(1))),
        6 => Payload::Comment { proposal, text: text::Note::default() },
        _ => Payload::Accept,
    }
}

/// What each step makes.
fn entries(guild: &Guild, steps: &[Step]) -> Vec<Signed> {
    let mut proposals = Vec::new();
    let mut made: Vec<Signed> = Vec::new();
    for (salt, step) in (0u8..).zip(steps) {
        let person = guild.people.get(step.author).expect("three people");
        let own: Vec<&Signed> = made.iter().filter(|signed| signed.entry().author == person.id()).collect();
        let parent =
            own.iter().rev().nth(step.parent.saturating_sub(14)).filter(|_| step.parent < 19).copied();
        let mut seq = parent.map_or(0, |parent| parent.entry().seq + 1);
        let mut prev = parent.map(Signed::id);
        let mut height = parent.map_or(50, |parent| parent.entry().height) + step.lift;
        match step.flaw {
            1 => prev = Some(EntryId(Digest([salt; 32]))),
            2 => height = height.saturating_sub(5),
            3 => height += LOW_TIP,
            4 => height = TIP + limits::AHEAD + 1,
            5 => seq += 1,
            _ => {}
        }
        let said = payload(step.said, &proposals, salt);
        let signed = entry(person, guild.charter.id(), (seq, prev, height), salt, said);
        if matches!(signed.entry().payload, Payload::Propose(_)) {
            proposals.push(signed.id().into());
        }
        made.push(signed);
    }
    made
}

/// What stands of one author, and the evidence of a fork, from the definition in §5: no order, no state.
fn expected(all: &[Signed], author: MemberId) -> (Vec<EntryId>, Option<[EntryId; 2]>) {
    let (mut stand, mut last, mut height) = (Vec::new(), None, 0);
    loop {
        let next = all.iter().filter(|signed| {
            let entry = signed.entry();
            entry.author == author
                && usize::try_from(entry.seq).expect("small") == stand.len()
                && entry.prev == last
                && (height..=TIP + limits::AHEAD).contains(&entry.height)
                && within_quota(all, &stand, entry)
        });
        let mut next: Vec<&Signed> = next.collect();
        next.sort_by_key(|signed| signed.id());
        match next.as_slice() {
            [] => return (stand, None),
            [only] => {
                last = Some(only.id());
                height = only.entry().height;
                stand.push(only.id());
            }
            [low, high, ..] => return (stand, Some([low.id(), high.id()])),
        }
    }
}

/// Whether `entry` may follow what stands: its author has made fewer proposals in its stretch of blocks.
fn within_quota(all: &[Signed], stand: &[EntryId], entry: &Entry) -> bool {
    let bucket = |entry: &Entry| entry.height / limits::PROPOSAL_BLOCKS;
    let proposal = |entry: &Entry| matches!(entry.payload, Payload::Propose(_));
    let stands = all.iter().filter(|signed| stand.contains(&signed.id())).map(Signed::entry);
    let made = stands.filter(|before| proposal(before) && bucket(before) == bucket(entry)).count();
    !proposal(entry) || made < usize::try_from(limits::PROPOSALS).expect("few")
}

/// Proposals that count although they fell with their author's chain, from the definition in §5.
fn expected_adopted(all: &[Signed], stands: &BTreeSet<EntryId>) -> BTreeSet<EntryId> {
    let standing = all.iter().filter(|signed| stands.contains(&signed.id()));
    let named = standing.filter_map(|signed| match &signed.entry().payload {
        Payload::Ballot(ballot) => Some((signed.entry().author, EntryId(ballot.proposal.0))),
        _ => None,
    });
    let named: BTreeSet<(MemberId, EntryId)> = named.collect();
    let forked = |author| expected(all, author).1.is_some();
    let fallen = all.iter().filter(|signed| {
        let entry = signed.entry();
        matches!(entry.payload, Payload::Propose(_))
            && (0..=TIP + limits::AHEAD).contains(&entry.height)
            && !stands.contains(&signed.id())
            && forked(entry.author)
    });
    let by_another = |signed: &&Signed| {
        named.iter().any(|(voter, id)| *id == signed.id() && *voter != signed.entry().author)
    };
    fallen.filter(by_another).map(Signed::id).collect()
}

/// A node that hears what `hears` picks, in the steps' order, while its chain grows in the middle.
fn node(guild: &Guild, steps: &[Step], all: &[Signed], hears: impl Fn(usize, &Step) -> bool) -> Document {
    let mut order: Vec<(u16, &Signed)> = Vec::new();
    for (index, (step, signed)) in steps.iter().zip(all).enumerate().filter(|(i, (step, _))| hears(*i, step))
    {
        order.push((step.order.rotate_left(u32::try_from(index % 3).expect("small")), signed));
        order.extend(step.again.map(|again| (again, signed)));
    }
    order.sort_by_key(|(place, _)| *place);
    let mut document = guild.empty();
    let half = order.len() / 2;
    for (index, (_, signed)) in order.into_iter().enumerate() {
        if index == half {
            document.tip_reached(TIP);
        }
        document.insert(signed.clone(), if index < half { LOW_TIP } else { TIP });
    }
    document.tip_reached(TIP);
    document
}

/// What a node gets from others who have everything: the proposals it wants by id.
fn ask_for_wanted(document: &mut Document, all: &[Signed]) {
    for _ in 0..2 {
        let wanted: BTreeSet<EntryId> = document.wanted().collect();
        all.iter().filter(|signed| wanted.contains(&signed.id())).for_each(|signed| {
            document.insert(signed.clone(), TIP);
        });
    }
}

/// A fold that followed a document as it grew is what a fold from scratch is.
fn followed(guild: &Guild, steps: &[Step], all: &[Signed]) -> (Document, Fold) {
    let mut order: Vec<(u16, &Signed)> = steps.iter().map(|step| step.order).zip(all).collect();
    order.sort_by_key(|(place, _)| *place);
    let mut document = guild.empty();
    let mut fold = Fold::new(&guild.charter, &facts(LOW_TIP));
    let mut follow = |document: &mut Document| {
        let touched = document.take_touched();
        fold.follow(document, touched);
    };
    for (_, signed) in order {
        document.insert(signed.clone(), TIP);
        follow(&mut document);
    }
    ask_for_wanted(&mut document, all);
    follow(&mut document);
    fold.at(&facts(TIP));
    (document, fold)
}

fn agree(
    guild: &Guild,
    all: &[Signed],
    (one, other): (&Document, &Document),
    complete: bool,
) -> Result<(), TestCaseError> {
    let mut stands = BTreeSet::new();
    for author in guild.people.iter().map(Person::id) {
        let (stand, fork) = expected(all, author);
        stands.extend(stand.iter().copied());
        for document in [one, other] {
            let chain = document.chain(&author).expect("on the roll");
            prop_assert_eq!(chain.entries().iter().map(Signed::id).collect::<Vec<_>>(), stand.clone());
            prop_assert_eq!(chain.fork().map(|fork| [fork.low.id(), fork.high.id()]), fork);
        }
    }
    let adopted = expected_adopted(all, &stands);
    let [ours, theirs] = [one, other].map(|node| node.adopted().map(Signed::id).collect::<BTreeSet<_>>());
    prop_assert_eq!(&ours, &theirs);
    // Among nodes that heard parts only, nobody may have kept a proposal that a vote names out of the blue.
    prop_assert!(ours.is_subset(&adopted) && (!complete || ours == adopted));
    for document in [one, other] {
        prop_assert_eq!(document.all().count(), document.len(), "everything once");
    }
    prop_assert_eq!(Frontier::of(one).digest(), Frontier::of(other).digest());
    let folded = [one, other].map(|document| fold(&guild.charter, document, &facts(TIP)));
    let [one, other] = folded;
    prop_assert_eq!(one.state.hash(), other.state.hash());
    prop_assert_eq!(one.verdicts, other.verdicts);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("HASHGUILD_CASES", 10_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn f24_any_order_and_repetition_give_the_same_document(
        steps in proptest::collection::vec(step(), 1..36),
        keys in proptest::collection::vec(any::<u16>(), 36),
    ) {
        let guild = guild(3);
        let all = entries(&guild, &steps);
        let mut one = node(&guild, &steps, &all, |_, _| true);
        let shuffled: Vec<Step> = steps
            .iter()
            .zip(&keys)
            .map(|(step, key)| Step { order: *key, again: step.again.map(|again| again ^ key), ..step.clone() })
            .collect();
        let mut other = node(&guild, &shuffled, &all, |_, _| true);
        ask_for_wanted(&mut one, &all);
        ask_for_wanted(&mut other, &all);
        agree(&guild, &all, (&one, &other), true)?;
        let (document, fold) = followed(&guild, &shuffled, &all);
        agree(&guild, &all, (&one, &document), true)?;
        let scratch = crdt::fold(&guild.charter, &document, &facts(TIP));
        prop_assert_eq!(fold.state(), &scratch.state, "step by step and from scratch");
        for (id, verdict) in scratch.verdicts {
            prop_assert_eq!(explain(&guild.charter, &document, &facts(TIP), id), Some(verdict));
        }
    }

    #[test]
    fn a_partition_heals_by_frontiers_and_pages(steps in proptest::collection::vec(step(), 1..36)) {
        let guild = guild(3);
        let all = entries(&guild, &steps);
        let mut nodes = [0, 1, 2].map(|index| node(&guild, &steps, &all, |_, step| step.heard >> index & 1 == 1));
        let [a, b, c] = &mut nodes;
        // What comes can release what waited, which then is news for the others: each turn brings some.
        let turns = (0..=steps.len()).take_while(|_| {
            converge(a, b, TIP, 12) + converge(b, c, TIP, 12) + converge(c, a, TIP, 12) > 0
        });
        prop_assert!(turns.count() <= steps.len(), "they never come to rest");
        agree(&guild, &all, (a, b), false)?;
        agree(&guild, &all, (a, c), false)?;
    }
}

#[test]
fn the_worlds_of_these_tests_have_forks_flaws_and_long_chains() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut forks, mut long, mut refused) = (0, 0, 0);
    for _ in 0..200 {
        let world = proptest::collection::vec(step(), 1..36);
        let steps = world.new_tree(&mut runner).expect("generates").current();
        let guild = guild(3);
        let all = entries(&guild, &steps);
        let document = node(&guild, &steps, &all, |_, _| true);
        forks += document.chains().filter(|(_, chain)| chain.fork().is_some()).count();
        long += document.chains().filter(|(_, chain)| chain.entries().len() > 3).count();
        refused += usize::from(document.len() < all.len());
    }
    assert!(forks > 100 && long > 30 && refused > 100, "{forks} forks, {long} long, {refused} with refusals");
}
