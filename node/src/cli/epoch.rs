//! `guild epoch`: the guild's own shape, and how it is about to change.

use super::say::{Say, btc};
use crate::api::dto::epoch::EpochDto;
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;

pub(super) fn show(home: &Home, say: Say) -> Outcome<()> {
    let epoch: EpochDto = Client::of(home)?.get("epoch")?;
    say.data(&epoch, || text(&epoch));
    Ok(())
}

fn text(epoch: &EpochDto) -> String {
    let mut lines = vec![
        format!("epoch      {}: {} members", epoch.epoch, epoch.members),
        format!(
            "co-signers {} of {}: {}",
            epoch.signers_needed,
            epoch.co_signers.len(),
            epoch.co_signers.join(", ")
        ),
    ];
    lines.extend(epoch.group_key.as_ref().map(|key| format!("group key  {key}")));
    lines.extend(epoch.seal.address.as_ref().map(|address| format!("seal       {address}")));
    if let (Some(outpoint), Some(sat)) = (&epoch.seal.outpoint, epoch.seal.amount_sat) {
        lines.push(format!("           {} in {outpoint}", btc(sat)));
    }
    lines.push(format!("next       {}", epoch.next));
    for change in &epoch.changes {
        let id: String = change.id.chars().take(8).collect();
        lines.push(format!("change     {id} {}: {}", change.title, change.next));
    }
    lines.join("\n")
}
