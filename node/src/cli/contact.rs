//! `guild contact …`.

use super::register::{change, fields, items, only, remove, set, text};
use super::say::Say;
use crate::api::dto::workspace::Register;
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// Add somebody, or change what is known.
    Add(Add),
    /// Remove somebody.
    Remove {
        /// The name.
        name: String,
    },
    /// Everybody in the book.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What people call them.
    name: String,
    /// Where to pay them.
    #[arg(long)]
    address: Option<String>,
    /// A remark.
    #[arg(long)]
    note: Option<String>,
    /// Anything else. May be repeated.
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
}

impl Contact {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::Add(add) => {
                let name = add.name.clone();
                let shown = only(change(&client, Register::Contacts, add.changes()?)?, &name);
                say.data(&shown, || text(&shown.items, ""));
            }
            Self::Remove { name } => {
                let left = change(&client, Register::Contacts, vec![remove(&name)])?;
                say.data(&left, || format!("{name} removed"));
            }
            Self::List => {
                let all = items(&client, Register::Contacts)?;
                say.data(&all, || text(&all.items, "nobody in the address book yet"));
            }
        }
        Ok(())
    }
}

impl Add {
    fn changes(self) -> Outcome<Vec<crate::api::dto::workspace::FieldChange>> {
        let named = [("address", &self.address), ("note", &self.note)];
        let named = named.into_iter().filter_map(|(field, value)| Some((field, value.as_ref()?)));
        let mut changes: Vec<_> = named.map(|(field, value)| set(&self.name, field, value)).collect();
        changes.extend(fields(&self.name, &self.fields)?);
        if changes.is_empty() {
            return Err(Failure::usage("what about them? give --address, --note or --field"));
        }
        Ok(changes)
    }
}
