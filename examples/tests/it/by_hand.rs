//! The README's second section, executed as it stands.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

const README: &str = include_str!("../../../README.md");
/// How long it may take.
const LIMIT: &str = "180";

/// The commands of the section `title`: all console lines that begin with `$ `.
fn commands(title: &str) -> Vec<&'static str> {
    let section = README.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let blocks = section.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// A port nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_guild_of_three_is_founded_as_the_readme_says() {
    let commands = commands("Found a guild by hand");
    assert!(commands.len() > 30, "{commands:?}");
    let port = free_port().to_string();
    let programs = crate::programs().path("");
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2> /dev/null || true; wait || true' EXIT\n".to_owned();
    for command in commands {
        // Built already, with the programs elsewhere and a port of our own; `wait` lets the nodes end.
        let command = match command {
            "cargo build --workspace --bins" => continue,
            command if command.starts_with("export PATH=") => {
                format!("export PATH=\"{}:$PATH\"", programs.display())
            }
            command if command.starts_with("export RPC_PORT=") => format!("export RPC_PORT={port}"),
            command => command.to_owned(),
        };
        script.push_str(&command);
        script.push('\n');
    }
    let folder = crate::folder();
    regtest::provide(&regtest::Provide { install: true, progress: &regtest::to_stderr }).unwrap();
    let out = run(folder.path(), &script);
    assert!(out.contains("final at depth 6"), "{out}");
    assert!(out.contains("-0.00250"), "the history shows the payment: {out}");
    assert!(out.contains("expenses:hosting"), "the report says what for: {out}");
    let books = std::fs::read_to_string(folder.path().join("my-guild/books.journal")).unwrap();
    assert!(books.contains("= 99.9974"), "hledger is told the balance: {books}");
}

fn run(folder: &Path, script: &str) -> String {
    std::fs::write(folder.join("by-hand.sh"), script).unwrap();
    let output = Command::new("timeout")
        .args(["--kill-after=10", LIMIT, "bash", "-x", "-m", "by-hand.sh"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}
