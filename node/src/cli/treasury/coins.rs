//! `guild treasury coins`, `freeze` and `unfreeze`.

use crate::api::dto::treasury::{CoinDto, Coins, Freeze};
use crate::cli::say::{Say, btc};
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;

pub(super) fn list(home: &Home, say: Say) -> Outcome<()> {
    let coins: Coins = Client::of(home)?.get("treasury/coins")?;
    say.data(&coins, || {
        let lines: Vec<String> = coins.coins.iter().map(line).collect();
        if lines.is_empty() { "no coins yet".to_owned() } else { lines.join("\n") }
    });
    Ok(())
}

pub(super) fn freeze(home: &Home, say: Say, outpoint: String, frozen: bool) -> Outcome<()> {
    let coin: CoinDto = Client::of(home)?.post("treasury/coins/freeze", &Freeze { outpoint, frozen })?;
    say.data(&coin, || line(&coin));
    if frozen {
        say.hint(
            "your proposals stand on other coins if there are any; \
             guild proposal new --freeze COIN lets the guild keep it out of every payment",
        );
    }
    Ok(())
}

fn line(coin: &CoinDto) -> String {
    let height = coin.height.map_or_else(|| "mempool".to_owned(), |height| height.to_string());
    let marks = [
        (coin.frozen_by_guild, "frozen by the guild"),
        (coin.frozen, "frozen"),
        (coin.immature, "immature"),
        (coin.recovery_in == 0, "recoverable"),
    ];
    let marks = marks.iter().filter(|(is, _)| *is).map(|(_, word)| format!("  {word}"));
    let label = coin.label.as_ref().map(|label| format!("  {label}")).unwrap_or_default();
    let place = format!("{}/{}", coin.keychain, coin.index);
    format!(
        "{height:>7}  {:>16}  {place:<5}  {}{}{label}",
        btc(coin.amount_sat),
        coin.outpoint,
        marks.collect::<String>()
    )
}
