//! The farms' policy, as people write and read it.

use crate::error::{Failure, Outcome};
use bitcoin::{Address, Network};
use crdt::mining::{MiningPolicy, Mode, Payee, Payout, Share, Small, Split};
use std::str::FromStr as _;

/// What stands for the treasury in a split.
const TREASURY: &str = "treasury";

/// What a device does that cannot take a split's coinbase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SmallDevices {
    /// It mines for the treasury alone.
    Treasury,
    /// It gets no work.
    NoWork,
}

/// The payout that `parts` say, each WHO=WEIGHT; without any, all to the treasury.
pub(super) fn payout(parts: &[String], small: SmallDevices, network: Network) -> Outcome<Payout> {
    if parts.is_empty() {
        return Ok(Payout::Treasury);
    }
    let small = match small {
        SmallDevices::Treasury => Small::Treasury,
        SmallDevices::NoWork => Small::NoWork,
    };
    let shares = parts.iter().map(|text| share(text, network)).collect::<Outcome<Vec<_>>>()?;
    let split = Split::new(shares, small).map_err(|error| Failure::usage(format!("--split: {error}")))?;
    Ok(Payout::Split(split))
}

fn share(text: &str, network: Network) -> Outcome<Share> {
    let refuse = |why: String| Failure::usage(format!("--split '{text}': {why}"));
    let (who, weight) = text.split_once('=').ok_or_else(|| refuse("WHO=WEIGHT is needed".to_owned()))?;
    let weight = weight.parse().map_err(|_| refuse("the weight is a whole number".to_owned()))?;
    if who == TREASURY {
        return Ok(Share { payee: Payee::Treasury, weight });
    }
    let address = Address::from_str(who).map_err(|error| refuse(error.to_string()))?;
    let address = address
        .require_network(network)
        .map_err(|_| refuse(format!("this address is not one of the guild's network, {network}")))?;
    Ok(Share { payee: Payee::Script(address.script_pubkey()), weight })
}

/// A policy in a line.
pub(super) fn describe(policy: &MiningPolicy, network: Network) -> String {
    let whom = match &policy.payout {
        Payout::Treasury => "to the treasury".to_owned(),
        Payout::Split(split) => {
            let parts = split.shares().iter().map(|Share { payee, weight }| match payee {
                Payee::Treasury => format!("{weight} to the {TREASURY}"),
                Payee::Script(script) => match Address::from_script(script, network) {
                    Ok(address) => format!("{weight} to {address}"),
                    Err(_) => format!("{weight} to the script {script:x}"),
                },
            });
            let small = match split.small() {
                Small::Treasury => "small devices mine for the treasury alone",
                Small::NoWork => "small devices get no work",
            };
            format!("in parts by weight, {}; {small}", parts.collect::<Vec<_>>().join(", "))
        }
    };
    match policy.mode {
        Mode::Solo => format!("solo, every block reward {whom}"),
        Mode::Pool => format!("for the pools each farm has accounts with; what is found alone goes {whom}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_read_and_told_to_the_last_payee() {
        let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        let parts = ["treasury=90".to_owned(), format!("{address}=10")];
        let payout = payout(&parts, SmallDevices::NoWork, Network::Regtest).unwrap();
        let line = describe(&MiningPolicy { mode: Mode::Solo, payout }, Network::Regtest);
        let expected = format!(
            "solo, every block reward in parts by weight, 90 to the treasury, 10 to {address}; small devices \
             get no work"
        );
        assert_eq!(line, expected);
        assert!(describe(&MiningPolicy::POOL, Network::Regtest).ends_with("to the treasury"));
        let other = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4=1";
        for wrong in ["treasury", "treasury=x", "nobody=1", "treasury=0", other] {
            let parts = [wrong.to_owned()];
            assert!(super::payout(&parts, SmallDevices::Treasury, Network::Regtest).is_err(), "{wrong}");
        }
    }
}
