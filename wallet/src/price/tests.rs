use super::*;
use proptest::prelude::*;

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

#[test]
fn a_price_is_a_positive_decimal_number_and_nothing_else() {
    for text in ["1", "60000", "60000.12", "0.00000001", "999999999999.99999999"] {
        assert_eq!(text.parse::<Price>().unwrap().to_string(), text);
    }
    let wrong = ["", "0", "0.00", ".5", "5.", "-1", "+1", "1e5", "1,000", "NaN", "0x10", "1.123456789", " 1"];
    for text in wrong.into_iter().chain(["1234567890123", "1.2.3", "١٢"]) {
        assert!(text.parse::<Price>().is_err(), "{text}");
    }
}

#[test]
fn a_value_is_rounded_half_to_even_in_minor_units() {
    let table = [
        ("60000", "EUR", 100_000_000, 6_000_000),
        ("60000.12", "EUR", 50_000_000, 3_000_006),
        ("60000", "JPY", 12_345, 7),     // 7.407 yen
        ("60000", "KWD", 12_345, 7_407), // 7.407 dinar
        ("1", "EUR", 500_000, 0),        // half a cent
        ("1", "EUR", 1_500_000, 2),      // one and a half
        ("1", "EUR", 2_500_000, 2),
        ("1", "EUR", -1_500_000, -2),
        ("1", "EUR", -500_000, 0),
        ("0.00000001", "EUR", i64::MAX, 92_234),
    ];
    for (price, currency, sat, minor) in table {
        let price: Price = price.parse().unwrap();
        assert_eq!(price.value(sat, &currency.parse().unwrap()), Some(minor), "{price} {currency} {sat}");
    }
    let dear: Price = "999999999999".parse().unwrap();
    assert_eq!(dear.value(i64::MAX, &eur()), None, "too much to say, and no panic");
}

#[test]
fn minor_units_are_written_with_the_digits_of_their_currency() {
    let table = [("EUR", -5, "-0.05"), ("EUR", 123_456, "1234.56"), ("JPY", 7, "7"), ("KWD", 7_407, "7.407")];
    for (currency, minor, text) in table {
        assert_eq!(currency.parse::<Currency>().unwrap().decimal(minor), text);
    }
    for text in ["", "EU", "eur", "EURO", "E R", "€"] {
        assert!(text.parse::<Currency>().is_err(), "{text}");
    }
}

#[test]
fn a_file_gives_prices_by_day_and_currency_and_never_a_neighbours() {
    let text = "date,currency,price\n2026-11-24,EUR,81234.56\n2026-11-24, USD ,90000\n2026-11-26,EUR,82000\n";
    let file = PriceFile::parse(text).unwrap();
    let price = |day: &str, currency: &str| {
        let found = file.price(parse_day(day).unwrap(), &currency.parse().unwrap());
        found.map(|price| price.to_string())
    };
    assert_eq!(price("2026-11-24", "EUR").as_deref(), Some("81234.56"));
    assert_eq!(price("2026-11-24", "USD").as_deref(), Some("90000"));
    assert_eq!(price("2026-11-25", "EUR"), None, "between two days that have one");
    assert_eq!(price("2026-11-26", "USD"), None);
    assert_eq!(file.days(eur()).count(), 2);
}

#[test]
fn a_wrong_line_is_named() {
    let table = [
        (
            "2026-11-24,EUR,1\n2026-13-01,EUR,1\n",
            "line 3 of the price file: '2026-13-01' is no day: YYYY-MM-DD",
        ),
        ("2026-02-30,EUR,1\n", "line 2 of the price file: '2026-02-30' is no day: YYYY-MM-DD"),
        ("2026-11-24,EUR,1\n\n2026-11-25,euro,1\n", "line 4 of the price file: 'euro' is no currency"),
        ("2026-11-24,EUR,-1\n", "line 2 of the price file: '-1' is no price"),
        (
            "2026-11-24,EUR,1\n2026-11-24,EUR,2\n",
            "line 3 of the price file: a second price of EUR on 2026-11-24",
        ),
        ("2026-11-24,EUR\n", "line 2 of the price file: three columns are needed"),
        ("2026-11-24,EUR,1,2\n", "line 2 of the price file: three columns are needed"),
    ];
    for (lines, expected) in table {
        let found = PriceFile::parse(&format!("date,currency,price\n{lines}")).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
    assert!(matches!(PriceFile::parse("day;price\n"), Err(PriceError::Header)));
    assert!(matches!(PriceFile::parse(""), Err(PriceError::Header)));
    let long = "x".repeat(file::BYTES_MAX + 1);
    assert!(matches!(PriceFile::parse(&long), Err(PriceError::TooLong)));
}

#[test]
fn a_day_is_ten_characters_of_the_calendar() {
    for text in ["2026-11-24", "2024-02-29", "1970-01-01"] {
        assert_eq!(parse_day(text).unwrap().to_string(), text);
    }
    for text in
        ["2026-2-01", "2026-02-29", "26-02-01", "2026-02-01 ", "2026/02/01", "+026-02-01", "2026-02-0١"]
    {
        assert!(parse_day(text).is_err(), "{text}");
    }
    assert_eq!(day_of(86_399).to_string(), "1970-01-01");
    assert_eq!(day_of(86_400).to_string(), "1970-01-02");
    assert_eq!(day_of(u64::MAX), Date::MAX, "nonsense is no panic");
}

proptest! {
    #[test]
    fn no_file_is_a_panic(text in "(date,currency,price\n)?[0-9EUR,.\\-\n\"ä]{0,80}") {
        drop(PriceFile::parse(&text));
    }

    #[test]
    fn a_value_is_off_by_half_a_unit_at_most(sat in -2_100_000_000_000_000_i64..2_100_000_000_000_000, cents in 1_u64..100_000_000) {
        let price: Price = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
        let value = i128::from(price.value(sat, &eur()).unwrap());
        let exact = i128::from(sat) * i128::from(cents); // cents times 10^8
        prop_assert!((value * 100_000_000 - exact).abs() <= 50_000_000);
    }
}
