//! `guild note …`.

use super::register::{change, items, only, remove, set, text};
use super::say::Say;
use crate::api::dto::workspace::Register;
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Note {
    /// Keep a note, or replace the one of this title.
    Set {
        /// What it is about.
        title: String,
        /// What it says.
        text: String,
    },
    /// All notes.
    List,
    /// Remove one.
    Remove {
        /// Its title.
        title: String,
    },
}

impl Note {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::Set { title, text: words } => {
                let kept = change(&client, Register::Notes, vec![set(&title, "text", &words)])?;
                let kept = only(kept, &title);
                say.data(&kept, || text(&kept.items, ""));
            }
            Self::List => {
                let all = items(&client, Register::Notes)?;
                say.data(&all, || text(&all.items, "no notes yet"));
            }
            Self::Remove { title } => {
                let left = change(&client, Register::Notes, vec![remove(&title)])?;
                say.data(&left, || format!("{title} removed"));
            }
        }
        Ok(())
    }
}
