//! JSON-RPC to a bitcoind on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

/// No call takes this long; `generatetoaddress` and `scantxoutset` of a long chain take seconds.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// The largest answer that is read: a full block, taken apart, fits.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;

/// A client of one node, which it finds by port and cookie.
#[derive(Clone, Debug)]
pub struct Rpc {
    agent: Agent,
    port: u16,
    cookie_file: PathBuf,
}

impl Rpc {
    /// A client for the node on `port` of this machine that writes its cookie to `cookie_file`.
    pub fn new(port: u16, cookie_file: impl Into<PathBuf>) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(CALL_LIMIT))
            // The answer to a call that failed carries the reason.
            .http_status_as_error(false)
            // A node that was started again knows nothing of the connections to its predecessor.
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, port, cookie_file: cookie_file.into() }
    }

    /// The address of the node, without the cookie.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the node keeps the password of its current run.
    pub fn cookie_file(&self) -> &Path {
        &self.cookie_file
    }

    /// Calls `method` and returns its result.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value> {
        let answer = self.send(method, params).with_context(|| format!("rpc {method} failed"))?;
        match answer.get("error") {
            None | Some(Value::Null) => Ok(answer.get("result").cloned().unwrap_or_default()),
            Some(error) => match error.get("message").and_then(Value::as_str) {
                Some(message) => bail!("rpc {method} failed: {message}"),
                None => bail!("rpc {method} failed: {error}"),
            },
        }
    }

    fn send(&self, method: &str, params: &[Value]) -> Result<Value> {
        // Read anew each time, because each run of the node makes a new one.
        let cookie = fs::read_to_string(&self.cookie_file)
            .with_context(|| format!("no cookie at {}", self.cookie_file.display()))?;
        let request = json!({"jsonrpc": "2.0", "id": 0, "method": method, "params": params});
        let mut response = self
            .agent
            .post(format!("http://{}@127.0.0.1:{}/", cookie.trim(), self.port))
            .send_json(request)?;
        let status = response.status();
        response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_json()
            .with_context(|| format!("the node answers {status}"))
    }
}
