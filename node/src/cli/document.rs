//! `guild document …`.

use super::say::Say;
use crate::api::dto::{Export, Format};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use bitcoin::hex::FromHex as _;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Document {
    /// Write the whole record to a file that stock Automerge loads, or as JSON.
    Export {
        /// Which.
        #[arg(long, value_enum)]
        format: Format,
        /// The file. JSON goes to stdout without.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The record as it was: what the guild had said, and Bitcoin had buried, by then.
    #[command(group = clap::ArgGroup::new("when").required(true))]
    At {
        /// When the chain was this high.
        #[arg(long, group = "when")]
        height: Option<u32>,
        /// When this entry was said.
        #[arg(long, group = "when", value_name = "ID")]
        entry: Option<String>,
        /// Which form.
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
        /// The file. JSON goes to stdout without.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Document {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let (format, out, when) = match self {
            Self::Export { format, out } => (format, out, String::new()),
            Self::At { height: Some(height), format, out, .. } => (format, out, format!("&height={height}")),
            Self::At { entry, format, out, .. } => {
                let entry = entry.unwrap_or_default();
                if !entry.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(Failure::usage(format!(
                        "'{entry}' is not an id: 64 hexadecimal digits expected"
                    )));
                }
                (format, out, format!("&entry={entry}"))
            }
        };
        let name = if format == Format::Json { "json" } else { "automerge" };
        let export: Export = Client::of(home)?.get(&format!("document/export?format={name}{when}"))?;
        let bytes = match (&export.record, &export.file_hex) {
            (Some(record), _) => serde_json::to_vec_pretty(record).map_err(|error| fail(&error))?,
            (None, Some(hex)) => Vec::from_hex(hex).map_err(|error| fail(&error))?,
            (None, None) => return Err(fail(&"the answer holds no record")),
        };
        match out {
            Some(path) => {
                std::fs::write(&path, &bytes).map_err(|error| {
                    Failure::because(format_args!("cannot write {}", path.display()), error)
                })?;
                let data = serde_json::json!({
                    "v": 1, "file": path.display().to_string(), "bytes": bytes.len(), "heads": export.heads,
                    "height": export.height, "state_hash": export.state_hash,
                });
                say.data(&data, || format!("{} bytes written to {}", bytes.len(), path.display()));
            }
            None if format == Format::Json => {
                say.data(&export.record, || String::from_utf8_lossy(&bytes).into_owned());
            }
            None => return Err(Failure::usage("an Automerge document goes to a file: --out FILE")),
        }
        Ok(())
    }
}

fn fail(error: &dyn std::fmt::Display) -> Failure {
    Failure::because("cannot export the record", error)
}
