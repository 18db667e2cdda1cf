//! What a member does beside proposing and voting: `guild delegate`, `pause`, `resume`, `leave`; and
//! `guild setting show`.

use super::say::{Say, btc};
use crate::api::dto::Said;
use crate::api::dto::governance::Settings;
use crate::client::Client;
use crate::error::Outcome;
use crate::home::Home;

pub(super) fn settings(home: &Home, say: Say) -> Outcome<()> {
    let settings: Settings = Client::of(home)?.get("settings")?;
    say.data(&settings, || {
        let lines = settings.settings.iter().map(|setting| {
            let by = setting.decision.as_ref().map_or_else(
                || "the charter".to_owned(),
                |id| {
                    format!(
                        "decision {}, closed at height {}",
                        id.chars().take(8).collect::<String>(),
                        setting.close
                    )
                },
            );
            format!("{}: {} (by {by})", setting.name, setting.value)
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

pub(super) fn delegate(home: &Home, say: Say, member: Option<&str>) -> Outcome<()> {
    let said: Said = Client::of(home)?.post("delegate", &member)?;
    say.data(&said, || match member {
        Some(name) => {
            format!("{name} votes for you on what is proposed from now on, unless you vote yourself")
        }
        None => "nobody votes for you on what is proposed from now on".to_owned(),
    });
    Ok(())
}

pub(super) fn pause(home: &Home, say: Say, on: bool) -> Outcome<()> {
    let said: Said = Client::of(home)?.post("pause", &on)?;
    say.data(&said, || {
        let words = if on { "this node signs nothing until guild resume" } else { "this node signs again" };
        words.to_owned()
    });
    Ok(())
}

pub(super) fn leave(home: &Home, say: Say, amount: u64, yes: bool) -> Outcome<()> {
    let question =
        format!("Leave the guild with {}? Once certified your vote is gone for good.", btc(amount));
    say.confirm(&question, yes)?;
    let said: Said = Client::of(home)?.post("exit", &amount)?;
    say.data(&said, || format!("asked for in the entry {}", said.entry));
    Ok(())
}
