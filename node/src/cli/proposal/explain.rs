//! `guild proposal explain`.

use super::super::say::btc;
use crate::api::dto::governance::{CheckDto, Explanation, Forecast};

/// One line of a check: what holds, what not, what cannot be told yet.
fn line(check: &CheckDto) -> String {
    let mark = match check.holds {
        Some(true) => "ok     ",
        Some(false) => "missing",
        None => "later  ",
    };
    let printable = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    format!(
        "  {mark}  {}: expected {}, found {}",
        printable(&check.rule),
        printable(&check.expected),
        printable(&check.found)
    )
}

/// Blocks of a day.
const DAY: u64 = 144;

fn runway(forecast: &Forecast) -> Option<String> {
    let (before, after) = forecast.runway_before.zip(forecast.runway_after)?;
    let (before, after, seen) = (before / DAY, after / DAY, u64::from(forecast.spent_blocks).div_ceil(DAY));
    let spent = btc(forecast.spent_sat);
    Some(format!(
        "runway: {before} days now, {after} after, at the pace of the last {seen} ({spent} went out)"
    ))
}

fn weights(forecast: &Forecast) -> Option<String> {
    let (before, after) = (forecast.roll_before, forecast.roll_after);
    let changed = forecast.weights.iter();
    let changed = changed.map(|one| format!("{} {} -> {}", one.member, one.before, one.after));
    let changed = changed.collect::<Vec<_>>().join(", ");
    (!changed.is_empty()).then(|| format!("weights: {changed}; all {before} -> {after}"))
}

pub(super) fn text(shown: &Explanation) -> String {
    let mut lines = vec![
        format!("{}  {}", shown.title, shown.id),
        format!("class {}: {}", shown.class, shown.rule),
        "what a co-signer checks:".to_owned(),
    ];
    lines.extend(shown.checks.iter().map(line));
    lines.push("who counted and why:".to_owned());
    lines.extend(shown.voters.iter().map(|voter| {
        let said = voter.said.as_deref().unwrap_or("said nothing");
        format!(
            "  {} (weight {}) {said}: counts as {}, because {}",
            voter.member, voter.weight, voter.counts, voter.because
        )
    }));
    lines.push("co-signers:".to_owned());
    lines.extend(shown.co_signers.iter().map(|co_signer| {
        let mut words = vec![if co_signer.connected { "connected" } else { "not connected" }];
        if co_signer.paused {
            words.push("paused");
        }
        if co_signer.stated {
            words.push("stated what it saw");
        }
        let refusal = co_signer.refusal.as_ref().map(|refusal| format!("\n  refused:{}", line(refusal)));
        format!("  {}: {}{}", co_signer.member, words.join(", "), refusal.unwrap_or_default())
    }));
    if let Some(forecast) = &shown.forecast {
        lines.push(format!(
            "treasury: {} now, {} after; other decisions that are not paid take {}",
            btc(forecast.before_sat),
            btc(forecast.after_sat),
            btc(forecast.promised_sat)
        ));
        lines.extend(runway(forecast));
        lines.extend(weights(forecast));
    }
    lines.push(format!("next: {}", shown.next));
    lines.join("\n")
}
