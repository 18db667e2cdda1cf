//! Difficulty in powers of two, and the targets they stand for.

use bitcoin::Target;

/// The target of difficulty 1: 0xffff · 2^208.
const ONE: u16 = 0xffff;
/// The power of two in it.
const ONE_SHIFT: i32 = 208;

/// The binary logarithm of a difficulty. Powers of two survive every rounding in firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(i8);

impl Level {
    /// The easiest: 2^-32, which every hash meets.
    pub const LEAST: Self = Self(-32);
    /// The hardest: 2^60, far above any device.
    pub const MOST: Self = Self(60);

    /// 2^`exponent`, within the bounds.
    #[must_use]
    pub fn new(exponent: i32) -> Self {
        let bounded = exponent.clamp(i32::from(Self::LEAST.0), i32::from(Self::MOST.0));
        Self(i8::try_from(bounded).expect("between the bounds"))
    }

    /// The largest that is not above `difficulty`; none for what is not a positive number.
    #[must_use]
    pub fn at_most(difficulty: f64) -> Option<Self> {
        // The exponent field of a normal double is ⌊log₂⌋ + 1023.
        let field = i32::try_from(difficulty.to_bits() >> 52 & 0x7ff).ok()?;
        (difficulty.is_normal() && difficulty.is_sign_positive()).then(|| Self::new(field - 1023))
    }

    /// `steps` harder, or easier below zero.
    #[must_use]
    pub fn step(self, steps: i32) -> Self {
        Self::new(i32::from(self.0).saturating_add(steps))
    }

    /// What a hash must not exceed.
    #[must_use]
    pub fn target(self) -> Target {
        let shift = u32::try_from(ONE_SHIFT - i32::from(self.0)).expect("148 to 240");
        let (bytes, bits) = (shift / 8, shift % 8);
        let number = (u32::from(ONE) << bits).to_le_bytes();
        let mut le = [0; 32];
        let place = usize::try_from(bytes).expect("at most 30");
        le.iter_mut().skip(place).zip(number).for_each(|(to, from)| *to = from);
        Target::from_le_bytes(le)
    }
}

/// The target for shares: that of `level`, but never harder than the network's own.
#[must_use]
pub fn share_target(level: Level, network: Target) -> Target {
    level.target().max(network)
}

/// The difficulty of `target` as `mining.set_difficulty` writes it, never easier than the target.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "the wire wants a decimal number; no decision is made with it")]
pub fn wire_difficulty(target: Target) -> f64 {
    let value = target.to_be_bytes().iter().fold(0.0_f64, |sum, byte| sum * 256.0 + f64::from(*byte));
    let difficulty = f64::from(ONE) * 2.0_f64.powi(ONE_SHIFT) / value;
    // A power of two is exact. Anything else is rounded up, so that no miner sends what just misses.
    let exact = difficulty.to_bits() & ((1 << 52) - 1) == 0;
    if exact { difficulty } else { difficulty.next_up() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_targets_that_everybody_computes() {
        assert_eq!(Level::new(0).target(), Target::MAX_ATTAINABLE_MAINNET);
        for exponent in -32..=60 {
            let level = Level::new(exponent);
            let wire = wire_difficulty(level.target());
            assert_eq!(wire.to_bits(), 2.0_f64.powi(exponent).to_bits(), "2^{exponent}");
            assert_eq!(Level::at_most(wire), Some(level));
        }
        assert_eq!(Level::at_most(1000.0), Some(Level::new(9)));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Level::at_most(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_share_is_never_harder_than_a_block() {
        let regtest = Target::MAX_ATTAINABLE_REGTEST;
        assert_eq!(share_target(Level::new(13), regtest), regtest);
        let wire = wire_difficulty(regtest);
        assert!((4.6e-10..4.7e-10).contains(&wire), "{wire}");
        assert_eq!(share_target(Level::new(-6), Target::MAX_ATTAINABLE_MAINNET), Level::new(-6).target());
    }
}
