//! `guild proposal …`.

use super::say::{Say, btc};
use crate::api::dto::{Ceremony, ChoiceDto, NewBallot, NewSpend, OutputDto, ProposalDto, Proposals, Status};
use crate::client::Client;
use crate::error::{Code, Failure, Outcome};
use crate::home::Home;
use bitcoin::{Address, Network};
use clap::{Args, Subcommand};
use crdt::category::{Category, LABEL_PREFIX};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use wallet::payee;

#[derive(Debug, Subcommand)]
pub(crate) enum Proposal {
    /// Propose to pay somebody. The anchor coin is chosen for you.
    New(New),
    /// All proposals, oldest first.
    List,
    /// One proposal: votes, what happens next and why.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Vote on one.
    Vote(Vote),
    /// Take back one of your own.
    Withdraw {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Ask every co-signer now to sign what comes next for it.
    Execute {
        /// Its id, or the beginning of it.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// One line that says what for.
    #[arg(long)]
    title: String,
    /// What it is for in the books: hosting, power, hardware, repair, rented-hash-rate, sale, distribution …
    #[arg(long)]
    category: Option<Category>,
    /// More words.
    #[arg(long, default_value = "")]
    text: String,
    /// Whom to pay and how many satoshis. May be repeated.
    #[arg(long = "pay", value_name = "ADDRESS=SATOSHIS", required_unless_present_any = ["payout_csv", "distribute"])]
    pay: Vec<String>,
    /// Pay everybody in this list: lines of address,satoshis and maybe a remark.
    #[arg(long, value_name = "FILE", conflicts_with = "pay")]
    payout_csv: Option<PathBuf>,
    /// Divide this many satoshis among the members by their shares.
    #[arg(long, value_name = "SATOSHIS", conflicts_with_all = ["pay", "payout_csv"])]
    distribute: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Vote {
    /// The proposal's id, or the beginning of it.
    id: String,
    /// Which way.
    #[arg(value_enum)]
    choice: ChoiceDto,
    /// Never change it again. Spends are decided by final yes votes.
    #[arg(long = "final")]
    last: bool,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

impl Proposal {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::New(new) => {
                let shown: ProposalDto = client.post("proposals", &new.parse(&client)?)?;
                say.data(&shown, || text(&shown));
                say.hint(&format!("guild proposal vote {} yes --final", shown.id));
            }
            Self::List => {
                let list: Proposals = client.get("proposals")?;
                say.data(&list, || list_text(&list));
            }
            Self::Show { id } => {
                let shown: ProposalDto = client.get(&format!("proposals/{}", plain(&id, "proposal")?))?;
                say.data(&shown, || text(&shown));
            }
            Self::Vote(vote) => {
                let ballot = NewBallot { choice: vote.choice, last: vote.last, reason: vote.reason };
                let path = format!("proposals/{}/ballots", plain(&vote.id, "proposal")?);
                let shown: ProposalDto = client.post(&path, &ballot)?;
                say.data(&shown, || text(&shown));
                if vote.choice == ChoiceDto::Yes && !vote.last {
                    say.note("note: spends are decided by final yes votes; vote again with --final to count");
                }
            }
            Self::Withdraw { id } => {
                let path = format!("proposals/{}/withdraw", plain(&id, "proposal")?);
                let shown: ProposalDto = client.post(&path, &())?;
                say.data(&shown, || text(&shown));
            }
            Self::Execute { id } => {
                let path = format!("proposals/{}/execute", plain(&id, "proposal")?);
                let ceremony: Ceremony = client.post(&path, &())?;
                say.data(&ceremony, || ceremony_text(&ceremony));
                return verdict(&ceremony);
            }
        }
        Ok(())
    }
}

/// An id goes into a path: nothing but letters and digits.
pub(super) fn plain<'a>(id: &'a str, what: &str) -> Outcome<&'a str> {
    let known = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if known { Ok(id) } else { Err(Failure::usage(format!("'{id}' is no {what} id"))) }
}

impl New {
    fn parse(self, client: &Client) -> Outcome<NewSpend> {
        let category = self.category.map(|category| format!("{LABEL_PREFIX}{category}"));
        let words = category.into_iter().chain([self.text]).filter(|words| !words.is_empty());
        let text = words.collect::<Vec<_>>().join("\n");
        let outputs = match &self.payout_csv {
            Some(file) => payout_list(file, client)?,
            None => payments(&self.pay)?,
        };
        let distribute_sat = self.distribute.as_deref().map(payee::satoshis).transpose();
        let distribute_sat = distribute_sat.map_err(Failure::usage)?;
        Ok(NewSpend { title: self.title, text, outputs, distribute_sat })
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

/// What `--pay` says, as often as it is given.
pub(super) fn payments(pay: &[String]) -> Outcome<Vec<OutputDto>> {
    let outputs = pay.iter().map(|text| {
        let refuse = || Failure::usage(format!("--pay '{text}': ADDRESS=SATOSHIS is needed"));
        let (address, amount) = text.split_once('=').ok_or_else(refuse)?;
        let amount_sat = payee::satoshis(amount).map_err(|_| refuse())?;
        Ok(OutputDto { address: address.to_owned(), amount_sat })
    });
    outputs.collect()
}

/// Nobody signed, or too few: the exit code says so too.
fn verdict(ceremony: &Ceremony) -> Outcome<()> {
    if ceremony.signed >= ceremony.needed {
        return Ok(());
    }
    let code = if ceremony.refusals.is_empty() { Code::NotEnoughSigners } else { Code::Refused };
    let detail = format!(
        "{} of {} signed {}, {} are needed: {} refused, {} did not answer",
        ceremony.signed,
        ceremony.co_signers,
        ceremony.subject,
        ceremony.needed,
        ceremony.refusals.len(),
        ceremony.silent.len()
    );
    Err(Failure::new(code, detail))
}

fn ceremony_text(ceremony: &Ceremony) -> String {
    let mut lines =
        vec![format!("{} of {} signed {}", ceremony.signed, ceremony.co_signers, ceremony.subject)];
    lines.extend(ceremony.refusals.iter().map(|refusal| {
        let printable = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
        format!(
            "  {} refuses by the rule '{}': expected {}, found {}",
            refusal.member,
            printable(&refusal.rule),
            printable(&refusal.expected),
            printable(&refusal.found)
        )
    }));
    lines.extend(ceremony.silent.iter().map(|member| format!("  {member} did not answer")));
    lines.extend(ceremony.faulty.iter().map(|member| format!("  {member} answered with something invalid")));
    lines.join("\n")
}

fn list_text(list: &Proposals) -> String {
    let lines = list.proposals.iter().map(|shown| {
        let id: String = shown.id.chars().take(8).collect();
        format!("{id}  {:<10} {:>18}  {} ({})", shown.status, btc(shown.total_sat), shown.title, shown.author)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if text.is_empty() { "no proposals yet".to_owned() } else { text }
}

pub(super) fn text(shown: &ProposalDto) -> String {
    let mut lines = vec![
        format!("{}  {}", shown.title, shown.id),
        format!(
            "by {} at height {}, votes until height {}: {}",
            shown.author, shown.height, shown.close, shown.status
        ),
    ];
    lines.extend(shown.text.lines().map(|line| format!("  {line}")));
    let pays = shown.outputs.iter();
    lines.extend(pays.map(|output| format!("pays {} to {}", btc(output.amount_sat), output.address)));
    let tally = &shown.tally;
    lines.push(format!(
        "votes: {} final yes (more than {} of {} needed), {} changeable yes, {} no, {} abstain",
        tally.final_yes, tally.needed_above, tally.roll, tally.changeable_yes, tally.no, tally.abstain
    ));
    lines.extend(shown.ballots.iter().map(|ballot| {
        let last = if ballot.last { ", final" } else { "" };
        let reason = if ballot.reason.is_empty() { String::new() } else { format!(": {}", ballot.reason) };
        format!("  {} {}{last}{reason}", ballot.member, ballot.choice)
    }));
    if let Some(ceremony) = shown.last_ceremony.as_ref().filter(|ceremony| ceremony.signed == 0) {
        lines.push(format!("last try: {}", ceremony_text(ceremony)));
    }
    if let Some(payment) = &shown.payment {
        lines.push(format!("payment {} ({} deep)", payment.txid, payment.depth));
    }
    lines.push(format!("next: {}", shown.next));
    lines.join("\n")
}
