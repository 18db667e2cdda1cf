//! `guild treasury …`.

use super::say::{Say, btc};
use crate::api::dto::{Address, Balance, History};
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Treasury {
    /// Where to pay in.
    Address,
    /// What there is.
    Balance,
    /// What moved, oldest first.
    History,
}

impl Treasury {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::Address => {
                let address: Address = client.get("treasury/address")?;
                say.data(&address, || format!("{} ({})", address.address, address.network));
            }
            Self::Balance => {
                let balance: Balance = client.get("treasury/balance")?;
                say.data(&balance, || {
                    format!(
                        "{} to spend, {} immature, {} pending (height {})",
                        btc(balance.confirmed_sat),
                        btc(balance.immature_sat),
                        btc(balance.pending_sat),
                        balance.height
                    )
                });
            }
            Self::History => {
                let history: History = client.get("treasury/history")?;
                say.data(&history, || text(&history));
            }
        }
        Ok(())
    }
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
