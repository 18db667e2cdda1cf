//! What the API takes and gives. Fields are added, never changed; amounts are integer satoshis.

pub mod audit;
pub mod epoch;
pub mod governance;
pub mod report;
pub mod treasury;
pub mod workspace;

use crdt::Choice;
use governance::{Explanation, NewDraw, NewEffect, Settings};
use miner_link::contract::{PolicyAnswer, ReceiptHex};
use serde::{Deserialize, Serialize};
use treasury::{ChainDto, TreasuryAnswer, TreasuryCommand};
use workspace::{WorkspaceAnswer, WorkspaceCommand};

/// Something a person asks of a node.
#[derive(Debug)]
pub enum Command {
    /// How is everything?
    Status,
    /// All proposals.
    Proposals,
    /// One proposal, by its id or the beginning of it.
    Proposal(String),
    /// Propose a spend.
    Propose(NewSpend),
    /// Vote.
    Vote(String, NewBallot),
    /// Take back a proposal of one's own.
    Withdraw(String),
    /// Ask every co-signer now, whatever they will say.
    Execute(String),
    /// Something about the treasury's addresses and coins.
    Treasury(TreasuryCommand),
    /// Every check of a proposal with its evidence.
    Explain(String),
    /// The certificate of a decision, to be verified anywhere.
    Certificate(String),
    /// A word on a proposal.
    Comment(String, String),
    /// Who votes for this member from now on; nobody if none.
    Delegate(Option<String>),
    /// Stop signing, or sign again.
    Pause(bool),
    /// Leave the guild with so many satoshis.
    Leave(u64),
    /// Draw on a budget.
    Draw(String, NewDraw),
    /// The values of all settings.
    Settings,
    /// The epoch, its seal, and what changes the guild.
    Epoch,
    /// What the treasury holds.
    Balance,
    /// What moved it.
    History,
    /// The books, to make a report from.
    Books,
    /// The record view, as it is or as it was.
    Export(Format, AsOf),
    /// What an audit file is made of.
    Audit,
    /// Let an outsider's node read along.
    Invite(String),
    /// Where this node can be reached, as an invitation.
    Invitation,
    /// What became of an entry, and why.
    Entry(String),
    /// What a link obeys.
    LinkPolicy,
    /// Say what a link shows of its work.
    Receipt(ReceiptHex),
    /// What a link needs to know, but for node URL and token.
    Pair,
    /// Something about drafts, labels, contacts, sites or notes.
    Workspace(WorkspaceCommand),
}

/// The answer to a [`Command`].
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// See [`Command::Status`].
    Status(Box<Status>),
    /// See [`Command::Proposals`].
    Proposals(Proposals),
    /// See [`Command::Proposal`].
    Proposal(Box<ProposalDto>),
    /// See [`Command::Execute`].
    Ceremony(Ceremony),
    /// See [`Command::Treasury`].
    Treasury(Box<TreasuryAnswer>),
    /// See [`Command::Explain`].
    Explanation(Box<Explanation>),
    /// See [`Command::Certificate`].
    Certificate(Box<CertificateFile>),
    /// See [`Command::Settings`].
    Settings(Settings),
    /// See [`Command::Epoch`].
    Epoch(Box<epoch::EpochDto>),
    /// Said.
    Said(Said),
    /// See [`Command::Balance`].
    Balance(Balance),
    /// See [`Command::History`].
    History(History),
    /// See [`Command::Books`]: for the shell, which makes a report of them and says that.
    #[serde(skip)]
    Books(Box<wallet::ledger::Book>, bitcoin::Network),
    /// See [`Command::Export`].
    Export(Export),
    /// See [`Command::Audit`].
    Audit(Box<audit::Material>),
    /// See [`Command::Invite`] and [`Command::Invitation`].
    Invitation(InvitationDto),
    /// See [`Command::Entry`].
    Entry(EntryDto),
    /// See [`Command::LinkPolicy`].
    LinkPolicy(Box<PolicyAnswer>),
    /// See [`Command::Pair`].
    Pair(Pair),
    /// See [`Command::Workspace`].
    Workspace(Box<WorkspaceAnswer>),
}

/// The version of every object the API gives.
pub const V: u32 = 1;

/// Something was said; that is all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Said {
    /// [`V`].
    pub v: u32,
    /// The entry's id.
    pub entry: String,
}

/// A new proposal: a spend, or what [`effect`](Self::effect) says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSpend {
    /// One line.
    pub title: String,
    /// More words.
    #[serde(default)]
    pub text: String,
    /// Who gets how much, if it is a spend.
    #[serde(default)]
    pub outputs: Vec<OutputDto>,
    /// In the place of outputs: satoshis to divide among the members by their units.
    #[serde(default)]
    pub distribute_sat: Option<u64>,
    /// What it is to do, if it is neither.
    #[serde(default)]
    pub effect: Option<NewEffect>,
}

/// One payee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputDto {
    /// An address of the guild's network.
    pub address: String,
    /// Satoshis.
    pub amount_sat: u64,
}

/// A vote.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBallot {
    /// yes, no or abstain.
    pub choice: ChoiceDto,
    /// Never to change again.
    #[serde(rename = "final")]
    pub last: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// With yes: which of the proposal's options, counted from 1.
    #[serde(default)]
    pub options: Vec<u16>,
}

/// Which way a ballot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceDto {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither.
    Abstain,
}

impl From<ChoiceDto> for Choice {
    fn from(choice: ChoiceDto) -> Self {
        match choice {
            ChoiceDto::Yes => Self::Yes,
            ChoiceDto::No => Self::No,
            ChoiceDto::Abstain => Self::Abstain,
        }
    }
}

/// At which time the record is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsOf {
    /// As it is.
    Now,
    /// What had been said, and had been buried, when the chain was this high.
    Height(u32),
    /// What had been said when this entry was: its author's chain up to it, the others' up to its height.
    Entry(String),
}

/// How to export the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An Automerge document.
    Automerge,
    /// JSON.
    Json,
}

/// A node at a glance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// [`V`].
    pub v: u32,
    /// Coins that left the treasury for nothing that was decided; empty, or somebody must look now.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// What most needs attention, most urgent first; empty when all is well.
    pub waits: Vec<Wait>,
    /// The guild's id.
    pub guild: String,
    /// Its name.
    pub name: String,
    /// Its chain.
    pub network: String,
    /// Who we are.
    pub member: String,
    /// Our member key.
    pub member_key: String,
    /// t.
    pub signers_needed: usize,
    /// n.
    pub co_signers: usize,
    /// Our tip.
    pub height: u32,
    /// The block there.
    pub block_hash: String,
    /// Hash of the replicated state at `height`: equal on all nodes with the same entries.
    pub state_hash: String,
    /// Entries in the document.
    pub entries: usize,
    /// Whether every founder signed the charter.
    pub founded: bool,
    /// The group key, once all co-signers stored their shares.
    pub group_key: Option<String>,
    /// How many co-signers said they did.
    pub key_ready: usize,
    /// Whether both test signatures exist: only then is an address shown.
    pub key_usable: bool,
    /// The other members.
    pub peers: Vec<Peer>,
    /// What the treasury holds, once there is one.
    pub balance: Option<Balance>,
    /// How the chain sources are.
    #[serde(default)]
    pub chain: ChainDto,
    /// Proposals that are not settled.
    pub open_proposals: usize,
}

/// Something the node waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// For what.
    pub what: String,
    /// On whom.
    pub missing: Vec<String>,
    /// For how many seconds; none if it cannot be told.
    pub since_s: Option<u64>,
    /// What a person can do.
    pub todo: String,
}

/// Another member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Peer {
    /// Name.
    pub name: String,
    /// Member key.
    pub key: String,
    /// Whether its node is connected to ours.
    pub connected: bool,
    /// Seconds since we last heard from it.
    pub last_seen_s: Option<u64>,
    /// Whether it holds a share.
    pub co_signer: bool,
}

/// A certificate and all that it takes to verify it without a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFile {
    /// [`V`].
    pub v: u32,
    /// The guild's charter, in hexadecimal digits: the guild's id is its hash.
    pub charter: String,
    /// The key of the epoch that signed.
    pub group_key: String,
    /// The epoch.
    pub epoch: u32,
    /// The entry that proposed what was decided, in hexadecimal digits; none for the charter's own policy.
    pub proposal: Option<String>,
    /// Which of its options, counted from 0.
    pub option: u16,
    /// The height at which voting closed.
    pub close: u32,
    /// BIP340, in hexadecimal digits.
    pub signature: String,
}

/// Many proposals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proposals {
    /// [`V`].
    pub v: u32,
    /// In the order of height, then id.
    pub proposals: Vec<ProposalDto>,
}

/// One proposal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProposalDto {
    /// [`V`].
    pub v: u32,
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// More words.
    pub text: String,
    /// Who proposed it.
    pub author: String,
    /// The height it was proposed at.
    pub height: u32,
    /// The height voting closes at.
    pub close: u32,
    /// Which class of actions it is of: spend, text, setting, distribute, budget, cancel or epoch.
    pub class: String,
    /// Who gets how much, if one transaction pays it.
    pub outputs: Vec<OutputDto>,
    /// The sum of it.
    pub total_sat: u64,
    /// The coin whose lineage pays it, if it is paid.
    pub anchor: Option<String>,
    /// open, passing, certified, sent (in no block yet), paid (in a block), final (≥ 6 deep), withdrawn, lapsed,
    /// closed or lost.
    pub status: String,
    /// One line: what happens next and why, or why nothing can.
    pub next: String,
    /// The votes in numbers.
    pub tally: TallyDto,
    /// The votes.
    pub ballots: Vec<BallotDto>,
    /// Who has not voted.
    pub not_voted: Vec<String>,
    /// Who coordinates the next signature, and who sits in it, as this node sees it.
    pub signing: Option<Signing>,
    /// The certificate's signature.
    pub certificate: Option<String>,
    /// The payment.
    pub payment: Option<Payment>,
    /// How the last ceremony that this node led ended.
    pub last_ceremony: Option<Ceremony>,
}

/// Weights of votes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyDto {
    /// Decides.
    pub final_yes: u64,
    /// May still change.
    pub changeable_yes: u64,
    /// Against.
    pub no: u64,
    /// Neither.
    pub abstain: u64,
    /// The whole roll.
    pub roll: u64,
    /// Final yes must be above this.
    pub needed_above: u64,
}

/// One vote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BallotDto {
    /// Whose.
    pub member: String,
    /// Which way.
    pub choice: String,
    /// Whether it can still change.
    #[serde(rename = "final")]
    pub last: bool,
    /// Why.
    pub reason: String,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signing {
    /// What is signed.
    pub subject: String,
    /// Who leads.
    pub coordinator: String,
    /// Who sits in the first t seats.
    pub seats: Vec<String>,
    /// Whom we wait for, if we lead, and for how many seconds.
    pub waiting_for: Vec<Waiting>,
    /// Who gets the next free seat.
    pub next_seat: Option<String>,
}

/// A silent member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who.
    pub member: String,
    /// Since how many seconds.
    pub seconds: u64,
}

/// A payment on its way or arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The transaction.
    pub txid: String,
    /// 0 in the mempool, 1 in the tip block.
    pub depth: u32,
}

/// How a signing ceremony ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceremony {
    /// What was to be signed.
    pub subject: String,
    /// Co-signers who signed.
    pub signed: usize,
    /// Co-signers there are.
    pub co_signers: usize,
    /// Signatures needed.
    pub needed: usize,
    /// Who refused, and why.
    pub refusals: Vec<RefusalDto>,
    /// Who did not answer.
    pub silent: Vec<String>,
    /// Who answered with something invalid.
    pub faulty: Vec<String>,
}

/// A co-signer's reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalDto {
    /// Who.
    pub member: String,
    /// By which rule.
    pub rule: String,
    /// What it demands.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// What the treasury holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// [`V`].
    pub v: u32,
    /// Spendable.
    pub confirmed_sat: u64,
    /// Mined, younger than 100 blocks.
    pub immature_sat: u64,
    /// In the mempool.
    pub pending_sat: u64,
    /// The tip it is told at.
    pub height: u32,
}

/// What moved the treasury.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// [`V`].
    pub v: u32,
    /// Oldest first.
    pub transactions: Vec<Movement>,
}

/// One transaction of the treasury.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Movement {
    /// The transaction.
    pub txid: String,
    /// Its block; none while it waits.
    pub height: Option<u32>,
    /// What it is: block reward, contribution, received, payment, closing move, move, recovery or other.
    pub kind: String,
    /// What it added or, if negative, took.
    pub delta_sat: i64,
    /// The decision it pays.
    pub proposal: Option<String>,
}

/// The record, exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Export {
    /// [`V`].
    pub v: u32,
    /// The format.
    pub format: Format,
    /// JSON: the record. Automerge: nothing.
    pub record: Option<serde_json::Value>,
    /// Automerge: the file in hexadecimal.
    pub file_hex: Option<String>,
    /// Automerge heads: equal on all nodes with equal state.
    pub heads: Vec<String>,
    /// The height it is told at.
    pub height: u32,
    /// The state's hash there.
    pub state_hash: String,
}

/// How to find the guild.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InvitationDto {
    /// [`V`].
    pub v: u32,
    /// `guild1…`
    pub invitation: String,
    /// The height a guest's invitation ends above.
    pub expiry: Option<u32>,
}

/// What became of an entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryDto {
    /// [`V`].
    pub v: u32,
    /// Its id.
    pub id: String,
    /// Who said it.
    pub author: String,
    /// Its place in the author's chain.
    pub seq: u32,
    /// The height it claims.
    pub height: u32,
    /// Its kind.
    pub kind: String,
    /// applied, or ignored and why.
    pub verdict: String,
}

/// For `guild mining pair`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pair {
    /// [`V`].
    pub v: u32,
    /// The guild.
    pub guild: String,
    /// The member whose work it is.
    pub member: String,
    /// The epoch.
    pub epoch: u32,
    /// The key the link will obey.
    pub group_key: String,
}
