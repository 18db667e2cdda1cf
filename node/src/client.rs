//! The typed client of a node's API: for the command line, tests and anybody's program.

use crate::api::events::Event;
use crate::config::Config;
use crate::error::{Code, Failure, Outcome};
use crate::home::Home;
use serde::{Serialize, de::DeserializeOwned};
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

/// Longer than the API itself waits for the daemon.
const TIMEOUT: Duration = Duration::from_secs(100);
/// Bytes of an answer at most.
const ANSWER_MAX: u64 = 256 * 1024 * 1024;

/// Talks to one node.
#[derive(Debug)]
pub struct Client {
    base: String,
    cookie: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the daemon that runs on this data folder.
    ///
    /// # Errors
    ///
    /// [`Code::Unreachable`] if none does.
    pub fn of(home: &Home) -> Outcome<Self> {
        let config = Config::load(&home.config())?;
        let root = home.root().display();
        let cookie = std::fs::read_to_string(home.cookie()).map_err(|_| {
            let start = format!("no daemon runs on {root}; start it: guild start --data-dir {root}");
            Failure::new(Code::Unreachable, start)
        })?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self { base: format!("http://{}", config.api), cookie, agent: agent.into() })
    }

    /// Where the API listens.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET a resource below `/api/v1/`.
    ///
    /// # Errors
    ///
    /// What the node answers, or [`Code::Unreachable`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        let request = self.agent.get(format!("{}/api/v1/{path}", self.base));
        let response = request.header("Authorization", format!("Bearer {}", self.cookie)).call();
        self.read(response)
    }

    /// Follow the events stream: give each event to `heard` until it wants no more or the daemon ends.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn follow(&self, mut heard: impl FnMut(Event) -> bool) -> Outcome<()> {
        let request = self.agent.get(format!("{}/api/v1/events", self.base));
        let request = request.header("Authorization", format!("Bearer {}", self.cookie));
        let mut response = request.config().timeout_global(None).build().call().map_err(|error| {
            let detail = format!("the daemon at {} does not answer: {error}", self.base);
            Failure::new(Code::Unreachable, detail)
        })?;
        if !response.status().is_success() {
            return self.read(Ok(response));
        }
        let lines = BufReader::new(response.body_mut().as_reader()).lines();
        for line in lines.map_while(Result::ok) {
            let event = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data.trim()).ok());
            if event.is_some_and(|event| !heard(event)) {
                break;
            }
        }
        Ok(())
    }

    /// POST to a resource below `/api/v1/`.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Outcome<T> {
        let request = self.agent.post(format!("{}/api/v1/{path}", self.base));
        let response = request.header("Authorization", format!("Bearer {}", self.cookie)).send_json(body);
        self.read(response)
    }

    fn read<T: DeserializeOwned>(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Outcome<T> {
        let unreachable = |error: ureq::Error| {
            Failure::new(Code::Unreachable, format!("the daemon at {} does not answer: {error}", self.base))
        };
        let mut response = response.map_err(unreachable)?;
        let bytes = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec().map_err(unreachable)?;
        let fail = |error| Failure::because(format_args!("cannot read the answer of {}", self.base), error);
        if response.status().is_success() {
            serde_json::from_slice(&bytes).map_err(fail)
        } else {
            Err(serde_json::from_slice::<Failure>(&bytes).map_err(fail)?)
        }
    }
}
