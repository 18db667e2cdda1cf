//! `guild treasury …`.

mod address;
mod coins;
mod recover;

use super::say::{Say, btc};
use crate::api::dto::treasury::Descriptor;
use crate::api::dto::{Balance, History};
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Treasury {
    /// Where to pay in: each contributor has an own address.
    Address(address::Address),
    /// What there is.
    Balance,
    /// What moved, oldest first.
    History,
    /// Every unspent coin.
    Coins,
    /// Leave a coin alone: proposals of this node stand on others if there are any.
    Freeze {
        /// The coin, TXID:OUTPUT.
        outpoint: String,
    },
    /// Leave a coin alone no more.
    Unfreeze {
        /// The coin, TXID:OUTPUT.
        outpoint: String,
    },
    /// The descriptor with its checksum, to watch the treasury in Bitcoin Core or Sparrow.
    Descriptor,
    /// Move coins that rested the recovery delay, with k recovery keys and no co-signer. Needs no daemon.
    Recover(recover::Recover),
}

impl Treasury {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        match self {
            Self::Address(address) => address.run(home, say),
            Self::Balance => balance(home, say),
            Self::History => history(home, say),
            Self::Coins => coins::list(home, say),
            Self::Freeze { outpoint } => coins::freeze(home, say, outpoint, true),
            Self::Unfreeze { outpoint } => coins::freeze(home, say, outpoint, false),
            Self::Descriptor => descriptor(home, say),
            Self::Recover(recover) => recover.run(home, say),
        }
    }
}

fn balance(home: &Home, say: Say) -> Outcome<()> {
    let balance: Balance = Client::of(home)?.get("treasury/balance")?;
    say.data(&balance, || {
        format!(
            "{} to spend, {} immature, {} pending (height {})",
            btc(balance.confirmed_sat),
            btc(balance.immature_sat),
            btc(balance.pending_sat),
            balance.height
        )
    });
    Ok(())
}

fn history(home: &Home, say: Say) -> Outcome<()> {
    let history: History = Client::of(home)?.get("treasury/history")?;
    say.data(&history, || text(&history));
    Ok(())
}

fn descriptor(home: &Home, say: Say) -> Outcome<()> {
    let descriptor: Descriptor = Client::of(home)?.get("treasury/descriptor")?;
    say.data(&descriptor, || descriptor.descriptor.clone());
    say.hint(&format!(
        "watch-only: no key is in it; rescan from block {}, receiving addresses 0 to {}",
        descriptor.birth_height,
        descriptor.range - 1
    ));
    Ok(())
}

fn text(history: &History) -> String {
    let lines = history.transactions.iter().map(|movement| {
        let height = movement.height.map_or_else(|| "mempool".to_owned(), |height| height.to_string());
        let sign = if movement.delta_sat < 0 { '-' } else { '+' };
        let proposal = movement.proposal.as_deref().map(|id| format!(" of {}", &id[..id.len().min(8)]));
        format!(
            "{height:>7}  {sign}{:<16}  {}{}  {}",
            btc(movement.delta_sat.unsigned_abs()),
            movement.kind,
            proposal.unwrap_or_default(),
            movement.txid
        )
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if text.is_empty() { "nothing moved yet".to_owned() } else { text }
}
