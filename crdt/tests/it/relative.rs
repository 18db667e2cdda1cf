//! The relative rule from outside: co-signers with documents of their own, ballots that come in time, late,
//! to some only, or forked. Names begin with the number of the attack in the reviews of the protocol.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::{Guild, certificate, entry, group, with_charter};
use crdt::governance::{
    Approvals, Effect, Funds, Local, NotPassing, Options, PATIENCE, Setting, SettingKey, exit_id, leaving,
    part_of, passing, statement,
};
use crdt::mining::MiningPolicy;
use crdt::rules::{Rule, Rules};
use crdt::testkit::{ballot, facts, people, spend};
use crdt::text::{Line, Note};
use crdt::*;
use std::collections::BTreeMap;

use Choice::{Abstain, No, Yes};

pub(crate) const START: Height = 10_000;
const PERIOD: Height = 432;
const GRACE: Height = 144;
const CLOSE: Height = START + PERIOD;
pub(crate) const OVER: Height = CLOSE + GRACE;

/// A co-signer: its document, and when it saw what.
pub(crate) struct Node {
    me: usize,
    pub(crate) document: Document,
    seen: BTreeMap<EntryId, Height>,
    pub(crate) tip: Height,
    fresh: bool,
}

/// A guild of co-signers who vote by the relative rule.
pub(crate) struct Room {
    pub(crate) guild: Guild,
    pub(crate) nodes: Vec<Node>,
}

impl Room {
    pub(crate) fn of(count: usize) -> Self {
        Self::with(count, |_| {})
    }

    fn with(count: usize, change: impl FnOnce(&mut Charter)) -> Self {
        let guild = with_charter(people(count), |charter| {
            charter.rules = Rules::all(Rule::Relative, 50, PERIOD);
            change(charter);
        });
        let node = |me| Node {
            me,
            document: Document::new(&guild.charter),
            seen: BTreeMap::new(),
            tip: START,
            fresh: true,
        };
        let nodes = (0..count).map(node).collect();
        Self { guild, nodes }
    }

    /// `who` says something at `height`; only its own node hears it.
    pub(crate) fn say(&mut self, who: usize, height: Height, payload: Payload) -> Signed {
        let node = &mut self.nodes[who];
        let signed = self.guild.people[who].say(&mut node.document, height, payload);
        node.seen.entry(signed.id()).or_insert(node.tip);
        signed
    }

    /// Node `who` takes entries that others said.
    pub(crate) fn take(&mut self, who: usize, entries: &[Signed]) {
        let node = &mut self.nodes[who];
        for signed in entries {
            node.document.insert(signed.clone(), node.tip.max(signed.entry().height));
            if node.fresh {
                node.seen.entry(signed.id()).or_insert(node.tip);
            }
        }
    }

    /// Everybody hears `signed`.
    fn tell(&mut self, signed: &Signed) {
        for who in 0..self.nodes.len() {
            self.take(who, std::slice::from_ref(signed));
        }
    }

    /// Everybody takes everything that `from` has.
    fn spread(&mut self, from: usize) {
        let all: Vec<Signed> = self.nodes[from].document.all().cloned().collect();
        for who in 0..self.nodes.len() {
            self.take(who, &all);
        }
    }

    pub(crate) fn state(&self, who: usize) -> State {
        fold(&self.guild.charter, &self.nodes[who].document, &facts(self.nodes[who].tip)).state
    }

    /// The tips reach `tip`; whoever sees votes close says what it saw.
    pub(crate) fn reach(&mut self, tip: Height) {
        for who in 0..self.nodes.len() {
            self.nodes[who].tip = self.nodes[who].tip.max(tip);
            self.close(who);
        }
    }

    /// Node `who` says what it saw of votes that are over and that it has not spoken of.
    pub(crate) fn close(&mut self, who: usize) {
        let (state, node) = (self.state(who), &self.nodes[who]);
        let due = governance::closes_due(&state, &self.guild.id(node.me), node.tip);
        for close in due {
            let seen = |entry: &EntryId| self.nodes[who].seen.get(entry).copied();
            for part in statement(&state, close, self.nodes[who].fresh, seen) {
                let tip = self.nodes[who].tip;
                self.say(who, tip, Payload::CloseStatement(part));
            }
        }
    }

    fn judge(&self, who: usize, proposal: &ProposalId) -> Result<Passing, NotPassing> {
        let node = &self.nodes[who];
        let first_seen = node.seen.get(&EntryId(proposal.0)).copied();
        let local = Local { me: Some(self.guild.id(who)), tip: node.tip, first_seen };
        passing(&self.state(who), proposal, &local)
    }

    pub(crate) fn passes(&self, proposal: &ProposalId) -> Vec<bool> {
        (0..self.nodes.len()).map(|who| self.judge(who, proposal).is_ok()).collect()
    }

    /// The first proposes to pay 70,000 sat, and all hear it.
    fn proposal(&mut self) -> ProposalId {
        let signed = self.say(0, START, spend(70_000));
        self.tell(&signed);
        signed.id().into()
    }

    /// `who` votes in time, and all hear it.
    fn vote(&mut self, who: usize, proposal: ProposalId, choice: Choice) {
        let signed = self.say(who, START + 1, ballot(proposal, choice, false));
        self.tell(&signed);
    }

    /// Everybody closes, and hears all.
    fn finish(&mut self) {
        self.reach(OVER);
        for who in 0..self.nodes.len() {
            self.spread(who);
        }
    }
}

#[test]
fn those_who_vote_in_time_decide() {
    /// (votes, whether it passes)
    type Case = (&'static [(usize, Choice)], bool);
    let table: [Case; 9] = [
        (&[(0, Yes), (1, Yes), (2, Yes)], true),
        (&[(0, Yes), (1, Yes), (2, No)], false), // 2 yes: no quorum of 50 % of 5
        (&[(0, Yes), (1, Yes), (2, Yes), (3, No), (4, No)], true),
        (&[(0, Yes), (1, Yes), (2, Abstain), (3, No)], true), // an abstention helps the quorum
        (&[(0, Yes), (1, Abstain), (2, Abstain), (3, No)], false), // no majority
        (&[(0, Yes), (1, Yes), (2, No), (3, No), (4, Abstain)], false),
        (&[(0, Abstain), (1, Abstain), (2, Abstain)], false),
        (&[(0, Yes), (1, No), (2, No), (3, No), (4, No)], false),
        (&[], false),
    ];
    for (votes, expected) in table {
        let mut room = Room::of(5);
        let proposal = room.proposal();
        for (who, choice) in votes {
            room.vote(*who, proposal, *choice);
        }
        assert!(
            matches!(room.judge(0, &proposal), Err(NotPassing::Open { from: OVER, .. })),
            "not before c + G"
        );
        room.finish();
        assert_eq!(room.passes(&proposal), [expected; 5], "{votes:?}");
        let bodies: Vec<_> =
            (0..5).filter_map(|who| Some(room.judge(who, &proposal).ok()?.body().clone())).collect();
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "equal bytes");
    }
}

#[test]
fn a4_split_delivery_stops_nothing_that_passes_anyway() {
    let mut room = Room::of(5);
    let proposal = room.proposal();
    for who in 0..3 {
        room.vote(who, proposal, Yes);
    }
    let split = room.say(4, START + 1, ballot(proposal, Yes, false));
    room.take(0, std::slice::from_ref(&split)); // one of five hears it in time
    room.reach(OVER);
    for who in 0..5 {
        room.spread(who);
    }
    assert_eq!(room.passes(&proposal), [true; 5]);
    let bodies: Vec<_> = (0..5).map(|who| room.judge(who, &proposal).unwrap().body().digest()).collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "who counted whom is not signed");
}

#[test]
fn a5_a_yes_that_was_withheld_until_the_result_was_known_counts_for_nothing() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    room.vote(0, proposal, Yes);
    // Said in time, by its own word, and shown to nobody.
    let withheld: Vec<Signed> =
        [1, 2].map(|who| room.say(who, START + 1, ballot(proposal, Yes, false))).to_vec();
    for who in [0, 3] {
        room.nodes[who].tip = OVER;
        room.close(who);
    }
    for who in [0, 3] {
        room.take(who, &withheld);
        assert!(room.judge(who, &proposal).is_err());
    }
    room.finish();
    room.reach(OVER + PATIENCE);
    // The two who withheld vouch for each other: two statements are fewer than t = 3.
    assert!(!room.passes(&proposal)[0] && !room.passes(&proposal)[3]);
}

#[test]
fn a6_a_co_signer_who_hears_only_yes_waits_for_the_others() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in [0, 1] {
        room.vote(who, proposal, Yes);
    }
    for who in [2, 3] {
        room.say(who, START + 1, ballot(proposal, No, false)); // kept from the first two
    }
    room.reach(OVER);
    let from_1: Vec<Signed> = room.nodes[1].document.all().cloned().collect();
    room.take(0, &from_1);
    let why = room.judge(0, &proposal).unwrap_err();
    assert_eq!((why.rule(), why.expected().as_str()), ("relative rule", "statements of 4 co-signers"));
    room.finish();
    assert_eq!(room.passes(&proposal), [false; 4]);
}

#[test]
fn a7_a_certificate_that_is_revealed_late_replaces_no_newer_one() {
    let mut room = Room::of(4);
    let key = group(1);
    for who in 0..4 {
        let signed = room.say(who, START, Payload::KeyReady(crate::harness::key_ready(1, &key)));
        room.tell(&signed);
    }
    let policy = |policy| Effect::Setting(Setting::Mining(policy));
    let (old, _) = propose(&mut room, START, policy(MiningPolicy::POOL));
    let (new, _) = propose(&mut room, START + 10, policy(MiningPolicy::SOLO));
    let value = |room: &Room| room.state(0).setting(&SettingKey::Mining).map(|(id, ..)| id);
    assert_eq!(value(&room), None, "nothing is decided");
    certify(&mut room, new, &key);
    assert_eq!(value(&room), Some(new));
    certify(&mut room, old, &key);
    assert_eq!(value(&room), Some(new), "the greatest close holds, in whatever order they are shown");
}

fn propose(room: &mut Room, height: Height, effect: Effect) -> (ProposalId, Signed) {
    let title = Line::try_from("x".to_owned()).expect("plain");
    let signed = room.say(0, height, Payload::Propose(Proposal { title, text: Note::default(), effect }));
    room.tell(&signed);
    (signed.id().into(), signed)
}

fn certify(room: &mut Room, id: ProposalId, key: &bitcoin::secp256k1::Keypair) {
    let state = room.state(0);
    let proposal = &state.proposals[&id];
    let body = proposal.body_of(state.guild, state.epoch, id, 0).expect("an option");
    let signed = room.say(0, START + 20, certificate(body, key));
    room.tell(&signed);
    assert!(room.state(1).proposals[&id].decided().is_some());
}

#[test]
fn a9_whoever_forks_below_a_yes_takes_it_back_and_cannot_split_the_others() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    assert_eq!(room.passes(&proposal), [true; 4]);
    let guild = room.guild.charter.id();
    for forker in [2, 3] {
        let other = entry(&room.guild.people[forker], guild, (0, None, START), 9, Payload::Accept);
        room.tell(&other);
    }
    // Two of four YES are gone, and so are two statements: a forked co-signer's do not count.
    assert_eq!(room.passes(&proposal), [false; 4], "equal verdicts, nobody has executed it");
}

#[test]
fn a11_a_node_that_lags_writes_one_statement_and_a_reorg_opens_nothing_again() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..3 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    room.nodes[0].tip = CLOSE; // a reorg: lower than before
    let late = room.say(3, START + 2, ballot(proposal, No, false));
    room.take(0, std::slice::from_ref(&late));
    let before: Vec<Payload> = said_by(&room, 0);
    room.reach(OVER + 1);
    assert_eq!(said_by(&room, 0), before, "written once");
    assert_eq!(before.len(), 1);
}

fn said_by(room: &Room, who: usize) -> Vec<Payload> {
    let chain = room.nodes[who].document.chain(&room.guild.id(who)).expect("a chain");
    let all = chain.entries().iter().map(|signed| signed.entry().payload.clone());
    all.filter(|payload| matches!(payload, Payload::CloseStatement(_))).collect()
}

#[test]
fn f3_an_exit_goes_by_one_id_for_ever_and_cools_from_when_it_was_seen() {
    let mut room = Room::of(4);
    let amount = |sat| Payload::Exit { amount: bitcoin::Amount::from_sat(sat) };
    let first = room.say(3, START, amount(9_000_000));
    let second = room.say(3, START + 1, amount(1_000_000));
    room.tell(&first);
    room.tell(&second);
    let state = room.state(0);
    let leaver = room.guild.id(3);
    let funds = Funds {
        confirmed: bitcoin::Amount::from_sat(6_000_000),
        promised: bitcoin::Amount::from_sat(2_000_000),
    };
    assert_eq!(part_of(&state, &leaver, &funds).to_sat(), 1_000_000, "a quarter of what is free");
    let at = |tip| Local { me: None, tip, first_seen: Some(START + 5) };
    let cooled = START + 5 + state.rules.exit.cooling;
    assert!(matches!(leaving(&state, &leaver, &at(cooled - 1), &funds), Err(NotPassing::Cooling { .. })));
    let passing = leaving(&state, &leaver, &at(cooled), &funds).unwrap();
    assert_eq!(passing.body().proposal, exit_id(state.guild, &leaver));
    assert_eq!(passing.body().close, START + 1, "the claim's own height");
    assert!(leaving(&state, &leaver, &at(cooled + limits::WINDOW), &funds).is_ok());
    assert!(matches!(
        leaving(&state, &leaver, &at(cooled + limits::WINDOW + 1), &funds),
        Err(NotPassing::Late { .. })
    ));
    let poor = Funds { confirmed: bitcoin::Amount::from_sat(5_999_999), ..funds };
    assert!(matches!(leaving(&state, &leaver, &at(cooled), &poor), Err(NotPassing::Part { .. })));
    // Certified: the weight is gone, whoever shows it, and however often.
    let key = group(1);
    for who in 0..4 {
        let signed = room.say(who, START + 2, Payload::KeyReady(crate::harness::key_ready(1, &key)));
        room.tell(&signed);
    }
    let signed = room.say(1, START + 3, certificate(passing.body().clone(), &key));
    room.tell(&signed);
    let state = room.state(0);
    assert_eq!(u32::from(state.weight(&leaver)), 0);
    assert_eq!(state.roll_weight(), 3);
    assert_eq!(state.granted(&leaver).map(|(claim, _)| claim.amount.to_sat()), Some(1_000_000));
}

#[test]
fn f4_one_s_own_statement_and_that_of_a_liar_are_too_few() {
    // Three co-signers, t = 2: own and one dishonest are t, and not enough.
    let guild_of_three = |charter: &mut Charter| {
        charter.rules = Rules::all(Rule::Absolute, 50, PERIOD);
        charter.rules.text.rule = Rule::Relative;
    };
    let mut room = Room::with(3, guild_of_three);
    let (proposal, _) = propose(&mut room, START, Effect::Text);
    room.vote(0, proposal, Yes);
    room.vote(2, proposal, Yes);
    room.say(1, START + 1, ballot(proposal, No, false)); // never reaches the first
    room.reach(OVER);
    let from_2: Vec<Signed> = room.nodes[2].document.all().cloned().collect();
    room.take(0, &from_2);
    let why = room.judge(0, &proposal).unwrap_err();
    assert_eq!(why.expected(), "statements of 3 co-signers");
    // Its NO comes with its statement: 2 of 3 YES is still a majority of those who vote.
    room.finish();
    assert_eq!(room.passes(&proposal), [true; 3]);
}

#[test]
fn f5_a_claim_without_its_ballot_is_waited_for_and_then_ignored() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in [0, 1, 2] {
        room.vote(who, proposal, Yes);
    }
    // The fourth says it saw a ballot of the second that nobody has.
    let ghost = EntryId(Digest([9; 32]));
    let seen = governance::Seen { proposal, in_time: true, ballots: vec![(room.guild.id(1), ghost)] };
    let lie = governance::CloseStatement { close: CLOSE, part: 0, parts: 1, seen: vec![seen] };
    room.say(3, OVER, Payload::CloseStatement(lie));
    room.finish();
    let why = room.judge(0, &proposal).unwrap_err();
    assert!(why.found().contains("names the ballot"), "{}", why.found());
    room.nodes[0].tip = OVER + PATIENCE;
    assert!(room.judge(0, &proposal).is_ok(), "after a day a claim that nobody backs is ignored");
}

#[test]
fn f6_a_flash_proposal_with_a_height_in_the_past_is_certified_by_nobody() {
    let mut room = Room::of(4);
    for node in &mut room.nodes {
        node.tip = CLOSE; // the present; the proposer claims START
    }
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    room.reach(OVER + PATIENCE);
    let why = room.judge(1, &proposal).unwrap_err();
    assert!(why.found().contains("was there in time"), "{}", why.found());
    assert_eq!(room.passes(&proposal), [false; 4]);
}

#[test]
fn f7_a_node_that_is_not_fresh_says_that_it_saw_nothing() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    room.nodes[3].fresh = false;
    for who in 0..3 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    let state = room.state(0);
    let own = &state.statements[&CLOSE][&room.guild.id(3)];
    assert!(own.complete() && own.of(&proposal).next().is_none(), "empty, and held");
    assert_eq!(room.passes(&proposal), [true; 4], "three statements carry the fourth");
}

#[test]
fn f8_after_the_certificate_nothing_takes_a_decision_back() {
    let mut room = Room::of(4);
    let key = group(1);
    for who in 0..4 {
        let signed = room.say(who, START, Payload::KeyReady(crate::harness::key_ready(1, &key)));
        room.tell(&signed);
    }
    let proposal = room.proposal();
    certify(&mut room, proposal, &key);
    for who in 1..4 {
        room.vote(who, proposal, No);
    }
    let withdrawn = room.say(0, START + 30, Payload::Withdraw { proposal });
    room.tell(&withdrawn);
    assert!(room.state(2).proposals[&proposal].decided().is_some(), "V5");
}

#[test]
fn f9_of_two_options_at_most_one_passes() {
    let policies = [MiningPolicy::SOLO, MiningPolicy::POOL].map(Setting::Mining).to_vec();
    let choose = Effect::Choose(Options::Setting(policies));
    /// (approvals by voter, the option that passes)
    type Case = (&'static [&'static [u16]], Option<u16>);
    let table: [Case; 5] = [
        (&[&[0], &[0], &[0], &[1], &[1]], Some(0)),
        (&[&[1], &[1], &[1], &[0], &[0]], Some(1)),
        (&[&[0, 1], &[0, 1], &[0, 1], &[0, 1], &[1]], Some(1)),
        (&[&[0, 1], &[0, 1], &[0, 1], &[0, 1], &[0, 1]], None), // a tie decides nothing
        (&[&[0], &[0], &[1], &[1], &[]], None),
    ];
    for (approvals, expected) in table {
        let mut room = Room::of(5);
        let (proposal, _) = propose(&mut room, START, choose.clone());
        for (who, options) in approvals.iter().enumerate().filter(|(_, options)| !options.is_empty()) {
            room.vote(who, proposal, Choice::Approve(Approvals::of(options.iter().copied())));
        }
        room.finish();
        for who in 0..5 {
            let option = room.judge(who, &proposal).ok().map(|passing| passing.body().option);
            assert_eq!(option, expected, "{approvals:?}");
        }
    }
}

#[test]
fn f9_a_forked_approval_lets_no_two_options_pass() {
    let policies = [MiningPolicy::SOLO, MiningPolicy::POOL].map(Setting::Mining).to_vec();
    let mut room = Room::of(4);
    let (proposal, _) = propose(&mut room, START, Effect::Choose(Options::Setting(policies)));
    let approve = |option| ballot(proposal, Choice::Approve(Approvals::of([option])), false);
    for (who, option) in [(0, 0), (1, 1)] {
        let signed = room.say(who, START + 1, approve(option));
        room.tell(&signed);
    }
    // The third approves one thing here and another there.
    let guild = room.guild.charter.id();
    let fork = |room: &Room, option, salt| {
        entry(&room.guild.people[2], guild, (0, None, START + 1), salt, approve(option))
    };
    let (one, other) = (fork(&room, 0, 1), fork(&room, 1, 2));
    room.take(0, std::slice::from_ref(&one));
    room.take(1, std::slice::from_ref(&other));
    room.reach(OVER);
    room.finish();
    assert_eq!(room.passes(&proposal), [false; 4]);
}

#[test]
fn f10_a_setting_with_a_far_close_is_certified_by_nobody() {
    let mut room = Room::of(4);
    let (proposal, _) = propose(&mut room, START, Effect::Setting(Setting::Mining(MiningPolicy::POOL)));
    for who in 0..4 {
        let signed = room.say(who, START + 1, ballot(proposal, Yes, true));
        room.tell(&signed);
    }
    assert_eq!(room.judge(0, &proposal), Err(NotPassing::Early(CLOSE)), "never before its close");
    room.reach(CLOSE);
    assert_eq!(room.passes(&proposal), [true; 4]);
    let local = |first_seen| Local { me: None, tip: CLOSE, first_seen: Some(first_seen) };
    let state = room.state(0);
    assert!(passing(&state, &proposal, &local(START - 6)).is_ok());
    assert!(matches!(passing(&state, &proposal, &local(START - 7)), Err(NotPassing::FarClose { .. })));
}

#[test]
fn f20_a_cancelled_decision_is_certified_no_more_and_a_setting_leaves_the_register() {
    let mut room = Room::of(4);
    let key = group(1);
    for who in 0..4 {
        let signed = room.say(who, START, Payload::KeyReady(crate::harness::key_ready(1, &key)));
        room.tell(&signed);
    }
    let (old, _) = propose(&mut room, START, Effect::Setting(Setting::Mining(MiningPolicy::SOLO)));
    let (new, _) = propose(&mut room, START + 1, Effect::Setting(Setting::Mining(MiningPolicy::POOL)));
    certify(&mut room, old, &key);
    certify(&mut room, new, &key);
    let (veto, _) = propose(&mut room, START + 20, Effect::Cancel(new));
    assert_eq!(room.state(0).cancelled(&new), None, "a veto that is not certified stops nothing");
    certify(&mut room, veto, &key);
    let state = room.state(0);
    assert_eq!(state.cancelled(&new), Some(veto));
    assert_eq!(state.setting(&SettingKey::Mining).map(|(id, ..)| id), Some(old));
    assert_eq!(room.judge(0, &new), Err(NotPassing::Cancelled(veto)));
    let (again, _) = propose(&mut room, START + 21, Effect::Cancel(veto));
    for who in 0..4 {
        let signed = room.say(who, START + 22, ballot(again, Yes, true));
        room.tell(&signed);
    }
    assert!(matches!(room.judge(0, &again), Err(NotPassing::Target(_))), "a veto is not vetoed");
}

#[test]
fn f21_final_yes_of_more_than_half_decide_whatever_the_rule_and_whoever_sleeps() {
    let mut room = Room::of(5);
    let proposal = room.proposal();
    for who in 0..3 {
        let signed = room.say(who, START + 1, ballot(proposal, Yes, true));
        room.take(0, std::slice::from_ref(&signed));
    }
    let passing = room.judge(0, &proposal).unwrap();
    assert_eq!(passing.rule(), Rule::Absolute, "before the close, without a statement");
}

#[test]
fn f22_one_statement_covers_all_proposals_that_close_together() {
    let mut room = Room::of(4);
    let first = room.proposal();
    let (second, _) = propose(&mut room, START, Effect::Text);
    for proposal in [first, second] {
        for who in 0..3 {
            room.vote(who, proposal, Yes);
        }
    }
    room.finish();
    assert_eq!(said_by(&room, 1).len(), 1);
    assert_eq!((room.passes(&first), room.passes(&second)), (vec![true; 4], vec![true; 4]));
}

#[test]
fn f25_a_withdrawal_is_a_decisive_no_for_whoever_knows_it_before_certifying() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    let withdrawn = room.say(0, OVER, Payload::Withdraw { proposal });
    room.take(1, std::slice::from_ref(&withdrawn));
    assert_eq!(room.judge(1, &proposal), Err(NotPassing::Withdrawn));
    assert!(room.judge(2, &proposal).is_ok(), "who does not know it yet");
}

#[test]
fn f32_a_forked_co_signer_states_nothing_but_is_still_counted_in_n() {
    let mut room = Room::of(5);
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    let other = entry(&room.guild.people[4], room.guild.charter.id(), (0, None, START), 9, Payload::Accept);
    room.tell(&other);
    assert_eq!(room.passes(&proposal), [true; 5], "four statements of five are t + 1");
    let other = entry(&room.guild.people[3], room.guild.charter.id(), (0, None, START), 9, Payload::Accept);
    room.tell(&other);
    let why = room.judge(0, &proposal).unwrap_err();
    assert_eq!(why.expected(), "statements of 4 co-signers", "three of five are not, although two are gone");
}

#[test]
fn a4_a_witness_names_what_a_judgement_rests_on_and_whoever_has_it_judges_alike() {
    let mut room = Room::of(5);
    let proposal = room.proposal();
    for who in 0..3 {
        let signed = room.say(who, START + 1, ballot(proposal, Yes, false));
        room.take(0, std::slice::from_ref(&signed));
        room.take(1, std::slice::from_ref(&signed));
        room.take(2, std::slice::from_ref(&signed));
    }
    room.reach(OVER);
    for who in 1..5 {
        let said: Vec<Signed> = room.nodes[who].document.all().cloned().collect();
        room.take(0, &said);
    }
    let witness = governance::witness(&room.nodes[0].document, &room.state(0), &proposal);
    assert_eq!(witness.len(), 1 + 5 + 3, "the proposal, five statements, three ballots");
    assert!(governance::is_held(&room.nodes[0].document, &witness));
    assert!(!governance::is_held(&room.nodes[4].document, &witness), "no ballot came there");
    assert!(room.judge(4, &proposal).is_err());
    let named: Vec<Signed> =
        witness.iter().filter_map(|id| room.nodes[0].document.find(*id)).cloned().collect();
    room.take(4, &named);
    assert!(governance::is_held(&room.nodes[4].document, &witness));
    assert_eq!(room.judge(4, &proposal), room.judge(0, &proposal), "own and witness");
    assert!(room.judge(4, &proposal).is_ok());
    let unknown = vec![EntryId(Digest([9; 32])); limits::WITNESS_MAX + 1];
    assert!(!governance::is_held(&room.nodes[0].document, &unknown));
    let many: Vec<EntryId> = vec![witness[0]; limits::WITNESS_MAX].into_iter().chain([unknown[0]]).collect();
    assert!(governance::is_held(&room.nodes[0].document, &many), "more than the bound is not looked at");
}

#[test]
fn a_vote_may_change_until_the_close_and_the_last_one_in_time_counts() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    for who in [1, 2] {
        room.vote(who, proposal, No);
    }
    room.finish();
    assert_eq!(room.passes(&proposal), [false; 4]);
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, No);
        room.vote(who, proposal, Yes);
    }
    room.finish();
    assert_eq!(room.passes(&proposal), [true; 4]);
}

#[test]
fn a5_whoever_stated_what_it_saw_can_say_nothing_of_the_time_before() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    for who in 0..3 {
        room.vote(who, proposal, Yes);
    }
    room.vote(3, proposal, No);
    room.finish();
    assert_eq!(room.passes(&proposal), [true; 4]);
    let signed = room.say(0, START + 1, ballot(proposal, No, false));
    let height = signed.entry().height;
    assert!(height >= OVER, "after its statement nobody says anything of the time before");
    room.tell(&signed);
    assert_eq!(room.passes(&proposal), [true; 4], "and what is said after the close counts for nothing");
}

#[test]
fn a_delegation_counts_for_what_is_proposed_later_and_the_own_ballot_overrides_it() {
    /// (the delegation's height, the own ballot, what it counts as: weight of yes)
    type Case = (Height, Option<Choice>, u64);
    let table: [Case; 5] = [
        (START - 1, None, 3),
        (START, None, 2), // not before the proposal
        (START - 1, Some(No), 2),
        (START - 1, Some(Abstain), 2),
        (START - 1, Some(Yes), 3),
    ];
    for (height, own, expected) in table {
        let mut room = Room::of(5);
        let to = Some(room.guild.id(1));
        let named = room.say(4, height, Payload::Delegate { to });
        room.tell(&named);
        let proposal = room.proposal();
        room.vote(0, proposal, Yes);
        room.vote(1, proposal, Yes);
        if let Some(choice) = own {
            room.vote(4, proposal, choice);
        }
        room.finish();
        let yes = match room.judge(2, &proposal) {
            Ok(_) => 3,
            Err(NotPassing::Relative(counted)) => counted.yes,
            Err(why) => panic!("{why}"),
        };
        let abstained = own == Some(Abstain);
        assert_eq!(if abstained { 2 } else { yes }, expected, "{height} {own:?}");
    }
}

#[test]
fn a_delegation_is_one_hop_and_can_be_taken_back() {
    let mut room = Room::of(5);
    for (who, to) in [(4, Some(3)), (3, Some(0))] {
        let to = to.map(|to: usize| room.guild.id(to));
        let named = room.say(who, START - 2, Payload::Delegate { to });
        room.tell(&named);
    }
    let taken_back = room.say(3, START - 1, Payload::Delegate { to: None });
    room.tell(&taken_back);
    let proposal = room.proposal();
    room.vote(0, proposal, Yes);
    room.vote(1, proposal, Yes);
    room.finish();
    let NotPassing::Relative(counted) = room.judge(2, &proposal).unwrap_err() else { panic!("relative") };
    assert_eq!(counted.yes, 2, "nobody votes for the fourth, and so nobody for the fifth");
}

#[test]
fn a_delegation_never_makes_a_final_yes() {
    let mut room = Room::of(3 + 1);
    let to = Some(room.guild.id(1));
    for who in [2, 3] {
        let named = room.say(who, START - 1, Payload::Delegate { to });
        room.tell(&named);
    }
    let proposal = room.proposal();
    let signed = room.say(1, START + 1, ballot(proposal, Yes, true));
    room.tell(&signed);
    assert!(matches!(room.judge(0, &proposal), Err(NotPassing::Open { tally, .. }) if tally.final_yes == 1));
}

#[test]
fn an_amount_above_the_cap_is_not_decided_by_those_who_vote() {
    let mut room = Room::with(4, |charter| charter.rules.spend.cap_sat = Some(69_999));
    let proposal = room.proposal();
    for who in 0..4 {
        room.vote(who, proposal, Yes);
    }
    room.finish();
    assert!(said_by(&room, 0).is_empty(), "nobody states what does not matter");
    assert!(matches!(room.judge(0, &proposal), Err(NotPassing::Votes(_))));
}

#[test]
fn units_without_a_vote_have_a_part_but_decide_nothing() {
    let room = Room::with(4, |charter| {
        charter.founders[3].weight = Weight::default();
        charter.founders[3].claim = Weight::try_from(3).expect("a weight");
    });
    let state = room.state(0);
    let silent = room.guild.id(3);
    assert_eq!((state.roll_weight(), state.units(&silent)), (3, 3));
    let funds = Funds { confirmed: bitcoin::Amount::from_sat(600), promised: bitcoin::Amount::ZERO };
    assert_eq!(part_of(&state, &silent, &funds).to_sat(), 300);
}

#[test]
fn a_part_of_a_statement_is_no_statement() {
    let mut room = Room::of(4);
    let proposal = room.proposal();
    let part = |part, parts| {
        let seen = vec![governance::Seen { proposal, in_time: true, ballots: vec![] }];
        Payload::CloseStatement(governance::CloseStatement { close: CLOSE, part, parts, seen })
    };
    let early = room.say(1, OVER - 1, part(0, 1));
    let first = room.say(1, OVER, part(0, 2));
    let other = room.say(1, OVER, part(0, 2));
    let strange = room.say(1, OVER, part(1, 3));
    let folded = fold(&room.guild.charter, &room.nodes[1].document, &facts(OVER));
    let verdict = |signed: &Signed| folded.verdicts[&signed.id()].clone();
    assert_eq!(verdict(&early), Verdict::Ignored(Ignored::EarlyStatement(CLOSE)));
    assert_eq!(verdict(&first), Verdict::Applied);
    assert_eq!(verdict(&other), Verdict::Ignored(Ignored::Repeated));
    assert_eq!(verdict(&strange), Verdict::Ignored(Ignored::Part { part: 1, parts: 3 }));
    assert!(!folded.state.statements[&CLOSE][&room.guild.id(1)].complete());
    room.say(1, OVER, part(1, 2));
    assert!(room.state(1).statements[&CLOSE][&room.guild.id(1)].complete());
}
