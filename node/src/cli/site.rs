//! `guild site …`.

use super::register::{change, fields, items, only, remove, text};
use super::say::Say;
use crate::api::dto::workspace::Register;
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Site {
    /// Add a site or a machine, or change what is known.
    Add {
        /// The site, or SITE/MACHINE.
        name: String,
        /// What is to be known: host, power price, model, serial. May be repeated.
        #[arg(long = "field", value_name = "NAME=VALUE", required = true)]
        fields: Vec<String>,
    },
    /// All sites, each followed by its machines.
    List,
    /// Remove a machine, or a site with all its machines.
    Remove {
        /// The site, or SITE/MACHINE.
        name: String,
    },
}

impl Site {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::Add { name, fields: given } => {
                if name.split('/').count() > 2 || name.split('/').any(str::is_empty) {
                    return Err(Failure::usage(format!("'{name}' is neither SITE nor SITE/MACHINE")));
                }
                let shown = only(change(&client, Register::Sites, fields(&name, &given)?)?, &name);
                say.data(&shown, || text(&shown.items, ""));
            }
            Self::List => {
                let all = items(&client, Register::Sites)?;
                say.data(&all, || text(&all.items, "no sites yet"));
            }
            Self::Remove { name } => {
                let machines = format!("{name}/");
                let there = items(&client, Register::Sites)?.items.into_keys();
                let gone = there.filter(|item| *item == name || item.starts_with(&machines));
                let mut changes: Vec<_> = gone.map(|item| remove(&item)).collect();
                if changes.is_empty() {
                    changes.push(remove(&name)); // the node says that it is not there
                }
                let count = changes.len();
                let left = change(&client, Register::Sites, changes)?;
                say.data(&left, || format!("{name} removed ({count} in all)"));
            }
        }
        Ok(())
    }
}
