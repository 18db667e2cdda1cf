//! Whom to pay, as people write it: addresses of the guild's network (P13), satoshis as whole numbers, and
//! lists of both as comma-separated lines. Nothing here guesses: a line that is not understood is refused
//! by its number, and nothing of the list is used.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Amount, Network, ScriptBuf};
use crdt::governance::{Output, SpendError, spend};
use crdt::limits::OUTPUTS_MAX;
use std::str::FromStr as _;

/// Bytes of a payout list at most: [`OUTPUTS_MAX`] lines with the longest address, amount and a remark.
pub const LIST_BYTES_MAX: usize = OUTPUTS_MAX * 256;
/// Refused lines that are told of at most.
pub const TOLD_MAX: usize = 20;
/// What may stand in the first line of a list.
pub const HEADER: &str = "address,satoshis";

/// Why somebody cannot be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayeeError {
    /// Not an address.
    #[error("'{0}' is no address")]
    Address(String),
    /// An address of another network.
    #[error("'{address}' is not an address of the guild's network, {network}")]
    Network {
        /// What was given.
        address: String,
        /// The guild's.
        network: Network,
    },
    /// Not a whole number of satoshis.
    #[error("'{0}' is no whole number of satoshis")]
    Satoshis(String),
    /// The network would not relay it, or pays no standard address.
    #[error("{sat} sat to '{address}': {why}")]
    Output {
        /// The address.
        address: String,
        /// The amount.
        sat: u64,
        /// What is wrong.
        why: OutputError,
    },
    /// Not two or three fields.
    #[error("a line is 'address,satoshis' and maybe a remark, not {0} fields")]
    Fields(usize),
}

/// Why an output cannot stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Too small.
    #[error("at least {0} sat are needed, less is dust")]
    Dust(u64),
    /// A script no address type of today stands for.
    #[error("not an address of a standard type")]
    Script,
    /// More than there can ever be.
    #[error("more bitcoin than can exist")]
    Sum,
}

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Longer than any list.
    #[error("the list has {0} bytes, at most {LIST_BYTES_MAX} are read")]
    Long(usize),
    /// The refused lines, the first [`TOLD_MAX`] of them.
    #[error("{}", lines(.0))]
    Lines(Vec<(usize, PayeeError)>),
    /// The lines together.
    #[error(transparent)]
    Sum(#[from] SpendError),
}

fn lines(refused: &[(usize, PayeeError)]) -> String {
    let lines = refused.iter().map(|(number, why)| format!("line {number}: {why}"));
    lines.collect::<Vec<_>>().join("; ")
}

/// The script of `address` on `network`.
///
/// # Errors
///
/// [`PayeeError::Address`] or [`PayeeError::Network`].
pub fn script(address: &str, network: Network) -> Result<ScriptBuf, PayeeError> {
    let parsed = Address::<NetworkUnchecked>::from_str(address);
    let parsed = parsed.map_err(|_| PayeeError::Address(address.chars().take(100).collect()))?;
    let wrong = |_| PayeeError::Network { address: address.to_owned(), network };
    Ok(parsed.require_network(network).map_err(wrong)?.script_pubkey())
}

/// The output that pays `sat` satoshis to `address`.
///
/// # Errors
///
/// [`PayeeError`] says what is wrong with it.
pub fn output(address: &str, sat: u64, network: Network) -> Result<Output, PayeeError> {
    let output = Output { script: script(address, network)?, amount: Amount::from_sat(sat) };
    let why = match spend::check(std::slice::from_ref(&output)) {
        Ok(()) => return Ok(output),
        Err(SpendError::Dust(_)) => OutputError::Dust(output.script.minimal_non_dust().to_sat()),
        Err(SpendError::Sum) => OutputError::Sum,
        Err(_) => OutputError::Script,
    };
    Err(PayeeError::Output { address: address.to_owned(), sat, why })
}

/// A whole number of satoshis; underscores may group digits.
///
/// # Errors
///
/// [`PayeeError::Satoshis`] for anything else, a decimal point included.
pub fn satoshis(text: &str) -> Result<u64, PayeeError> {
    let refuse = || PayeeError::Satoshis(text.chars().take(40).collect());
    let plain = text.replace('_', "");
    let digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    if digits { plain.parse().map_err(|_| refuse()) } else { Err(refuse()) }
}

/// The payees of a list: lines of `address,satoshis` and maybe a remark that nobody reads, empty lines and
/// lines that begin with `#` left out, a first line of [`HEADER`] allowed.
///
/// # Errors
///
/// [`ListError`] with the numbers of the lines, from 1.
pub fn list(text: &str, network: Network) -> Result<Vec<Output>, ListError> {
    if text.len() > LIST_BYTES_MAX {
        return Err(ListError::Long(text.len()));
    }
    let (mut outputs, mut refused) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let bare = line.trim().trim_start_matches('\u{feff}');
        let header = number == 1 && bare.to_ascii_lowercase().starts_with(HEADER);
        if header || bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        match parse_line(bare, network) {
            Ok(output) => outputs.push(output),
            Err(why) => refused.push((number, why)),
        }
        if refused.len() == TOLD_MAX {
            break;
        }
    }
    if !refused.is_empty() {
        return Err(ListError::Lines(refused));
    }
    spend::check(&outputs)?;
    Ok(outputs)
}

fn parse_line(line: &str, network: Network) -> Result<Output, PayeeError> {
    let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
    match fields.as_slice() {
        [address, sat] | [address, sat, _] => output(address, satoshis(sat)?, network),
        other => Err(PayeeError::Fields(other.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGTEST: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";
    const MAINNET: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

    #[test]
    fn addresses_of_another_network_are_refused() {
        assert!(script(REGTEST, Network::Regtest).is_ok());
        assert!(script(MAINNET, Network::Bitcoin).is_ok());
        for (address, network) in
            [(MAINNET, Network::Regtest), (REGTEST, Network::Bitcoin), (REGTEST, Network::Signet)]
        {
            let refused = script(address, network).unwrap_err();
            assert_eq!(refused, PayeeError::Network { address: address.to_owned(), network });
        }
        assert!(matches!(script("bcrt1qnonsense", Network::Regtest), Err(PayeeError::Address(_))));
        assert!(matches!(script("", Network::Regtest), Err(PayeeError::Address(_))));
    }

    #[test]
    fn satoshis_are_whole_numbers() {
        for (text, expected) in [("1", 1), ("1_000", 1_000), ("2100000000000000", 2_100_000_000_000_000)] {
            assert_eq!(satoshis(text), Ok(expected));
        }
        for text in ["", "_", "1.5", "1e3", "-1", "+1", "0x10", "1 000", "99999999999999999999"] {
            assert_eq!(satoshis(text), Err(PayeeError::Satoshis(text.to_owned())));
        }
    }

    #[test]
    fn a_list_is_read_whole_or_refused_line_by_line() {
        let fine = format!(
            "\u{feff}address,satoshis,remark\n{REGTEST},20000,\"rent\"\n\n# all\n{REGTEST}, 1_000 \r\n"
        );
        let outputs = list(&fine, Network::Regtest).unwrap();
        let amounts: Vec<u64> = outputs.iter().map(|output| output.amount.to_sat()).collect();
        assert_eq!(amounts, [20_000, 1_000]);
        let bad =
            format!("{REGTEST},20000\n{MAINNET},20000\n{REGTEST},0.5\n{REGTEST},100\n{REGTEST}\nnobody,1000");
        let error = list(&bad, Network::Regtest).unwrap_err();
        let ListError::Lines(refused) = &error else { panic!("{error}") };
        let numbers: Vec<usize> = refused.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 6]);
        assert!(error.to_string().contains("line 4: 100 sat to"), "{error}");
        assert!(error.to_string().contains("less is dust"), "{error}");
    }

    #[test]
    fn lists_are_bounded() {
        let line = format!("{REGTEST},1000\n");
        assert_eq!(list(&line.repeat(OUTPUTS_MAX), Network::Regtest).unwrap().len(), OUTPUTS_MAX);
        let error = list(&line.repeat(OUTPUTS_MAX + 1), Network::Regtest).unwrap_err();
        assert!(matches!(error, ListError::Sum(SpendError::Outputs(_))), "{error}");
        let long = "#".repeat(LIST_BYTES_MAX + 1);
        assert_eq!(list(&long, Network::Regtest), Err(ListError::Long(LIST_BYTES_MAX + 1)));
        let nonsense = "x,1\n".repeat(1_000);
        let error = list(&nonsense, Network::Regtest).unwrap_err();
        assert!(matches!(error, ListError::Lines(refused) if refused.len() == TOLD_MAX));
        assert!(matches!(list("", Network::Regtest), Err(ListError::Sum(SpendError::Outputs(0)))));
    }
}
