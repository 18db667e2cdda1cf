//! The machine of anti-entropy among honest peers and others: who lies, stalls, floods or sends garbage is
//! cut off, and nobody else is hurt.

use crate::harness::{Guild, TIP, branch, guild};
use crdt::sync::machine::{
    COMPARE_EVERY, CUT, CUT_MAX, Effect, FORGIVEN, Fault, Input, PATIENCE, QUESTIONS, QUESTIONS_REFUSED,
    Syncer,
};
use crdt::sync::{Answer, Frontier, Question, answer};
use crdt::testkit::{ballot, spend};
use crdt::*;
use std::collections::VecDeque;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// How a peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Pages of what is no entry.
    Garbage,
    /// The frontier of one who has everything, and empty pages.
    Lies,
    Silent,
    /// Frontiers for pages and pages for frontiers.
    OffTopic,
}

/// One node and its peers, who have `theirs`.
struct World {
    guild: Guild,
    ours: Document,
    syncer: Syncer,
    manners: Vec<Manner>,
    now: Duration,
    /// Questions that reached each peer.
    asked: Vec<usize>,
    /// Entries that arrived.
    arrived: usize,
    cut: Vec<(usize, Fault, Duration)>,
}

impl World {
    /// A node that has nothing, and a peer of each of `manners`, who have what `guild` has.
    fn new(guild: Guild, manners: &[Manner]) -> Self {
        Self {
            ours: guild.empty(),
            guild,
            syncer: Syncer::default(),
            manners: manners.to_vec(),
            now: Duration::from_secs(1_000_000),
            asked: vec![0; manners.len()],
            arrived: 0,
            cut: Vec::new(),
        }
    }

    /// Peers are outside the roll here: the machine does not care who they are.
    fn peer(index: usize) -> MemberId {
        crdt::testkit::people(7).swap_remove(index).id()
    }

    fn index(peer: MemberId) -> usize {
        (0..7).find(|index| Self::peer(*index) == peer).expect("one of the peers")
    }

    fn connect_all(&mut self) {
        for index in 0..self.manners.len() {
            self.give(Input::Connected(Self::peer(index)));
        }
    }

    /// Give the machine `input` and carry out all that follows.
    fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.syncer.handle(input, &self.ours, self.now) {
                inputs.extend(self.carry_out(effect));
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Ask(peer, number, question) => {
                let index = Self::index(peer);
                *self.asked.get_mut(index).expect("a peer") += 1;
                let manner = *self.manners.get(index).expect("a peer");
                let answered = self.answer(manner, &question)?;
                Some(Input::Answer(peer, number, Some(answered)))
            }
            Effect::Verify(peer, number, page) => {
                let door = self.ours.verifier();
                self.arrived += page.len();
                let verified: Result<Vec<Signed>, _> = page.iter().map(|bytes| door.verify(bytes)).collect();
                for signed in verified.iter().flatten() {
                    self.ours.insert(signed.clone(), TIP);
                }
                Some(Input::Taken(peer, number, verified))
            }
            Effect::Cut(peer, fault, lasts) => {
                self.cut.push((Self::index(peer), fault, lasts));
                None
            }
        }
    }

    fn answer(&self, manner: Manner, question: &Question) -> Option<Answer> {
        let honest = || Some(answer(&self.guild.document, question));
        match (manner, question) {
            (Manner::Silent, _) => None,
            (Manner::Garbage, Question::Pull(_)) => Some(Answer::Entries(vec![vec![7; 200]])),
            (Manner::Lies, Question::Pull(_)) => Some(Answer::Entries(Vec::new())),
            (Manner::OffTopic, Question::Pull(_)) => Some(Answer::Same),
            (Manner::OffTopic, Question::Compare(_)) => Some(Answer::Entries(Vec::new())),
            (Manner::Honest | Manner::Garbage | Manner::Lies, _) => honest(),
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += SECOND;
            self.give(Input::Tick);
        }
    }

    fn has_all(&self) -> bool {
        Frontier::of(&self.ours) == Frontier::of(&self.guild.document)
    }
}

/// A guild of three who said `count` entries each, some of them long.
fn talkative(count: u32) -> Guild {
    let mut guild = guild(3);
    for who in 0..3 {
        let (person, id) = (guild.person(who), guild.charter.id());
        let text = text::Note::try_from("x".repeat(3_000)).expect("plain");
        let comment = |seq| {
            let said = Payload::Comment { proposal: ProposalId(Digest([1; 32])), text: text.clone() };
            (seq / 200 * limits::QUOTA_BLOCKS, 1, said)
        };
        for signed in branch(person, id, None, count, comment) {
            guild.document.insert(signed, TIP);
        }
    }
    guild
}

#[test]
fn a_newcomer_gets_everything_and_nothing_twice() {
    let mut world = World::new(talkative(200), &[Manner::Honest; 4]);
    world.connect_all();
    assert!(world.has_all(), "at once: nobody had to wait for a timer");
    assert_eq!(world.arrived, 600, "each entry travelled once");
    assert!(world.cut.is_empty());
}

#[test]
fn whoever_does_wrong_is_cut_off_and_nobody_else_is_hurt() {
    let cases = [
        (Manner::Garbage, "garbage"),
        (Manner::Lies, "claimed entries that it did not give"),
        (Manner::Silent, "did not answer"),
        (Manner::OffTopic, "answered something else than it was asked"),
    ];
    for (manner, name) in cases {
        for place in 0..3 {
            let mut manners = [Manner::Honest; 3];
            manners[place] = manner;
            let mut world = World::new(talkative(90), &manners);
            world.connect_all();
            world.run(Duration::from_secs(5) * FORGIVEN * 10 + COMPARE_EVERY * (FORGIVEN + 1));
            assert!(world.has_all(), "{name}, peer {place}");
            assert!(world.cut.iter().all(|(cut, ..)| *cut == place), "{name}: {:?}", world.cut);
        }
        // Alone with it, there is nothing to be had, and it is found out.
        let mut world = World::new(talkative(90), &[manner]);
        world.connect_all();
        world.run((PATIENCE + COMPARE_EVERY) * (FORGIVEN + 2));
        assert!(world.ours.is_empty());
        let (_, fault, lasts) = world.cut.first().unwrap_or_else(|| panic!("{name}: not cut off"));
        assert!(fault.to_string().contains(name) || matches!(fault, Fault::Garbage(_)), "{name}: {fault}");
        assert_eq!(*lasts, CUT);
        assert!(world.asked[0] < 20, "{name}: asked {} times", world.asked[0]);
        assert!(world.syncer.is_cut(&World::peer(0), world.cut_at() + CUT - SECOND));
        assert!(!world.syncer.is_cut(&World::peer(0), world.cut_at() + CUT + SECOND));
    }
}

impl World {
    /// About when the first peer was cut off: not later than now, not long before.
    fn cut_at(&self) -> Duration {
        let long_ago = self.now.saturating_sub((PATIENCE + COMPARE_EVERY) * (FORGIVEN + 2));
        let mut at = self.now;
        while at > long_ago && !self.syncer.is_cut(&Self::peer(0), at + CUT - SECOND) {
            at -= SECOND;
        }
        at
    }
}

#[test]
fn a_peer_that_does_wrong_again_is_cut_off_for_longer_and_never_for_good() {
    let mut world = World::new(talkative(9), &[Manner::Garbage]);
    for _ in 0..12 {
        world.give(Input::Connected(World::peer(0)));
        world.now += CUT_MAX;
    }
    let lasts: Vec<Duration> = world.cut.iter().map(|(.., lasts)| *lasts).collect();
    assert_eq!(lasts.len(), 12);
    assert!(lasts.is_sorted() && lasts[0] == CUT && lasts[1] == CUT * 2 && lasts[11] == CUT_MAX);
}

#[test]
fn a_peer_that_sleeps_often_is_not_missed_for_longer() {
    let mut world = World::new(talkative(9), &[Manner::Silent]);
    for _ in 0..6 {
        world.give(Input::Connected(World::peer(0)));
        world.run((PATIENCE + COMPARE_EVERY) * (FORGIVEN + 1) + CUT);
    }
    assert!(world.cut.len() >= 6, "{:?}", world.cut);
    assert!(
        world.cut.iter().all(|(_, fault, lasts)| *fault == Fault::Stalls && *lasts == CUT),
        "{:?}",
        world.cut
    );
    world.manners = vec![Manner::Honest];
    world.give(Input::Connected(World::peer(0)));
    assert!(world.has_all(), "awake again, it is heard at once");
}

#[test]
fn questions_above_what_a_peer_may_ask_are_refused_and_a_flood_ends_it() {
    let mut world = World::new(talkative(1), &[Manner::Honest; 2]);
    world.connect_all();
    let (flood, other) = (World::peer(0), World::peer(1));
    let answered = (0..QUESTIONS * 2).filter(|_| world.syncer.may_ask(flood, world.now)).count();
    assert_eq!(answered, usize::try_from(QUESTIONS).unwrap());
    assert!(world.syncer.may_ask(other, world.now), "another peer is answered as before");
    world.now += SECOND * 60;
    assert!(world.syncer.may_ask(flood, world.now), "who waits is forgiven");
    for _ in 0..QUESTIONS + QUESTIONS_REFUSED + 1 {
        world.syncer.may_ask(flood, world.now);
    }
    world.give(Input::Tick);
    assert!(matches!(world.cut.as_slice(), [(0, Fault::Floods, _)]), "{:?}", world.cut);
    assert!(!world.syncer.is_cut(&other, world.now));
}

#[test]
fn what_gossip_lost_is_there_within_one_interval() {
    let mut world = World::new(talkative(5), &[Manner::Honest; 3]);
    world.connect_all();
    assert!(world.has_all());
    world.guild.say(0, Payload::Accept); // and gossip loses it
    assert!(!world.has_all());
    world.run(COMPARE_EVERY + SECOND);
    assert!(world.has_all());
    // A digest that differs, or an entry whose predecessor is missing, tells at once.
    world.guild.say(0, Payload::Accept);
    let digest = Frontier::of(&world.guild.document).digest();
    world.give(Input::Digest(World::peer(2), digest));
    assert!(world.has_all());
    world.guild.say(1, Payload::Accept);
    let next = world.guild.say(1, Payload::Accept);
    assert_eq!(world.ours.insert(next, TIP), Insert::Held);
    world.give(Input::Gap);
    assert!(world.has_all());
}

#[test]
fn a_proposal_that_fell_with_its_author_is_asked_for_by_id() {
    let mut guild = guild(3);
    guild.say(0, Payload::Accept);
    let before = guild.document.clone();
    let proposed = guild.say(0, spend(70_000));
    guild.say(1, ballot(ProposalId::from(proposed.id()), Choice::Yes, true));
    let late = guild.say(0, Payload::Accept);
    // Its author forks at the place of the proposal, where two smaller ids can be found.
    let first = guild.document.chain(&guild.id(0)).unwrap().entries()[0].clone();
    let smaller = |salt| {
        let made =
            branch(guild.person(0), guild.charter.id(), Some(&first), 1, |_| (TIP, salt, Payload::Accept));
        made.into_iter().next().filter(|signed| signed.id() < proposed.id())
    };
    let evidence: Vec<Signed> = (1..=255).filter_map(smaller).take(2).collect();
    for signed in &evidence {
        guild.document.insert(signed.clone(), TIP);
    }
    assert!(guild.document.counts(proposed.id()) && !guild.document.counts(late.id()));
    let mut world = World::new(guild, &[Manner::Honest]);
    world.ours = before;
    world.connect_all();
    assert!(world.ours.counts(proposed.id()), "what others voted on is not their loss");
    assert!(world.ours.find(late.id()).is_none());
    assert_eq!(world.ours.wanted().count(), 0);
    let ours = fold(&world.guild.charter, &world.ours, &crdt::testkit::facts(TIP)).state;
    assert_eq!(ours.hash(), world.guild.fold().state.hash());
}
