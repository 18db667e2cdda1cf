//! The program `miner-link`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run talks to them")]

use clap::{Parser, Subcommand};
use miner_link::config::{Config, Options};
use miner_link::{Error, client, run};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str = "Exit codes: 0 ok · 1 failed · 2 usage · 6 conflicting state (another guild, \
     already running) · 69 not reachable · 78 bad configuration";

/// Runs a guild's miners: jobs from your own bitcoind, paid to the guild's treasury, by the policy the
/// guild certified.
#[derive(Debug, Parser)]
#[command(name = "miner-link", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve jobs to miners until stopped.
    Run(Box<Options>),
    /// Check settings, pairing, bitcoind and node, and say what would be done.
    Check(Box<Options>),
    /// Say what a running link does.
    Status(Ask),
    /// List the miners of a running link.
    Workers(Ask),
    /// List the pools of a running link.
    Pools(Ask),
}

#[derive(Debug, clap::Args)]
struct Ask {
    /// The folder of the running link.
    #[arg(long, env = "MINER_LINK_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// One JSON value instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    match obey(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("miner-link: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn obey(command: Command) -> Result<(), Error> {
    match command {
        Command::Run(options) => run::run(Config::load(&options)?, |line| println!("{line}")),
        Command::Check(options) => {
            run::check(&Config::load(&options)?)?.iter().for_each(|line| println!("{line}"));
            Ok(())
        }
        Command::Status(ask) => {
            println!("{}", client::status(&ask.data_dir, ask.json)?);
            Ok(())
        }
        Command::Workers(ask) => {
            println!("{}", client::workers(&ask.data_dir, ask.json)?);
            Ok(())
        }
        Command::Pools(ask) => {
            println!("{}", client::pools(&ask.data_dir, ask.json)?);
            Ok(())
        }
    }
}

/// `MINER_LINK_LOG=debug` or `MINER_LINK_LOG=miner_link::stratum=debug` for more.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MINER_LINK_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
