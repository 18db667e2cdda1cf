//! `guild proposal …`.

mod explain;
mod new;

use super::say::{Say, btc};
use crate::api::dto::governance::{Explanation, NewDraw};
use crate::api::dto::{Ceremony, ChoiceDto, NewBallot, OutputDto, ProposalDto, Proposals, Said};
use crate::client::Client;
use crate::error::{Code, Failure, Outcome};
use crate::home::Home;
use clap::{Args, Subcommand};
use wallet::payee;

#[derive(Debug, Subcommand)]
pub(crate) enum Proposal {
    /// Propose something.
    New(Box<new::New>),
    /// All proposals, oldest first.
    List,
    /// One proposal: votes, what happens next and why.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Vote on one.
    Vote(Vote),
    /// Every check of one, with its evidence: why it is where it is.
    Explain {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Say a word on one.
    Comment {
        /// Its id, or the beginning of it.
        id: String,
        /// The word.
        text: String,
    },
    /// Draw on a budget.
    Draw(Draw),
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
pub(crate) struct Vote {
    /// The proposal's id, or the beginning of it.
    id: String,
    /// Which way; not needed with --option.
    #[arg(value_enum, required_unless_present = "option")]
    choice: Option<ChoiceDto>,
    /// One of its options that you would have, counted from 1. May be repeated.
    #[arg(long, value_name = "NUMBER", conflicts_with = "choice")]
    option: Vec<u16>,
    /// Never change it again. Spends are decided by final yes votes.
    #[arg(long = "final")]
    last: bool,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Draw {
    /// The budget's id, or the beginning of it.
    id: String,
    /// Whom to pay and how many satoshis. May be repeated.
    #[arg(long = "pay", required = true, value_name = "ADDRESS=SATOSHIS")]
    pay: Vec<String>,
    /// What for.
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
                let choice = vote.choice.unwrap_or(ChoiceDto::Yes);
                let ballot = NewBallot { choice, last: vote.last, reason: vote.reason, options: vote.option };
                let path = format!("proposals/{}/ballots", plain(&vote.id, "proposal")?);
                let shown: ProposalDto = client.post(&path, &ballot)?;
                say.data(&shown, || text(&shown));
                if choice == ChoiceDto::Yes && !vote.last {
                    say.note(
                        "note: by the absolute rule only final votes count: vote again with --final to count",
                    );
                }
            }
            Self::Explain { id } => {
                let path = format!("proposals/{}/explain", plain(&id, "proposal")?);
                let shown: Explanation = client.get(&path)?;
                say.data(&shown, || explain::text(&shown));
            }
            Self::Comment { id, text } => {
                let path = format!("proposals/{}/comments", plain(&id, "proposal")?);
                let said: Said = client.post(&path, &text)?;
                say.data(&said, || format!("said in the entry {}", said.entry));
            }
            Self::Draw(draw) => {
                let new = NewDraw { outputs: payments(&draw.pay)?, reason: draw.reason };
                let said: Said =
                    client.post(&format!("proposals/{}/draws", plain(&draw.id, "proposal")?), &new)?;
                say.data(&said, || format!("drawn by the entry {}", said.entry));
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
