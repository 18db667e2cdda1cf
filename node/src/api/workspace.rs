//! The routes of the workspace.

use super::dto::Command;
use super::dto::workspace::{DraftEdit, FieldChanges, NewDraft, Register, WorkspaceCommand as Ask};
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
        .route("/api/v1/drafts", get(drafts).post(begin))
        .route("/api/v1/drafts/{id}", get(draft))
        .route("/api/v1/drafts/{id}/history", get(history))
        .route("/api/v1/drafts/{id}/edits", post(edit))
        .route("/api/v1/drafts/{id}/propose", post(propose))
        .route("/api/v1/labels", get(labels))
        .route("/api/v1/registers/{register}", get(items).post(change))
}

async fn drafts(State(api): Shared) -> Response {
    api.ask(Command::Workspace(Ask::Drafts)).await
}

async fn begin(State(api): Shared, body: Bytes) -> Response {
    api.ask_with::<NewDraft>(&body, |new| Command::Workspace(Ask::Begin(new))).await
}

async fn draft(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Workspace(Ask::Draft(id))).await
}

async fn history(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Workspace(Ask::History(id))).await
}

async fn edit(State(api): Shared, Path(id): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<DraftEdit>(&body) {
        Ok(edit) => api.ask(Command::Workspace(Ask::Edit(id, edit))).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}

async fn propose(State(api): Shared, Path(id): Path<String>) -> Response {
    api.ask(Command::Workspace(Ask::Propose(id))).await
}

async fn labels(State(api): Shared) -> Response {
    api.ask(Command::Workspace(Ask::Labels)).await
}

async fn items(State(api): Shared, Path(register): Path<Register>) -> Response {
    api.ask(Command::Workspace(Ask::Items(register))).await
}

async fn change(State(api): Shared, Path(register): Path<Register>, body: Bytes) -> Response {
    match serde_json::from_slice::<FieldChanges>(&body) {
        Ok(changes) => api.ask(Command::Workspace(Ask::Change(register, changes))).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}
