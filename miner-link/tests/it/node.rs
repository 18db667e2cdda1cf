//! A member's node as far as a link can see it: one page.

use miner_link::contract::{POLICY_PATH, PolicyAnswer};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

type Answer = Arc<Mutex<Option<PolicyAnswer>>>;

/// Answers requests until the process ends.
pub(crate) struct Node {
    url: String,
    answer: Answer,
}

impl Node {
    /// A node that gives `answer` to who knows `token`.
    pub(crate) fn start(token: &str, answer: PolicyAnswer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Some(answer)));
        let (given, expected) = (answer.clone(), format!("authorization: bearer {}", token.to_lowercase()));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(&stream, &given, &expected);
            }
        });
        Self { url, answer }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn answer_from_now_on(&self, answer: PolicyAnswer) {
        *self.answer.lock().unwrap() = Some(answer);
    }

    /// From now on it hangs up on everybody.
    pub(crate) fn go_away(&self) {
        *self.answer.lock().unwrap() = None;
    }
}

fn serve(mut stream: &TcpStream, answer: &Answer, expected: &str) {
    let Some(answer) = answer.lock().unwrap().clone() else { return };
    let head: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let asked = head.first().is_some_and(|line| line.starts_with(&format!("GET {POLICY_PATH} ")));
    let known = head.iter().any(|line| line.to_lowercase() == *expected);
    let (status, body) = match (asked, known) {
        (true, true) => ("200 OK", serde_json::to_string(&answer).unwrap()),
        (true, false) => ("401 Unauthorized", String::new()),
        _ => ("404 Not Found", String::new()),
    };
    let length = body.len();
    let _gone = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}
