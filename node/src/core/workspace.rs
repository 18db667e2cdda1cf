//! Drafts and registers as people read and write them: texts come in, splices go out as edits.

use super::Node;
use crate::api::dto::workspace::{
    DraftDto, DraftEdit, DraftHistory, Drafts, FieldChange, FieldChanges, ItemsDto, Labels, NewDraft,
    PastEdit, Register, WorkspaceAnswer, WorkspaceCommand,
};
use crate::api::dto::{Answer, NewSpend, OutputDto, V};
use crate::error::{Code, Failure, Outcome};
use crdt::edit::{Edit, Heads, Sheet, Step, Text};
use crdt::text::{Line, Note};
use crdt::workspace::{Draft, Items, Past, batches, rewrite};
use crdt::{EntryId, Payload};
use std::collections::{BTreeMap, BTreeSet};

/// Shortest beginning of a draft's id that names it.
const PREFIX_MIN: usize = 4;
/// The field of a draft's item that makes it an output.
const AMOUNT: &str = "amount_sat";

impl From<Register> for Sheet {
    fn from(register: Register) -> Self {
        match register {
            Register::Labels => Self::Labels,
            Register::Contacts => Self::Contacts,
            Register::Sites => Self::Sites,
            Register::Notes => Self::Notes,
        }
    }
}

impl Node {
    /// The workspace is worked out when somebody asks: until then it costs nothing.
    /// What the guild calls this thing.
    pub(super) fn label_of(&self, kind: crdt::workspace::LabelKind, reference: &str) -> Option<String> {
        let labels = self.workspace.labels();
        let found = labels.into_iter().find(|label| label.kind == kind && label.reference == reference);
        found.and_then(|label| label.label)
    }

    pub(super) fn on_workspace(&mut self, command: WorkspaceCommand) -> Outcome<Answer> {
        self.workspace.follow(&self.document);
        let answer = match command {
            WorkspaceCommand::Drafts => {
                let drafts = self.workspace.drafts().map(|draft| self.draft_dto(draft)).collect();
                WorkspaceAnswer::Drafts(Drafts { v: V, drafts })
            }
            WorkspaceCommand::Draft(id, None) => self.draft_answer(self.find_draft(&id)?)?,
            WorkspaceCommand::Draft(id, Some(edit)) => self.draft_at(self.find_draft(&id)?, &edit)?,
            WorkspaceCommand::History(id) => self.draft_history(self.find_draft(&id)?),
            WorkspaceCommand::Begin(new) => self.begin_draft(new)?,
            WorkspaceCommand::Edit(id, edit) => self.edit_draft(self.find_draft(&id)?, edit)?,
            WorkspaceCommand::Propose(id) => return self.propose_draft(self.find_draft(&id)?),
            WorkspaceCommand::Labels => {
                WorkspaceAnswer::Labels(Labels { v: V, labels: self.workspace.labels() })
            }
            WorkspaceCommand::Items(register) => self.items(register.into()),
            WorkspaceCommand::Change(register, changes) => self.change(register.into(), changes)?,
        };
        Ok(Answer::Workspace(Box::new(answer)))
    }

    /// What became of an edit; none: the entry is no edit.
    pub(super) fn edit_verdict(&mut self, id: EntryId) -> Option<String> {
        self.workspace.follow(&self.document);
        self.workspace.verdict(id).map(ToString::to_string)
    }

    fn find_draft(&self, text: &str) -> Outcome<EntryId> {
        let missing = || Failure::not_found(format!("there is no draft '{text}'"));
        if text.len() < PREFIX_MIN {
            return Err(missing());
        }
        let ids = self.workspace.drafts().map(|draft| draft.id);
        let like: Vec<EntryId> = ids.filter(|id| id.to_string().starts_with(text)).collect();
        match like.as_slice() {
            [id] => Ok(*id),
            [] => Err(missing()),
            many => {
                let detail = format!("'{text}' is the beginning of {} drafts: give more of it", many.len());
                Err(Failure::usage(detail))
            }
        }
    }

    fn draft_answer(&self, id: EntryId) -> Outcome<WorkspaceAnswer> {
        let missing = || Failure::not_found(format!("there is no draft '{id}'"));
        let draft = self.workspace.draft(id).ok_or_else(missing)?;
        Ok(WorkspaceAnswer::Draft(self.draft_dto(draft)))
    }

    fn draft_at(&self, draft: EntryId, text: &str) -> Outcome<WorkspaceAnswer> {
        let missing = || Failure::not_found(format!("the draft has no edit '{text}'"));
        let edits = self.workspace.history(draft).into_iter().map(|past| past.id);
        let mut like = edits.filter(|id| text.len() >= PREFIX_MIN && id.to_string().starts_with(text));
        let edit = like.next().filter(|_| like.next().is_none()).ok_or_else(missing)?;
        let was = self.workspace.draft_at(draft, edit).ok_or_else(missing)?;
        Ok(WorkspaceAnswer::Draft(DraftDto { heads: Vec::new(), ..self.draft_dto(was) }))
    }

    fn draft_dto(&self, draft: Draft) -> DraftDto {
        DraftDto {
            v: V,
            id: draft.id.to_string(),
            outputs: outputs(&draft.items),
            title: draft.title,
            body: draft.body,
            authors: draft.authors.iter().map(|author| self.name(author)).collect(),
            edits: draft.edits,
            base: draft.latest.as_slice().iter().map(ToString::to_string).collect(),
            heads: self.heads(Sheet::Draft(draft.id)),
        }
    }

    fn heads(&self, sheet: Sheet) -> Vec<String> {
        self.workspace.heads(sheet).iter().map(ToString::to_string).collect()
    }

    fn draft_history(&self, id: EntryId) -> WorkspaceAnswer {
        let edits = self.workspace.history(id).into_iter().map(|past| PastEdit {
            id: past.id.to_string(),
            author: self.name(&past.author),
            height: past.height,
            did: did(&past),
        });
        WorkspaceAnswer::History(DraftHistory { v: V, id: id.to_string(), edits: edits.collect() })
    }

    fn begin_draft(&mut self, new: NewDraft) -> Outcome<WorkspaceAnswer> {
        let title = Line::try_from(new.title).map_err(Failure::usage)?;
        if title.as_str().is_empty() {
            return Err(Failure::usage("a draft has a title"));
        }
        let mut steps = rewrite(Text::Title, "", title.as_str()).map_err(Failure::usage)?;
        steps.extend(rewrite(Text::Body, "", &new.body).map_err(Failure::usage)?);
        steps.extend(self.payments(&new.outputs)?);
        let id = self.write(Sheet::NewDraft, Heads::default(), steps)?;
        self.draft_answer(id.ok_or_else(|| Failure::usage("a draft has a title"))?)
    }

    /// The edit is made on what the person read: what others wrote since stays, by Automerge's own merge.
    fn edit_draft(&mut self, draft: EntryId, edit: DraftEdit) -> Outcome<WorkspaceAnswer> {
        let base = edit.base.iter().map(|id| id.parse().map_err(Failure::usage));
        let base: BTreeSet<EntryId> = base.collect::<Outcome<_>>()?;
        let base = Heads::try_from(base.into_iter().collect::<Vec<_>>()).map_err(Failure::usage)?;
        let unknown = || Failure::conflict("the draft has no such edits: read it again");
        let mut steps = Vec::new();
        for (text, new) in [(Text::Title, edit.title), (Text::Body, edit.body)] {
            let old = self.workspace.text(draft, text, Some(&base)).ok_or_else(unknown)?;
            let Some(new) = new else { continue };
            if text == Text::Title && new.is_empty() {
                return Err(Failure::usage("a draft has a title"));
            }
            steps.extend(rewrite(text, &old, &new).map_err(Failure::usage)?);
        }
        let unpaid = edit.unpay.into_iter().map(|address| {
            let (item, field) = (line(address)?, line(AMOUNT.to_owned())?);
            Ok(Step::Clear { item, field })
        });
        let unpaid = unpaid.collect::<Outcome<Vec<_>>>()?;
        self.check_paid(draft, &unpaid)?;
        steps.extend(unpaid);
        steps.extend(self.payments(&edit.pay)?);
        self.write(Sheet::Draft(draft), base, steps)?;
        self.draft_answer(draft)
    }

    fn check_paid(&self, draft: EntryId, cleared: &[Step]) -> Outcome<()> {
        let items = self.workspace.items(Sheet::Draft(draft));
        let unknown = cleared.iter().find_map(|step| match step {
            Step::Clear { item, .. } if !items.contains_key(item.as_str()) => Some(item),
            _ => None,
        });
        unknown.map_or(Ok(()), |item| Err(Failure::not_found(format!("the draft does not pay {item}"))))
    }

    fn payments(&self, outputs: &[OutputDto]) -> Outcome<Vec<Step>> {
        let set = |output: &OutputDto| {
            self.parse_output(output)?;
            let value = Note::try_from(output.amount_sat.to_string()).map_err(Failure::usage)?;
            Ok(Step::Set { item: line(output.address.clone())?, field: line(AMOUNT.to_owned())?, value })
        };
        outputs.iter().map(set).collect()
    }

    fn propose_draft(&mut self, id: EntryId) -> Outcome<Answer> {
        let missing = || Failure::not_found(format!("there is no draft '{id}'"));
        let draft = self.workspace.draft(id).ok_or_else(missing)?;
        let outputs = outputs(&draft.items);
        if outputs.is_empty() {
            let short = id.short();
            let detail = format!("the draft pays nobody: guild draft edit {short} --pay ADDRESS=SATOSHIS");
            return Err(Failure::new(Code::Refused, detail));
        }
        let (title, text) = (draft.title, draft.body);
        self.propose(NewSpend { title, text, outputs, distribute_sat: None, effect: None })
    }

    fn items(&self, sheet: Sheet) -> WorkspaceAnswer {
        let items = self.workspace.items(sheet);
        WorkspaceAnswer::Items(ItemsDto { v: V, items, heads: self.heads(sheet) })
    }

    /// Only what is not so already is written, so that doing it again is safe.
    fn change(&mut self, sheet: Sheet, asked: FieldChanges) -> Outcome<WorkspaceAnswer> {
        let items = self.workspace.items(sheet);
        let mut steps = Vec::new();
        for change in asked.changes {
            steps.extend(steps_of(&items, change)?);
        }
        let latest = self.workspace.latest(sheet);
        self.write(sheet, latest, steps)?;
        Ok(self.items(sheet))
    }

    /// Say these steps on one sheet, in as many edits as it takes, each after the one before; nothing of it
    /// unless all would be applied. Gives the first.
    fn write(&mut self, sheet: Sheet, after: Heads, steps: Vec<Step>) -> Outcome<Option<EntryId>> {
        let edits = batches(steps).into_iter().map(|steps| Edit { sheet, after: after.clone(), steps });
        let edits: Vec<Edit> = edits.collect();
        let refuse = |why| Failure::new(Code::Refused, format!("the edit would be ignored: it {why}"));
        self.workspace.rehearse(self.me, &edits).map_err(refuse)?;
        let count = edits.len();
        let (mut first, mut last) = (None, None);
        for (done, edit) in edits.into_iter().enumerate() {
            let after = last.map_or(edit.after, Heads::from);
            let sheet = match (sheet, first) {
                (Sheet::NewDraft, Some(draft)) => Sheet::Draft(draft),
                _ => sheet,
            };
            let said = self.say(Payload::Edit(Edit { sheet, after, steps: edit.steps }));
            let said = said.map_err(|failure| stopped(failure, done, count))?.id();
            first = first.or(Some(said));
            last = Some(said);
        }
        self.workspace.follow(&self.document);
        Ok(first)
    }
}

/// Entries cannot be unsaid: whoever wrote much at once learns how much of it stands.
fn stopped(failure: Failure, done: usize, count: usize) -> Failure {
    if done == 0 {
        return failure;
    }
    let detail =
        format!("{done} of {count} edits were written, then: {}; try the rest later", failure.detail);
    Failure::new(Code::TryAgain, detail)
}

fn line(text: String) -> Outcome<Line> {
    Line::try_from(text).map_err(Failure::usage)
}

/// The outputs that the items of a draft spell. What is no amount is no output.
fn outputs(items: &Items) -> Vec<OutputDto> {
    let outputs = items.iter().filter_map(|(address, fields)| {
        let amount_sat = fields.get(AMOUNT)?.parse().ok()?;
        Some(OutputDto { address: address.clone(), amount_sat })
    });
    outputs.collect()
}

fn steps_of(items: &Items, change: FieldChange) -> Outcome<Vec<Step>> {
    let known = items.get(&change.item);
    let item = line(change.item)?;
    let none = BTreeMap::new();
    let fields = known.unwrap_or(&none);
    match (change.field, change.value) {
        (Some(field), Some(value)) => {
            if fields.get(&field) == Some(&value) {
                return Ok(Vec::new());
            }
            let value = Note::try_from(value).map_err(Failure::usage)?;
            Ok(vec![Step::Set { item, field: line(field)?, value }])
        }
        (Some(field), None) if fields.contains_key(&field) => {
            Ok(vec![Step::Clear { item, field: line(field)? }])
        }
        (None, None) if known.is_some() => {
            let clear = |field: &String| Ok(Step::Clear { item: item.clone(), field: line(field.clone())? });
            fields.keys().map(clear).collect()
        }
        (None, Some(_)) => Err(Failure::usage(format!("a value for which field of '{item}'?"))),
        (_, None) => Err(Failure::not_found(format!("there is no '{item}' here"))),
    }
}

/// What an edit did, a line a step.
fn did(past: &Past) -> Vec<String> {
    let lines = past.edit.steps.as_slice().iter().map(|step| match step {
        Step::Splice { text, at, remove, insert } => {
            let text = if *text == Text::Title { "title" } else { "body" };
            let come: String =
                insert.as_str().chars().take(40).map(|c| if c == '\n' { ' ' } else { c }).collect();
            match (remove, insert.as_str().is_empty()) {
                (0, _) => format!("{text} at {at}: put in '{come}'"),
                (_, true) => format!("{text} at {at}: took out {remove}"),
                _ => format!("{text} at {at}: took out {remove}, put in '{come}'"),
            }
        }
        Step::Set { item, field, value } => {
            format!("{item} {field} = {}", value.as_str().chars().take(40).collect::<String>())
        }
        Step::Clear { item, field } => format!("{item} {field} removed"),
    });
    lines.collect()
}
