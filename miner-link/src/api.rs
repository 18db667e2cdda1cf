//! The status API: read-only, on loopback.

use crate::contract::{LinkStatus, WorkerStatus};
use crate::shared::Shared;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::IpAddr;
use std::sync::Arc;

/// `GET /status`, `GET /workers`, `GET /livez`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/workers", get(workers))
        .route("/livez", get(|| async { "ok\n" }))
        .with_state(shared)
        .layer(from_fn(only_by_loopback_name))
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<LinkStatus> {
    Json(shared.status())
}

async fn workers(State(shared): State<Arc<Shared>>) -> Json<Vec<WorkerStatus>> {
    Json(shared.workers())
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
