//! Long commands that are never silent: their output goes to a log, their progress to the caller.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::clock;

/// How often a running step says where it is. The caller is promised five seconds.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long to wait for a line of output before looking at the clock again.
const TICK: Duration = Duration::from_millis(500);
/// No step takes this long unless it hangs.
const STEP_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Lines of output that may wait for the log.
const LINES_IN_FLIGHT: usize = 256;
/// Lines of the log that an error repeats.
const LAST_LINES: usize = 15;
/// How far make says it is, in percent, and how much of the time has passed by then, in thousandths.
/// Make counts files, and the large ones of Bitcoin Core come in the middle. Measured on two cores.
const COURSE: [(u64, u64); 8] =
    [(0, 0), (30, 80), (41, 250), (52, 510), (58, 570), (75, 630), (90, 760), (100, 1000)];
/// From this many thousandths on, the time that is left can be estimated.
const ENOUGH_TO_ESTIMATE: u64 = 20;

/// A row of commands that share a log.
pub(crate) struct Steps<'a> {
    progress: &'a dyn Fn(&str),
    log: PathBuf,
}

impl<'a> Steps<'a> {
    /// Begins a new log.
    pub(crate) fn start(progress: &'a dyn Fn(&str), log: PathBuf) -> Result<Self> {
        File::create(&log).with_context(|| format!("cannot write the log {}", log.display()))?;
        Ok(Self { progress, log })
    }

    /// Passes a line on to the caller.
    pub(crate) fn say(&self, line: &str) {
        (self.progress)(line);
    }

    /// Runs a command to its end. What it prints goes to the log.
    pub(crate) fn run(&self, name: &str, command: &mut Command) -> Result<()> {
        self.run_to(name, command, None)
    }

    /// The same, for a command whose standard output is wanted in a file.
    pub(crate) fn run_to(&self, name: &str, command: &mut Command, output: Option<File>) -> Result<()> {
        self.say(&format!("{name} …"));
        let status = self
            .run_logged(name, command, output)
            .with_context(|| format!("step `{name}` failed; its log is {}", self.log.display()))?;
        ensure!(
            status.success(),
            "step `{name}` failed ({status}); its log is {}, which ends with:\n{}",
            self.log.display(),
            self.last_lines()
        );
        Ok(())
    }

    fn run_logged(&self, name: &str, command: &mut Command, output: Option<File>) -> Result<ExitStatus> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        writeln!(log, "# {name}: {command:?}")?;
        let (mut running, reader) = start(command, output)?;
        let (sender, lines) = mpsc::sync_channel(LINES_IN_FLIGHT);
        thread::spawn(move || forward(reader, &sender));
        self.follow(name, &lines, &mut log)?;
        Ok(running.0.wait()?)
    }

    /// Writes the log and reports until the output ends.
    fn follow(&self, name: &str, lines: &Receiver<String>, log: &mut File) -> Result<()> {
        let started = clock::now();
        let mut said = started;
        let mut percent = None;
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    percent = percent_in(&line).or(percent);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if started.elapsed() > STEP_LIMIT {
                bail!("it has taken longer than {STEP_LIMIT:?}");
            }
            if said.elapsed() >= HEARTBEAT {
                self.say(&report(name, started.elapsed(), percent));
                said = clock::now();
            }
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(LAST_LINES)).copied().collect::<Vec<_>>().join("\n")
    }
}

/// A command that is not left running when its step is given up. What it started in turn ends by
/// itself at its next line of output, for nobody reads it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the command has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command` with one pipe for all it prints, less a standard output that goes to a file.
fn start(command: &mut Command, output: Option<File>) -> Result<(Running, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    let output = match output {
        Some(file) => Stdio::from(file),
        None => Stdio::from(writer.try_clone()?),
    };
    command.stdin(Stdio::null()).stdout(output).stderr(writer);
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("cannot run {program}"));
    // The reader comes to an end only when nobody holds the writing end, `command` included.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((Running(child?), reader))
}

/// Sends every line on until the pipe or the receiver closes.
fn forward(pipe: PipeReader, lines: &SyncSender<String>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// Reads make's `[ 42%] Building …`.
fn percent_in(line: &str) -> Option<u64> {
    line.strip_prefix('[')?.split_once("%]")?.0.trim().parse().ok().filter(|percent| *percent <= 100)
}

/// How much of the time has passed when make is at `percent`, in thousandths.
fn share_at(percent: u64) -> u64 {
    for (&(from, passed), &(to, passed_then)) in COURSE.iter().zip(COURSE.iter().skip(1)) {
        if percent <= to {
            return passed + (percent - from) * (passed_then - passed) / (to - from);
        }
    }
    1000
}

/// A line such as `compile Bitcoin Core: 48 %, 2 min 10 s, about 2 min 20 s left`.
fn report(name: &str, elapsed: Duration, percent: Option<u64>) -> String {
    let seconds = elapsed.as_secs();
    let Some(share) = percent.map(share_at) else {
        return format!("{name}: {}", minutes(seconds));
    };
    let mut line = format!("{name}: {} %, {}", share / 10, minutes(seconds));
    if share >= ENOUGH_TO_ESTIMATE {
        line += &format!(", about {} left", minutes(seconds * (1000 - share) / share));
    }
    line
}

fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_percentage_is_read_from_make() {
        assert_eq!(percent_in("[  4%] Building CXX object"), Some(4));
        assert_eq!(percent_in("[100%] Linking CXX executable"), Some(100));
        assert_eq!(percent_in("-- [x] configuring"), None);
        assert_eq!(percent_in("[wide%] nonsense"), None);
    }

    #[test]
    fn the_report_estimates_once_it_can() {
        let report = |seconds, percent| report("compile", Duration::from_secs(seconds), percent);
        assert_eq!(report(7, None), "compile: 7 s");
        assert_eq!(report(2, Some(3)), "compile: 0 %, 2 s");
        assert_eq!(report(74, Some(41)), "compile: 25 %, 1 min 14 s, about 3 min 42 s left");
        assert_eq!(report(300, Some(100)), "compile: 100 %, 5 min 0 s, about 0 s left");
    }

    #[test]
    fn a_silent_command_is_reported_every_few_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let said = RefCell::new(vec![clock::now()]);
        let progress = |_: &str| said.borrow_mut().push(clock::now());
        let steps = Steps::start(&progress, folder.path().join("log")).unwrap();
        steps.run("nap", Command::new("sleep").arg("7")).unwrap();
        let mut times = said.borrow().clone();
        times.push(clock::now());
        let longest = times.windows(2).map(|pair| pair[1].duration_since(pair[0])).max();
        assert!(longest < Some(Duration::from_secs(5)), "{longest:?}");
    }
}
