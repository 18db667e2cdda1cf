//! Asks the member's node what to do, again and again, and never depends on it.

use crate::contract::{ANSWER_MAX, POLICY_PATH, Pairing, PolicyAnswer, RECEIPT_PATH, ReceiptHex};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use ureq::Agent;

/// How often a node that answers is asked.
const POLL: Duration = Duration::from_secs(2);
/// How often a node that does not answer is asked at least.
const POLL_MAX: Duration = Duration::from_secs(30);
/// What an answer may take.
const CALL: Duration = Duration::from_secs(10);
/// Answers that wait to be read.
const QUEUE: usize = 2;

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Report {
    /// An answer. Not yet to be believed.
    Answer(Box<PolicyAnswer>),
    /// None, or an unusable one.
    Silent(String),
}

/// What became of a receipt.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The node has it.
    Taken,
    /// It proves nothing.
    Refused(String),
    /// The node is away, or does not take receipts now.
    Later(String),
}

/// Ask until the receiver is dropped.
pub(crate) fn follow(pairing: &Pairing) -> Receiver<Report> {
    let (reports, receiver) = channel(QUEUE);
    let node = Node::new(pairing);
    thread::spawn(move || node.ask_on(&reports));
    receiver
}

/// A client of the member's node.
pub(crate) struct Node {
    agent: Agent,
    url: String,
    receipts: String,
    authorization: String,
}

impl Node {
    pub(crate) fn new(pairing: &Pairing) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(CALL))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        let at = |path| format!("{}{path}", pairing.node_url.trim_end_matches('/'));
        let authorization = format!("Bearer {}", pairing.token);
        Self { agent, url: at(POLICY_PATH), receipts: at(RECEIPT_PATH), authorization }
    }

    /// Hand over a receipt.
    pub(crate) fn hand(&self, receipt: &ReceiptHex) -> Handed {
        let post = self.agent.post(&self.receipts).header("Authorization", &self.authorization);
        match post.send_json(receipt).map(|response| response.status().as_u16()) {
            Ok(200..=299) => Handed::Taken,
            Ok(409) => Handed::Refused("the node says that it proves nothing".to_owned()),
            Ok(status) => Handed::Later(format!("the node answers with status {status}")),
            Err(error) => Handed::Later(error.to_string()),
        }
    }

    /// Ask once.
    pub(crate) fn ask(&self) -> Result<PolicyAnswer, String> {
        let request = self.agent.get(&self.url).header("Authorization", &self.authorization);
        let mut response = request.call().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err("the node does not know this link's token: pair again".to_owned()),
            status => return Err(format!("the node answers with status {status}")),
        }
        let body = response.body_mut().with_config().limit(ANSWER_MAX);
        body.read_json().map_err(|error| error.to_string())
    }

    fn ask_on(&self, reports: &Sender<Report>) {
        let mut pause = POLL;
        loop {
            let report = match self.ask() {
                Ok(answer) => {
                    pause = POLL;
                    Report::Answer(Box::new(answer))
                }
                Err(why) => {
                    pause = pause.saturating_mul(2).min(POLL_MAX);
                    Report::Silent(why)
                }
            };
            if reports.blocking_send(report).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    }
}
