//! `cargo demo`: the whole story of a guild on this machine, with real parts.

use anyhow::{Context as _, Result};
use clap::Parser;
use examples::build::Programs;
use examples::guild::Guild;
use examples::narrate::Narrator;
use examples::story;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a lingering demo looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Five members, one treasury: founded, mined into, voted on, paid from.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Demo {
    /// End when the story is told. Without a terminal it always does.
    #[arg(long)]
    once: bool,
    /// Print one summary object on stdout.
    #[arg(long)]
    json: bool,
    /// Keep everything in this folder; run again with it and the same guild goes on.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let demo = Demo::parse();
    let mut narrator = Narrator::new(story::STEPS);
    let outcome = demo.run(&mut narrator);
    if demo.json {
        print(&story::summary(&narrator).to_string());
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the summary goes to stdout")]
fn print(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the story is told on stderr")]
fn complain(line: &str) {
    eprintln!("{line}");
}

impl Demo {
    fn run(&self, narrator: &mut Narrator) -> Result<()> {
        let interruption = narrator.interruption();
        ctrlc::set_handler(move || {
            if interruption.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED); // asked twice: at once; the keepers still end the rest
            }
        })?;
        narrator.detail("building the programs (about 6 minutes on two cores the first time, seconds later)");
        let programs = Programs::build(narrator)?;
        let temporary = tempfile::Builder::new().prefix("guild-demo-").tempdir()?;
        let root = match &self.keep {
            Some(folder) => std::path::absolute(folder).context("--keep")?,
            None => temporary.path().to_owned(),
        };
        match story::run(&root, programs, narrator) {
            Ok(guild) => {
                self.linger(&guild, narrator);
                Ok(())
            }
            Err(error) => {
                let logs = keep_logs(&root, temporary, self.keep.is_some());
                Err(error.context(format!("the logs are in {}", logs.display())))
            }
        }
    }

    /// Leave it running for a look around, until Ctrl-C.
    fn linger(&self, guild: &Guild, narrator: &Narrator) {
        if self.once || !std::io::stdin().is_terminal() {
            return;
        }
        complain("\nEverything still runs. Look around in another terminal:");
        for line in story::look_around(guild) {
            complain(&format!("  {line}"));
        }
        narrator.detail("Ctrl-C ends it");
        while !narrator.interrupted() {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Where the logs can be read after a failure: a temporary folder is kept then.
fn keep_logs(root: &Path, temporary: tempfile::TempDir, kept: bool) -> PathBuf {
    if !kept {
        drop(temporary.keep());
    }
    root.join("logs")
}
