//! The known attacks on Automerge and on documents of many authors: each made for real, shown to bite where
//! it is aimed at, and to do nothing here.
//!
//! Automerge reads no byte that a peer made: hostile changes are refused at every door, and what a member
//! *can* sign, an edit, cannot say what they say.

use crate::harness::{Guild, TIP, cases, converge, entry, guild};
use crate::workspace::{begin, edit, line, note, splice};
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::sync::{State, SyncDoc as _};
use automerge::transaction::Transactable as _;
use automerge::{
    ActorId, Automerge, Change, ChangeHash, ExpandedChange, ObjType, ROOT, ReadDoc as _, ScalarValue,
};
use crdt::edit::{STEPS_MAX, Sheet, Step, Text, actor};
use crdt::limits::{ENTRY_MAX, HELD_PER_AUTHOR, QUOTA_ENTRIES};
use crdt::sync::{Frontier, Pull};
use crdt::testkit::{ballot, people, spend};
use crdt::text::{NOTE_MAX, Note};
use crdt::workspace::{EditIgnored, EditVerdict, Workspace};
use crdt::*;
use ed25519_dalek::Signer as _;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

// --- Hostile Automerge changes ------------------------------------------------------------------------

fn name(byte: u8) -> ActorId {
    ActorId::from([byte; 32].as_slice())
}

/// A change that says whatever is asked.
fn change(who: u8, seq: u64, start_op: u64, deps: Vec<ChangeHash>, operations: Vec<Op>) -> Change {
    with_extra(who, seq, start_op, deps, operations, Vec::new())
}

fn with_extra(
    who: u8,
    seq: u64,
    start_op: u64,
    deps: Vec<ChangeHash>,
    operations: Vec<Op>,
    extra_bytes: Vec<u8>,
) -> Change {
    let start_op = NonZeroU64::new(start_op).expect("at least one");
    Change::from(ExpandedChange {
        operations,
        actor_id: name(who),
        hash: None,
        seq,
        start_op,
        time: 0,
        message: None,
        deps,
        extra_bytes,
        author: None,
    })
}

fn put(obj: ObjectId, pred: Vec<OpId>) -> Op {
    let action = OpType::Put(ScalarValue::Int(1));
    Op { action, obj, key: Key::Map("x".into()), pred: pred.into(), insert: false }
}

fn root() -> Vec<Op> {
    vec![put(ObjectId::Root, Vec::new())]
}

/// The first change of an honest writer: a map under its own name, with one key.
fn honest(who: u8) -> Change {
    honest_with(who, 1)
}

fn honest_with(who: u8, value: i64) -> Change {
    let mut doc = Automerge::new().with_actor(name(who));
    let mut transaction = doc.transaction();
    let map = transaction.put_object(ROOT, format!("member {who}"), ObjType::Map).expect("a map");
    transaction.put(&map, "x", value).expect("a value");
    transaction.commit();
    doc.get_last_local_change().expect("just made")
}

fn with(changes: &[Change]) -> Automerge {
    let mut doc = Automerge::new();
    doc.apply_changes(changes.to_vec()).expect("honest changes apply");
    doc
}

/// Whether Automerge, having `before`, comes to harm by `hostile`: it panics now or at the next honest word,
/// or keeps a file that does not load as what it was.
fn harms(before: &[Change], hostile: &Change) -> bool {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut doc = with(before);
        if doc.apply_changes([hostile.clone()]).is_err() {
            return false;
        }
        let saved = Automerge::load(&doc.save()).map(|loaded| loaded.get_heads());
        let mut transaction = doc.transaction();
        transaction.put(ROOT, "z", 1).expect("an honest word");
        transaction.commit();
        let next = doc.get_last_local_change().expect("just made");
        let read = Change::from_bytes(next.raw_bytes().to_vec()).is_ok();
        let mut second = doc.transaction();
        second.put(ROOT, "zz", 1).expect("another");
        second.commit();
        saved.is_err() || !read
    }));
    tried.unwrap_or(true)
}

// --- The doors ------------------------------------------------------------------------------------------

/// `body` signed by person 0 as it stands.
fn sealed(body: &[u8]) -> Vec<u8> {
    let id = Digest::tagged("hashguild/entry/v1", &[body]);
    let mut bytes = people(1).swap_remove(0).key.sign(&id.0).to_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// Offer hostile bytes wherever bytes of a peer come in, signed by a member wherever a signature helps: no
/// entry comes of it, and where they can be text they are text.
fn nothing_at_any_door(hostile: &[u8]) {
    let mut guild = guild(3);
    let id = guild.charter.id();
    let door = guild.document.verifier();
    let draft = begin(&mut guild, 1, "the text");
    let before = Workspace::of(&guild.document).hash();
    let genuine = entry(guild.person(0), id, (0, None, TIP), 1, Payload::Accept);
    let genuine = genuine.to_bytes();
    let (body, _) = genuine.split_at(genuine.len() - 1);
    let (_, header) = body.split_at(64);
    let spoken = [header, &[0]].concat();
    assert!(door.verify(&sealed(&spoken)).is_ok(), "the forger's tools work");
    let mut doors = vec![hostile.to_vec(), sealed(hostile)];
    // In place of what is said, and behind the number of every kind of saying.
    doors.push(sealed(&[header, hostile].concat()));
    doors.push(sealed(&[&spoken, hostile].concat()));
    for kind in 0..=32_u8 {
        doors.push(sealed(&[header, &[kind], hostile].concat()));
    }
    // On the wire a page is a list of such bytes, and that is all it is.
    let page = crate::harness::over_the_wire(&doors);
    for bytes in page {
        assert!(door.verify(&bytes).is_err(), "hostile bytes are no entry");
    }
    if let Ok(theirs) = postcard::from_bytes::<Frontier>(hostile) {
        drop(Frontier::of(&guild.document).lacks(&theirs));
    }
    if let Ok(asked) = postcard::from_bytes::<Pull>(hostile) {
        drop(crdt::sync::page(&guild.document, &asked));
    }
    assert!(Charter::from_bytes(hostile).is_err());
    assert_eq!(Workspace::of(&guild.document).hash(), before);
    assert!(String::from_utf8(hostile.to_vec()).map_or(true, |text| Note::try_from(text).is_err()));
    as_text(&mut guild, draft, hostile);
}

/// The same bytes spelled out in an edit are words and nothing else.
fn as_text(guild: &mut Guild, draft: EntryId, hostile: &[u8]) {
    let hex: String = hostile.iter().take(8_000).map(|byte| format!("{byte:02x}")).collect();
    let item: String = hex.chars().take(100).collect();
    let set = Step::Set { item: line(&item), field: line("bytes"), value: note(&hex) };
    let steps = vec![splice(Text::Body, 0, 8, &hex), set];
    let signed = guild.say(0, edit(Sheet::Draft(draft), &[draft], steps));
    let workspace = Workspace::of(&guild.document);
    assert_eq!(workspace.verdict(signed.id()), Some(&EditVerdict::Applied));
    assert_eq!(workspace.text(draft, Text::Body, None), Some(hex.clone()));
    let items = workspace.items(Sheet::Draft(draft));
    assert_eq!(items.get(&item).and_then(|fields| fields.get("bytes")), Some(&hex));
}

/// The changes behind a draft, as stock Automerge reads them.
fn changes(workspace: &Workspace, draft: EntryId) -> Vec<Change> {
    let saved = workspace.save(Sheet::Draft(draft)).expect("a draft");
    Automerge::load(&saved).expect("stock Automerge loads it").get_changes(&[])
}

/// Every change is the first and only one of its actor, and counts on from what it builds on.
fn assert_sound(changes: &[Change]) {
    for change in changes {
        assert_eq!(change.seq(), 1);
        let deps = changes.iter().filter(|other| change.deps().contains(&other.hash()));
        let highest = deps.map(Change::max_op).max().unwrap_or(0);
        assert_eq!(change.start_op().get(), highest + 1, "counts on from what it builds on");
        assert_eq!(changes.iter().filter(|other| other.actor_id() == change.actor_id()).count(), 1);
    }
}

fn refused(before: &[Change], hostile: &Change) {
    assert!(harms(before, hostile), "the attack is real");
    nothing_at_any_door(hostile.raw_bytes());
}

// --- The panicking changes, as numbered in the research ---------------------------------------------------

#[test]
fn panic_1_a_gap_in_the_numbers_of_an_unknown_actor() {
    refused(&[], &change(3, 5, 1, Vec::new(), root()));
}

#[test]
fn panic_2_a_gap_in_the_numbers_of_a_known_actor() {
    let first = honest(3);
    refused(std::slice::from_ref(&first), &change(3, 3, 3, vec![first.hash()], root()));
}

#[test]
fn panic_3_an_operation_id_used_twice() {
    let first = honest(3);
    let twice = vec![put(ObjectId::Root, Vec::new()), put(ObjectId::Root, Vec::new())];
    refused(std::slice::from_ref(&first), &change(3, 2, 1, vec![first.hash()], twice));
}

#[test]
fn panic_4_a_start_op_at_the_end_of_all_numbers_bricks_every_writer() {
    for start_op in [u64::from(u32::MAX) - 1, u64::from(u32::MAX)] {
        refused(&[honest(2)], &change(4, 1, start_op, Vec::new(), root()));
    }
}

#[test]
fn panic_5_an_author_footer_where_none_belongs() {
    let first = honest(3);
    let hostile = |id| with_extra(3, 2, 3, vec![first.hash()], root(), vec![id, 2, 65, 66]);
    let footer = (0..8).map(hostile).find(|change| change.author().is_some()).expect("one is a footer");
    refused(std::slice::from_ref(&first), &footer);
}

#[test]
fn panic_6_an_operation_in_an_object_that_is_not_there() {
    let foreign = vec![put(ObjectId::Id(OpId(1, name(2))), vec![OpId(2, name(2))])];
    refused(&[], &change(4, 1, 1, Vec::new(), foreign));
    refused(&[], &change(4, 1, 1, Vec::new(), vec![put(ObjectId::Id(OpId(50, name(4))), Vec::new())]));
}

#[test]
fn panic_7_an_insertion_after_an_element_that_is_not_there() {
    let list = Op {
        action: OpType::Make(ObjType::List),
        obj: ObjectId::Root,
        key: Key::Map("l".into()),
        pred: Vec::new().into(),
        insert: false,
    };
    let insert = Op {
        action: OpType::Put(ScalarValue::Int(1)),
        obj: ObjectId::Id(OpId(1, name(4))),
        key: Key::Seq(ElementId::Id(OpId(77, name(4)))),
        pred: Vec::new().into(),
        insert: true,
    };
    refused(&[], &change(4, 1, 1, Vec::new(), vec![list, insert]));
}

#[test]
fn panic_8_a_predecessor_that_is_not_there_spoils_the_file() {
    refused(&[], &change(4, 1, 1, Vec::new(), vec![put(ObjectId::Root, vec![OpId(900, name(4))])]));
}

#[test]
fn panic_9_an_increment_of_what_is_no_counter_deletes_it() {
    let first = honest(3);
    let mut op = put(ObjectId::Id(OpId(1, name(3))), vec![OpId(2, name(3))]);
    op.action = OpType::Increment(5);
    let hostile = change(3, 2, 3, vec![first.hash()], vec![op]);
    let doc = with(&[first, hostile.clone()]);
    let (_, map) = doc.get(ROOT, "member 3").expect("reads").expect("there");
    assert!(doc.get(&map, "x").expect("reads").is_none(), "the attack is real");
    nothing_at_any_door(hostile.raw_bytes());
    // Fields are texts, set or gone: an edit has no word for counting.
}

#[test]
fn panic_10_an_actor_index_out_of_range() {
    let foreign = vec![put(ObjectId::Id(OpId(1, name(2))), vec![OpId(2, name(2))])];
    let good = change(4, 1, 1, Vec::new(), foreign).raw_bytes().to_vec();
    let mut real = 0;
    for at in 9..good.len() {
        for byte in [0x7e, 0x05, 0x02] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            let Ok(Ok(change)) = catch_unwind(|| Change::from_bytes(bytes.clone())) else { continue };
            if change.len() < 100 && catch_unwind(AssertUnwindSafe(|| drop(change.decode()))).is_err() {
                real += 1;
                nothing_at_any_door(&bytes);
            }
        }
    }
    assert!(real > 0, "the attack is real");
}

#[test]
fn panic_11_a_second_change_that_names_no_first_gives_one_actor_two_heads() {
    let first = honest(3);
    let hostile = change(3, 2, 3, Vec::new(), root());
    assert_eq!(with(&[first, hostile.clone()]).get_heads().len(), 2, "the attack is real");
    nothing_at_any_door(hostile.raw_bytes());
}

#[test]
fn whatever_an_edit_says_its_change_is_sound() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "some text");
    let mut made = vec![draft];
    for number in 0..60_usize {
        let on = [made[number * 7 % made.len()], made[number * 13 % made.len()]];
        let at = u32::try_from(number % 12).expect("small");
        let steps = vec![splice(Text::Body, at, 1, "é🦀"), splice(Text::Body, u32::MAX - at, at, "x")];
        let steps = if number % 5 == 0 { steps } else { steps[..1].to_vec() };
        let signed = guild.say(number % 3, edit(Sheet::Draft(draft), &on, steps));
        if Workspace::of(&guild.document).verdict(signed.id()) == Some(&EditVerdict::Applied) {
            made.push(signed.id());
        }
    }
    let workspace = Workspace::of(&guild.document);
    let changes = changes(&workspace, draft);
    assert_eq!(changes.len(), made.len() + 1);
    assert!(made.len() > 20);
    assert_sound(&changes);
}

// --- Bombs --------------------------------------------------------------------------------------------------

#[test]
fn start_op_brick_no_edit_moves_the_count_further_than_it_has_characters() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 0, "x");
    let ends = [u32::MAX, u32::MAX - 1, 1 << 31];
    for at in ends {
        let signed = guild.say(0, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, at, 0, "x")]));
        let verdict = Workspace::of(&guild.document).verdict(signed.id()).cloned();
        assert_eq!(verdict, Some(EditVerdict::Ignored(EditIgnored::BeyondTheEnd(u64::from(at), 1))));
    }
    let steps = vec![splice(Text::Body, 0, 0, &"y".repeat(NOTE_MAX)); 2];
    let big = guild.say(0, edit(Sheet::Draft(draft), &[draft], steps[..1].to_vec())).id();
    let workspace = Workspace::of(&guild.document);
    let highest = changes(&workspace, draft).iter().map(Change::max_op).max().expect("some");
    assert!(highest < 2 * NOTE_MAX as u64, "{highest}");
    let next = guild.say(1, edit(Sheet::Draft(draft), &[big], vec![splice(Text::Body, 0, 1, "")])).id();
    assert_eq!(Workspace::of(&guild.document).verdict(next), Some(&EditVerdict::Applied), "others write on");
}

#[test]
fn rle_bomb_few_bytes_are_few_operations() {
    let nothing = Op { action: OpType::Put(ScalarValue::Null), ..put(ObjectId::Root, Vec::new()) };
    let many = vec![nothing; 100_000];
    let bomb = change(4, 1, 1, Vec::new(), many);
    assert!(bomb.raw_bytes().len() < 200 && bomb.len() == 100_000, "the attack is real");
    nothing_at_any_door(bomb.raw_bytes());
    // What an edit makes is bounded by the bytes of its entry: a character or field is at least one of them.
    let mut guild = guild(2);
    let draft = begin(&mut guild, 0, "");
    let all = guild
        .say(0, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, &"a".repeat(NOTE_MAX))]));
    let small = vec![splice(Text::Body, 0, u32::try_from(NOTE_MAX).expect("small"), "")];
    let erase = guild.say(0, edit(Sheet::Draft(draft), &[all.id()], small));
    assert!(erase.to_bytes().len() < 300);
    let made = changes(&Workspace::of(&guild.document), draft);
    let operations = |id: EntryId| {
        let by = made.iter().find(|change| change.actor_id().to_bytes() == actor(id).as_slice());
        by.expect("applied").len()
    };
    assert!(operations(all.id()) <= all.to_bytes().len());
    // Taking out is the one thing that says much in few bytes: never more than somebody put in before.
    assert_eq!(operations(erase.id()), NOTE_MAX);
    let again =
        guild.say(1, edit(Sheet::Draft(draft), &[all.id(), erase.id()], vec![splice(Text::Body, 0, 1, "")]));
    let verdict = Workspace::of(&guild.document).verdict(again.id()).cloned();
    assert_eq!(verdict, Some(EditVerdict::Ignored(EditIgnored::BeyondTheEnd(1, 0))));
}

#[test]
fn deflate_bomb_an_entry_is_as_long_as_what_it_says() {
    let big = Op { action: OpType::Put(ScalarValue::Bytes(vec![b'a'; 4_000_000])), ..root().swap_remove(0) };
    let mut bomb = change(4, 1, 1, Vec::new(), vec![big]);
    let packed = bomb.bytes().to_vec();
    assert!(packed.len() * 100 < bomb.raw_bytes().len(), "the attack is real");
    nothing_at_any_door(&packed);
    // A length that promises more than there is buys nothing: no memory is taken on its word.
    let genuine = entry(guild(2).person(0), guild(2).charter.id(), (0, None, TIP), 1, Payload::Accept);
    let genuine = genuine.to_bytes();
    let body = &genuine[64..genuine.len() - 1];
    let edit = [body, &[11, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(guild(2).document.verifier().verify(&sealed(&edit)).is_err());
    assert!(ENTRY_MAX < packed.len() * 100);
}

// --- Numbers, names and objects of others ----------------------------------------------------------------------

#[test]
fn duplicate_seq_two_branches_of_one_author_are_four_actors() {
    let (one, other) = (honest_with(1, 1), honest_with(1, 2));
    let mut doc = with(std::slice::from_ref(&one));
    assert!(doc.apply_changes([honest(2), other.clone()]).is_err(), "the attack is real");
    assert_eq!(doc.get_heads(), [one.hash()], "it took the honest change down with it");
    nothing_at_any_door(other.raw_bytes());
    let guild = guild(2);
    let twin = |salt| {
        let steps = vec![splice(Text::Body, 0, 0, "x")];
        entry(guild.person(0), guild.charter.id(), (0, None, TIP), salt, edit(Sheet::NewDraft, &[], steps))
    };
    assert_ne!(actor(twin(1).id()), actor(twin(2).id()), "equal numbers, other actors");
}

#[test]
fn shadowed_subtree_no_edit_makes_an_object_where_another_is() {
    let op = Op {
        action: OpType::Make(ObjType::Map),
        obj: ObjectId::Root,
        key: Key::Map("member 2".into()),
        pred: Vec::new().into(),
        insert: false,
    };
    let hostile = change(4, 1, 100, Vec::new(), vec![op]);
    let doc = with(&[honest(2), hostile.clone()]);
    let (_, map) = doc.get(ROOT, "member 2").expect("reads").expect("there");
    assert!(doc.get(&map, "x").expect("reads").is_none(), "the attack is real");
    nothing_at_any_door(hostile.raw_bytes());
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "all the words");
    let named = |item: &str| Step::Set { item: line(item), field: line("x"), value: note("hidden") };
    let names = ["title", "body", "items", "00", "01", "02", "03", "_root", "1@aa"].map(named).to_vec();
    let signed = guild.say(1, edit(Sheet::Draft(draft), &[draft], names));
    let workspace = Workspace::of(&guild.document);
    assert_eq!(workspace.verdict(signed.id()), Some(&EditVerdict::Applied));
    assert_eq!(workspace.text(draft, Text::Body, None).as_deref(), Some("all the words"));
    assert_eq!(workspace.text(draft, Text::Title, None).as_deref(), Some("A new roof"));
    let makers = changes(&workspace, draft).iter().filter(|change| makes(change)).count();
    assert_eq!(makers, 1, "only the beginning that all share makes objects");
}

fn makes(change: &Change) -> bool {
    change.decode().operations.iter().any(|op| matches!(op.action, OpType::Make(_)))
}

#[test]
fn foreign_object_write_an_edit_reaches_the_sheet_it_names_and_no_other() {
    let hostile =
        change(4, 1, 1, Vec::new(), vec![put(ObjectId::Id(OpId(1, name(2))), vec![OpId(2, name(2))])]);
    let doc = with(&[honest_with(2, 7), hostile.clone()]);
    let (_, map) = doc.get(ROOT, "member 2").expect("reads").expect("there");
    let (value, _) = doc.get(&map, "x").expect("reads").expect("there");
    assert_eq!(value.as_i64(), Some(1), "the attack is real");
    nothing_at_any_door(hostile.raw_bytes());
    let mut guild = guild(3);
    let (one, other) = (begin(&mut guild, 0, "one"), begin(&mut guild, 1, "other"));
    let before = Workspace::of(&guild.document);
    for (sheet, on) in [(Sheet::Draft(one), other), (Sheet::Draft(other), one), (Sheet::Labels, one)] {
        let signed = guild.say(2, edit(sheet, &[on], vec![splice(Text::Body, 0, 0, "mine ")]));
        let workspace = Workspace::of(&guild.document);
        assert!(matches!(workspace.verdict(signed.id()), Some(EditVerdict::Ignored(_))));
        assert_eq!(workspace.hash(), before.hash());
    }
}

// --- Sync ---------------------------------------------------------------------------------------------------------

/// Two people's branches meet: Automerge's sync never gets the honest change across.
#[test]
fn wedged_sync_an_equivocation_holds_up_nobody_else() {
    let (mine, twin, good) = (honest_with(1, 1), honest_with(1, 2), honest(2));
    let (mut x, mut y) = (with(&[mine]), with(&[twin, good.clone()]));
    let (mut to_y, mut to_x) = (State::new(), State::new());
    for _ in 0..6 {
        if let Some(message) = x.generate_sync_message(&mut to_y) {
            nothing_at_any_door(&message.clone().encode());
            drop(y.receive_sync_message(&mut to_x, message));
        }
        if let Some(message) = y.generate_sync_message(&mut to_x) {
            nothing_at_any_door(&message.clone().encode());
            drop(x.receive_sync_message(&mut to_y, message));
        }
    }
    assert!(x.get_change_by_hash(&good.hash()).is_none(), "the attack is real");

    let mut here = guild(3);
    let mut there = Guild { document: here.empty(), ..guild(3) };
    here.say(0, edit(Sheet::NewDraft, &[], vec![splice(Text::Body, 0, 0, "one branch")]));
    there.say(0, edit(Sheet::NewDraft, &[], vec![splice(Text::Body, 0, 0, "the other")]));
    let honest_draft = begin(&mut there, 1, "honest words");
    let (mut first, mut second) = (Workspace::of(&here.document), Workspace::of(&there.document));
    converge(&mut here.document, &mut there.document, TIP, 4);
    first.follow(&here.document);
    second.follow(&there.document);
    assert_eq!(first.text(honest_draft, Text::Body, None).as_deref(), Some("honest words"));
    assert_eq!(first.hash(), second.hash());
    assert_eq!(first.drafts().count(), 1, "neither branch counts");
}

#[test]
fn orphan_queue_edits_on_nothing_wait_outside_automerge() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 1, "text");
    let clean = Workspace::of(&guild.document);
    for number in 0..QUOTA_ENTRIES {
        let nowhere = EntryId(Digest::tagged("nowhere", &[&number.to_be_bytes()]));
        guild.say(0, edit(Sheet::Draft(draft), &[nowhere], vec![splice(Text::Body, 0, 0, "x")]));
    }
    let mut workspace = Workspace::of(&guild.document);
    let waiting = |workspace: &Workspace| {
        workspace.verdicts().filter(|(_, verdict)| matches!(verdict, EditVerdict::Waits(_))).count()
    };
    assert_eq!(waiting(&workspace), usize::try_from(QUOTA_ENTRIES).expect("small"));
    assert_eq!(workspace.hash(), clean.hash());
    assert_eq!(changes(&workspace, draft).len(), 2, "Automerge knows of none of them");
    let next = guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "y")])).id();
    workspace.follow(&guild.document);
    assert_eq!(workspace.verdict(next), Some(&EditVerdict::Applied));
    let mut alone = guild.empty();
    guild.document.chain(&guild.id(1)).expect("spoke").entries().iter().for_each(|signed| {
        alone.insert(signed.clone(), TIP);
    });
    assert_eq!(workspace.hash(), Workspace::of(&alone).hash(), "as if they had never been");
}

// --- Attacks on the document of many authors -----------------------------------------------------------------------

#[test]
fn a9_equivocation_in_ones_own_chain_leaves_all_with_what_stood_before() {
    let mut here = guild(3);
    let draft = begin(&mut here, 0, "before");
    let mut there = Guild { document: here.document.clone(), ..guild(3) };
    let word = |text| edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, text)]);
    let proposal = ProposalId::from(here.say(1, spend(70_000)).id());
    here.say(0, word("told to one "));
    here.say(0, ballot(proposal, Choice::Yes, true));
    there.say(0, word("told to another "));
    there.say(0, ballot(proposal, Choice::No, true));
    let mut workspaces = [Workspace::of(&here.document), Workspace::of(&there.document)];
    assert_ne!(workspaces[0].hash(), workspaces[1].hash());
    converge(&mut here.document, &mut there.document, TIP, 4);
    workspaces[0].follow(&here.document);
    workspaces[1].follow(&there.document);
    for workspace in &workspaces {
        assert_eq!(workspace.text(draft, Text::Body, None).as_deref(), Some("before"));
        assert_eq!(workspace.hash(), Workspace::of(&here.document).hash());
    }
    assert_eq!(here.fold().state.hash(), there.fold().state.hash());
    assert!(here.fold().state.proposals[&proposal].ballots.is_empty(), "no vote from the fork on");
}

#[test]
fn a18_spam_without_end_leaves_a_bounded_document_and_workspace() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 1, "text");
    let spam = cases("HASHGUILD_SPAM", 4_000);
    let mut last: Option<EntryId> = None;
    for seq in 0..spam {
        let word = edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "spam ")]);
        let signed = entry(guild.person(0), guild.charter.id(), (seq, last, TIP), 1, word);
        last = Some(signed.id());
        guild.document.insert(signed, TIP);
        assert!(guild.document.held() <= HELD_PER_AUTHOR);
    }
    let stands = usize::try_from(QUOTA_ENTRIES).expect("small");
    assert_eq!(guild.document.chain(&guild.id(0)).expect("spoke").entries().len(), stands);
    let workspace = Workspace::of(&guild.document);
    assert!(workspace.draft(draft).expect("there").edits <= 1 + crdt::workspace::DRAFT_SHARE.edits);
    let mine = guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 4, 0, "!")])).id();
    assert_eq!(Workspace::of(&guild.document).verdict(mine), Some(&EditVerdict::Applied));
}

#[test]
fn a19_nothing_written_in_the_workspace_is_a_vote_or_changes_one() {
    let mut guild = guild(3);
    let proposal = ProposalId::from(guild.say(0, spend(70_000)).id());
    guild.say(1, ballot(proposal, Choice::No, true));
    let before = guild.fold().state;
    let (id, voter) = (proposal.to_string(), guild.id(1).to_string());
    let set =
        |item: &str, field: &str| Step::Set { item: line(item), field: line(field), value: note("yes") };
    for sheet in [Sheet::Labels, Sheet::Contacts, Sheet::Sites, Sheet::Notes] {
        guild.say(2, edit(sheet, &[], vec![set(&id, &voter), set(&voter, "choice"), set("ballots", "bob")]));
    }
    let draft = EntryId(proposal.0);
    let other = guild.say(2, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "yes")])).id();
    let after = guild.fold().state;
    assert_eq!(before.proposals, after.proposals);
    assert_eq!((&before.members, &before.key), (&after.members, &after.key));
    let verdict = Workspace::of(&guild.document).verdict(other).cloned();
    assert_eq!(verdict, Some(EditVerdict::Waits(draft)), "a proposal is no draft");
}

#[test]
fn a20_a_poison_pill_that_was_kept_is_refused_again_at_every_start() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "text");
    let poison = [
        vec![splice(Text::Body, 5, 0, "x")],
        vec![splice(Text::Title, 0, u32::MAX, "")],
        vec![splice(Text::Body, u32::MAX, u32::MAX, "x")],
        vec![splice(Text::Body, 0, 4, ""); 2],
        vec![splice(Text::Body, 0, 4, &"🦀".repeat(4_000)); 2],
        vec![splice(Text::Body, 0, 0, "🦀"); STEPS_MAX],
    ];
    let pills: Vec<Signed> =
        poison.into_iter().map(|steps| guild.say(1, edit(Sheet::Draft(draft), &[draft], steps))).collect();
    let good = guild.say(2, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 4, 0, "!")])).id();
    let first = Workspace::of(&guild.document);
    for start in 0..3 {
        let workspace = Workspace::of(&guild.document);
        assert_eq!(workspace.hash(), first.hash(), "start {start}");
        assert_eq!(workspace.verdict(good), Some(&EditVerdict::Applied));
    }
    let ignored =
        pills.iter().filter(|pill| matches!(first.verdict(pill.id()), Some(EditVerdict::Ignored(_)))).count();
    assert_eq!(ignored, 4, "two of them are only odd");
}
