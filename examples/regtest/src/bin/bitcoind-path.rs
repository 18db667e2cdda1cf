//! Finds or builds a bitcoind and prints where it is.
#![expect(clippy::print_stdout, reason = "the path is what this program is for")]

use std::env;
use std::process::ExitCode;

use regtest::{Provide, provide, to_stderr};

/// Exit code for words that this program does not know.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let install = words.is_empty();
    if !install && words != ["--no-install"] {
        to_stderr("usage: bitcoind-path [--no-install]");
        return ExitCode::from(USAGE);
    }
    match provide(&Provide { install, progress: &to_stderr }) {
        Ok(binaries) => {
            println!("{}", binaries.bitcoind.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            to_stderr(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
