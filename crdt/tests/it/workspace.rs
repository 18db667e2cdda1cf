//! The workspace: what members write at once is kept, equal entries give equal heads, and no edit does harm.

use crate::harness::{Guild, TIP, cases, entry, guild};
use automerge::ChangeHash;
use crdt::edit::{Edit, Heads, STEPS_MAX, Sheet, Step, Steps, Text, actor};
use crdt::text::{Line, NOTE_MAX, Note};
use crdt::workspace::*;
use crdt::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

pub(crate) fn line(text: &str) -> Line {
    Line::try_from(text.to_owned()).expect("plain")
}

pub(crate) fn note(text: &str) -> Note {
    Note::try_from(text.to_owned()).expect("plain")
}

pub(crate) fn after(ids: &[EntryId]) -> Heads {
    let sorted: BTreeSet<EntryId> = ids.iter().copied().collect();
    Heads::try_from(sorted.into_iter().collect::<Vec<_>>()).expect("few")
}

pub(crate) fn edit(sheet: Sheet, ids: &[EntryId], steps: Vec<Step>) -> Payload {
    Payload::Edit(Edit { sheet, after: after(ids), steps: Steps::try_from(steps).expect("some") })
}

pub(crate) fn splice(text: Text, at: u32, remove: u32, insert: &str) -> Step {
    Step::Splice { text, at, remove, insert: note(insert) }
}

fn set(item: &str, field: &str, value: &str) -> Step {
    Step::Set { item: line(item), field: line(field), value: note(value) }
}

fn clear(item: &str, field: &str) -> Step {
    Step::Clear { item: line(item), field: line(field) }
}

/// Person `who` begins a draft with this body.
pub(crate) fn begin(guild: &mut Guild, who: usize, body: &str) -> EntryId {
    let steps = vec![splice(Text::Title, 0, 0, "A new roof"), splice(Text::Body, 0, 0, body)];
    guild.say(who, edit(Sheet::NewDraft, &[], steps)).id()
}

fn body(workspace: &Workspace, draft: EntryId) -> String {
    workspace.text(draft, Text::Body, None).expect("a draft")
}

/// The edits that make `to` of `from`.
fn rewritten(draft: EntryId, on: &[EntryId], from: &str, to: &str) -> Payload {
    let mut edits = batches(rewrite(Text::Body, from, to).expect("writable"));
    assert_eq!(edits.len(), 1, "one edit holds it");
    Payload::Edit(Edit { sheet: Sheet::Draft(draft), after: after(on), steps: edits.remove(0) })
}

fn entries(document: &Document) -> Vec<Signed> {
    document.chains().flat_map(|(_, chain)| chain.entries().to_vec()).collect()
}

type Verdicts = Vec<(EntryId, EditVerdict)>;

/// All that two workspaces must agree on.
fn sum(workspace: &Workspace) -> (Digest, Vec<Draft>, Vec<Vec<ChangeHash>>, Verdicts) {
    let drafts: Vec<Draft> = workspace.drafts().collect();
    let sheets = [Sheet::Labels, Sheet::Contacts, Sheet::Sites, Sheet::Notes];
    let heads = drafts.iter().map(|draft| Sheet::Draft(draft.id)).chain(sheets);
    let heads = heads.map(|sheet| workspace.heads(sheet)).collect();
    let verdicts = workspace.verdicts().map(|(id, verdict)| (id, verdict.clone())).collect();
    (workspace.hash(), drafts, heads, verdicts)
}

#[test]
fn two_who_write_at_once_both_keep_their_words() {
    let mut guild = guild(3);
    let text = "The roof leaks 🦀.\nThe host asks for more.\n";
    let draft = begin(&mut guild, 0, text);
    let longer = text.replace("leaks", "leaks since Zoë's storm ⛈");
    let other = text.replace("asks for more", "asks for 70 000 sat");
    let one = guild.say(1, rewritten(draft, &[draft], text, &longer)).id();
    let two = guild.say(2, rewritten(draft, &[draft], text, &other)).id();
    let workspace = Workspace::of(&guild.document);
    let both = "The roof leaks since Zoë's storm ⛈ 🦀.\nThe host asks for 70 000 sat.\n";
    assert_eq!(body(&workspace, draft), both);
    assert_eq!(workspace.heads(Sheet::Draft(draft)).len(), 2);
    assert_eq!(workspace.latest(Sheet::Draft(draft)), after(&[one, two]));
    guild.say(0, rewritten(draft, &[one, two], both, "The roof is new 🏠.\n"));
    let workspace = Workspace::of(&guild.document);
    assert_eq!(body(&workspace, draft), "The roof is new 🏠.\n");
    assert_eq!(workspace.heads(Sheet::Draft(draft)).len(), 1);
    let shown = workspace.draft(draft).expect("a draft");
    assert_eq!((shown.edits, shown.authors.len(), shown.title.as_str()), (4, 3, "A new roof"));
}

#[test]
fn words_at_one_place_stay_whole() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "[]");
    guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 1, 0, "blue")]));
    guild.say(2, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 1, 0, "green")]));
    let text = body(&Workspace::of(&guild.document), draft);
    assert!(["[bluegreen]", "[greenblue]"].contains(&text.as_str()), "{text}");
}

#[test]
fn of_two_values_at_once_all_keep_one_and_nothing_else_is_lost() {
    let mut guild = guild(3);
    let item = "tx:abc";
    let first = guild.say(0, edit(Sheet::Labels, &[], vec![set(item, "label", "rent")])).id();
    guild.say(
        1,
        edit(Sheet::Labels, &[first], vec![set(item, "label", "power"), set(item, "origin", "wpkh")]),
    );
    guild.say(
        2,
        edit(Sheet::Labels, &[first], vec![set(item, "label", "heat"), set(item, "spendable", "true")]),
    );
    guild.say(
        0,
        edit(Sheet::Labels, &[first], vec![set("addr:bc1q", "label", "host"), set("odd", "label", "x")]),
    );
    let workspace = Workspace::of(&guild.document);
    let labels = workspace.labels();
    assert_eq!(labels.len(), 2, "an item that is no label of BIP329 is no label: {labels:?}");
    let label = labels.iter().find(|label| label.kind == LabelKind::Tx).expect("there");
    assert!(["power", "heat"].contains(&label.label.as_deref().expect("one of them")));
    assert_eq!((label.origin.as_deref(), label.spendable), (Some("wpkh"), Some(true)));
    let written = serde_json::to_value(&labels[0]).expect("JSON");
    assert_eq!(written, serde_json::json!({"type": "addr", "ref": "bc1q", "label": "host"}));
    let latest: Vec<EntryId> = workspace.latest(Sheet::Labels).into();
    guild.say(1, edit(Sheet::Labels, &latest, vec![clear(item, "label"), clear(item, "none")]));
    let label = Workspace::of(&guild.document).labels().into_iter().find(|label| label.kind == LabelKind::Tx);
    assert_eq!(label.expect("it has other fields").label, None);
}

#[test]
fn an_edit_that_does_nothing_is_still_built_on() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 0, "text");
    let nothing = guild.say(0, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 2, 0, "")])).id();
    let other = guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![clear("nobody", "x")])).id();
    let last = vec![splice(Text::Body, 4, 0, "s")];
    let last = guild.say(1, edit(Sheet::Draft(draft), &[nothing, other], last)).id();
    let workspace = Workspace::of(&guild.document);
    assert_eq!(workspace.verdict(last), Some(&EditVerdict::Applied));
    assert_eq!(body(&workspace, draft), "texts");
    in_many_orders(&guild, 30);
}

/// Any order, repetition and batching of the document's entries gives what following it gives.
fn in_many_orders(guild: &Guild, times: usize) {
    let expected = sum(&Workspace::of(&guild.document));
    let mut entries = entries(&guild.document);
    for turn in 0..times {
        let middle = (turn * 7 + 3) % entries.len();
        entries.rotate_left(middle);
        if turn % 2 == 0 {
            entries.reverse();
        }
        let mut workspace = Workspace::default();
        for signed in &entries {
            workspace.take(signed);
            if turn % 3 == 0 {
                workspace.take(signed);
            }
        }
        assert_eq!(sum(&workspace), expected);
    }
}

#[test]
fn a_long_line_written_apart_merges_to_the_same_in_any_order() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "start ");
    let mut last = [draft; 3];
    for number in 0..40_usize {
        let who = number / 7 % 3;
        let steps = vec![splice(Text::Body, 0, 0, "é🦀 "), set("bcrt1q", "amount_sat", "5")];
        last[who] = guild.say(who, edit(Sheet::Draft(draft), &[last[who]], steps)).id();
    }
    let workspace = Workspace::of(&guild.document);
    assert_eq!(body(&workspace, draft).chars().count(), 6 + 3 * 40);
    assert_eq!(workspace.heads(Sheet::Draft(draft)).len(), 3);
    in_many_orders(&guild, 12);
}

#[test]
fn every_hostile_edit_is_ignored_with_its_reason() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "12345");
    let other = begin(&mut guild, 0, "other");
    let bad = guild.say(0, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 6, 0, "x")])).id();
    let contact = guild.say(0, edit(Sheet::Contacts, &[], vec![set("host", "note", "x")])).id();
    let on = |steps| edit(Sheet::Draft(draft), &[draft], steps);
    let body = |at, remove, insert: &str| splice(Text::Body, at, remove, insert);
    let long = "x".repeat(NOTE_MAX);
    let x = || vec![body(0, 0, "x")];
    use EditIgnored::*;
    let table = [
        (on(vec![body(6, 0, "x")]), BeyondTheEnd(6, 5)),
        (on(vec![body(5, 1, "")]), BeyondTheEnd(6, 5)),
        (on(vec![body(u32::MAX, u32::MAX, "")]), BeyondTheEnd(2 * u64::from(u32::MAX), 5)),
        (on(vec![body(0, u32::MAX, "")]), BeyondTheEnd(u64::from(u32::MAX), 5)),
        (on(vec![body(0, 5, "ab"), body(2, 1, "c")]), BeyondTheEnd(3, 2)),
        (on(vec![body(0, 0, "x"), splice(Text::Title, 11, 0, "")]), BeyondTheEnd(11, 10)),
        (on(vec![splice(Text::Title, 10, 0, &"x".repeat(111))]), TextTooLong(121)),
        (on(vec![splice(Text::Title, 0, 0, "a\nb")]), TitleLines),
        (on(vec![set("", "f", "x")]), Nameless),
        (on(vec![set("i", "", "x")]), Nameless),
        (on(vec![clear("", "f")]), Nameless),
        (edit(Sheet::Draft(draft), &[], x()), OnNothing),
        (edit(Sheet::NewDraft, &[draft], x()), NotNew),
        (edit(Sheet::Draft(contact), &[contact], x()), NoDraft(contact)),
        (edit(Sheet::Draft(bad), &[bad], x()), NoDraft(bad)),
        (edit(Sheet::Draft(draft), &[bad], x()), OnIgnored(bad)),
        (edit(Sheet::Draft(draft), &[other], x()), OtherSheet(other, Sheet::Draft(other))),
        (edit(Sheet::Draft(draft), &[contact], x()), OtherSheet(contact, Sheet::Contacts)),
        (edit(Sheet::Notes, &[contact], vec![set("a", "text", "x")]), OtherSheet(contact, Sheet::Contacts)),
        (edit(Sheet::Contacts, &[], x()), NoTexts),
        (edit(Sheet::Labels, &[], vec![splice(Text::Title, 0, 0, "x")]), NoTexts),
    ];
    let before = sum(&Workspace::of(&guild.document));
    for (payload, why) in table {
        let mut document = guild.document.clone();
        let signed = guild.person(1).say(&mut document, TIP, payload);
        let workspace = Workspace::of(&document);
        assert_eq!(workspace.verdict(signed.id()), Some(&EditVerdict::Ignored(why)), "{why}");
        assert_eq!(sum(&workspace).0, before.0, "{why}: nothing changed");
        assert_eq!(sum(&workspace).1, before.1, "{why}: nothing changed");
    }
    let nowhere = EntryId(Digest([9; 32]));
    for payload in [edit(Sheet::Draft(draft), &[nowhere], x()), edit(Sheet::Draft(nowhere), &[draft], x())] {
        let mut document = guild.document.clone();
        let signed = guild.person(1).say(&mut document, TIP, payload);
        let workspace = Workspace::of(&document);
        assert_eq!(workspace.verdict(signed.id()), Some(&EditVerdict::Waits(nowhere)));
    }
    // One after the other up to the bound, then not one more.
    let mut last = draft;
    for _ in 0..3 {
        last = guild.say(1, edit(Sheet::Draft(draft), &[last], vec![body(0, 0, &long)])).id();
    }
    let full = guild.say(2, edit(Sheet::Draft(draft), &[last], vec![body(0, 5, &long)])).id();
    let workspace = Workspace::of(&guild.document);
    assert_eq!(workspace.verdict(full), Some(&EditVerdict::Applied), "{TEXT_MAX}");
    let over = guild.say(2, edit(Sheet::Draft(draft), &[full], vec![body(0, 1, "xx")])).id();
    let fits = guild.say(2, edit(Sheet::Draft(draft), &[full], vec![body(0, 1, "x")])).id();
    let workspace = Workspace::of(&guild.document);
    let verdict = EditVerdict::Ignored(TextTooLong(TEXT_MAX + 1));
    assert_eq!(workspace.verdict(over), Some(&verdict));
    assert_eq!(workspace.verdict(fits), Some(&EditVerdict::Applied));
}

#[test]
fn a_text_that_two_made_too_long_can_only_shrink() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "");
    let long = "x".repeat(NOTE_MAX);
    let mut tips = Vec::new();
    for who in 1..3 {
        let mut last = draft;
        for _ in 0..4 {
            last = guild
                .say(who, edit(Sheet::Draft(draft), &[last], vec![splice(Text::Body, 0, 0, &long)]))
                .id();
        }
        tips.push(last);
    }
    let grows = guild.say(0, edit(Sheet::Draft(draft), &tips, vec![splice(Text::Body, 0, 1, "xx")])).id();
    let shrinks = guild.say(0, edit(Sheet::Draft(draft), &tips, vec![splice(Text::Body, 0, 2, "x")])).id();
    let workspace = Workspace::of(&guild.document);
    let long = u64::try_from(8 * NOTE_MAX + 1).expect("small");
    assert_eq!(workspace.verdict(grows), Some(&EditVerdict::Ignored(EditIgnored::TextTooLong(long))));
    assert_eq!(workspace.verdict(shrinks), Some(&EditVerdict::Applied));
}

/// `count` edits of person 0 from the first of its chain, one document bucket after the other.
fn chain_of(guild: &mut Guild, count: u32, payload: impl Fn(u32, Option<EntryId>) -> Payload) -> Vec<Signed> {
    let mut made: Vec<Signed> = Vec::new();
    for seq in 0..count {
        let place = (seq, made.last().map(Signed::id), seq / 250 * limits::QUOTA_BLOCKS);
        let signed =
            entry(guild.person(0), guild.charter.id(), place, 1, payload(seq, made.last().map(Signed::id)));
        assert!(matches!(guild.document.insert(signed.clone(), TIP), Insert::New(_)), "{seq}");
        made.push(signed);
    }
    made
}

#[test]
fn nobody_writes_more_than_a_share_of_a_sheet() {
    let mut guild = guild(2);
    let most = u32::try_from(DRAFT_SHARE.edits).expect("small");
    let first = begin(&mut guild, 1, "");
    let chain = chain_of(&mut guild, most + 1, |_, last| {
        edit(Sheet::Draft(first), &[last.unwrap_or(first)], vec![splice(Text::Body, 0, 0, "x")])
    });
    let workspace = Workspace::of(&guild.document);
    let verdicts: Vec<_> = chain.iter().map(|signed| workspace.verdict(signed.id()).expect("one")).collect();
    let (last, rest) = verdicts.split_last().expect("some");
    assert!(rest.iter().all(|verdict| **verdict == EditVerdict::Applied));
    assert_eq!(**last, EditVerdict::Ignored(EditIgnored::TooMuch(DRAFT_SHARE)));
    assert_eq!(body(&workspace, first).len(), DRAFT_SHARE.edits);
    let theirs = [chain[chain.len() - 2].id()];
    let more = guild.say(1, edit(Sheet::Draft(first), &theirs, vec![splice(Text::Body, 0, 0, "y")])).id();
    assert_eq!(Workspace::of(&guild.document).verdict(more), Some(&EditVerdict::Applied), "others go on");
}

#[test]
fn bytes_and_drafts_have_their_share_too() {
    let mut heavy = guild(2);
    let value = "x".repeat(NOTE_MAX);
    let draft = begin(&mut heavy, 0, "");
    let fits = DRAFT_SHARE.bytes / (NOTE_MAX + 5);
    let mut last = draft;
    for number in 0..=fits {
        let id = heavy.say(0, edit(Sheet::Draft(draft), &[last], vec![set("a", "note", &value)])).id();
        let workspace = Workspace::of(&heavy.document);
        let ignored = matches!(workspace.verdict(id), Some(EditVerdict::Ignored(EditIgnored::TooMuch(_))));
        assert_eq!(ignored, number == fits, "{number}");
        last = if ignored { last } else { id };
    }
    let mut many = guild(2);
    let most = u32::try_from(DRAFTS_MAX).expect("small");
    let chain = chain_of(&mut many, most + 1, |_, _| edit(Sheet::NewDraft, &[], vec![clear("a", "b")]));
    let workspace = Workspace::of(&many.document);
    assert_eq!(workspace.drafts().count(), DRAFTS_MAX);
    let last = chain.last().expect("some").id();
    assert_eq!(workspace.verdict(last), Some(&EditVerdict::Ignored(EditIgnored::TooManyDrafts)));
}

#[test]
fn fields_are_bounded_and_a_full_sheet_can_still_be_changed() {
    let mut guild = guild(2);
    let edits = u32::try_from(FIELDS_MAX / STEPS_MAX).expect("small");
    let step = |edit: u32, step: usize| set(&format!("{edit} {step}"), "f", "");
    let fill = |seq: u32, last: Option<EntryId>| {
        edit(Sheet::Notes, last.as_slice(), (0..STEPS_MAX).map(|number| step(seq, number)).collect())
    };
    let last = chain_of(&mut guild, edits, fill).last().expect("some").id();
    let more = guild.say(1, edit(Sheet::Notes, &[last], vec![set("new", "f", "")])).id();
    let steps = vec![set("0 0", "f", "y"), clear("0 1", "f"), clear("0 1", "f"), set("new", "f", "")];
    let swap = guild.say(1, edit(Sheet::Notes, &[last], steps)).id();
    let workspace = Workspace::of(&guild.document);
    assert_eq!(workspace.items(Sheet::Notes).len(), FIELDS_MAX);
    assert_eq!(workspace.verdict(more), Some(&EditVerdict::Ignored(EditIgnored::TooManyFields)));
    assert_eq!(workspace.verdict(swap), Some(&EditVerdict::Applied));
}

#[test]
fn a_fork_takes_its_edits_away_and_what_builds_on_them_waits() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "text");
    let good =
        guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "good ")])).id();
    let mut workspace = Workspace::of(&guild.document);
    let before = sum(&workspace);
    let first = Some(draft);
    let lost = guild.say(0, edit(Sheet::Draft(draft), &[good], vec![splice(Text::Body, 0, 0, "lost ")])).id();
    let on = guild.say(2, edit(Sheet::Draft(draft), &[lost], vec![splice(Text::Body, 0, 0, "on ")])).id();
    workspace.follow(&guild.document);
    assert_eq!(body(&workspace, draft), "on lost good text");
    let twin = entry(guild.person(0), guild.charter.id(), (1, first, TIP), 9, Payload::Accept);
    guild.document.insert(twin, TIP);
    workspace.follow(&guild.document);
    assert_eq!(workspace.verdict(on), Some(&EditVerdict::Waits(lost)));
    assert_eq!(workspace.verdict(lost), None);
    assert_eq!((sum(&workspace).0, sum(&workspace).1), (before.0, before.1));
    assert_eq!(sum(&workspace), sum(&Workspace::of(&guild.document)));
}

#[test]
fn a_draft_shows_how_it_came_to_be() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "a");
    let b = guild
        .say_at(1, TIP + 1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 1, 0, "b")]))
        .id();
    let c =
        guild.say_at(2, TIP, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "c")])).id();
    let end =
        guild.say_at(2, TIP, edit(Sheet::Draft(draft), &[b, c], vec![splice(Text::Body, 0, 3, "!")])).id();
    let history = Workspace::of(&guild.document).history(draft);
    let shown: Vec<(EntryId, &str)> = history.iter().map(|past| (past.id, past.body.as_str())).collect();
    assert_eq!(shown, [(draft, "a"), (c, "ca"), (b, "ab"), (end, "!")]);
    assert_eq!((history[2].author, history[2].height), (guild.id(1), TIP + 1));
    assert!(Workspace::default().history(draft).is_empty());
}

#[test]
fn each_edit_is_one_change_of_its_own_actor_at_no_time() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 0, "a");
    guild.say(1, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 1, 0, "b")]));
    let workspace = Workspace::of(&guild.document);
    let saved = workspace.save(Sheet::Draft(draft)).expect("a draft");
    let mut loaded = automerge::AutoCommit::load(&saved).expect("stock Automerge loads it");
    assert_eq!(loaded.get_heads(), workspace.heads(Sheet::Draft(draft)));
    let changes = loaded.get_changes(&[]);
    assert_eq!(changes.len(), 3, "the beginning of every draft, and two edits");
    let actors: BTreeSet<Vec<u8>> =
        changes.iter().map(|change| change.actor_id().to_bytes().to_vec()).collect();
    assert_eq!(actors.len(), 3);
    assert!(actors.contains(actor(draft).as_slice()));
    assert!(
        changes
            .iter()
            .all(|change| change.timestamp() == 0 && change.message().is_none() && change.seq() == 1)
    );
}

#[test]
fn a_rehearsal_foretells_the_verdict() {
    let mut guild = guild(2);
    let draft = begin(&mut guild, 0, "text");
    let workspace = Workspace::of(&guild.document);
    let say = |on: &[EntryId], at| {
        let steps = Steps::try_from(vec![splice(Text::Body, at, 0, "xy")]).expect("one");
        Edit { sheet: Sheet::Draft(draft), after: after(on), steps }
    };
    let before = sum(&workspace);
    assert_eq!(workspace.rehearse(guild.id(1), &[say(&[draft], 4), say(&[], 6), say(&[], 8)]), Ok(()));
    let beyond = workspace.rehearse(guild.id(1), &[say(&[draft], 4), say(&[], 6), say(&[], 9)]);
    assert_eq!(beyond, Err(EditIgnored::BeyondTheEnd(9, 8)));
    assert_eq!(workspace.rehearse(guild.id(1), &[say(&[], 0)]), Err(EditIgnored::OnNothing));
    let many = vec![say(&[draft], 0); DRAFT_SHARE.edits + 1];
    assert_eq!(workspace.rehearse(guild.id(1), &many), Err(EditIgnored::TooMuch(DRAFT_SHARE)));
    let new = Edit { sheet: Sheet::NewDraft, ..say(&[], 0) };
    assert_eq!(workspace.rehearse(guild.id(1), &[new]), Ok(()));
    assert_eq!(sum(&workspace), before, "nothing was written");
}

/// The heads of a fixed workspace, which an upgrade of Automerge must not change unnoticed: nodes of two
/// versions would show different heads for equal drafts.
#[test]
fn the_heads_of_a_fixed_draft_stay() {
    let mut guild = guild(3);
    let draft = begin(&mut guild, 0, "Zoë 🦀\n");
    let one = edit(
        Sheet::Draft(draft),
        &[draft],
        vec![splice(Text::Body, 4, 1, "x"), set("bcrt1q", "amount_sat", "5")],
    );
    let one = guild.say(1, one).id();
    let two = guild.say(2, edit(Sheet::Draft(draft), &[draft], vec![splice(Text::Body, 0, 0, "Hi ")])).id();
    let three = edit(Sheet::Draft(draft), &[one, two], vec![clear("bcrt1q", "amount_sat")]);
    guild.say(0, three);
    guild.say(0, edit(Sheet::Sites, &[], vec![set("barn/1", "model", "S9")]));
    let workspace = Workspace::of(&guild.document);
    let mut heads = workspace.heads(Sheet::Draft(draft));
    heads.extend(workspace.heads(Sheet::Sites));
    let bytes: Vec<u8> = heads.iter().flat_map(|head| head.0).collect();
    crate::compat::assert_pinned("workspace-heads", &bytes);
    crate::compat::assert_pinned("workspace-hash", &workspace.hash().0);
}

#[test]
fn a_rewrite_leaves_the_new_text() {
    let long: String = (0..9_000).map(|number| format!("{number} ")).collect();
    let table = [
        ("", "", 0),
        ("same", "same", 0),
        ("", "new", 1),
        ("gone", "", 1),
        ("a\nb\nc\n", "a\nB\nc\nd", 1),
        ("naïve 🦀 crab", "naive 🦀🦀 crabs", 1),
        ("", long.as_str(), 2),
        (long.as_str(), "x", 1),
    ];
    for (from, to, edits) in table {
        let made = batches(rewrite(Text::Body, from, to).expect("writable"));
        assert_eq!(made.len(), edits, "{} to {}", from.len(), to.len());
        assert_eq!(done(from, &made), to);
    }
    assert!(matches!(rewrite(Text::Body, "", "tab\t"), Err(WriteError::Text(_))));
}

#[test]
fn a_batch_fits_an_entry_whatever_its_steps() {
    let guild = guild(2);
    let words = ["x".repeat(NOTE_MAX), "🦀".repeat(20), String::new()];
    for (count, word) in [(9, &words[0]), (2_000, &words[1]), (2_000, &words[2])] {
        let splices = (0..count).map(|_| splice(Text::Body, u32::MAX, u32::MAX, word));
        let sets = (0..count).map(|_| set(&"i".repeat(120), &"f".repeat(120), word));
        for steps in [splices.collect(), sets.collect::<Vec<_>>()] {
            let made = batches(steps.clone());
            assert_eq!(made.iter().flat_map(|steps| steps.as_slice().to_vec()).collect::<Vec<_>>(), steps);
            for steps in made {
                let nowhere = (0..64).map(|byte| EntryId(Digest([byte; 32]))).collect::<Vec<_>>();
                let edit = Edit { sheet: Sheet::Draft(nowhere[0]), after: after(&nowhere), steps };
                let place = (u32::MAX, Some(nowhere[0]), u32::MAX);
                let signed = entry(guild.person(0), guild.charter.id(), place, 1, Payload::Edit(edit));
                assert!(signed.to_bytes().len() <= limits::ENTRY_MAX, "{}", signed.to_bytes().len());
            }
        }
    }
}

/// What splices make of a text.
fn done(from: &str, edits: &[Steps]) -> String {
    let mut text: Vec<char> = from.chars().collect();
    for step in edits.iter().flat_map(|steps| steps.as_slice()) {
        let Step::Splice { at, remove, insert, .. } = step else { panic!("only splices") };
        let [at, remove] = [at, remove].map(|count| usize::try_from(*count).expect("small"));
        text.splice(at..at + remove, insert.as_str().chars());
    }
    text.into_iter().collect()
}

/// What a person of the random test does: on which of the edits so far, and what.
#[derive(Debug, Clone)]
struct Act {
    who: usize,
    sheet: u8,
    on: Vec<prop::sample::Index>,
    steps: Vec<Step>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![Just(Text::Body), Just(Text::Body), Just(Text::Title)];
    let words = prop_oneof!["[a-zé🦀\n]{0,6}", "[a-z]{1,3}"];
    let place = prop_oneof![0_u32..12, any::<u32>()];
    prop_oneof![
        3 => (text, 0_u32..12, 0_u32..3, words.clone())
            .prop_map(|(text, at, remove, words)| splice(text, at, remove, &words)),
        1 => (place.clone(), place).prop_map(|(at, remove)| splice(Text::Body, at, remove, "x")),
        2 => ("[ab]{0,1}", "[fg]", words).prop_map(|(item, field, value)| set(&item, &field, &value)),
        1 => ("[ab]", "[fg]").prop_map(|(item, field)| clear(&item, &field)),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let on = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (0_usize..4, 0_u8..8, on, prop::collection::vec(any_step(), 1..5))
        .prop_map(|(who, sheet, on, steps)| Act { who, sheet, on, steps })
}

/// Say it: honestly on the latest of a sheet, or on any edits at all.
fn act(guild: &mut Guild, made: &mut Vec<EntryId>, draft: EntryId, act: Act) {
    let sheet = match act.sheet {
        0..=3 => Sheet::Draft(draft),
        4 => Sheet::NewDraft,
        5 => Sheet::Labels,
        6 => Sheet::Contacts,
        _ => made.last().map_or(Sheet::Notes, |id| Sheet::Draft(*id)),
    };
    let honest: Vec<EntryId> = Workspace::of(&guild.document).latest(sheet).into();
    let on: Vec<EntryId> = act.on.iter().map(|index| *index.get(made)).collect();
    let on = if on.is_empty() && sheet != Sheet::NewDraft { honest } else { on };
    made.push(guild.say(act.who, edit(sheet, &on, act.steps)).id());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases("HASHGUILD_CASES", 200)))]

    #[test]
    fn any_edits_in_any_order_give_one_workspace(
        acts in prop::collection::vec(any_act(), 1..24),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut guild = guild(4);
        let draft = begin(&mut guild, 0, "seed text");
        let mut made = vec![draft];
        acts.into_iter().for_each(|one| act(&mut guild, &mut made, draft, one));
        let expected = sum(&Workspace::of(&guild.document));
        let mut left = entries(&guild.document);
        let mut apart = (Workspace::default(), Workspace::default());
        let all = left.clone();
        let at = cut.index(all.len());
        for index in order.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let signed = left.swap_remove(index.index(left.len()));
            apart.0.take(&signed);
            apart.0.take(&all[at]);
        }
        all[at..].iter().chain(&all[..at]).rev().for_each(|signed| apart.1.take(signed));
        prop_assert_eq!(&sum(&apart.0), &expected);
        prop_assert_eq!(&sum(&apart.1), &expected);
    }

    #[test]
    fn a_rewrite_of_any_text_leaves_the_new_one(from in "[a-c \n🦀]{0,40}", to in "[a-c \né]{0,40}") {
        prop_assert_eq!(done(&from, &batches(rewrite(Text::Body, &from, &to).unwrap())), to);
    }
}
