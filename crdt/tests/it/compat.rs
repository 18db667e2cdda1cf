//! Bytes and hashes that may never change: what members signed years ago must load, and mean the same.
//!
//! The pinned bytes are in `tests/data/*.hex`. A new kind gets a new file (`HASHGUILD_PIN=1` writes those
//! that are missing); an existing one is never written again.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::harness::{TIP, certificate, entry, group, group_key, guild, key_ready, key_test, sign};
use bitcoin::Amount;
use bitcoin::hashes::{Hash as _, sha256};
use crdt::certificate::{Body, key_test_digest};
use crdt::edit::{Edit, Heads, Sheet, Step, Steps};
use crdt::entry::{Addresses, Attempt, Invite};
use crdt::governance::{
    Approvals, Basis, Budget, Carried, CloseStatement, Disburse, Distribute, EpochChange, Options, Output,
    RollEntry, Seen, Setting, Spend, Work,
};
use crdt::succession::{Cut, Rekey};
use crdt::testkit::{ballot, facts, payee, people, spend};
use crdt::text::{Line, Note};
use crdt::treasury::descriptor;
use crdt::*;
use std::path::Path;

/// The committed bytes of this name.
fn pinned(name: &str, now: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.hex"));
    if !path.exists() && std::env::var_os("HASHGUILD_PIN").is_some() {
        std::fs::write(&path, format!("{}\n", hex::DisplayHex::to_lower_hex_string(now))).expect("writes");
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::FromHex::from_hex(text.trim()).expect("hexadecimal digits")
}

pub(crate) fn assert_pinned(name: &str, now: &[u8]) {
    assert_eq!(pinned(name, now), now, "{name} is not what it was");
}

/// The tagged hash of BIP340, written anew.
fn tagged(tag: &str, parts: &[&[u8]]) -> Digest {
    let tag = sha256::Hash::hash(tag.as_bytes()).to_byte_array();
    let bytes = [&tag, &tag, parts.concat().as_slice()].concat();
    Digest(sha256::Hash::hash(&bytes).to_byte_array())
}

fn line(text: &str) -> Line {
    Line::try_from(text.to_owned()).expect("plain")
}

/// One of every kind, with all there is in it.
fn every_kind() -> Vec<Payload> {
    let guild = guild(3);
    let proposal = ProposalId(Digest([0x11; 32]));
    let guest = people(7).pop().expect("seven").id();
    let addresses = ["/ip4/192.0.2.1/tcp/4001", "/dns/host.example/tcp/4001"];
    let addresses = addresses.map(line).to_vec();
    let words = text("two\nlines");
    vec![
        Payload::Accept,
        Payload::Reachable(Addresses::try_from(addresses).expect("two")),
        Payload::Invite(Invite { guest, name: line("Zoë"), expiry: TIP + limits::INVITE_MAX }),
        Payload::DkgEcho { epoch: 1, attempt: 300, round1: Digest([0x22; 32]) },
        Payload::KeyReady(key_ready(2, &group(1))),
        key_test(guild.charter.id(), &group(1)),
        spend(70_000),
        ballot(proposal, Choice::Abstain, true),
        Payload::Withdraw { proposal },
        Payload::Comment { proposal, text: words },
        certificate(Body::founding(&guild.charter), &group(1)),
        Payload::Edit(edit()),
        Payload::CloseStatement(statement(proposal)),
        Payload::Disburse(Disburse { budget: proposal, outputs: outputs(), reason: text("the bill of May") }),
        Payload::Exit { amount: Amount::from_sat(1_000_000) },
        Payload::Pause { on: true },
        Payload::Delegate { to: Some(guild.people[1].id()) },
        receipt(),
        Payload::Attempt(Attempt {
            epoch: 1,
            attempt: 2,
            set: guild.people.iter().map(|person| person.id()).collect(),
        }),
        Payload::Rekey(Rekey {
            change: proposal,
            attempt: Attempt {
                epoch: 2,
                attempt: 1,
                set: guild.people.iter().map(|person| person.id()).collect(),
            },
        }),
        Payload::Cut(Cut { change: proposal, attempt: 1, height: TIP + limits::CUT_AHEAD }),
        Payload::Holds { checkpoint: Digest([0x44; 32]) },
    ]
}

fn text(text: &str) -> Note {
    Note::try_from(text.to_owned()).expect("plain")
}

fn outputs() -> Vec<Output> {
    vec![Output { script: payee(9), amount: Amount::from_sat(70_000) }]
}

fn statement(proposal: ProposalId) -> CloseStatement {
    let ballots = vec![(people(1)[0].id(), EntryId(Digest([0x77; 32])))];
    let seen = vec![Seen { proposal, in_time: true, ballots }];
    CloseStatement { close: 800_432, part: 0, parts: 1, seen }
}

/// One of every effect, with all there is in it.
fn every_effect() -> Vec<(&'static str, Effect)> {
    let person = |number: usize| people(7)[number].id();
    let anchor = bitcoin::OutPoint::new(bitcoin::Txid::from_byte_array([0x88; 32]), 1);
    let work = Work { number: 3, heads: [(person(0), EntryId(Digest([0x99; 32])))].into() };
    let basis = Basis::Mixed { work_percent: 60, work: work.clone() };
    let before = ProposalId(Digest([0xaa; 32]));
    let carried = Carried { after: Some(before), left: [(person(0), 10_000)].into() };
    let distribute =
        |basis| Distribute { total: Amount::from_sat(80_000), outputs: outputs(), anchor, basis };
    let budget = Budget {
        limit: Amount::from_sat(500_000),
        period: 4_320,
        payees: vec![payee(9), payee(10)],
        drawers: vec![person(1)],
        purpose: line("hosting"),
        end: 850_000,
        anchor,
    };
    let put = RollEntry {
        key: person(5),
        name: line("frank"),
        weight: Weight::try_from(7).expect("a weight"),
        claim: Weight::try_from(2).expect("a weight"),
        payout: payee(5),
        replaces: Some(person(3)),
    };
    let change = EpochChange {
        put: vec![put],
        remove: vec![person(2)],
        rules: Some(rules::Rules::preset(rules::Preset::CoOp, 3, 144)),
        threshold: Some(charter::ThresholdRule::AtLeast(3)),
        candidates: vec![person(0), person(1), person(5)],
        least: 2,
    };
    let spend =
        |sat| Spend { outputs: vec![Output { script: payee(9), amount: Amount::from_sat(sat) }], anchor };
    let policies = [mining::MiningPolicy::SOLO, mining::MiningPolicy::POOL].map(Setting::Mining).to_vec();
    let house = Setting::House { name: line("quiet hours"), value: text("22 to 6") };
    vec![
        ("spend", Effect::Spend(Spend { outputs: outputs(), anchor })),
        ("text", Effect::Text),
        ("setting-mining", Effect::Setting(Setting::Mining(mining::MiningPolicy::POOL))),
        ("setting-house", Effect::Setting(house)),
        ("setting-coin", Effect::Setting(Setting::Coin { outpoint: anchor, frozen: true })),
        ("distribute-shares", Effect::Distribute(distribute(Basis::Shares))),
        ("distribute-work", Effect::Distribute(distribute(Basis::Work(work)))),
        ("distribute-mixed", Effect::Distribute(distribute(basis))),
        ("distribute-carried", Effect::Distribute(distribute(Basis::Carried(carried)))),
        ("budget", Effect::Budget(budget)),
        ("cancel", Effect::Cancel(ProposalId(Digest([0x11; 32])))),
        ("epoch", Effect::Epoch(Box::new(change))),
        ("choose-text", Effect::Choose(Options::Text(vec![line("red"), line("blue")]))),
        ("choose-setting", Effect::Choose(Options::Setting(policies))),
        ("choose-spend", Effect::Choose(Options::Spend(vec![spend(70_000), spend(60_000)]))),
    ]
}

#[test]
fn old_effects_load_for_ever_and_keep_their_hash() {
    for (name, effect) in every_effect() {
        assert_eq!(effect.check(), Ok(()), "{name} can stand");
        let now = postcard::to_stdvec(&effect).expect("encodes");
        let old: Effect = postcard::from_bytes(&pinned(&format!("effect-{name}"), &now)).expect("loads");
        assert_eq!(old, effect, "{name} means what it meant");
        assert_pinned(&format!("effect-{name}-hash"), &effect.hash().0);
    }
    let policy = Effect::Setting(Setting::Mining(mining::MiningPolicy::POOL));
    assert_eq!(policy.hash(), mining::MiningPolicy::POOL.hash(), "farms know it by this hash");
}

/// An edit with every kind of step.
fn edit() -> Edit {
    let note = |text: &str| Note::try_from(text.to_owned()).expect("plain");
    let steps = vec![
        Step::Splice { text: edit::Text::Body, at: 300, remove: 2, insert: note("new\nwords") },
        Step::Set { item: line("bcrt1qhost"), field: line("label"), value: note("the host") },
        Step::Clear { item: line("bcrt1qhost"), field: line("origin") },
    ];
    Edit {
        sheet: Sheet::Draft(EntryId(Digest([0x55; 32]))),
        after: Heads::try_from(vec![EntryId(Digest([0x55; 32])), EntryId(Digest([0x66; 32]))]).expect("two"),
        steps: Steps::try_from(steps).expect("three"),
    }
}

#[test]
fn old_entries_load_for_ever() {
    let guild = guild(3);
    let id = guild.charter.id();
    let kinds = every_kind();
    for (number, payload) in (0u32..).zip(kinds) {
        let name = format!("entry-{}", payload.kind());
        let prev = number.checked_sub(1).map(|_| EntryId(Digest([0x33; 32])));
        let now = entry(&guild.people[0], id, (number, prev, 800_000), 0x44, payload);
        let old = Verifier::new(&guild.charter)
            .verify(&pinned(&name, &now.to_bytes()))
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(old, now, "{name} means what it meant");
        assert_eq!(now.id().to_bytes(), tagged("hashguild/entry/v1", &[&now.to_bytes()[64..]]).0);
    }
}

#[test]
fn a_ballot_on_options_keeps_its_bytes() {
    let choice = Choice::Approve(Approvals::of([0, 3, 15, 16]));
    assert_pinned("choice-approve", &postcard::to_stdvec(&choice).expect("encodes"));
    assert_eq!(choice.to_string(), "option 1, 4, 16");
}

#[test]
fn the_kinds_are_closed_and_in_order() {
    let names: Vec<&str> = every_kind().iter().map(Payload::kind).collect();
    let expected = [
        "accept",
        "reachable",
        "invite",
        "dkg-echo",
        "key-ready",
        "key-test",
        "propose",
        "ballot",
        "withdraw",
        "comment",
        "certificate",
        "edit",
        "close-statement",
        "disburse",
        "exit",
        "pause",
        "delegate",
        "receipt",
        "attempt",
        "rekey",
        "cut",
        "holds",
    ];
    assert_eq!(names, expected);
    for (number, payload) in (0u8..).zip(every_kind()) {
        assert_eq!(postcard::to_stdvec(&payload).unwrap().first(), Some(&number), "{}", payload.kind());
    }
}

#[test]
fn a_charter_and_the_id_of_its_guild_stay() {
    let charter = guild(3).charter;
    assert_pinned("charter", &charter.to_bytes());
    assert_eq!(Charter::from_bytes(&pinned("charter", &[])), Ok(charter.clone()));
    assert_pinned("guild-id", &charter.id().to_bytes());
    assert_eq!(charter.id().0, tagged("hashguild/charter/v1", &[&charter.to_bytes()]));
    assert_pinned("descriptor", descriptor(&charter, group_key(&group(1))).as_bytes());
}

#[test]
fn a_certificate_signs_a_fixed_layout() {
    let body = Body {
        guild: GuildId(Digest([1; 32])),
        epoch: 0x0203_0405,
        proposal: ProposalId(Digest([6; 32])),
        option: 0x0708,
        effect: Digest([9; 32]),
        close: 0x0a0b_0c0d,
    };
    let mut layout = vec![1; 32];
    layout.extend([2, 3, 4, 5]);
    layout.extend([6; 32]);
    layout.extend([7, 8]);
    layout.extend([9; 32]);
    layout.extend([10, 11, 12, 13]);
    assert_eq!(layout.len(), 106);
    assert_eq!(body.digest(), tagged("hashguild/certificate/v1", &[&layout]));
    assert_pinned("certificate-digest", &body.digest().0);
    let test = key_test_digest(GuildId(Digest([1; 32])), 0x0203_0405, Digest([6; 32]));
    assert_eq!(test, tagged("hashguild/key-test/v1", &[&[1; 32], &[2, 3, 4, 5], &[6; 32]]));
    assert!(sign(test, &group(1)).verifies(test, group_key(&group(1))));
    let founding = Body::founding(&guild(3).charter);
    assert_eq!((founding.epoch, founding.option, founding.close), (1, 0, 0));
    assert_eq!(founding.proposal.to_bytes(), founding.guild.to_bytes());
}

#[test]
fn what_takes_effect_keeps_its_hash() {
    let Payload::Propose(proposal) = spend(70_000) else { unreachable!() };
    assert_pinned("effect-hash", &proposal.effect.hash().0);
    assert_pinned("policy-hash", &mining::MiningPolicy::SOLO.hash().0);
    assert_eq!(mining::MiningPolicy::SOLO.hash(), tagged("hashguild/mining-policy/v1", &[&[0, 0]]));
    let tag = mining::coinbase_tag(GuildId(Digest([1; 32])), people(1)[0].id(), [2; 32], 0x0304);
    assert_pinned("coinbase-tag", &tag);
}

#[test]
fn a_document_of_every_kind_keeps_its_state_hash() {
    let mut guild = guild(3);
    guild.ready(&group(1));
    // the hash was pinned before there were receipts and attempts
    let kinds = every_kind().into_iter().take(17);
    for (number, payload) in kinds.enumerate() {
        guild.say(number % 3, payload);
    }
    let proposal = ProposalId::from(guild.say(0, spend(80_000)).id());
    guild.say(1, ballot(proposal, Choice::Yes, true));
    guild.say(2, ballot(proposal, Choice::No, false));
    let body = guild.fold().state.proposals[&proposal].body(guild.charter.id(), proposal);
    guild.say(2, certificate(body, &group(1)));
    let mut facts = facts(TIP);
    let txid = bitcoin::Txid::from_byte_array([0x55; 32]);
    let settled = state::Settled { how: state::How::Paid, txid, height: TIP - 6 };
    facts.settled.insert(proposal, settled);
    let folded = fold(&guild.charter, &guild.document, &facts);
    assert!(folded.state.usable_key().is_some() && folded.state.proposals[&proposal].settled.is_some());
    assert_pinned("state-hash", &folded.state.hash().0);
    let before = fold(&guild.charter, &guild.document, &crdt::testkit::facts(TIP)).state.hash();
    assert_ne!(before, folded.state.hash(), "the chain's facts are part of it");
}

#[test]
fn a_receipt_keeps_its_bytes() {
    assert_pinned("payload-receipt", &postcard::to_stdvec(&receipt()).expect("encodes"));
}

fn receipt() -> Payload {
    use bitcoin::block::{Header, Version};
    let header = Header {
        version: Version::from_consensus(0x2000_0000),
        prev_blockhash: bitcoin::BlockHash::from_byte_array([1; 32]),
        merkle_root: bitcoin::TxMerkleNode::from_byte_array([2; 32]),
        time: 0x0304_0506,
        bits: bitcoin::CompactTarget::from_consensus(0x1d00_ffff),
        nonce: 0x0708_090a,
    };
    let receipt = receipt::Receipt {
        link: [3; 32],
        difficulty: 1 << 18,
        header,
        coinbase: vec![4; 200],
        branch: vec![[5; 32], [6; 32]],
    };
    Payload::Receipt(Box::new(receipt))
}
