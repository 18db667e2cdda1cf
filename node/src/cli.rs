//! The command line: `guild NOUN VERB`. Data goes to stdout, messages to stderr; `--json` gives one
//! object; the exit codes are those of [`crate::error::CODES`].

mod audit;
mod certificate;
mod contact;
mod document;
mod draft;
mod epoch;
mod found;
mod init;
mod join;
mod label;
mod member;
mod mining;
mod note;
mod proposal;
mod register;
mod report;
mod say;
mod share;
mod site;
mod start;
mod status;
mod treasury;

use crate::api::dto::{EntryDto, InvitationDto, Pair};
use crate::client::Client;
use crate::error::{CODES, Code, Failure, Outcome};
use crate::home::{self, Home};
use clap::{Args, Parser, Subcommand};
use crdt::treasury::GroupKey;
use miner_link::contract::Pairing;
use say::Say;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a bitcoin mining co-op: members vote, the same vote moves the coins and the machines.
#[derive(Debug, Parser)]
#[command(name = "guild", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Verb,
}

/// Understood by every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The folder that holds everything of this node.
    #[arg(long, global = true, env = "GUILD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
}

impl Global {
    fn home(&self) -> Outcome<Home> {
        let folder = match (&self.data_dir, std::env::var_os("HOME")) {
            (Some(folder), _) => folder.clone(),
            (None, Some(home)) => PathBuf::from(home).join(".local/share/guild"),
            (None, None) => return Err(Failure::usage("no data folder: give --data-dir")),
        };
        let absolute = std::path::absolute(&folder)
            .map_err(|error| Failure::because(format_args!("{}", folder.display()), error))?;
        Ok(Home::at(absolute))
    }

    const fn say(&self) -> Say {
        Say { json: self.json }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make keys and print the member card that founders ask for.
    Init(init::Init),
    /// Write the charter of a new guild from the members' cards.
    Found(found::Found),
    /// Print an invitation; with a CARD, let an outsider's node read along.
    Invite {
        /// The outsider's member card (guildcard1…).
        card: Option<String>,
    },
    /// Fetch a guild's charter, read its rules, accept them.
    Join(join::Join),
    /// Run the node.
    Start(start::Start),
    /// How the node, the guild and the treasury are, and what they wait for.
    Status,
    /// Who the guild is now, its seal, and how it is about to change.
    Epoch,
    /// Propose, vote, execute.
    #[command(subcommand)]
    Proposal(proposal::Proposal),
    /// Write a proposal together before it is proposed.
    #[command(subcommand)]
    Draft(draft::Draft),
    /// Names for transactions, addresses and coins (BIP329).
    #[command(subcommand)]
    Label(label::Label),
    /// The guild's address book.
    #[command(subcommand)]
    Contact(contact::Contact),
    /// Sites and the machines in them.
    #[command(subcommand)]
    Site(site::Site),
    /// Anything else worth keeping.
    #[command(subcommand)]
    Note(note::Note),
    /// Where to pay in, what there is, what moved.
    #[command(subcommand)]
    Treasury(treasury::Treasury),
    /// What the books say: profit and loss, entries, payouts, contributions.
    #[command(subcommand)]
    Report(report::Report),
    /// All that the guild said, decided and paid, in a file that anybody can verify.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The proof of a decision, to be verified anywhere.
    #[command(subcommand)]
    Certificate(certificate::Certificate),
    /// What holds because it was decided.
    #[command(subcommand)]
    Setting(Setting),
    /// Let another member vote for you on what is proposed from now on; your own ballot overrides it.
    Delegate {
        /// Who, by name; nobody any more without.
        member: Option<String>,
    },
    /// Stop this node's signing, for all to see.
    Pause,
    /// Let this node sign again.
    Resume,
    /// Leave the guild with a part of the treasury.
    Leave {
        /// How many satoshis: at most your part when the exit has cooled.
        amount: u64,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Back up this member's secrets, or restore them.
    #[command(subcommand)]
    Share(share::Share),
    /// The guild's whole record.
    #[command(subcommand)]
    Document(document::Document),
    /// One entry of the record.
    #[command(subcommand)]
    Entry(Entry),
    /// Follow what changes in the record, line by line, until interrupted.
    Events,
    /// Farms.
    #[command(subcommand)]
    Mining(Mining),
    /// The exit codes and what they mean.
    ExitCodes,
}

#[derive(Debug, Subcommand)]
enum Entry {
    /// What became of an entry, and why.
    Show {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum Setting {
    /// The value of every setting, and the decision that set it.
    Show,
}

#[derive(Debug, Subcommand)]
enum Mining {
    /// Print the code that a miner-link is paired with.
    Pair,
}

/// Parse, run, report.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let say = cli.global.say();
    match run(&cli.global, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say.failure(&failure);
            ExitCode::from(failure.code.exit())
        }
    }
}

/// clap's own words for help and version; one line for a mistake.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        drop(error.print());
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(Code::Usage.exit()) };
    }
    let text = error.render().to_string();
    let first = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let detail = first.trim_start_matches("error: ").to_owned();
    let json = std::env::args().any(|argument| argument == "--json");
    Say { json }.failure(&Failure::usage(format!("{detail} (see guild --help)")));
    ExitCode::from(Code::Usage.exit())
}

fn run(global: &Global, command: Verb) -> Outcome<()> {
    let home = global.home()?;
    let say = global.say();
    match command {
        Verb::Init(init) => init.run(&home, say),
        Verb::Found(found) => found.run(&home, say),
        Verb::Invite { card } => invite(&home, say, card.as_deref()),
        Verb::Join(join) => join.run(&home, say),
        Verb::Start(start) => start.run(&home, say),
        Verb::Status => status::run(&home, say),
        Verb::Epoch => epoch::show(&home, say),
        Verb::Proposal(proposal) => proposal.run(&home, say),
        Verb::Draft(draft) => draft.run(&home, say),
        Verb::Label(label) => label.run(&home, say),
        Verb::Contact(contact) => contact.run(&home, say),
        Verb::Site(site) => site.run(&home, say),
        Verb::Note(note) => note.run(&home, say),
        Verb::Treasury(treasury) => treasury.run(&home, say),
        Verb::Report(report) => report.run(&home, say),
        Verb::Share(share) => share.run(&home, say),
        Verb::Audit(audit) => audit.run(&home, say),
        Verb::Certificate(certificate) => certificate.run(&home, say),
        Verb::Setting(Setting::Show) => member::settings(&home, say),
        Verb::Delegate { member } => member::delegate(&home, say, member.as_deref()),
        Verb::Pause => member::pause(&home, say, true),
        Verb::Resume => member::pause(&home, say, false),
        Verb::Leave { amount, yes } => member::leave(&home, say, amount, yes),
        Verb::Document(document) => document.run(&home, say),
        Verb::Entry(Entry::Show { id }) => entry(&home, say, &id),
        Verb::Events => events(&home, say),
        Verb::Mining(Mining::Pair) => pair(&home, say),
        Verb::ExitCodes => exit_codes(say),
    }
}

fn invite(home: &Home, say: Say, card: Option<&str>) -> Outcome<()> {
    let client = Client::of(home)?;
    let invitation: InvitationDto = match card {
        Some(card) => client.post("guests", &card)?,
        None => client.get("invitation")?,
    };
    say.data(&invitation, || {
        let mut lines = vec![invitation.invitation.clone()];
        if let Some(expiry) = invitation.expiry {
            lines.push(format!("(a guest may read until height {expiry})"));
        }
        lines.join("\n")
    });
    say.hint("the invited one runs: guild join <that line>");
    Ok(())
}

fn events(home: &Home, say: Say) -> Outcome<()> {
    Client::of(home)?.follow(|event| {
        say.line(&event, || {
            let by = event.member.as_ref().map_or_else(String::new, |member| format!(" by {member}"));
            format!("{:<10} {}{by}", event.kind, event.path.join("/"))
        })
    })
}

fn entry(home: &Home, say: Say, id: &str) -> Outcome<()> {
    let entry: EntryDto = Client::of(home)?.get(&format!("entries/{id}"))?;
    say.data(&entry, || {
        format!(
            "{} {} #{} at height {}: {}",
            entry.kind, entry.author, entry.seq, entry.height, entry.verdict
        )
    });
    Ok(())
}

fn pair(home: &Home, say: Say) -> Outcome<()> {
    let client = Client::of(home)?;
    let pair: Pair = client.get("link/pair")?;
    let fail = |error: &dyn std::fmt::Display| Failure::because("the node's answer", error);
    let key: Vec<u8> = bitcoin::hex::FromHex::from_hex(&pair.group_key).map_err(|error| fail(&error))?;
    let pairing = Pairing {
        node_url: client.base().to_owned(),
        token: String::from_utf8_lossy(&home::read(&home.link_token())?).into_owned(),
        guild: pair.guild.parse().map_err(|error| fail(&error))?,
        member: pair.member.parse().map_err(|error| fail(&error))?,
        epoch: pair.epoch,
        group_key: GroupKey::try_from(key).map_err(|error| fail(&error))?,
    };
    let code = serde_json::json!({ "v": 1, "pairing": pairing.to_string() });
    say.data(&code, || pairing.to_string());
    say.hint(
        "on the farm: miner-link run --data-dir DIR --pairing <that line> (keep it secret: it holds a token)",
    );
    Ok(())
}

fn exit_codes(say: Say) -> Outcome<()> {
    let codes = CODES
        .iter()
        .map(|(code, exit, meaning)| serde_json::json!({ "code": code, "exit": exit, "meaning": meaning }));
    let codes = codes.collect::<Vec<_>>();
    say.data(&serde_json::json!({ "v": 1, "codes": codes }), || {
        let lines = CODES.iter().map(|(_, exit, meaning)| format!("{exit:>3}  {meaning}"));
        std::iter::once("  0  ok".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// The charter's rules in words, for whoever is about to sign it.
fn rules(charter: &crdt::Charter) -> Vec<String> {
    let names = charter.founders.iter().map(|founder| match u32::from(founder.claim) {
        0 => format!("{} (weight {})", founder.name, founder.weight),
        claim => format!("{} (weight {}, {claim} units without a vote)", founder.name, founder.weight),
    });
    let (t, n) = (charter.signers_needed(), charter.co_signer_count());
    let recovery = &charter.recovery;
    let exit = &charter.rules.exit;
    let mut rules = vec![
        format!("guild      {} on {}", charter.name, charter.network),
        format!("id         {}", charter.id()),
        format!("members    {}", names.collect::<Vec<_>>().join(", ")),
        format!(
            "treasury   any {t} of {n} co-signers together can move it, whatever the votes say; {} can block it",
            n - t + 1
        ),
        format!(
            "fees       at most {} sat a payment and {} sat/vB",
            charter.fee_cap.sat, charter.fee_cap.sat_per_vb
        ),
        format!("mining     {}", mining::describe(&charter.mining, charter.network)),
        format!(
            "recovery   after {} blocks without a move, {} of {} recovery keys can move everything",
            recovery.delay,
            recovery.least,
            recovery.keys.len()
        ),
        format!(
            "exit       no vote: a member's part of the treasury, {} blocks after it asked",
            exit.cooling
        ),
    ];
    let classes = charter.rules.classes();
    rules.extend(classes.iter().map(|(class, rule)| format!("{class:<10} {rule}")));
    rules
}
