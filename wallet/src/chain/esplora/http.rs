//! Bounded HTTP to an Esplora server: every answer has a limit in time and size.

use crate::chain::ChainError;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How long one answer may take, a block included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer at most: more than a block, or 75 large transactions in JSON.
const ANSWER_MAX: u64 = 32 * 1024 * 1024;
/// Letters of an unreadable answer that an error repeats.
const SHOWN_MAX: usize = 120;

/// The server.
pub(super) struct Http {
    url: String,
    agent: ureq::Agent,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An answer: its status and its body.
type Answer = (ureq::http::StatusCode, Vec<u8>);

impl Http {
    pub(super) fn new(url: &str) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Self { url: url.trim_end_matches('/').to_owned(), agent: config.into() }
    }

    pub(super) fn name(&self) -> String {
        format!("esplora at {}", self.url)
    }

    fn failed(&self, call: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ChainError {
        ChainError::Call { who: self.name(), call, source: source.into() }
    }

    /// It answers something that cannot be.
    pub(super) fn unexpected(&self, call: &'static str, answer: &str) -> ChainError {
        let answer = answer.chars().filter(|letter| !letter.is_control()).take(SHOWN_MAX).collect();
        ChainError::Answer { who: self.name(), call, answer }
    }

    /// What it gives does not fit its own proof.
    pub(super) fn lie(&self, what: String) -> ChainError {
        ChainError::Proof { who: self.name(), what }
    }

    /// What was read, or what it could not be read from.
    pub(super) fn read<T, E>(
        &self,
        call: &'static str,
        read: Result<T, E>,
        text: &str,
    ) -> Result<T, ChainError> {
        read.map_err(|_| self.unexpected(call, text))
    }

    fn get(&self, call: &'static str, path: &str) -> Result<Answer, ChainError> {
        let answer = self.agent.get(format!("{}/{path}", self.url)).call();
        let mut answer = answer.map_err(|error| self.failed(call, error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        Ok((status, body.map_err(|error| self.failed(call, error))?))
    }

    /// The body; none if there is no such thing.
    pub(super) fn bytes(&self, call: &'static str, path: &str) -> Result<Option<Vec<u8>>, ChainError> {
        let (status, body) = self.get(call, path)?;
        match status.as_u16() {
            200 => Ok(Some(body)),
            404 => Ok(None),
            // some servers have no other word for a height or transaction that is not there
            400 | 500 if says_not_found(&body) => Ok(None),
            _ => Err(self.unexpected(call, &format!("{status}: {}", String::from_utf8_lossy(&body)))),
        }
    }

    pub(super) fn text(&self, call: &'static str, path: &str) -> Result<Option<String>, ChainError> {
        Ok(self.bytes(call, path)?.map(|body| String::from_utf8_lossy(&body).into_owned()))
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
    ) -> Result<Option<T>, ChainError> {
        let Some(body) = self.bytes(call, path)? else { return Ok(None) };
        let read = serde_json::from_slice(&body);
        self.read(call, read, &String::from_utf8_lossy(&body)).map(Some)
    }

    /// Send `body`: what the server answers, or its words of refusal.
    pub(super) fn post(
        &self,
        call: &'static str,
        path: &str,
        body: &str,
    ) -> Result<Result<String, String>, ChainError> {
        let answer = self.agent.post(format!("{}/{path}", self.url)).send(body);
        let mut answer = answer.map_err(|error| self.failed(call, error))?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let text = String::from_utf8_lossy(&text.map_err(|error| self.failed(call, error))?).into_owned();
        match status.as_u16() {
            200 => Ok(Ok(text)),
            400 => Ok(Err(text)),
            _ => Err(self.unexpected(call, &format!("{status}: {text}"))),
        }
    }
}

fn says_not_found(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_lowercase().contains("not found")
}
