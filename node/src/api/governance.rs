//! The routes of what members decide and of what they may do beside voting.

use super::dto::Command;
use super::dto::governance::NewDraw;
use super::server::{Api, Shared, problem};
use crate::error::Failure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/proposals/{id}/explain", get(explain))
        .route("/api/v1/proposals/{id}/certificate", get(certificate))
        .route("/api/v1/proposals/{id}/comments", post(comment))
        .route("/api/v1/proposals/{id}/draws", post(draw))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/settings", get(settings))
        .route("/api/v1/epoch", get(epoch))
        .route("/api/v1/delegate", post(delegate))
        .route("/api/v1/pause", post(pause))
        .route("/api/v1/exit", post(leave))
}

async fn explain(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Explain(id)).await
}

async fn certificate(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Certificate(id)).await
}

async fn comment(State(api): Shared, Path(id): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<String>(&body) {
        Ok(text) => api.ask(Command::Comment(id, text)).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}

async fn draw(State(api): Shared, Path(id): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<NewDraw>(&body) {
        Ok(draw) => api.ask(Command::Draw(id, draw)).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}

async fn audit(State(api): Shared) -> Response {
    api.ask(Command::Audit).await
}

async fn settings(State(api): Shared) -> Response {
    api.ask(Command::Settings).await
}

async fn epoch(State(api): Shared) -> Response {
    api.ask(Command::Epoch).await
}

async fn delegate(State(api): Shared, body: Bytes) -> Response {
    api.ask_with::<Option<String>>(&body, Command::Delegate).await
}

async fn pause(State(api): Shared, body: Bytes) -> Response {
    api.ask_with::<bool>(&body, Command::Pause).await
}

async fn leave(State(api): Shared, body: Bytes) -> Response {
    api.ask_with::<u64>(&body, Command::Leave).await
}
