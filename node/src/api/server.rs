//! The HTTP shell: checks who asks, turns requests into [`Command`]s, waits for the daemon's answer.

use super::dto::treasury::{AddressQuery, Freeze, TreasuryCommand};
use super::dto::{Answer, AsOf, Command, Format, NewBallot, NewSpend};
use super::events::{self, Event};
use crate::error::{Code, Failure, Outcome};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Bytes of a request body at most.
const BODY_MAX: usize = 256 * 1024;
/// How long a request waits for the daemon: a whole signing ceremony fits, with replacements.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// A question on its way to the daemon.
pub(crate) type Question = (Command, oneshot::Sender<Outcome<Answer>>);

pub(super) struct Api {
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Event>,
    cookie: String,
    link_token: String,
}

pub(super) type Shared = State<Arc<Api>>;

/// Serve until the daemon ends.
///
/// # Errors
///
/// If the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Event>,
    cookie: String,
    link_token: String,
) -> Outcome<()> {
    let api = Arc::new(Api { questions, events, cookie, link_token });
    let member = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/proposals", get(proposals).post(propose))
        .route("/api/v1/proposals/{id}", get(proposal))
        .route("/api/v1/proposals/{id}/ballots", post(vote))
        .route("/api/v1/proposals/{id}/withdraw", post(withdraw))
        .route("/api/v1/proposals/{id}/execute", post(execute))
        .route("/api/v1/treasury/address", get(address))
        .route("/api/v1/treasury/coins", get(coins))
        .route("/api/v1/treasury/coins/freeze", post(freeze))
        .route("/api/v1/treasury/descriptor", get(descriptor))
        .route("/api/v1/treasury/balance", get(balance))
        .route("/api/v1/treasury/history", get(history))
        .route("/api/v1/document/export", get(export))
        .route("/api/v1/entries/{id}", get(entry))
        .route("/api/v1/events", get(follow))
        .route("/api/v1/invitation", get(invitation))
        .route("/api/v1/guests", post(invite))
        .route("/api/v1/link/pair", get(pair))
        .merge(super::workspace::routes())
        .merge(super::report::routes())
        .merge(super::governance::routes())
        .route_layer(middleware::from_fn_with_state(api.clone(), members_only));
    let link = Router::new()
        .route(miner_link::contract::POLICY_PATH, get(link_policy))
        .route(miner_link::contract::RECEIPT_PATH, post(receipt))
        .route_layer(middleware::from_fn_with_state(api.clone(), links_too));
    let router = member
        .merge(link)
        .fallback(|| async { problem(&Failure::not_found("no such resource")) })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(loopback_only))
        .with_state(api);
    axum::serve(listener, router).await.map_err(|error| Failure::because("the API stopped", error))
}

pub(super) fn problem(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({
        "type": "about:blank", "status": status.as_u16(), "code": failure.code, "detail": failure.detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// A page on another site must not reach us by a name that resolves to loopback (DNS rebinding).
async fn loopback_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let from_page = request.headers().contains_key(header::ORIGIN);
    if !["127.0.0.1", "localhost", "[::1]"].contains(&name) || from_page {
        return problem(&Failure::new(Code::NotAuthorised, "this API is for programs on this machine only"));
    }
    next.run(request).await
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    !token.is_empty() && bool::from(given.as_bytes().ct_eq(token.as_bytes()))
}

fn unauthorised() -> Response {
    problem(&Failure::new(Code::NotAuthorised, "a valid token is needed: 'Authorization: Bearer …'"))
}

async fn members_only(State(api): Shared, request: Request, next: Next) -> Response {
    if bears(request.headers(), &api.cookie) { next.run(request).await } else { unauthorised() }
}

async fn links_too(State(api): Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let known = bears(headers, &api.cookie) || bears(headers, &api.link_token);
    if known { next.run(request).await } else { unauthorised() }
}

impl Api {
    pub(super) async fn ask(&self, command: Command) -> Response {
        match self.answer(command).await {
            Ok(answer) => Json(answer).into_response(),
            Err(failure) => problem(&failure),
        }
    }

    /// What the daemon says.
    pub(super) async fn answer(&self, command: Command) -> Outcome<Answer> {
        let (answer, answered) = oneshot::channel();
        let busy = || Failure::new(Code::TryAgain, "the daemon is busy or stopping");
        self.questions.send((command, answer)).await.map_err(|_| busy())?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// Bodies are read here, so that a malformed one is a problem document too.
    pub(super) async fn ask_with<T: for<'de> Deserialize<'de>>(
        &self,
        body: &[u8],
        command: fn(T) -> Command,
    ) -> Response {
        match serde_json::from_slice(body) {
            Ok(value) => self.ask(command(value)).await,
            Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
        }
    }
}

async fn status(State(api): Shared) -> Response {
    api.ask(Command::Status).await
}

async fn proposals(State(api): Shared) -> Response {
    api.ask(Command::Proposals).await
}

async fn proposal(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Proposal(id)).await
}

async fn propose(State(api): Shared, body: axum::body::Bytes) -> Response {
    api.ask_with::<NewSpend>(&body, Command::Propose).await
}

async fn vote(State(api): Shared, Path(id): Path<String>, body: axum::body::Bytes) -> Response {
    match serde_json::from_slice::<NewBallot>(&body) {
        Ok(ballot) => api.ask(Command::Vote(id, ballot)).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}

async fn withdraw(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Withdraw(id)).await
}

async fn execute(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Execute(id)).await
}

async fn address(State(api): Shared, Query(query): Query<AddressQuery>) -> Response {
    api.ask(Command::Treasury(TreasuryCommand::Address(query))).await
}

async fn coins(State(api): Shared) -> Response {
    api.ask(Command::Treasury(TreasuryCommand::Coins)).await
}

async fn freeze(State(api): Shared, body: axum::body::Bytes) -> Response {
    api.ask_with::<Freeze>(&body, |freeze| Command::Treasury(TreasuryCommand::Freeze(freeze))).await
}

async fn descriptor(State(api): Shared) -> Response {
    api.ask(Command::Treasury(TreasuryCommand::Descriptor)).await
}

async fn balance(State(api): Shared) -> Response {
    api.ask(Command::Balance).await
}

async fn history(State(api): Shared) -> Response {
    api.ask(Command::History).await
}

#[derive(Deserialize)]
struct ExportQuery {
    format: Format,
    height: Option<u32>,
    entry: Option<String>,
}

async fn export(State(api): Shared, Query(query): Query<ExportQuery>) -> Response {
    let as_of = match (query.height, query.entry) {
        (None, None) => AsOf::Now,
        (Some(height), None) => AsOf::Height(height),
        (None, Some(entry)) => AsOf::Entry(entry),
        (Some(_), Some(_)) => return problem(&Failure::usage("as of a height or of an entry, not both")),
    };
    api.ask(Command::Export(query.format, as_of)).await
}

async fn follow(State(api): Shared) -> impl IntoResponse {
    events::stream(api.events.subscribe())
}

async fn entry(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Entry(id)).await
}

async fn invitation(State(api): Shared) -> Response {
    api.ask(Command::Invitation).await
}

async fn invite(State(api): Shared, body: axum::body::Bytes) -> Response {
    api.ask_with::<String>(&body, Command::Invite).await
}

async fn link_policy(State(api): Shared) -> Response {
    api.ask(Command::LinkPolicy).await
}

async fn receipt(State(api): Shared, body: axum::body::Bytes) -> Response {
    api.ask_with::<miner_link::contract::ReceiptHex>(&body, Command::Receipt).await
}

async fn pair(State(api): Shared) -> Response {
    api.ask(Command::Pair).await
}
