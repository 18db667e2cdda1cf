//! The only place that prints.

use crate::error::Failure;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// How to speak to this caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say {
    pub(crate) json: bool,
}

impl Say {
    /// The result: JSON or, without `--json`, the given text. A closed pipe is not our failure.
    pub(crate) fn data(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let _heard = self.line(value, text);
    }

    /// One of many results. Whether anybody still listens.
    pub(crate) fn line(self, value: &impl Serialize, text: impl FnOnce() -> String) -> bool {
        let line = if self.json {
            serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
        } else {
            text()
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    }

    /// A message to the person, beside the result.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            drop(writeln!(std::io::stderr().lock(), "{text}"));
        }
    }

    /// The next useful command; only for people.
    pub(crate) fn hint(self, text: &str) {
        if !self.json && std::io::stderr().is_terminal() {
            drop(writeln!(std::io::stderr().lock(), "next: {text}"));
        }
    }

    /// What went wrong, in one line.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let object = serde_json::json!({ "v": 1, "error": failure });
            drop(writeln!(std::io::stdout().lock(), "{object}"));
        }
        drop(writeln!(std::io::stderr().lock(), "guild: {}", failure.detail.replace('\n', " ")));
    }

    /// Ask before something that cannot be undone. Without a terminal the answer must be on the command
    /// line.
    pub(crate) fn confirm(self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "{question} Answer with --yes: there is no terminal to ask on"
            )));
        }
        drop(write!(std::io::stderr().lock(), "{question} [y/N] "));
        let mut answer = String::new();
        drop(std::io::stdin().read_line(&mut answer));
        let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
        if agreed { Ok(()) } else { Err(Failure::usage("not confirmed; nothing was done")) }
    }
}

/// Satoshis as bitcoin, with all eight decimals.
pub(crate) fn btc(sat: u64) -> String {
    format!("{}.{:08} BTC", sat / 100_000_000, sat % 100_000_000)
}
