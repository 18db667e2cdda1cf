//! A log of secrets: each record is sealed for its place, one fsync makes it durable.

use super::Keystore;
use crate::error::{Failure, Outcome};
use crate::home;
use crate::journal::{frame, framed};
use rand::rngs::OsRng;
use std::fs::OpenOptions;
use std::io::Write as _;
use zeroize::Zeroizing;

/// The longest record. The messages of all parties to a key of the most co-signers are a third of it.
const RECORD_MAX: usize = 4 << 20;

impl Keystore {
    /// Begin a log anew with this record; durable on return.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn begin_log(&self, name: &str, secret: &[u8]) -> Outcome<()> {
        home::write_private(&self.home.secret(name), &self.record(name, 0, secret))
    }

    /// Add a record at `place`, counted from 0; durable on return.
    ///
    /// # Errors
    ///
    /// If the log was not begun, or the disk refuses.
    pub fn append_log(&self, name: &str, place: usize, secret: &[u8]) -> Outcome<()> {
        let path = self.home.secret(name);
        let fail = |error| Failure::because(format_args!("cannot write {}", path.display()), error);
        let mut file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
        let record = self.record(name, place, secret);
        file.write_all(&record).and_then(|()| file.sync_data()).map_err(fail)
    }

    /// All records of a log; none if there is no log. A last one that a crash left half-written is cut off:
    /// nothing ever followed from it.
    ///
    /// # Errors
    ///
    /// If it was altered.
    pub fn load_log(&self, name: &str) -> Outcome<Vec<Zeroizing<Vec<u8>>>> {
        let path = self.home.secret(name);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let fail = |why: &dyn std::fmt::Display| {
            Failure::because(format_args!("cannot open {}", path.display()), why)
        };
        let bytes = home::read(&path)?;
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while let Some((sealed, after)) = frame(rest, RECORD_MAX).map_err(|error| fail(&error))? {
            let opened = self.sealing.open(&purpose(name, records.len()), sealed);
            records.push(opened.map_err(|error| fail(&error))?);
            rest = after;
        }
        if records.is_empty() {
            return Err(fail(&"it holds nothing"));
        }
        if !rest.is_empty() {
            let good = (bytes.len() - rest.len()) as u64;
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.set_len(good)?;
                file.sync_all()
            });
            cut.map_err(|error| fail(&error))?;
        }
        Ok(records)
    }

    fn record(&self, name: &str, place: usize, secret: &[u8]) -> Vec<u8> {
        framed(&self.sealing.seal(&purpose(name, place), secret, &mut OsRng))
    }
}

/// What a record is sealed for: none passes for another.
fn purpose(name: &str, place: usize) -> String {
    format!("{name} {place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::Network;

    fn opened(keystore: &Keystore) -> Vec<Vec<u8>> {
        keystore.load_log("log").unwrap().iter().map(|secret| secret.to_vec()).collect()
    }

    #[test]
    fn a_log_loses_only_a_record_that_a_crash_tore_and_admits_no_other_change() {
        let folder = tempfile::tempdir().unwrap();
        let home = home::Home::at(folder.path().join("home"));
        home.create().unwrap();
        crate::keystore::create(&home, Network::Regtest, "passphrase").unwrap();
        let keystore = Keystore::open(&home, "passphrase").unwrap();
        assert!(keystore.load_log("log").unwrap().is_empty());
        assert!(keystore.append_log("log", 0, b"first").is_err(), "not begun");
        keystore.begin_log("log", b"first").unwrap();
        let path = home.secret("log");
        let first = std::fs::metadata(&path).unwrap().len();
        keystore.append_log("log", 1, b"second").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in usize::try_from(first).unwrap()..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(opened(&keystore), [b"first"], "cut at {end}");
            keystore.append_log("log", 1, b"other").unwrap();
            assert_eq!(opened(&keystore), [&b"first"[..], b"other"]);
        }
        let (one, two) = whole.split_at(usize::try_from(first).unwrap());
        for altered in [[two, one].concat(), two.to_vec(), [one, one].concat(), Vec::new()] {
            std::fs::write(&path, altered).unwrap();
            assert!(keystore.load_log("log").is_err(), "taken for what it is not");
        }
        keystore.begin_log("log", b"anew").unwrap();
        assert_eq!(opened(&keystore), [b"anew"]);
    }
}
