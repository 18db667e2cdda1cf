//! What a bitcoin was worth on a day, and what an amount was worth then.
//!
//! Prices come from a [`Source`]; the one here is a [`PriceFile`] that a member keeps. A price is a rational
//! number, a value a whole number of minor units (cents): nothing here is a float. A day without a price has
//! none: a neighbouring day's price is never taken for it.

mod file;

pub use file::{BYTES_MAX, PRICES_MAX, PriceError, PriceFile};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use time::{Date, OffsetDateTime};

/// Satoshis of one bitcoin.
const SAT_PER_BTC: i128 = 100_000_000;
/// Digits of a price after its point, at most.
pub const DECIMALS_MAX: u8 = 8;
/// Digits of a price before its point, at most: with [`DECIMALS_MAX`] it is far from overflowing.
pub const DIGITS_MAX: usize = 12;
/// Currencies of ISO 4217 whose minor unit is not a hundredth, with the digits it has.
const MINOR_DIGITS: [(&str, u32); 23] = [
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("ISK", 0),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("PYG", 0),
    ("RWF", 0),
    ("UGX", 0),
    ("UYI", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
    ("BHD", 3),
    ("IQD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("OMR", 3),
    ("TND", 3),
];

/// Where prices come from. Nothing else is asked for one: to use an exchange's archive, a database or a
/// service, implement this. Equal questions get equal answers, or a report would not say the same twice.
pub trait Source {
    /// What one bitcoin was worth on `day` (UTC); none if that is not known.
    fn price(&self, day: Date, currency: &Currency) -> Option<Price>;
}

/// The code of a currency: three letters of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// What one bitcoin is worth: whole units of a currency over a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    units: u128,
    decimals: u8,
}

/// What is no currency or no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMoney {
    /// Not three capital letters.
    #[error("'{0}' is no currency: three capital letters, such as EUR")]
    Currency(String),
    /// Not a positive decimal number.
    #[error("'{0}' is no price: digits with at most one point, {DIGITS_MAX} before it, {DECIMALS_MAX} after")]
    Price(String),
    /// Not a day.
    #[error("'{0}' is no day: YYYY-MM-DD")]
    Day(String),
}

impl Currency {
    /// Digits of the minor unit: 2 for cents.
    #[must_use]
    pub fn minor_digits(&self) -> u32 {
        let code = self.to_string();
        MINOR_DIGITS.iter().find(|(other, _)| *other == code).map_or(2, |(_, digits)| *digits)
    }

    /// An amount of minor units as people write it: `-12.34`.
    #[must_use]
    pub fn decimal(&self, minor: i64) -> String {
        decimal(minor.into(), self.minor_digits())
    }
}

impl FromStr for Currency {
    type Err = NotMoney;
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let code = <[u8; 3]>::try_from(text.as_bytes()).ok();
        let code = code.filter(|code| code.iter().all(u8::is_ascii_uppercase));
        code.map(Self).ok_or_else(|| NotMoney::Currency(shortened(text)))
    }
}

impl TryFrom<String> for Currency {
    type Error = NotMoney;
    fn try_from(text: String) -> Result<Self, NotMoney> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl Price {
    /// What `sat` satoshis are worth, in minor units of `currency`, rounded half to even. None beyond 64
    /// bits.
    #[must_use]
    pub fn value(&self, sat: i64, currency: &Currency) -> Option<i64> {
        let units = i128::try_from(self.units).ok()?;
        let over = i128::from(sat).checked_mul(units)?.checked_mul(10_i128.pow(currency.minor_digits()))?;
        let under = SAT_PER_BTC.checked_mul(10_i128.pow(self.decimals.into()))?;
        round_half_even(over, under).try_into().ok()
    }
}

fn round_half_even(over: i128, under: i128) -> i128 {
    let (whole, rest) = (over.div_euclid(under), over.rem_euclid(under));
    let up = match (rest * 2).cmp(&under) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    whole + i128::from(up)
}

impl FromStr for Price {
    type Err = NotMoney;
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let refuse = || NotMoney::Price(shortened(text));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let pointed = text.contains('.');
        let decimals = u8::try_from(part.len()).ok().filter(|count| *count <= DECIMALS_MAX);
        let fine = digits(whole) && digits(part) && !whole.is_empty() && pointed != part.is_empty();
        let decimals = decimals.filter(|_| fine && whole.len() <= DIGITS_MAX).ok_or_else(refuse)?;
        let units: u128 = format!("{whole}{part}").parse().map_err(|_| refuse())?;
        if units == 0 {
            return Err(refuse());
        }
        Ok(Self { units, decimals })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = i128::try_from(self.units).unwrap_or(i128::MAX);
        f.pad(&decimal(units, self.decimals.into()))
    }
}

/// `number` over ten to the power of `digits`.
pub(crate) fn decimal(number: i128, digits: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (number, power) = (number.unsigned_abs(), 10_u128.pow(digits));
    if digits == 0 {
        return format!("{sign}{number}");
    }
    let width = usize::try_from(digits).unwrap_or(usize::MAX);
    format!("{sign}{}.{:0>width$}", number / power, number % power)
}

/// The day (UTC) of a Unix time in seconds.
#[must_use]
pub fn day_of(unix: u64) -> Date {
    let time = i64::try_from(unix).ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    time.map_or(Date::MAX, OffsetDateTime::date)
}

/// The same as a number of days since 1970: where many are compared.
pub(crate) const fn unix_day(unix: u64) -> u64 {
    unix / 86_400
}

/// How many days after the first of 1970 a day is; 0 for days before.
pub(crate) fn days_since_1970(day: Date) -> u64 {
    /// The Julian day of 1970-01-01.
    const FIRST: i32 = 2_440_588;
    u64::try_from(day.to_julian_day() - FIRST).unwrap_or_default()
}

/// Read a day: `YYYY-MM-DD`.
///
/// # Errors
///
/// [`NotMoney::Day`].
pub fn parse_day(text: &str) -> Result<Date, NotMoney> {
    let refuse = || NotMoney::Day(shortened(text));
    let shaped = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let mut parts = text.split('-').filter(|_| shaped);
    let mut next = |len| parts.next().filter(|part| part.len() == len).ok_or_else(refuse);
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let month = month.parse::<u8>().ok().and_then(|month| time::Month::try_from(month).ok());
    let date = year.parse().ok().zip(month).zip(day.parse().ok());
    let date = date.and_then(|((year, month), day)| Date::from_calendar_date(year, month, day).ok());
    date.ok_or_else(refuse)
}

/// So that an error does not repeat a megabyte.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
