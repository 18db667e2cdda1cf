//! Decimal numbers as servers write them, such as `0.00012` or `1.2e-4`, read without floats.

/// `text` times 10^`digits`, rounded up; none if it is no number that fits, or negative.
pub(crate) fn scaled_up(text: &str, digits: i32) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let number = format!("{whole}{fraction}");
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let shift = digits.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let number: u128 = number.parse().ok()?;
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    let scaled = match (power, shift < 0) {
        (Some(power), true) => number.div_ceil(power),
        (Some(power), false) => number.checked_mul(power)?,
        (None, true) => u128::from(number > 0),
        (None, false) => return None,
    };
    u64::try_from(scaled).ok()
}

#[cfg(test)]
mod tests {
    use super::scaled_up;

    #[test]
    fn decimals_are_read_to_the_digit_and_rounded_up() {
        for (text, digits, expected) in [
            ("87.882", 0, Some(88)),
            ("1", 0, Some(1)),
            ("1.0", 0, Some(1)),
            ("0.00012345", 5, Some(13)),
            ("1e-5", 5, Some(1)),
            ("1.5e-5", 5, Some(2)),
            ("2E3", 0, Some(2_000)),
            ("0", 5, Some(0)),
            ("-1", 5, None),
            ("", 0, None),
            (".", 0, None),
            ("nan", 0, None),
            ("1e99", 0, None),
            ("1e-99", 0, Some(1)),
            ("1e-9999999999", 0, None),
        ] {
            assert_eq!(scaled_up(text, digits), expected, "{text} × 10^{digits}");
        }
    }
}
