//! Lines, read as tolerantly as firmware demands and written as strictly as it needs.
//!
//! Keys come in any order, ids are numbers, texts or null, parameters may be missing. Replies always
//! carry all of `id`, `result` and `error`: some firmware fails on a missing key.

use crate::share::Reason;
use crate::share::target::wire_difficulty;
use bitcoin::Target;
use hex::FromHex as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// JSON-RPC's number for a method that is not known.
const NO_SUCH_METHOD: i32 = -3;

/// A line from a miner.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A request.
    Request {
        /// What the reply must repeat.
        id: Value,
        /// What is asked for.
        request: Request,
    },
    /// A reply to something, which nothing here waits for.
    Reply,
    /// Nothing that can be read.
    Malformed,
}

/// What miners ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// `mining.configure`: extensions, the version bits the miner can roll, and the least difficulty it
    /// wants.
    Configure {
        /// Names of extensions.
        extensions: Vec<String>,
        /// `version-rolling.mask`; all bits if it is not given.
        mask: u32,
        /// `minimum-difficulty.value`.
        least: Option<f64>,
    },
    /// `mining.subscribe`, with the name the miner gives itself.
    Subscribe {
        /// May be empty.
        agent: String,
    },
    /// `mining.authorize`. Nothing in the password is looked at but a wish for a difficulty, `d=1000`.
    Authorize {
        /// `member.worker`.
        name: String,
        /// Where the miner would begin.
        difficulty: Option<f64>,
    },
    /// `mining.submit`, not yet read.
    Submit(Vec<Value>),
    /// `mining.suggest_difficulty`.
    SuggestDifficulty(f64),
    /// Answered with `true`, and otherwise ignored.
    Noted,
    /// `mining.ping`.
    Ping,
    /// `client.get_version`.
    Version,
    /// Anything else.
    Unknown(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    id: Value,
    method: Option<Value>,
    #[serde(default)]
    params: Value,
}

/// Read a line without its end.
#[must_use]
pub fn read(line: &[u8]) -> Line {
    let Ok(Raw { id, method, params }) = serde_json::from_slice(line) else { return Line::Malformed };
    let method = match method {
        None | Some(Value::Null) => return Line::Reply,
        Some(Value::String(method)) => method,
        Some(_) => return Line::Malformed,
    };
    let id = if matches!(id, Value::Number(_) | Value::String(_)) { id } else { Value::Null };
    let params = match params {
        Value::Array(params) => params,
        _ => Vec::new(),
    };
    Line::Request { id, request: request(&method, params) }
}

fn request(method: &str, params: Vec<Value>) -> Request {
    let text = |index: usize| params.get(index).and_then(Value::as_str).unwrap_or_default().to_owned();
    match method {
        "mining.configure" => configure(&params),
        "mining.subscribe" => Request::Subscribe { agent: text(0) },
        "mining.authorize" => Request::Authorize { name: text(0), difficulty: wish(&text(1)) },
        "mining.submit" => Request::Submit(params),
        "mining.suggest_difficulty" => {
            params.first().and_then(number).map_or(Request::Noted, Request::SuggestDifficulty)
        }
        "mining.suggest_target" => {
            suggested_target(&text(0)).map_or(Request::Noted, Request::SuggestDifficulty)
        }
        "mining.extranonce.subscribe" | "mining.multi_version" => Request::Noted,
        "mining.ping" => Request::Ping,
        "client.get_version" | "mining.get_version" => Request::Version,
        unknown => Request::Unknown(unknown.chars().take(64).collect()),
    }
}

/// The difficulty of a target in 64 hexadecimal digits.
fn suggested_target(text: &str) -> Option<f64> {
    let target = <[u8; 32]>::from_hex(text).ok().filter(|bytes| *bytes != [0; 32])?;
    Some(wire_difficulty(Target::from_be_bytes(target)))
}

/// The `d=NUMBER` in a password such as `x,d=1000`.
fn wish(password: &str) -> Option<f64> {
    password.split(',').find_map(|part| part.trim().strip_prefix("d="))?.parse().ok()
}

/// A number, or the text of one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn configure(params: &[Value]) -> Request {
    let names = params.first().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let extensions = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let mask = params.get(1).and_then(|details| details.get("version-rolling.mask")).and_then(Value::as_str);
    let mask = mask.and_then(|mask| u32::from_str_radix(mask, 16).ok()).unwrap_or(u32::MAX);
    let least = params.get(1).and_then(|details| details.get("minimum-difficulty.value")).and_then(number);
    Request::Configure { extensions, mask, least }
}

/// A reply that all is well.
#[must_use]
pub fn result(id: &Value, result: &Value) -> Arc<str> {
    json!({"id": id, "result": result, "error": null}).to_string().into()
}

/// The reply to a share that counts, which is by far the most frequent one.
#[must_use]
pub fn accepted(id: &Value) -> Arc<str> {
    format!(r#"{{"error":null,"id":{id},"result":true}}"#).into()
}

/// A reply that a share or a name is refused.
#[must_use]
pub fn refusal(id: &Value, reason: Reason) -> Arc<str> {
    error(id, reason.code(), &reason.to_string())
}

/// A reply that a method is not known.
#[must_use]
pub fn unknown_method(id: &Value) -> Arc<str> {
    error(id, NO_SUCH_METHOD, "method not found")
}

fn error(id: &Value, code: i32, text: &str) -> Arc<str> {
    json!({"id": id, "result": null, "error": [code, text, null]}).to_string().into()
}

/// A request of ours, to a pool.
#[must_use]
pub fn call(id: u64, method: &str, params: &Value) -> Arc<str> {
    json!({"id": id, "method": method, "params": params}).to_string().into()
}

/// Something that nobody asked for.
#[must_use]
pub fn notification(method: &str, params: &Value) -> Arc<str> {
    json!({"id": null, "method": method, "params": params}).to_string().into()
}

#[cfg(test)]
mod tests;
