//! Prices that a member keeps in a file: CSV with the columns date, currency, price.

use super::{Currency, NotMoney, Price, Source, parse_day};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use time::Date;

/// Bytes of a price file at most: a day's price of ten currencies for twenty years fits.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Prices in a file at most.
pub const PRICES_MAX: usize = 100_000;
/// Bytes that a line is read by.
const LINE_BUFFER: usize = 128;
/// What the first line says.
const HEADER: [&str; 3] = ["date", "currency", "price"];

/// Prices by currency and day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceFile {
    prices: BTreeMap<(Currency, Date), Price>,
}

/// Why a price file is not read. Lines count from 1, the header's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Too long.
    #[error("a price file has at most {BYTES_MAX} bytes and {PRICES_MAX} prices")]
    TooLong,
    /// The first line is not the header.
    #[error("line 1 of the price file must be: date,currency,price")]
    Header,
    /// Not three columns.
    #[error("line {line} of the price file: three columns are needed: date,currency,price")]
    Columns {
        /// Where.
        line: u64,
    },
    /// Not CSV.
    #[error("line {line} of the price file: {source}")]
    Csv {
        /// Where.
        line: u64,
        /// What is wrong.
        #[source]
        source: csv::Error,
    },
    /// A field is not what it should be.
    #[error("line {line} of the price file: {source}")]
    Field {
        /// Where.
        line: u64,
        /// What is wrong.
        #[source]
        source: NotMoney,
    },
    /// Two prices of one currency and day.
    #[error("line {line} of the price file: a second price of {currency} on {day}")]
    Twice {
        /// The second.
        line: u64,
        /// The currency.
        currency: Currency,
        /// The day.
        day: Date,
    },
}

impl PriceFile {
    /// Read a file: a header `date,currency,price`, then lines such as `2026-11-24,EUR,81234.56`. What a
    /// bitcoin was worth on that day, in UTC.
    ///
    /// # Errors
    ///
    /// [`PriceError`] names the first line that cannot stand; nothing of the file counts then.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        if text.len() > BYTES_MAX {
            return Err(PriceError::TooLong);
        }
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let header = lines.next().map(|(line, text)| fields(line, text));
        if !header.is_some_and(|header| header.is_ok_and(|header| header == HEADER[..])) {
            return Err(PriceError::Header);
        }
        let mut prices = BTreeMap::new();
        for (line, text) in lines {
            add(&mut prices, line, &fields(line, text)?)?;
        }
        Ok(Self { prices })
    }

    /// The days of `currency` that have a price.
    pub fn days(&self, currency: Currency) -> impl Iterator<Item = (Date, Price)> {
        let range = (currency, Date::MIN)..=(currency, Date::MAX);
        self.prices.range(range).map(|((_, day), price)| (*day, *price))
    }
}

/// The fields of one line: none of them goes on in the next.
fn fields(line: u64, text: &str) -> Result<csv::StringRecord, PriceError> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).trim(csv::Trim::All).buffer_capacity(LINE_BUFFER);
    let record = reader.from_reader(text.as_bytes()).into_records().next();
    let record = record.unwrap_or_else(|| Ok(csv::StringRecord::new()));
    let record = record.map_err(|source| PriceError::Csv { line, source })?;
    if record.len() == HEADER.len() { Ok(record) } else { Err(PriceError::Columns { line }) }
}

fn add(
    prices: &mut BTreeMap<(Currency, Date), Price>,
    line: u64,
    record: &csv::StringRecord,
) -> Result<(), PriceError> {
    let field = |index: usize| record.get(index).unwrap_or_default();
    let wrong = |source| PriceError::Field { line, source };
    let day = parse_day(field(0)).map_err(wrong)?;
    let currency: Currency = field(1).parse().map_err(wrong)?;
    let price: Price = field(2).parse().map_err(wrong)?;
    if prices.len() >= PRICES_MAX {
        return Err(PriceError::TooLong);
    }
    match prices.entry((currency, day)) {
        Entry::Vacant(place) => {
            place.insert(price);
            Ok(())
        }
        Entry::Occupied(_) => Err(PriceError::Twice { line, currency, day }),
    }
}

impl Source for PriceFile {
    fn price(&self, day: Date, currency: &Currency) -> Option<Price> {
        self.prices.get(&(*currency, day)).copied()
    }
}
