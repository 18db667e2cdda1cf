//! `guild status`.

use super::say::{Say, btc};
use crate::api::dto::{Status, Wait};
use crate::client::Client;
use crate::error::{Code, Failure, Outcome};
use crate::home::Home;

pub(crate) fn run(home: &Home, say: Say) -> Outcome<()> {
    let status: Status = Client::of(home)?.get("status")?;
    say.data(&status, || text(&status));
    if status.alarms.is_empty() { Ok(()) } else { Err(Failure::new(Code::Alarm, status.alarms.join("; "))) }
}

fn wait_line(wait: &Wait) -> String {
    let whom =
        if wait.missing.is_empty() { String::new() } else { format!(" from {}", wait.missing.join(", ")) };
    let since = wait.since_s.map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
    format!("waits for {}{whom}{since}: {}", wait.what, wait.todo)
}

fn text(status: &Status) -> String {
    let mut lines: Vec<String> = status.alarms.iter().map(|alarm| format!("ALARM: {alarm}")).collect();
    lines.extend(status.waits.iter().map(wait_line));
    let online = status.peers.iter().filter(|peer| peer.connected).count();
    lines.push(format!("{} on {}, as {}", status.name, status.network, status.member));
    lines.push(format!("height     {} ({})", status.height, status.block_hash));
    for source in &status.chain.sources {
        let height =
            source.height.map_or_else(|| "no answer".to_owned(), |height| format!("height {height}"));
        let scan = source.scanned.zip(source.to_scan);
        let scan = scan.map(|(done, of)| format!(", looked at {done} of {of}")).unwrap_or_default();
        lines.push(format!("chain      {}: {height}{scan}", source.name));
    }
    lines.push(format!("state      {} ({} entries)", status.state_hash, status.entries));
    lines.push(format!("members    {online} of {} others connected", status.peers.len()));
    let key = match (&status.group_key, status.key_usable) {
        (Some(key), true) => {
            format!("{} of {} sign; group key {key}", status.signers_needed, status.co_signers)
        }
        (Some(_), false) => "made, not tested yet".to_owned(),
        (None, _) => format!("{} of {} co-signers have their share", status.key_ready, status.co_signers),
    };
    lines.push(format!("treasury   {key}"));
    if let Some(balance) = &status.balance {
        lines.push(format!(
            "balance    {} ({} immature, {} pending)",
            btc(balance.confirmed_sat),
            btc(balance.immature_sat),
            btc(balance.pending_sat)
        ));
    }
    lines.push(format!("proposals  {} not settled", status.open_proposals));
    lines.join("\n")
}
