//! Drafts and registers between nodes: two who write at once, and what people may not ask.

use crate::bus::Bus;
use bitcoin::{Address, Network};
use crdt::testkit::payee;
use node::api::dto::workspace::{
    DraftDto, DraftEdit, FieldChange, FieldChanges, NewDraft, Register, WorkspaceAnswer,
    WorkspaceCommand as Ask,
};
use node::api::dto::{Answer, Command, OutputDto};
use node::error::{Code, Failure};

/// Seconds in which nodes that lose all gossip hear of everything.
const HEARD: u64 = 90;

fn ask(bus: &mut Bus, who: usize, ask: Ask) -> Result<WorkspaceAnswer, Failure> {
    match bus.command(who, Command::Workspace(ask))? {
        Answer::Workspace(answer) => Ok(*answer),
        other => panic!("{other:?}"),
    }
}

fn draft(answer: Result<WorkspaceAnswer, Failure>) -> DraftDto {
    match answer {
        Ok(WorkspaceAnswer::Draft(draft)) => draft,
        other => panic!("{other:?}"),
    }
}

fn begin(bus: &mut Bus, who: usize, body: &str) -> DraftDto {
    let new = NewDraft { title: "A new roof".to_owned(), body: body.to_owned(), outputs: vec![] };
    draft(ask(bus, who, Ask::Begin(new)))
}

fn show(bus: &mut Bus, who: usize, id: &str) -> DraftDto {
    draft(ask(bus, who, Ask::Draft(id.to_owned())))
}

/// What somebody who read `read` makes of it.
fn body(read: &DraftDto, body: String) -> Ask {
    Ask::Edit(read.id.clone(), DraftEdit { body: Some(body), ..nothing(read) })
}

fn nothing(read: &DraftDto) -> DraftEdit {
    DraftEdit { base: read.base.clone(), title: None, body: None, pay: vec![], unpay: vec![] }
}

fn output(sat: u64) -> OutputDto {
    let address = Address::from_script(&payee(9), Network::Regtest).unwrap();
    OutputDto { address: address.to_string(), amount_sat: sat }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> Code {
    outcome.unwrap_err().code
}

fn founded(count: usize) -> Bus {
    let mut bus = Bus::new(count);
    bus.run(HEARD);
    bus
}

#[test]
fn two_who_edit_one_draft_at_once_both_keep_their_words() {
    let mut bus = founded(3);
    let begun = begin(&mut bus, 0, "The roof leaks.\nThe host asks for more.");
    bus.run(HEARD);
    let (first, second) = (show(&mut bus, 1, &begun.id), show(&mut bus, 2, &begun.id));
    assert_eq!(first, begun);
    draft(ask(&mut bus, 1, body(&first, first.body.replace("leaks", "leaks 🦀 since Zoë's storm"))));
    draft(ask(&mut bus, 2, body(&second, second.body.replace("more", "70 000 sat"))));
    assert_eq!(show(&mut bus, 0, &begun.id), begun, "nobody else heard of it yet");
    bus.run(HEARD);
    let shown: Vec<DraftDto> = (0..3).map(|who| show(&mut bus, who, &begun.id)).collect();
    assert_eq!(shown[0].body, "The roof leaks 🦀 since Zoë's storm.\nThe host asks for 70 000 sat.");
    assert!(shown.iter().all(|draft| *draft == shown[0]), "the same on every node, heads too: {shown:#?}");
    assert_eq!((shown[0].heads.len(), shown[0].edits, shown[0].authors.len()), (2, 3, 3));
    // Somebody whose editor was open all the while.
    let late = body(&begun, format!("{}\nSigned, alice", begun.body));
    let late = draft(ask(&mut bus, 0, late));
    assert_eq!(late.body, format!("{}\nSigned, alice", shown[0].body));
    bus.start(1);
    bus.run(HEARD);
    assert_eq!(show(&mut bus, 1, &begun.id[..8]), show(&mut bus, 0, &begun.id), "after a new start too");
    let Ok(WorkspaceAnswer::History(history)) = ask(&mut bus, 2, Ask::History(begun.id.clone())) else {
        panic!("a history")
    };
    assert_eq!(history.edits.len(), 4);
    assert!(history.edits[1].did[0].starts_with("body at "), "{:?}", history.edits[1].did);
}

#[test]
fn what_would_be_ignored_is_never_signed() {
    let mut bus = founded(2);
    let begun = begin(&mut bus, 0, "text");
    let said = bus.said(0).len();
    let edit = |edit: DraftEdit| Ask::Edit(begun.id.clone(), edit);
    let base = |base: &str| DraftEdit { base: vec![base.to_owned()], ..nothing(&begun) };
    let words = |title: &str| DraftEdit { title: Some(title.to_owned()), ..nothing(&begun) };
    let new = |title: &str, body: &str| {
        Ask::Begin(NewDraft { title: title.to_owned(), body: body.to_owned(), outputs: vec![] })
    };
    let mut stranger = output(70_000);
    stranger.address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".to_owned();
    let field = |item: &str, field: Option<&str>, value: Option<&str>| {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let change = FieldChange { item: item.to_owned(), field: owned(field), value: owned(value) };
        Ask::Change(Register::Contacts, FieldChanges { changes: vec![change] })
    };
    let table = [
        (new("", "body"), Code::Usage),
        (new("two\nlines", ""), Code::Usage),
        (new("tab", "a\tb"), Code::Usage),
        (new("long", &"x".repeat(65 * 1024)), Code::Refused),
        (edit(words("")), Code::Usage),
        (edit(words("two\nlines")), Code::Refused),
        (edit(words(&"x".repeat(121))), Code::Refused),
        (edit(base("zz")), Code::Usage),
        (edit(base(&"ab".repeat(32))), Code::Conflict),
        (edit(DraftEdit { base: vec![], ..words("new") }), Code::Refused),
        (edit(DraftEdit { pay: vec![stranger], ..nothing(&begun) }), Code::Usage),
        (edit(DraftEdit { unpay: vec!["nobody".to_owned()], ..nothing(&begun) }), Code::NotFound),
        (Ask::Draft("abc".to_owned()), Code::NotFound),
        (Ask::Draft("ffffffff".to_owned()), Code::NotFound),
        (Ask::Edit("ffffffff".to_owned(), nothing(&begun)), Code::NotFound),
        (Ask::Propose(begun.id.clone()), Code::Refused),
        (field("host", None, Some("x")), Code::Usage),
        (field("host", Some("note"), None), Code::NotFound),
        (field("host", None, None), Code::NotFound),
        (field("", Some("note"), Some("x")), Code::Refused),
        (field("host", Some("note"), Some("\u{202e}")), Code::Usage),
    ];
    for (number, (asked, expected)) in table.into_iter().enumerate() {
        let words = format!("{asked:?}");
        let answer = bus.command(0, Command::Workspace(asked));
        assert_eq!(code(answer), expected, "{number}: {}", &words[..words.len().min(200)]);
        assert_eq!(bus.said(0).len(), said, "{number}: nothing half done");
    }
}

#[test]
fn outputs_are_written_together_and_proposed() {
    let mut bus = founded(2);
    let begun = begin(&mut bus, 0, "text");
    let pay = Ask::Edit(begun.id.clone(), DraftEdit { pay: vec![output(70_000)], ..nothing(&begun) });
    let paying = draft(ask(&mut bus, 0, pay));
    assert_eq!(paying.outputs, [output(70_000)]);
    // The treasury is empty: refused, and the draft stays as it is.
    assert_eq!(
        code(bus.command(0, Command::Workspace(Ask::Propose(begun.id.clone())))),
        Code::NotEnoughFunds
    );
    let address = output(0).address;
    let unpay = Ask::Edit(begun.id.clone(), DraftEdit { unpay: vec![address], ..nothing(&paying) });
    assert_eq!(draft(ask(&mut bus, 0, unpay)).outputs, []);
}

#[test]
fn registers_travel_and_doing_it_again_says_nothing() {
    let mut bus = founded(2);
    let set = |item: String, field: &str, value: &str| FieldChange {
        item,
        field: Some(field.to_owned()),
        value: Some(value.to_owned()),
    };
    let labels = (0..600).map(|number| set(format!("tx:{number:064x}"), "label", "rent")).collect::<Vec<_>>();
    let change =
        |changes: &[FieldChange]| Ask::Change(Register::Labels, FieldChanges { changes: changes.to_vec() });
    ask(&mut bus, 0, change(&labels)).unwrap();
    let said = bus.said(0).len();
    ask(&mut bus, 0, change(&labels)).unwrap();
    assert_eq!(bus.said(0).len(), said, "nothing new, nothing said");
    bus.run(HEARD);
    let Ok(WorkspaceAnswer::Labels(heard)) = ask(&mut bus, 1, Ask::Labels) else { panic!("labels") };
    assert_eq!(heard.labels.len(), 600);
    let gone = FieldChange { item: labels[0].item.clone(), field: None, value: None };
    ask(&mut bus, 1, change(&[gone])).unwrap();
    let Ok(WorkspaceAnswer::Labels(left)) = ask(&mut bus, 1, Ask::Labels) else { panic!("labels") };
    assert_eq!(left.labels.len(), 599);
}

#[test]
fn the_verdict_on_an_edit_is_that_of_the_workspace() {
    let mut bus = founded(2);
    let begun = begin(&mut bus, 0, "text");
    let Ok(Answer::Entry(entry)) = bus.command(0, Command::Entry(begun.id)) else { panic!("an entry") };
    assert_eq!((entry.kind.as_str(), entry.verdict.as_str()), ("edit", "applied"));
}
