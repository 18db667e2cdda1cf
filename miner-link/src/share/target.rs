//! Difficulty in powers of two, and the targets they stand for.

use bitcoin::Target;

/// The target of difficulty 1: 0xffff · 2^208.
const ONE: u16 = 0xffff;
/// The power of two in it.
const ONE_SHIFT: i32 = 208;

/// The target that every hash meets.
const EASIEST: [u8; 32] = [0xff; 32];

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

    /// The smallest that is not below `difficulty`; none for what is not a positive number.
    #[must_use]
    pub fn at_least(difficulty: f64) -> Option<Self> {
        const FRACTION: u64 = (1 << 52) - 1;
        let whole = difficulty.to_bits() & FRACTION == 0;
        Self::at_most(difficulty).map(|level| if whole { level } else { level.step(1) })
    }

    /// The hardest that is not harder than `target`.
    #[must_use]
    pub fn of(target: Target) -> Self {
        Self::at_most(wire_difficulty(target)).unwrap_or(Self::LEAST)
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

/// The target for shares: that of `level`, but never harder than `hardest`.
#[must_use]
pub fn share_target(level: Level, hardest: Target) -> Target {
    level.target().max(hardest)
}

/// The target that `difficulty` stands for, rounded down so that what meets it meets what the sender
/// makes of the number; none for what is not a positive number. In integers: 0xffff · 2^208 divided by
/// the number's mantissa, which shifts by its exponent.
#[must_use]
pub fn target_of(difficulty: f64) -> Option<Target> {
    if !difficulty.is_normal() || difficulty.is_sign_negative() {
        return None;
    }
    let bits = difficulty.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let exponent = i32::try_from(bits >> 52).ok()? - 1023 - 52;
    // The dividend is 0xffff · 2^shift; a shift beyond what 320 bits hold is easier than any hash.
    let shift = ONE_SHIFT - exponent;
    let Ok(shift) = u32::try_from(shift) else { return Some(Target::ZERO) };
    if shift >= DIVIDEND_BITS - u16::BITS {
        return Some(Target::from_be_bytes(EASIEST));
    }
    Some(quotient(shift, mantissa))
}

/// Bits that the long division works through.
const DIVIDEND_BITS: u32 = 320;

/// ⌊0xffff · 2^`shift` / `divisor`⌋, or the greatest target if that is less. Bit by bit.
fn quotient(shift: u32, divisor: u64) -> Target {
    let (mut rest, mut be, mut overflow) = (0_u64, [0_u8; 32], false);
    for place in (0..shift + u16::BITS).rev() {
        let one = place >= shift;
        // `divisor` is below 2^53, and so is `rest` before it doubles.
        rest = rest << 1 | u64::from(one);
        if rest >= divisor {
            rest -= divisor;
            let byte = usize::try_from(place / 8).ok().and_then(|byte| 31_usize.checked_sub(byte));
            match byte.and_then(|byte| be.get_mut(byte)) {
                Some(byte) => *byte |= 1 << (place % 8),
                None => overflow = true,
            }
        }
    }
    Target::from_be_bytes(if overflow { EASIEST } else { be })
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
            assert_eq!(Level::of(level.target()), level);
        }
        assert_eq!(Level::at_most(1000.0), Some(Level::new(9)));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Level::at_most(odd), None, "{odd}");
        }
    }

    #[test]
    fn any_difficulty_has_a_target() {
        for exponent in -32..=60 {
            assert_eq!(
                target_of(2.0_f64.powi(exponent)),
                Some(Level::new(exponent).target()),
                "2^{exponent}"
            );
        }
        // 0xffff·2^208 / 3, and / 2048.5, computed elsewhere.
        let hex = |difficulty: f64| {
            use hex::DisplayHex as _;
            target_of(difficulty).unwrap().to_be_bytes().to_lower_hex_string()
        };
        assert_eq!(hex(3.0), format!("00000000{}{}", "5555", "0".repeat(52)));
        assert_eq!(hex(1.5), format!("00000000{}{}", "aaaa", "0".repeat(52)));
        assert!(hex(7.0).starts_with("0000000024922492"), "{}", hex(7.0));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(target_of(odd), None, "{odd}");
        }
        for tiny in [1e-30, 1e-10] {
            assert_eq!(target_of(tiny), Some(Target::from_be_bytes(EASIEST)));
        }
        assert_eq!(target_of(1e300), Some(Target::ZERO));
        // The number that is sent for a target never stands for an easier one.
        for exponent in [-20, 0, 30] {
            let target = Level::new(exponent).target();
            assert!(target_of(wire_difficulty(target)).unwrap() <= target);
        }
        let regtest = Target::MAX_ATTAINABLE_REGTEST;
        assert!(target_of(wire_difficulty(regtest)).unwrap() <= regtest);
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
