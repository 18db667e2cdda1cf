//! `guild treasury recover`: the way out when too few shares are left. It takes this folder (charter,
//! recovery seed, the key's transcript), a chain source, and k recovery keys; no daemon and no co-signer.

mod folder;

use crate::cli::say::{Say, btc};
use crate::config::Config;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::keystore::{self, Keystore};
use bitcoin::{Address, Amount, Psbt, ScriptBuf};
use clap::Args;
use crdt::Charter;
use folder::Folder;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use wallet::chain::BroadcastError;
use wallet::recovery::{self, RecoveryError};

/// Bytes of a PSBT file that are read at most: two hundred inputs with a hundred keys each.
const PSBT_MAX: u64 = 16 * 1024 * 1024;

/// Move coins that rested the recovery delay, with k recovery keys and no co-signer. Needs no daemon.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// Where everything goes. Given to every signer, and compared with what they sign.
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Satoshis per virtual byte. Default: what the chain source estimates.
    #[arg(long, value_name = "RATE")]
    fee_rate: Option<u64>,
    /// Write the PSBT here, for the other recovery keys or a hardware wallet.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Take PSBTs of the same recovery that others signed, and add them up.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    import: Vec<PathBuf>,
    /// Do not sign with this member's recovery key: all keys are on hardware wallets.
    #[arg(long)]
    no_sign: bool,
    /// Send it without being asked, once enough have signed.
    #[arg(long)]
    yes: bool,
    /// The group key, if neither the transcript nor the record is in this folder.
    #[arg(long, value_name = "HEX")]
    group_key: Option<String>,
    /// A file with the passphrase of your keys.
    #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Recover {
    pub(super) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let config = Config::load(&home.config())?;
        let _lock = home.lock()?;
        let mut folder = Folder::open(home, &config, self.group_key.as_deref())?;
        let to = self.destination(&folder.charter)?;
        let given = self.import.iter().map(|file| read(file)).collect::<Outcome<Vec<_>>>()?;
        folder.catch_up(say)?;
        let mut psbt = match given.as_slice() {
            [] => self.build(&mut folder, &to)?,
            given => adopt(&folder, given, &to)?,
        };
        if !self.no_sign {
            self.sign(home, &config, &folder.charter, &mut psbt)?;
        }
        self.finish(&mut folder, &psbt, say)
    }

    fn destination(&self, charter: &Charter) -> Outcome<ScriptBuf> {
        let refuse = |why: &dyn std::fmt::Display| Failure::usage(format!("--to '{}': {why}", self.to));
        let address = Address::from_str(&self.to).map_err(|error| refuse(&error))?;
        let network = charter.network;
        let address = address.require_network(network);
        let address = address.map_err(|_| refuse(&format_args!("not an address of {network}")))?;
        Ok(address.script_pubkey())
    }

    fn build(&self, folder: &mut Folder, to: &ScriptBuf) -> Outcome<Psbt> {
        let fee_rate = match self.fee_rate {
            Some(rate) if (1..=FEE_RATE_MAX).contains(&rate) => rate,
            Some(rate) => return Err(Failure::usage(format!("--fee-rate {rate}: 1 to {FEE_RATE_MAX}"))),
            None => folder.fee_rate(),
        };
        let delay = folder.charter.recovery.delay;
        folder.treasury.recovery(delay, to, fee_rate).map_err(failure)
    }

    fn sign(&self, home: &Home, config: &Config, charter: &Charter, psbt: &mut Psbt) -> Outcome<()> {
        let file = self.passphrase_file.as_ref().or(config.passphrase_file.as_ref());
        let keystore = Keystore::open(home, &keystore::passphrase(file.map(PathBuf::as_path))?)?;
        let mut key = keystore.recovery_key(charter.network)?;
        let signed = recovery::sign(psbt, &key).map_err(failure);
        key.private_key.non_secure_erase();
        signed
    }

    /// Send it if enough have signed; write it down for the others if not.
    fn finish(&self, folder: &mut Folder, psbt: &Psbt, say: Say) -> Outcome<()> {
        let (needed, have) = (usize::from(folder.charter.recovery.least), recovery::signatures(psbt));
        if let Some(file) = &self.export {
            home::write_private(file, psbt.to_string().as_bytes())?;
        }
        let (paid, fee) = recovery::amounts(psbt);
        let txid = psbt.unsigned_tx.compute_txid();
        let inputs = psbt.inputs.len();
        let all = recovery::recoverable(&folder.treasury.view(), folder.charter.recovery.delay).len();
        let summary = format!("{inputs} coins, {} to {}, fee {}", sat(paid), self.to, sat(fee));
        let complete = have >= needed;
        let sent = complete && {
            let transaction = folder.treasury.complete(psbt, needed).map_err(failure)?;
            say.confirm(&format!("Send {summary}?"), self.yes)?;
            folder.broadcast(&transaction).map_err(|error| match error {
                BroadcastError::Refused { .. } => Failure::new(Code::Refused, error.to_string()),
                other => Failure::new(Code::Unreachable, crate::chain::line(&other)),
            })?;
            true
        };
        if !complete && self.export.is_none() {
            let why =
                format!("{have} of {needed} signatures: say --export FILE, and give the file to the others");
            return Err(Failure::new(Code::NotEnoughSigners, why));
        }
        let data = serde_json::json!({
            "v": 1, "txid": txid.to_string(), "coins": inputs, "left": all.saturating_sub(inputs),
            "amount_sat": paid.to_sat(), "fee_sat": fee.to_sat(), "to": self.to, "signatures": have,
            "needed": needed, "sent": sent, "file": self.export,
        });
        say.data(&data, || match sent {
            true => format!("sent {txid}: {summary}"),
            false => format!("{have} of {needed} signatures: {summary}"),
        });
        if !sent {
            say.hint(
                "every other signer runs: guild treasury recover --to ADDRESS --import FILE --export FILE",
            );
        } else if all > inputs {
            say.hint("more coins are left: run it again");
        }
        Ok(())
    }
}

/// Satoshis per virtual byte at most: more is a slip of the finger.
const FEE_RATE_MAX: u64 = 5_000;

fn sat(amount: Amount) -> String {
    btc(amount.to_sat())
}

/// Our own PSBT of the transaction that all files are of, with all signatures in them.
fn adopt(folder: &Folder, given: &[(PathBuf, Psbt)], to: &ScriptBuf) -> Outcome<Psbt> {
    let delay = folder.charter.recovery.delay;
    let mut all: Option<Psbt> = None;
    for (file, psbt) in given {
        let named = |error: RecoveryError| {
            let Failure { code, detail } = failure(error);
            Failure::new(code, format!("{}: {detail}", file.display()))
        };
        let ours = folder.treasury.adopt(psbt, delay, Some(to)).map_err(named)?;
        match &mut all {
            None => all = Some(ours),
            Some(all) => recovery::combine(all, &ours).map_err(named)?,
        }
    }
    all.ok_or_else(|| Failure::usage("--import: no file"))
}

/// A PSBT in binary or in base64.
fn read(file: &Path) -> Outcome<(PathBuf, Psbt)> {
    use std::io::Read as _;
    let fail = |error| Failure::because(format_args!("cannot read {}", file.display()), error);
    let mut bytes = Vec::new();
    std::fs::File::open(file).map_err(fail)?.take(PSBT_MAX).read_to_end(&mut bytes).map_err(fail)?;
    let text = || std::str::from_utf8(&bytes).ok().and_then(|text| Psbt::from_str(text.trim()).ok());
    let psbt = Psbt::deserialize(&bytes).ok().or_else(text);
    let refuse = || Failure::usage(format!("{} is no PSBT, neither binary nor base64", file.display()));
    Ok((file.to_owned(), psbt.ok_or_else(refuse)?))
}

/// Which code a person's program sees.
fn failure(error: RecoveryError) -> Failure {
    let code = match &error {
        RecoveryError::Empty | RecoveryError::Fee { .. } => Code::NotEnoughFunds,
        RecoveryError::TooYoung { .. } => Code::TryAgain,
        RecoveryError::Signatures { .. } => Code::NotEnoughSigners,
        RecoveryError::Build(_) => Code::Failed,
        _ => Code::Refused,
    };
    Failure::new(code, crate::chain::line(&error))
}
