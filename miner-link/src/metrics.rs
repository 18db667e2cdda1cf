//! What a link counts, in the text format of Prometheus.
//!
//! Names end in their unit, and in `_total` when they only grow. Labels are worker names, which are
//! letters, digits, dots, dashes and underscores, and what the operator wrote into the configuration.

use crate::contract::{LinkStatus, PoolStatus, WorkerStatus};
use std::fmt::{Display, Write as _};

/// The hashes that a share of difficulty 1 is expected to take.
const HASHES_OF_ONE: u128 = 4_295_032_833;

/// All of them.
pub(crate) fn write(status: &LinkStatus, workers: &[WorkerStatus], pools: &[PoolStatus]) -> String {
    let mut page = Page(String::new());
    page.metric("minerlink_build_info", "gauge", [(format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1)]);
    let plain = |value: u64| [(String::new(), value)];
    page.metric("minerlink_blocks_found_total", "counter", plain(status.blocks_found));
    page.metric("minerlink_blocks_accepted_total", "counter", plain(status.blocks_accepted));
    page.metric("minerlink_blocks_pending", "gauge", plain(status.blocks_pending));
    page.metric("minerlink_receipts_pending", "gauge", plain(status.receipts_pending));
    page.metric(
        "minerlink_best_share_ever_difficulty",
        "gauge",
        status.best_difficulty.map(|best| (String::new(), best)),
    );
    page.metric("minerlink_jobs_total", "counter", plain(status.jobs));
    page.metric("minerlink_node_up", "gauge", plain(u64::from(status.node_reachable)));
    page.metric("minerlink_bitcoind_up", "gauge", plain(u64::from(status.bitcoind_reachable)));
    let source = |label: &str| format!("source=\"{}\"", escaped(label));
    let sources = || status.sources.iter();
    page.metric(
        "minerlink_source_shares_accepted_total",
        "counter",
        sources().map(|s| (source(&s.source), s.shares_accepted)),
    );
    page.metric(
        "minerlink_source_hashes_total",
        "counter",
        sources().map(|s| (source(&s.source), s.hashes.clone())),
    );
    of_workers(&mut page, workers);
    of_pools(&mut page, pools);
    page.0
}

fn of_workers(page: &mut Page, workers: &[WorkerStatus]) {
    let label = |worker: &WorkerStatus| format!("worker=\"{}\"", escaped(&worker.name));
    let all = || workers.iter();
    page.metric("minerlink_worker_up", "gauge", all().map(|w| (label(w), u8::from(w.connections > 0))));
    page.metric(
        "minerlink_hashrate_hashes_per_second",
        "gauge",
        all().map(|w| (label(w), w.hashes_per_second.clone())),
    );
    page.metric("minerlink_shares_accepted_total", "counter", all().map(|w| (label(w), w.shares_accepted)));
    let refusals = all().flat_map(|worker| {
        let labels = move |reason: &str| format!("{},reason=\"{reason}\"", label(worker));
        worker.refusals.iter().map(move |(reason, count)| (labels(reason), *count))
    });
    page.metric("minerlink_shares_rejected_total", "counter", refusals);
    page.metric("minerlink_accepted_hashes_total", "counter", all().map(|w| (label(w), w.hashes.clone())));
    let difficulty = |worker: &WorkerStatus| {
        worker.hashes.parse::<u128>().map(|hashes| hashes / HASHES_OF_ONE).unwrap_or(0)
    };
    page.metric("minerlink_accepted_difficulty_total", "counter", all().map(|w| (label(w), difficulty(w))));
    page.metric("minerlink_share_difficulty", "gauge", all().map(|w| (label(w), w.difficulty)));
    let best = all().filter_map(|worker| Some((label(worker), worker.best_difficulty?)));
    page.metric("minerlink_best_share_difficulty", "gauge", best);
    let last = all().filter_map(|worker| Some((label(worker), worker.last_share?)));
    page.metric("minerlink_last_share_timestamp_seconds", "gauge", last);
}

fn of_pools(page: &mut Page, pools: &[PoolStatus]) {
    let label = |pool: &PoolStatus| format!("pool=\"{}\"", escaped(&pool.name));
    let all = || pools.iter();
    let connected = |pool: &PoolStatus| u8::from(matches!(pool.state.as_str(), "in use" | "ready"));
    page.metric("minerlink_pool_connected", "gauge", all().map(|p| (label(p), connected(p))));
    page.metric(
        "minerlink_pool_shares_accepted_total",
        "counter",
        all().map(|p| (label(p), p.shares_accepted)),
    );
    page.metric(
        "minerlink_pool_shares_refused_total",
        "counter",
        all().map(|p| (label(p), p.shares_refused)),
    );
    page.metric("minerlink_pool_shares_late_total", "counter", all().map(|p| (label(p), p.shares_late)));
    page.metric(
        "minerlink_pool_accepted_hashes_total",
        "counter",
        all().map(|p| (label(p), p.hashes.clone())),
    );
}

struct Page(String);

impl Page {
    fn metric<V: Display>(&mut self, name: &str, kind: &str, rows: impl IntoIterator<Item = (String, V)>) {
        const INFALLIBLE: &str = "a string takes any text";
        writeln!(self.0, "# TYPE {name} {kind}").expect(INFALLIBLE);
        for (labels, value) in rows {
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            writeln!(self.0, "{name}{labels} {value}").expect(INFALLIBLE);
        }
    }
}

/// A label's value, as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_itself() {
        let pool = PoolStatus::new("a\"} 1\nminerlink_blocks_found_total 9\\", "user", false);
        let mut page = Page(String::new());
        of_pools(&mut page, &[pool]);
        let connected = page.0.lines().nth(1).unwrap();
        assert_eq!(
            connected,
            r#"minerlink_pool_connected{pool="a\"} 1\nminerlink_blocks_found_total 9\\"} 0"#
        );
        let lines = page.0.lines().count();
        assert_eq!(lines, 10, "two a metric:\n{}", page.0);
    }
}
