//! The status API: read-only, on loopback.

use crate::clock::Clock;
use crate::contract::{LinkStatus, PolicyStatus, PoolStatus, WorkerStatus};
use crate::metrics;
use crate::shared::Shared;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

type Link = State<(Arc<Shared>, Clock)>;

/// `GET /status`, `/workers`, `/pools`, `/metrics`, `/livez`, `/readyz`.
pub(crate) fn router(shared: Arc<Shared>, clock: Clock) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/workers", get(workers))
        .route("/pools", get(pools))
        .route("/metrics", get(metrics_page))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/health", get(ready))
        .with_state((shared, clock))
        .layer(from_fn(only_by_loopback_name))
}

async fn status(State((shared, _)): Link) -> Json<LinkStatus> {
    Json(shared.status())
}

async fn workers(State((shared, clock)): Link) -> Json<Vec<WorkerStatus>> {
    Json(shared.workers(clock.now()))
}

async fn pools(State((shared, _)): Link) -> Json<Vec<PoolStatus>> {
    Json(shared.pools())
}

async fn metrics_page(State((shared, clock)): Link) -> impl IntoResponse {
    let text = metrics::write(&shared.status(), &shared.workers(clock.now()), &shared.pools());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// Whether miners are given work, and what keeps us from it.
async fn ready(State((shared, _)): Link) -> impl IntoResponse {
    let status = shared.status();
    let nothing = match &status.policy {
        PolicyStatus::Nothing { why } => Some(why.clone()),
        _ => None,
    };
    let idle = (status.jobs == 0).then(|| "no job yet".to_owned());
    let reasons: Vec<String> = nothing.into_iter().chain(status.job_trouble).chain(idle).collect();
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"ready": reasons.is_empty(), "reasons": reasons})))
}

/// A page in a browser cannot reach this port under a name of its own (DNS rebinding).
async fn only_by_loopback_name(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_loopback(host) { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_names_are_refused() {
        for good in ["127.0.0.1:80", "localhost", "localhost:1", "[::1]:80", "[::1]"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["", "evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1:80"] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
