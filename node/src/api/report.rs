//! The routes of reports. The daemon gives the books as they are; the report is made here, so that a long
//! one keeps nobody waiting.

use super::dto::report::{Exported, Report, Terms, Versioned};
use super::dto::{Answer, Command, V};
use super::server::{Api, Shared, problem};
use crate::error::{Failure, Outcome};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bitcoin::Network;
use serde::Serialize;
use std::sync::Arc;
use wallet::export::export;
use wallet::ledger::{Book, Bound, Period, report};
use wallet::price::{self, Currency, PriceFile, Source};

/// Bytes of a request: a price file, and as much again for what JSON puts around it.
const BODY_MAX: usize = 2 * price::BYTES_MAX;

pub(super) fn routes() -> Router<Arc<Api>> {
    let limit = DefaultBodyLimit::max(BODY_MAX);
    Router::new().route("/api/v1/reports/{report}", get(asked).post(posted).layer(limit))
}

async fn asked(State(api): Shared, Path(report): Path<Report>, Query(terms): Query<Terms>) -> Response {
    answer(api, report, terms).await
}

async fn posted(State(api): Shared, Path(report): Path<Report>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(terms) => answer(api, report, terms).await,
        Err(error) => problem(&Failure::usage(format!("the request body: {error}"))),
    }
}

async fn answer(api: Arc<Api>, report: Report, terms: Terms) -> Response {
    let (book, network) = match api.answer(Command::Books).await {
        Ok(Answer::Books(book, network)) => (book, network),
        Ok(_) => return problem(&Failure::because("the daemon's answer", "no books")),
        Err(failure) => return problem(&failure),
    };
    let made = tokio::task::spawn_blocking(move || make(&book, network, report, &terms)).await;
    match made {
        Ok(Ok(json)) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Ok(Err(failure)) => problem(&failure),
        Err(error) => problem(&Failure::because("the report", error)),
    }
}

/// The report as JSON.
fn make(book: &Book, network: Network, report: Report, terms: &Terms) -> Outcome<Vec<u8>> {
    let bound = |bound: &Option<String>| bound.as_deref().map(str::parse::<Bound>).transpose();
    let period = Period {
        from: bound(&terms.from).map_err(Failure::usage)?,
        to: bound(&terms.to).map_err(Failure::usage)?,
    };
    let currency = terms.currency.as_deref().map(str::parse::<Currency>).transpose();
    let currency = currency.map_err(Failure::usage)?;
    let prices = terms.prices.as_deref().map(PriceFile::parse).transpose().map_err(Failure::usage)?;
    let prices = prices.unwrap_or_default();
    let money = currency.map(|currency| (currency, &prices as &dyn Source));
    let about = report::Terms { period, network, money };
    match (report, terms.format) {
        (Report::Ledger, None) => json(book.journal(&about)),
        (Report::Ledger, Some(format)) => {
            json(Exported { format, text: export(&book.journal(&about), format) })
        }
        (_, Some(_)) => Err(Failure::usage("only the ledger has other formats")),
        (Report::Pnl, None) => json(book.pnl(&about)),
        (Report::Payouts, None) => json(book.payouts(&about)),
        (Report::Contributions, None) => json(book.contributions(&about)),
    }
}

fn json(report: impl Serialize) -> Outcome<Vec<u8>> {
    serde_json::to_vec(&Versioned { v: V, report }).map_err(|error| Failure::because("the report", error))
}
