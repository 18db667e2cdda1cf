//! What labels, contacts, sites and notes have in common: items with fields.

use crate::api::dto::workspace::{FieldChange, FieldChanges, ItemsDto, Register};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crdt::workspace::Items;
use std::collections::BTreeMap;

const fn path(register: Register) -> &'static str {
    match register {
        Register::Labels => "registers/labels",
        Register::Contacts => "registers/contacts",
        Register::Sites => "registers/sites",
        Register::Notes => "registers/notes",
    }
}

pub(super) fn items(client: &Client, register: Register) -> Outcome<ItemsDto> {
    client.get(path(register))
}

pub(super) fn change(client: &Client, register: Register, changes: Vec<FieldChange>) -> Outcome<ItemsDto> {
    client.post(path(register), &FieldChanges { changes })
}

pub(super) fn set(item: &str, field: &str, value: &str) -> FieldChange {
    FieldChange { item: item.to_owned(), field: Some(field.to_owned()), value: Some(value.to_owned()) }
}

pub(super) fn remove(item: &str) -> FieldChange {
    FieldChange { item: item.to_owned(), field: None, value: None }
}

/// What `--field NAME=VALUE` says, as often as it is given.
pub(super) fn fields(item: &str, given: &[String]) -> Outcome<Vec<FieldChange>> {
    let field = |text: &String| {
        let refuse = || Failure::usage(format!("--field '{text}': NAME=VALUE is needed"));
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        if name.is_empty() { Err(refuse()) } else { Ok(set(item, name, value)) }
    };
    given.iter().map(field).collect()
}

/// One item and what it says, for the answer to a change of it.
pub(super) fn only(mut answer: ItemsDto, item: &str) -> ItemsDto {
    answer.items.retain(|name, _| name == item);
    answer
}

/// An item a paragraph, a field a line.
pub(super) fn text(items: &Items, none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    let paragraph = |(item, fields): (&String, &BTreeMap<String, String>)| {
        let lines =
            fields.iter().map(|(field, value)| format!("\n  {field}: {}", value.replace('\n', "\n    ")));
        format!("{item}{}", lines.collect::<String>())
    };
    items.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}
