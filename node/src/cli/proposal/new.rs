//! `guild proposal new`: every class of actions from the command line.

use super::payments;
use crate::api::dto::governance::{NewBudget, NewEffect, NewEpoch, NewMember, NewOption};
use crate::api::dto::{NewSpend, OutputDto, Status};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use bitcoin::{Address, Network};
use clap::Args;
use crdt::category::{Category, LABEL_PREFIX};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use wallet::payee;

/// Propose something. Without another kind it is a payment, and the anchor coin is chosen for you.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("kind").required(true).multiple(false))]
pub(crate) struct New {
    /// One line that says what for.
    #[arg(long)]
    title: String,
    /// What it is for in the books: hosting, power, hardware, repair, rented-hash-rate, sale, distribution …
    #[arg(long)]
    category: Option<Category>,
    /// More words. They never decide anything.
    #[arg(long, default_value = "")]
    text: String,
    /// Whom to pay and how many satoshis. May be repeated.
    #[arg(long = "pay", value_name = "ADDRESS=SATOSHIS", group = "kind")]
    pay: Vec<String>,
    /// Words, and nothing else.
    #[arg(long, group = "kind")]
    words: bool,
    /// What farms do: solo or pool.
    #[arg(long, value_name = "MODE", group = "kind")]
    mining: Option<String>,
    /// A rule of the house that people follow.
    #[arg(long, value_name = "NAME=VALUE", group = "kind")]
    house: Option<String>,
    /// Freeze a coin: no co-signer builds or signs what spends it.
    #[arg(long, value_name = "TXID:OUTPUT", group = "kind")]
    freeze: Option<String>,
    /// Free a frozen coin.
    #[arg(long, value_name = "TXID:OUTPUT", group = "kind")]
    unfreeze: Option<String>,
    /// Pay everybody in this list: lines of address,satoshis and maybe a remark.
    #[arg(long, value_name = "FILE", group = "kind")]
    payout_csv: Option<PathBuf>,
    /// Divide this many satoshis among the members by their units.
    #[arg(long, value_name = "SATOSHIS", group = "kind")]
    distribute: Option<String>,
    /// Let members spend up to so many satoshis a period without a vote for every bill.
    #[arg(long, value_name = "SATOSHIS", group = "kind", requires_all = ["payee", "drawer", "until"])]
    budget: Option<u64>,
    /// A veto: the decision that is to be carried out no more.
    #[arg(long, value_name = "ID", group = "kind")]
    cancel: Option<String>,
    /// One of several, repeated: text=WORDS, mining=MODE, NAME=VALUE, or pay:ADDRESS=SATOSHIS.
    #[arg(long = "option", value_name = "OPTION", group = "kind")]
    options: Vec<String>,
    /// A change of the guild itself, described by the options below.
    #[arg(long, group = "kind")]
    epoch: bool,
    /// Blocks of a budget's period.
    #[arg(long, default_value_t = 4_320, value_name = "BLOCKS", requires = "budget")]
    period: u32,
    /// An address that a budget may pay. May be repeated.
    #[arg(long, value_name = "ADDRESS", requires = "budget")]
    payee: Vec<String>,
    /// A member who may draw a budget. May be repeated.
    #[arg(long, value_name = "NAME", requires = "budget")]
    drawer: Vec<String>,
    /// The last height at which a budget is drawn.
    #[arg(long, value_name = "HEIGHT", requires = "budget")]
    until: Option<u32>,
    /// Who joins, by member card, and with which weight. May be repeated.
    #[arg(long, value_name = "CARD=WEIGHT", requires = "epoch")]
    add: Vec<String>,
    /// Who leaves. May be repeated.
    #[arg(long, value_name = "NAME", requires = "epoch")]
    remove: Vec<String>,
    /// Another weight of a member. May be repeated.
    #[arg(long, value_name = "NAME=WEIGHT", requires = "epoch")]
    weight: Vec<String>,
    /// Whose key is another one from then on, by the new member card. May be repeated.
    #[arg(long, value_name = "NAME=CARD", requires = "epoch")]
    replace: Vec<String>,
    /// Other rules for all classes: family, co-op or fund.
    #[arg(long, value_name = "PRESET", requires = "epoch")]
    rules: Option<String>,
    /// Who makes the next key. May be repeated; without any the key stays.
    #[arg(long, value_name = "NAME", requires = "epoch")]
    candidate: Vec<String>,
    /// How many candidates suffice.
    #[arg(long, value_name = "NUMBER", requires = "epoch")]
    least: Option<u16>,
    /// The least number of signers.
    #[arg(long, value_name = "T", requires = "epoch")]
    threshold: Option<u16>,
}

fn pair<'a>(flag: &str, text: &'a str) -> Outcome<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| Failure::usage(format!("--{flag} '{text}': NAME=VALUE is needed")))
}

impl New {
    pub(super) fn parse(self, client: &Client) -> Outcome<NewSpend> {
        let effect = self.effect()?;
        let outputs = match &self.payout_csv {
            Some(file) => payout_list(file, client)?,
            None => payments(&self.pay)?,
        };
        let category = self.category.map(|category| format!("{LABEL_PREFIX}{category}"));
        let words = category.into_iter().chain([self.text]).filter(|words| !words.is_empty());
        let text = words.collect::<Vec<_>>().join("\n");
        let distribute_sat = self.distribute.as_deref().map(payee::satoshis).transpose();
        let distribute_sat = distribute_sat.map_err(Failure::usage)?;
        Ok(NewSpend { title: self.title, text, outputs, distribute_sat, effect })
    }

    fn effect(&self) -> Outcome<Option<NewEffect>> {
        Ok(if self.words {
            Some(NewEffect::Text)
        } else if let Some(mode) = &self.mining {
            Some(NewEffect::Mining { mode: mode.clone() })
        } else if let Some(house) = &self.house {
            let (name, value) = pair("house", house)?;
            Some(NewEffect::House { name: name.to_owned(), value: value.to_owned() })
        } else if let Some(outpoint) = self.freeze.clone().or_else(|| self.unfreeze.clone()) {
            Some(NewEffect::Coin { outpoint, frozen: self.freeze.is_some() })
        } else if let Some(limit_sat) = self.budget {
            Some(NewEffect::Budget(self.budget(limit_sat)))
        } else if let Some(proposal) = &self.cancel {
            Some(NewEffect::Cancel { proposal: proposal.clone() })
        } else if !self.options.is_empty() {
            let options = self.options.iter().map(|text| option(text)).collect::<Outcome<Vec<_>>>()?;
            Some(NewEffect::Choose { options })
        } else if self.epoch {
            Some(NewEffect::Epoch(self.change()?))
        } else {
            None
        })
    }

    fn budget(&self, limit_sat: u64) -> NewBudget {
        NewBudget {
            limit_sat,
            period: self.period,
            payees: self.payee.clone(),
            drawers: self.drawer.clone(),
            purpose: self.title.clone(),
            end: self.until.unwrap_or_default(),
        }
    }

    fn change(&self) -> Outcome<NewEpoch> {
        let number = |flag: &str, text: &str| {
            text.parse::<u32>().map_err(|_| Failure::usage(format!("--{flag}: '{text}' is no whole number")))
        };
        let mut change = NewEpoch {
            remove: self.remove.clone(),
            candidates: self.candidate.clone(),
            least: self.least,
            threshold: self.threshold,
            rules: self.rules.clone(),
            ..NewEpoch::default()
        };
        for text in &self.add {
            let (card, weight) = pair("add", text)?;
            let weight = number("add", weight)?;
            change.add.push(NewMember { card: card.to_owned(), weight, claim: 0, replaces: None });
        }
        for text in &self.replace {
            let (name, card) = pair("replace", text)?;
            let (card, replaces) = (card.to_owned(), Some(name.to_owned()));
            change.add.push(NewMember { card, weight: 0, claim: 0, replaces });
        }
        for text in &self.weight {
            let (name, weight) = pair("weight", text)?;
            change.weights.insert(name.to_owned(), number("weight", weight)?);
        }
        Ok(change)
    }
}

/// Everybody in a list, or nobody and which lines are wrong.
fn payout_list(file: &Path, client: &Client) -> Outcome<Vec<OutputDto>> {
    let refuse = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", file.display()));
    let status: Status = client.get("status")?;
    let network = Network::from_str(&status.network).map_err(|error| refuse(&error))?;
    let mut text = String::new();
    let limit = payee::LIST_BYTES_MAX as u64 + 1; // one more, so that a longer list is refused and not cut
    let opened = File::open(file).map_err(|error| refuse(&error))?;
    opened.take(limit).read_to_string(&mut text).map_err(|error| refuse(&error))?;
    let outputs = payee::list(&text, network).map_err(|error| refuse(&error))?;
    let dto = |output: &crdt::governance::Output| {
        let address = Address::from_script(&output.script, network).map_err(|error| refuse(&error))?;
        Ok(OutputDto { address: address.to_string(), amount_sat: output.amount.to_sat() })
    };
    outputs.iter().map(dto).collect()
}

fn option(text: &str) -> Outcome<NewOption> {
    if let Some(pay) = text.strip_prefix("pay:") {
        return Ok(NewOption::Pay { outputs: payments(&[pay.to_owned()])? });
    }
    let (name, value) = pair("option", text)?;
    let (name, value) = (name.to_owned(), value.to_owned());
    Ok(match name.as_str() {
        "text" => NewOption::Text { text: value },
        "mining" => NewOption::Mining { mode: value },
        _ => NewOption::House { name, value },
    })
}
