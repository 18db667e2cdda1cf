//! How much work a block must show before anybody believes that it is one.
//!
//! A server that makes up a chain has to pay for it. The bound is per header and far below what blocks of
//! the network cost today, so that no fall in hash rate within sight makes an honest block fail.

use bitcoin::block::Header;
use bitcoin::params::Params;
use bitcoin::{Network, Target};

/// Mainnet's difficulty has been above this since 2019: ten million million. In 2026 it is more than ten
/// times that.
const MAINNET_DIFFICULTY: u64 = 10_000_000_000_000;

/// The easiest target that a header of `network` may have.
#[must_use]
pub fn easiest(network: Network) -> Target {
    let limit = Params::new(network).max_attainable_target;
    if network != Network::Bitcoin {
        return limit; // whose blocks cost little or nothing, and whose coins are worth that
    }
    divided(Target::MAX_ATTAINABLE_MAINNET, MAINNET_DIFFICULTY)
}

/// `target / by`, by long division on its bytes.
fn divided(target: Target, by: u64) -> Target {
    let mut bytes = target.to_be_bytes();
    let mut rest: u128 = 0;
    for byte in &mut bytes {
        let value = (rest << 8) | u128::from(*byte);
        *byte = u8::try_from(value / u128::from(by)).expect("the rest is below the divisor");
        rest = value % u128::from(by);
    }
    Target::from_be_bytes(bytes)
}

/// Whether `header` shows the work it claims, and claims enough.
#[must_use]
pub fn enough(network: Network, header: &Header) -> bool {
    let target = header.target();
    target <= easiest(network) && header.validate_pow(target).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::CompactTarget;
    use bitcoin::constants::genesis_block;

    #[test]
    fn a_header_needs_work_and_mainnet_more_of_it() {
        let regtest = genesis_block(Network::Regtest).header;
        let main = genesis_block(Network::Bitcoin).header;
        let signet = genesis_block(Network::Signet).header;
        for (network, header, expected) in [
            (Network::Regtest, regtest, true),
            (Network::Signet, signet, true),
            (Network::Bitcoin, main, false), // honest, of 2009: far too easy for a block of today
            (Network::Bitcoin, regtest, false),
            (Network::Signet, regtest, false),
        ] {
            assert_eq!(enough(network, &header), expected, "{network} {header:?}");
        }
        let unworked = Header { nonce: regtest.nonce + 1, ..regtest };
        let mut unworked = unworked;
        while unworked.validate_pow(unworked.target()).is_ok() {
            unworked.nonce += 1;
        }
        assert!(!enough(Network::Regtest, &unworked), "a target that the hash does not meet");
    }

    #[test]
    fn the_bound_of_mainnet_is_its_difficulty() {
        let easiest = easiest(Network::Bitcoin);
        assert!(easiest < Target::from_compact(CompactTarget::from_consensus(0x171c_2b00 + 0x1000)));
        assert!(easiest > Target::from_compact(CompactTarget::from_consensus(0x1702_0000)), "today's blocks");
    }
}
