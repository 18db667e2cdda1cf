//! Every order in which a node can hear of certificates, and of what comes after them, under the model
//! checker. What folds is [`crdt::Fold`], step by step as a node does.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::{Guild, certificate, group, guild};
use crdt::governance::{Effect, Setting, SettingKey};
use crdt::mining::MiningPolicy;
use crdt::testkit::{ballot, facts, spend};
use crdt::text::{Line, Note};
use crdt::{Choice, Document, Fold, Height, Payload, Proposal, ProposalId, Signed, State};
use stateright::{Checker as _, Expectation, Model, Property};

const TIP: Height = 10_000;

/// What a node may hear in any order, what each says having been heard before.
struct Story {
    guild: Guild,
    /// What everybody has.
    before: Document,
    heard: Vec<Signed>,
    /// The decision that must stand once its certificate, the first of `heard`, is here.
    decided: ProposalId,
}

impl Story {
    fn state(&self, order: &[u8]) -> State {
        let mut document = self.before.clone();
        let mut fold = Fold::new(&self.guild.charter, &facts(TIP));
        document.take_touched();
        fold.catch_up(&document);
        for index in order {
            document.insert(self.heard[usize::from(*index)].clone(), TIP);
            let touched = document.take_touched();
            fold.follow(&document, touched);
        }
        fold.state().clone()
    }

    fn is_complete(&self, order: &[u8]) -> bool {
        order.len() == self.heard.len()
    }
}

impl Model for Story {
    type State = Vec<u8>;
    type Action = u8;

    fn init_states(&self) -> Vec<Vec<u8>> {
        vec![Vec::new()]
    }

    fn actions(&self, order: &Vec<u8>, actions: &mut Vec<u8>) {
        let all = 0..u8::try_from(self.heard.len()).expect("few");
        actions.extend(all.filter(|index| !order.contains(index)));
    }

    fn next_state(&self, order: &Vec<u8>, action: u8) -> Option<Vec<u8>> {
        Some([order.as_slice(), &[action]].concat())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("V3 any order gives one final state", |story: &Self, order: &Vec<u8>| {
                let any: Vec<u8> = (0..u8::try_from(story.heard.len()).expect("few")).collect();
                !story.is_complete(order) || story.state(order).hash() == story.state(&any).hash()
            }),
            Property::always("V5 nothing takes back what is certified", |story: &Self, order: &Vec<u8>| {
                let certified = order.contains(&0);
                certified == story.state(order).proposals[&story.decided].decided().is_some()
            }),
            Property::sometimes("all is heard", |story: &Self, order: &Vec<u8>| story.is_complete(order)),
        ]
    }
}

fn holds(story: Story) {
    let checker = story.checker().threads(1).spawn_bfs().join();
    let found = checker.discoveries();
    for property in checker.model().properties() {
        let fails = found.contains_key(property.name) == (property.expectation == Expectation::Always);
        assert!(!fails, "{}: {:?}", property.name, found.get(property.name));
    }
}

fn propose(guild: &mut Guild, height: Height, effect: Effect) -> ProposalId {
    let title = Line::try_from("x".to_owned()).expect("plain");
    let proposal = Proposal { title, text: Note::default(), effect };
    ProposalId::from(guild.say_at(0, height, Payload::Propose(proposal)).id())
}

/// What different members say of what everybody has.
fn story(mut guild: Guild, decided: ProposalId, said: Vec<(usize, Payload)>) -> Story {
    let before = guild.document.clone();
    let heard = said.into_iter().map(|(who, payload)| guild.say(who, payload)).collect();
    Story { guild, before, heard, decided }
}

#[test]
fn v3_certificates_of_settings_in_any_order_leave_one_register() {
    let mut guild = guild(5);
    let key = group(1);
    guild.ready(&key);
    let policy = |policy| Effect::Setting(Setting::Mining(policy));
    let old = propose(&mut guild, TIP - 2, policy(MiningPolicy::SOLO));
    let new = propose(&mut guild, TIP - 1, policy(MiningPolicy::POOL));
    let veto = propose(&mut guild, TIP, Effect::Cancel(new));
    let bodies = [old, new, veto].map(|id| guild.body(id));
    let said = (1..).zip(bodies).map(|(who, body)| (who, certificate(body, &key))).collect();
    let story = story(guild, old, said);
    let last = story.state(&[2, 0, 1]);
    assert_eq!(last.setting(&SettingKey::Mining).map(|(id, ..)| id), Some(old), "the veto holds");
    holds(story);
}

#[test]
fn v5_no_late_vote_withdrawal_or_fork_takes_a_certified_decision_back() {
    let mut guild = guild(5);
    let key = group(1);
    guild.ready(&key);
    let id = ProposalId::from(guild.say(0, spend(70_000)).id());
    for who in 1..4 {
        guild.say(who, ballot(id, Choice::Yes, true));
    }
    let body = guild.body(id);
    let said = vec![
        (1, certificate(body, &key)),
        (0, Payload::Withdraw { proposal: id }),
        (4, ballot(id, Choice::No, true)),
        (3, ballot(id, Choice::No, false)),
    ];
    let mut story = story(guild, id, said);
    // And the second voter forks below its YES.
    let voter = &story.guild.people[2];
    let fork = crate::harness::entry(voter, story.guild.charter.id(), (0, None, TIP), 9, Payload::Accept);
    story.heard.push(fork);
    let all = story.state(&[1, 2, 3, 4, 0]);
    assert!(all.proposals[&id].withdrawn && all.members[&story.guild.id(2)].forked.is_some());
    holds(story);
}
