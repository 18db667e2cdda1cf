//! One sheet as an Automerge document: every applied edit is one change of its own actor, made by
//! Automerge's own transaction on a document that holds exactly what the edit builds on.

use super::verdict::EditIgnored;
use super::{FIELDS_MAX, TEXT_MAX, TITLE_MAX};
use crate::edit::{Edit, Heads, Sheet, Step, Text, actor};
use crate::hash::Digest;
use crate::id::EntryId;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValueRef,
    TextEncoding, ValueRef,
};
use std::collections::{BTreeMap, BTreeSet};

/// Maps that the fields of a sheet are spread over: Automerge's cost of a write grows with the map it goes to.
const SHARDS: u8 = 32;
/// The same for a draft, which has a few outputs.
const DRAFT_SHARDS: u8 = 4;
/// Stands between item and field in a key. No [`Line`](crate::text::Line) has it.
const BETWEEN: char = '\n';

/// The fields of every item, by name.
pub type Items = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Debug, Clone)]
pub(super) struct Page {
    doc: Automerge,
    objects: Objects,
    genesis: Vec<ChangeHash>,
    changes: BTreeMap<EntryId, ChangeHash>,
    tips: BTreeSet<EntryId>,
    side: Option<Side>,
}

/// What the last edit that built on an old place built on, and that edit: a member who comes back from a
/// partition brings a whole line of them, and only the first costs a fork.
#[derive(Debug, Clone)]
struct Side {
    doc: Automerge,
    tip: EntryId,
}

/// What the first change of a page makes, so that no two members ever make the same object at once and
/// one hides the other's.
#[derive(Debug, Clone)]
struct Objects {
    texts: Option<[ObjId; 2]>,
    shards: Vec<ObjId>,
}

fn commit() -> CommitOptions {
    CommitOptions::default().with_time(0)
}

impl Page {
    /// An empty page of this kind: the same bytes on every node.
    pub(super) fn new(sheet: Sheet) -> Result<Self, EditIgnored> {
        let mut doc = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
        let (name, draft) = match sheet {
            Sheet::NewDraft | Sheet::Draft(_) => ("draft", true),
            Sheet::Labels => ("labels", false),
            Sheet::Contacts => ("contacts", false),
            Sheet::Sites => ("sites", false),
            Sheet::Notes => ("notes", false),
        };
        let first = Digest::tagged("hashguild/sheet-actor/v1", &[name.as_bytes()]);
        doc.set_actor(ActorId::from(first.0.as_slice()));
        let objects = Objects::make(&mut doc, draft).map_err(|_| EditIgnored::Refused)?;
        let genesis = doc.get_heads();
        Ok(Self { doc, objects, genesis, changes: BTreeMap::new(), tips: BTreeSet::new(), side: None })
    }

    /// Check `edit` on what it builds on, and write it down as one change.
    pub(super) fn apply(&mut self, id: EntryId, edit: &Edit) -> Result<(), EditIgnored> {
        let hash = if self.tips.iter().eq(edit.after.as_slice()) {
            self.side = None;
            write(&mut self.doc, &self.objects, id, edit)?
        } else {
            let mut side = self.beside(&edit.after).ok_or(EditIgnored::Refused)?;
            let hash = write(&mut side, &self.objects, id, edit)?;
            self.doc.merge(&mut side).map_err(|_| EditIgnored::Refused)?;
            self.side = Some(Side { doc: side, tip: id });
            hash
        };
        for before in edit.after.as_slice() {
            self.tips.remove(before);
        }
        self.tips.insert(id);
        self.changes.insert(id, hash);
        Ok(())
    }

    /// A document that holds exactly what `after` names and what that builds on.
    fn beside(&mut self, after: &Heads) -> Option<Automerge> {
        let side = self.side.take().filter(|side| after.as_slice() == [side.tip]);
        side.map(|side| side.doc).or_else(|| self.doc.fork_at(&self.hashes(after)?).ok())
    }

    /// The changes of these edits; of none, the first change of the page.
    fn hashes(&self, edits: &Heads) -> Option<Vec<ChangeHash>> {
        if edits.as_slice().is_empty() {
            return Some(self.genesis.clone());
        }
        edits.as_slice().iter().map(|edit| self.changes.get(edit).copied()).collect()
    }

    /// The latest edits: those that no other builds on.
    pub(super) const fn tips(&self) -> &BTreeSet<EntryId> {
        &self.tips
    }

    /// The edits of this page.
    pub(super) fn edits(&self) -> impl ExactSizeIterator<Item = EntryId> {
        self.changes.keys().copied()
    }

    /// The heads as Automerge knows them, sorted.
    pub(super) fn heads(&self) -> Vec<ChangeHash> {
        self.doc.get_heads()
    }

    /// The page as an Automerge file.
    pub(super) fn save(&self) -> Vec<u8> {
        self.doc.save()
    }

    /// The text as it is now, or as it was to whoever saw `at`. None if there is no such text or edit.
    pub(super) fn text(&self, text: Text, at: Option<&Heads>) -> Option<String> {
        let object = self.objects.text(text)?;
        match at {
            None => self.doc.text(object).ok(),
            Some(heads) => self.doc.text_at(object, &self.hashes(heads)?).ok(),
        }
    }

    /// Every item with its fields.
    pub(super) fn items(&self) -> Items {
        let mut items = Items::new();
        for shard in &self.objects.shards {
            for entry in self.doc.map_range(shard, ..) {
                let Some((item, field)) = entry.key.split_once(BETWEEN) else { continue };
                let ValueRef::Scalar(ScalarValueRef::Str(value)) = &entry.value else { continue };
                items.entry(item.to_owned()).or_default().insert(field.to_owned(), value.to_string());
            }
        }
        items
    }
}

impl Objects {
    fn make(doc: &mut Automerge, draft: bool) -> Result<Self, AutomergeError> {
        let mut transaction = doc.transaction();
        let texts = if draft {
            let title = transaction.put_object(ROOT, "title", ObjType::Text)?;
            Some([title, transaction.put_object(ROOT, "body", ObjType::Text)?])
        } else {
            None
        };
        let items = transaction.put_object(ROOT, "items", ObjType::Map)?;
        let count = if draft { DRAFT_SHARDS } else { SHARDS };
        let shards = (0..count)
            .map(|shard| transaction.put_object(&items, format!("{shard:02}"), ObjType::Map))
            .collect::<Result<_, _>>()?;
        transaction.commit_with(commit());
        Ok(Self { texts, shards })
    }

    fn text(&self, text: Text) -> Option<&ObjId> {
        let [title, body] = self.texts.as_ref()?;
        Some(match text {
            Text::Title => title,
            Text::Body => body,
        })
    }

    /// Where the fields of `item` are.
    fn shard(&self, item: &str) -> Option<&ObjId> {
        let Digest([first, ..]) = Digest::tagged("hashguild/item-shard/v1", &[item.as_bytes()]);
        self.shards.get(usize::from(first) % self.shards.len().max(1))
    }
}

fn key(item: &str, field: &str) -> String {
    format!("{item}{BETWEEN}{field}")
}

/// One edit, one change, also if it changes nothing: others may build on it.
fn write(
    doc: &mut Automerge,
    objects: &Objects,
    id: EntryId,
    edit: &Edit,
) -> Result<ChangeHash, EditIgnored> {
    check(doc, objects, edit.steps.as_slice())?;
    doc.set_actor(ActorId::from(actor(id).as_slice()));
    let mut transaction = doc.transaction();
    for step in edit.steps.as_slice() {
        step_into(&mut transaction, objects, step).map_err(|_| EditIgnored::Refused)?;
    }
    let (hash, _) = transaction.commit_with(commit());
    Ok(hash.unwrap_or_else(|| doc.empty_commit(commit())))
}

fn step_into(
    transaction: &mut automerge::transaction::Transaction<'_>,
    objects: &Objects,
    step: &Step,
) -> Result<(), AutomergeError> {
    let missing = || AutomergeError::InvalidObjId("a page without it".to_owned());
    match step {
        Step::Splice { text, at, remove, insert } => {
            let object = objects.text(*text).ok_or_else(missing)?;
            let (at, remove) = (index(*at), isize::try_from(*remove).map_err(|_| missing())?);
            transaction.splice_text(object, at, remove, insert.as_str())
        }
        Step::Set { item, field, value } => {
            let shard = objects.shard(item.as_str()).ok_or_else(missing)?;
            transaction.put(shard, key(item.as_str(), field.as_str()), value.as_str())
        }
        Step::Clear { item, field } => {
            let shard = objects.shard(item.as_str()).ok_or_else(missing)?;
            let key = key(item.as_str(), field.as_str());
            match transaction.get(shard, key.as_str())? {
                Some(_) => transaction.delete(shard, key),
                None => Ok(()),
            }
        }
    }
}

fn index(at: u32) -> usize {
    usize::try_from(at).expect("a position fits the memory of a node")
}

/// Everything an edit could do wrong, on the document it builds on, before anything is written.
fn check(doc: &Automerge, objects: &Objects, steps: &[Step]) -> Result<(), EditIgnored> {
    let length = |text| objects.text(text).map(|object| doc.length(object) as u64);
    let mut lengths = [length(Text::Title), length(Text::Body)];
    let mut fields = Fields::default();
    for step in steps {
        match step {
            Step::Splice { text, at, remove, insert } => {
                let [title, body] = &mut lengths;
                let (length, most) = match text {
                    Text::Title => (title, TITLE_MAX),
                    Text::Body => (body, TEXT_MAX),
                };
                let before = length.ok_or(EditIgnored::NoTexts)?;
                let after = spliced(before, (*at, *remove), insert.as_str())?;
                // What grew too long by edits made at once may still be shortened.
                if after > most && after > before {
                    return Err(EditIgnored::TextTooLong(after));
                }
                if *text == Text::Title && insert.as_str().contains('\n') {
                    return Err(EditIgnored::TitleLines);
                }
                *length = Some(after);
            }
            Step::Set { item, field, .. } | Step::Clear { item, field } => {
                if item.as_str().is_empty() || field.as_str().is_empty() {
                    return Err(EditIgnored::Nameless);
                }
                let set = matches!(step, Step::Set { .. });
                fields.write(doc, objects, (item.as_str(), field.as_str()), set)?;
            }
        }
    }
    Ok(())
}

/// The length of a text of `before` characters after a splice.
fn spliced(before: u64, (at, remove): (u32, u32), insert: &str) -> Result<u64, EditIgnored> {
    let end = u64::from(at) + u64::from(remove);
    if end > before {
        return Err(EditIgnored::BeyondTheEnd(end, before));
    }
    Ok(before - u64::from(remove) + insert.chars().count() as u64)
}

/// How many fields there will be, as far as steps write any.
#[derive(Default)]
struct Fields {
    count: Option<usize>,
    written: BTreeMap<String, bool>,
}

impl Fields {
    fn write(
        &mut self,
        doc: &Automerge,
        objects: &Objects,
        (item, field): (&str, &str),
        set: bool,
    ) -> Result<(), EditIgnored> {
        let before =
            *self.count.get_or_insert_with(|| objects.shards.iter().map(|shard| doc.length(shard)).sum());
        let key = key(item, field);
        let there = match self.written.get(&key) {
            Some(there) => *there,
            None => objects.shard(item).is_some_and(|shard| matches!(doc.get(shard, &key), Ok(Some(_)))),
        };
        let after = match (there, set) {
            (false, true) => before + 1,
            (true, false) => before.saturating_sub(1),
            _ => before,
        };
        // What came to be too many by edits made at once may still be cleared and rewritten.
        if after > FIELDS_MAX && after > before {
            return Err(EditIgnored::TooManyFields);
        }
        self.count = Some(after);
        self.written.insert(key, set);
        Ok(())
    }
}
