//! `cargo run --release -p examples --bin bench -- NAME`: what things cost on this machine, beside the
//! least they could cost.
//!
//! No two machines or moments are alike, so the ratios of one run are what counts. Nothing here passes or
//! fails: what must hold whatever the machine is in the tests.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "what is measured is for people to read; nothing that decides sees it"
)]

mod document;
mod measure;
mod report;
mod signing;
mod stratum;
mod wallet;

use anyhow::Result;
use clap::Parser;
use report::Row;
use std::process::ExitCode;

/// The exit code of a command line that asks for what there is not.
const USAGE: u8 = 2;

/// One bench.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Parts) -> Result<Vec<Row>>,
}

/// Which parts of a bench are wanted: all, or one.
struct Parts(Option<String>);

impl Parts {
    fn want(&self, part: &str) -> bool {
        self.0.as_ref().is_none_or(|only| only == part)
    }
}

const BENCHES: [Bench; 4] = [
    Bench {
        name: "document",
        about: "verify, merge, fold, keep and exchange entries",
        run: |_| document::run(),
    },
    Bench { name: "signing", about: "make a key and sign with it, among daemons", run: signing::run },
    Bench {
        name: "stratum",
        about: "serve miners, tell them of tips, switch their pools",
        run: stratum::run,
    },
    Bench {
        name: "wallet",
        about: "pay once whatever happens, build payments, keep the books of a long history",
        run: |_| wallet::run(),
    },
];

/// Measure what things cost beside the least they could cost. Run it in release mode.
#[derive(Debug, Parser)]
#[command(name = "bench", version, after_help = names())]
struct Cli {
    /// Which bench.
    name: String,
    /// Only this part of it: signing has small, middle, large; stratum has shares, siege, switches, tips.
    part: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Be the child in which a bench measures memory.
    #[arg(long, hide = true)]
    child: bool,
}

fn names() -> String {
    let lines = BENCHES.iter().map(|bench| format!("  {:<10} {}", bench.name, bench.about));
    format!("Benches:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == cli.name) else {
        let known = BENCHES.map(|bench| bench.name).join(", ");
        report::note(&format!("bench: there is no bench '{}'; there is: {known}", cli.name));
        return ExitCode::from(USAGE);
    };
    let outcome = match (cli.child, bench.name) {
        (true, "wallet") => wallet::child(),
        (true, _) => document::memory::child(),
        (false, _) => {
            (bench.run)(&Parts(cli.part)).and_then(|rows| report::print(bench.name, &rows, cli.json))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::note(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
