//! Many histories, by all cores, in lots that can be written down: so that a long run may be interrupted and
//! go on, or be split among machines by its seeds.

use super::{Outcome, histories};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Histories of a lot.
const LOT: u64 = 50;

/// Which histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Where outcomes are written, one JSON object a line. Lots that are there are not lived again, so a
    /// record is of one state of the code.
    pub record: Option<PathBuf>,
}

/// One line of a record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Lot {
    first: u64,
    count: u64,
    outcome: Outcome,
}

impl Run {
    /// What `HISTORIES` (how many, else `standard`), `HISTORIES_FIRST` (the first seed, else 1) and
    /// `HISTORIES_RECORD` (a file) ask for.
    ///
    /// # Errors
    ///
    /// For what is no number.
    pub fn asked(standard: u64) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let record = env::var_os("HISTORIES_RECORD").map(PathBuf::from);
        Ok(Self { first: number("HISTORIES_FIRST", 1)?, count: number("HISTORIES", standard)?, record })
    }

    /// Live through them on `threads` threads.
    ///
    /// # Errors
    ///
    /// If the record cannot be read or written.
    pub fn live(&self, threads: usize) -> io::Result<Outcome> {
        let done = self.record.as_deref().map_or_else(|| Ok(BTreeMap::new()), read)?;
        let lots = self.lots();
        let (known, new): (Vec<_>, Vec<_>) = lots.into_iter().partition(|lot| done.contains_key(lot));
        let record = self.record.as_deref().map(append).transpose()?.map(Mutex::new);
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut all = Outcome::default();
            while let Some((first, count)) = new.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = histories(*first, *count);
                if let Some(record) = &record {
                    let line = serde_json::to_string(&Lot { first: *first, count: *count, outcome })?;
                    writeln!(record.lock().unwrap_or_else(PoisonError::into_inner), "{line}")?;
                }
                all = all.and(outcome);
            }
            io::Result::Ok(all)
        };
        let known = known.iter().filter_map(|lot| done.get(lot)).copied();
        let known = known.fold(Outcome::default(), Outcome::and);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
            let mut lived =
                workers.into_iter().map(|worker| worker.join().expect("a history that cannot go on"));
            lived.try_fold(known, |all, lived| Ok(all.and(lived?)))
        })
    }

    fn lots(&self) -> Vec<(u64, u64)> {
        let of = |lot: u64| (self.first + lot * LOT, LOT.min(self.count - lot * LOT));
        (0..self.count.div_ceil(LOT)).map(of).collect()
    }
}

fn number<N: FromStr<Err: Error + Send + Sync + 'static>>(
    name: &str,
    standard: N,
) -> Result<N, Box<dyn Error + Send + Sync>> {
    match env::var(name) {
        Ok(text) => Ok(text.parse()?),
        Err(VarError::NotPresent) => Ok(standard),
        Err(error) => Err(error.into()),
    }
}

/// The lots of a record. A line that was cut off is none.
fn read(path: &Path) -> io::Result<BTreeMap<(u64, u64), Outcome>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let lots = text.lines().filter_map(|line| serde_json::from_str::<Lot>(line).ok());
    Ok(lots.map(|lot| ((lot.first, lot.count), lot.outcome)).collect())
}

/// The record, its last line ended.
fn append(path: &Path) -> io::Result<File> {
    let cut = std::fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if cut {
        writeln!(file)?;
    }
    Ok(file)
}
