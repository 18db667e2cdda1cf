//! `guild start`.

use super::say::Say;
use crate::config::Config;
use crate::daemon;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use crate::keystore::{self, Keystore};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Run the node.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// A file with the passphrase of your keys. Asked for without.
    #[arg(long, env = "GUILD_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Leave the key share sealed: the node takes part in everything but signing, and says so.
    #[arg(long)]
    locked: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Start {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let config = Config::load(&home.config())?;
        let _lock = home.lock()?;
        log(self.log_format);
        no_core_dumps()?;
        let file = self.passphrase_file.as_ref().or(config.passphrase_file.as_ref());
        let keystore = Keystore::open(home, &keystore::passphrase(file.map(PathBuf::as_path))?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::because("cannot start", error))?;
        let root = home.root().display().to_string();
        runtime.block_on(daemon::run(home.clone(), config, keystore, self.locked, |charter, config| {
            let data = serde_json::json!({
                "v": 1, "guild": charter.id().to_string(), "network": charter.network.to_string(),
                "api": config.api.to_string(), "listen": config.listen,
            });
            say.data(&data, || format!("{} runs on {}: API {}", charter.name, charter.network, config.api));
            say.hint(&format!("guild status --data-dir {root}"));
        }))
    }
}

/// Log lines go to stderr; `GUILD_LOG` filters them.
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("GUILD_LOG").unwrap_or_else(|_| EnvFilter::new("info,libp2p=warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(false).init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Memory with keys in it is never written to a disk by the system.
fn no_core_dumps() -> Outcome<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| Failure::because("cannot forbid core dumps", error))
}
