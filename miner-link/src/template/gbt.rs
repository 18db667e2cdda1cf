//! The questions a link asks its bitcoind. Blocking: called from threads of their own.

use crate::config::BitcoindAt;
use crate::template::{Template, TemplateError};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Block, BlockHash, Network};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;

/// What any call but a long poll may take. A template of a full mempool takes well below a second.
const CALL: Duration = Duration::from_secs(20);
/// What a long poll may take. bitcoind does not notice when a caller hangs up, and keeps one of its few
/// threads waiting for the next block; so this is longer than blocks take.
const LONG_POLL: Duration = Duration::from_secs(6 * 3_600);
/// What bitcoind is asked to wait for a block at most: it does not notice when a caller hangs up.
const BLOCK_WAIT: Duration = Duration::from_secs(60);
/// Bytes of the longest answer: a template of a full block in hex, with room.
const ANSWER_MAX: u64 = 32 * 1024 * 1024;
/// bitcoind's number for a node that is still starting.
const WARMING_UP: i64 = -28;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    /// Nobody there, or not ready yet, or not for us.
    #[error("{0}")]
    Unreachable(String),
    /// bitcoind says no.
    #[error("bitcoind: {0}")]
    Refused(String),
    /// An answer that cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// What bitcoind makes of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// It is the new tip, or was known before.
    Accepted,
    /// It is valid as far as known, and not on the best chain: another was faster.
    Inconclusive,
    /// It breaks a rule.
    Rejected(String),
}

#[derive(Deserialize)]
struct Tip {
    hash: BlockHash,
    height: u32,
}

/// A client of one bitcoind.
#[derive(Debug, Clone)]
pub(crate) struct Bitcoind {
    agent: Agent,
    at: BitcoindAt,
}

impl Bitcoind {
    pub(crate) fn new(at: BitcoindAt) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A node that was started again knows nothing of earlier connections.
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, at }
    }

    pub(crate) fn network(&self) -> Result<Network, RpcError> {
        let answer = self.call("getblockchaininfo", &json!([]), CALL)?;
        let chain = answer.get("chain").and_then(Value::as_str).unwrap_or_default();
        Network::from_core_arg(chain).map_err(|_| RpcError::Refused(format!("unknown chain '{chain}'")))
    }

    pub(crate) fn tip(&self) -> Result<BlockHash, RpcError> {
        let answer = self.call("getbestblockhash", &json!([]), CALL)?;
        serde_json::from_value(answer).map_err(|error| TemplateError::from(error).into())
    }

    /// The tip and its height, as soon as it is another one than `known`, or after [`BLOCK_WAIT`].
    pub(crate) fn new_tip(&self, known: BlockHash) -> Result<(BlockHash, u32), RpcError> {
        let millis = u64::try_from(BLOCK_WAIT.as_millis()).unwrap_or(u64::MAX);
        let answer = self.call("waitfornewblock", &json!([millis, known]), BLOCK_WAIT + CALL)?;
        let Tip { hash, height } = serde_json::from_value(answer).map_err(TemplateError::from)?;
        Ok((hash, height))
    }

    /// A template now, or with the id of an earlier one, as soon as there is a better one.
    pub(crate) fn template(&self, network: Network, known: Option<&str>) -> Result<Template, RpcError> {
        let rules = if network == Network::Signet { json!(["segwit", "signet"]) } else { json!(["segwit"]) };
        let (request, limit) = match known {
            None => (json!({"rules": rules}), CALL),
            Some(id) => (json!({"rules": rules, "longpollid": id}), LONG_POLL),
        };
        Ok(Template::read(self.call("getblocktemplate", &json!([request]), limit)?)?)
    }

    /// What bitcoind would say of `block` if it had work; none if it is fine.
    pub(crate) fn objection(&self, block: &Block) -> Result<Option<String>, RpcError> {
        let request = json!({"mode": "proposal", "rules": ["segwit"], "data": serialize_hex(block)});
        Ok(self.call("getblocktemplate", &json!([request]), CALL)?.as_str().map(str::to_owned))
    }

    pub(crate) fn submit(&self, block_hex: &str) -> Result<Submitted, RpcError> {
        match self.call("submitblock", &json!([block_hex]), CALL) {
            Ok(answer) => Ok(Submitted::read(&answer)),
            Err(RpcError::Refused(why)) => Ok(Submitted::Rejected(why)),
            Err(error) => Err(error),
        }
    }

    fn call(&self, method: &str, params: &Value, limit: Duration) -> Result<Value, RpcError> {
        let unreachable = |error: &dyn std::fmt::Display| RpcError::Unreachable(format!("{method}: {error}"));
        // Read anew each time: every run of bitcoind writes another one.
        let cookie = std::fs::read_to_string(&self.at.cookie)
            .map_err(|error| RpcError::Unreachable(format!("{}: {error}", self.at.cookie.display())))?;
        let host = self.at.url.trim_start_matches("http://").trim_end_matches('/');
        let request = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params});
        let post = self.agent.post(format!("http://{}@{host}/", cookie.trim()));
        let sent = post.config().timeout_global(Some(limit)).build().send_json(request);
        let mut response = sent.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let read = response.body_mut().with_config().limit(ANSWER_MAX).read_json::<Value>();
        let answer = read.map_err(|_| unreachable(&status))?;
        match answer.get("error") {
            None | Some(Value::Null) => Ok(answer.get("result").cloned().unwrap_or_default()),
            Some(error) => {
                let said = error.get("message").and_then(Value::as_str).unwrap_or("an error without words");
                let waits = error.get("code").and_then(Value::as_i64) == Some(WARMING_UP);
                let said = said.to_owned();
                Err(if waits { RpcError::Unreachable(said) } else { RpcError::Refused(said) })
            }
        }
    }
}

impl Submitted {
    fn read(answer: &Value) -> Self {
        match answer.as_str() {
            None | Some("duplicate") => Self::Accepted,
            Some("inconclusive" | "duplicate-inconclusive") => Self::Inconclusive,
            Some(reason) => Self::Rejected(reason.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_to_a_block_is_understood() {
        let rejected = |reason: &str| Submitted::Rejected(reason.to_owned());
        let cases = [
            (Value::Null, Submitted::Accepted),
            (json!("duplicate"), Submitted::Accepted),
            (json!("inconclusive"), Submitted::Inconclusive),
            (json!("duplicate-inconclusive"), Submitted::Inconclusive),
            (json!("duplicate-invalid"), rejected("duplicate-invalid")),
            (json!("high-hash"), rejected("high-hash")),
            (json!("prev-blk-not-found"), rejected("prev-blk-not-found")),
        ];
        for (answer, expected) in cases {
            assert_eq!(Submitted::read(&answer), expected, "{answer}");
        }
    }
}
