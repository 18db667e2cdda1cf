//! `guild join`.

use super::say::Say;
use crate::card::Invitation;
use crate::config::Config;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::keystore::{self, Keystore};
use crate::net;
use clap::Args;
use crdt::{Charter, MemberId};
use libp2p::Multiaddr;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

/// How long an inviting node may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fetch a guild's charter, read its rules, accept them.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// What a member sent you (guild1…).
    invitation: String,
    /// Accept the rules without being asked.
    #[arg(long)]
    yes: bool,
    /// A file with the passphrase of your keys. Asked for without.
    #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Join {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let config = Config::load(&home.config())?;
        let _lock = home.lock()?;
        let invitation = Invitation::from_str(&self.invitation).map_err(Failure::usage)?;
        if invitation.network != config.network {
            let detail = format!("the guild is on {}, this node on {}", invitation.network, config.network);
            return Err(Failure::usage(detail));
        }
        if home.charter().exists() {
            return Err(Failure::conflict(format!("{} belongs to a guild already", home.root().display())));
        }
        let file = self.passphrase_file.as_ref().or(config.passphrase_file.as_ref());
        let keystore = Keystore::open(home, &keystore::passphrase(file.map(PathBuf::as_path))?)?;
        let charter = fetch(&keystore, &invitation)?;
        let me = MemberId::from(&keystore.member().verifying_key());
        let founder = charter.founder(&me);
        let rules = super::rules(&charter);
        say.note(&rules.join("\n"));
        let question = match founder {
            Some(founder) => format!("Sign this charter as {}?", founder.name),
            None => "You are no founder: read along as a guest?".to_owned(),
        };
        say.confirm(&question, self.yes)?;
        let peers: Vec<&str> = invitation.addresses.iter().map(crdt::text::Line::as_str).collect();
        home::write_private(&home.peers(), peers.join("\n").as_bytes())?;
        home::write_private(&home.charter(), &charter.to_bytes())?; // last: it is the acceptance
        let data = serde_json::json!({
            "v": 1, "guild": charter.id().to_string(), "name": charter.name.to_string(),
            "founder": founder.is_some(), "rules": rules,
        });
        say.data(&data, || format!("joined {}", charter.name));
        say.hint("guild start");
        Ok(())
    }
}

fn fetch(keystore: &Keystore, invitation: &Invitation) -> Outcome<Charter> {
    let addresses: Vec<Multiaddr> =
        invitation.addresses.iter().filter_map(|line| line.as_str().parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because("cannot start", error))?;
    let bytes = runtime.block_on(net::fetch_charter(keystore.member(), &addresses, PATIENCE))?;
    let charter = Charter::from_bytes(&bytes).map_err(|error| Failure::because("the charter", error))?;
    if charter.id() != invitation.guild {
        let detail = format!("the node answered with the charter of another guild, {}", charter.id());
        return Err(Failure::new(Code::Refused, detail));
    }
    Ok(charter)
}
