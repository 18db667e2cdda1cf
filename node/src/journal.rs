//! The journal: what must survive a power cut (§12). Append-only; every record is on the disk before
//! [`Journal::append`] returns. A torn tail is cut off on open; an fsync error is fatal.
//!
//! Record: length (u32, big-endian) ‖ CRC-32 of the payload (big-endian) ‖ payload.

use crate::error::{Failure, Outcome};
use bitcoin::Txid;
use crdt::epoch::Head;
use crdt::{Certificate, Digest, EntryId, Height, MemberId, ProposalId};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The longest record: an entry and its frame fit many times.
const RECORD_MAX: usize = 256 * 1024;

/// What the journal remembers. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Which journal this is; a mark outside of it must name the same. Always first.
    Begin([u8; 16]),
    /// An entry of our own, before anybody hears of it.
    Own(Vec<u8>),
    /// We are about to give a share for a payment of this decision.
    SpendIntent {
        /// The decision.
        decision: ProposalId,
        /// The transaction.
        txid: Txid,
    },
    /// We first held the certificate of this decision at this height: its delay runs from here.
    Certified {
        /// The decision.
        decision: ProposalId,
        /// Our tip then.
        height: Height,
    },
    /// A payment that is fully signed, before it is broadcast.
    Payment {
        /// The decision it pays.
        decision: ProposalId,
        /// The transaction in consensus encoding.
        transaction: Vec<u8>,
    },
    /// A decision and its proof, to be said again should its author's fork take them away.
    Decided {
        /// The proof.
        certificate: Certificate,
        /// The entry that proposed it.
        proposal: Vec<u8>,
    },
    /// Proposals, ballots and the like that came when our highest tip was this, and we were fresh: what a
    /// statement on a close may name.
    Seen {
        /// The highest tip we ever had.
        height: Height,
        /// What came.
        entries: Vec<EntryId>,
    },
    /// Where every chain ended here when our tip first reached an announced cut.
    Cut {
        /// The height of the cut.
        height: Height,
        /// The last entry of every author.
        heads: Vec<(MemberId, Head)>,
    },
    /// A sweep that is fully signed, before its seal is.
    Sweep {
        /// The hash of the seal's checkpoint.
        checkpoint: Digest,
        /// The seal.
        seal: Txid,
        /// Which sweep of it.
        number: u16,
        /// The transaction in consensus encoding.
        transaction: Vec<u8>,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

/// What opening a journal gave.
#[derive(Debug)]
pub struct Opened {
    /// To append to.
    pub journal: Journal,
    /// All that it holds.
    pub records: Vec<Record>,
    /// Bytes of a torn last record that were cut off.
    pub cut: u64,
}

impl Journal {
    /// Make a new journal that begins with `id`.
    ///
    /// # Errors
    ///
    /// If there is one already, or the disk refuses.
    pub fn create(path: &Path, id: [u8; 16]) -> Outcome<Self> {
        let fail =
            |error| Failure::because(format_args!("cannot create the journal {}", path.display()), error);
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(path).map_err(fail)?;
        let mut journal = Self { file };
        journal.append(&Record::Begin(id))?;
        let parent = path.parent().unwrap_or(Path::new("."));
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(fail)?;
        Ok(journal)
    }

    /// Open and read a journal; cut off what a crash left half-written.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds a record that is whole but unknown: we never go on without what we
    /// once promised.
    pub fn open(path: &Path) -> Outcome<Opened> {
        let fail =
            |error| Failure::because(format_args!("cannot open the journal {}", path.display()), error);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        let (records, good) = parse(&bytes)?;
        let cut = bytes.len() as u64 - good;
        if cut > 0 {
            file.set_len(good).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        file.seek(SeekFrom::Start(good)).map_err(fail)?;
        Ok(Opened { journal: Self { file }, records, cut })
    }

    /// Make `record` durable.
    ///
    /// # Errors
    ///
    /// Fatal to the caller: after a failed fsync nobody knows what is on the disk.
    pub fn append(&mut self, record: &Record) -> Outcome<()> {
        let payload = postcard::to_stdvec(record).expect("a record always encodes");
        let written = self.file.write_all(&framed(&payload)).and_then(|()| self.file.sync_data());
        written.map_err(|error| Failure::because("the journal cannot be written, stopping", error))
    }
}

/// What no crash leaves behind.
#[derive(Debug, thiserror::Error)]
#[error("a record in the middle of it is damaged")]
pub(crate) struct Damaged;

/// A record as it lies in a file: its length, its CRC-32, itself.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("records are far below 4 GiB");
    [&len.to_be_bytes()[..], &crc32fast::hash(payload).to_be_bytes(), payload].concat()
}

/// The whole records at the beginning of `bytes`, and how many bytes they take.
fn parse(bytes: &[u8]) -> Outcome<(Vec<Record>, u64)> {
    let mut records = Vec::new();
    let mut rest = bytes;
    let damaged = |damage| Failure::because("cannot read the journal", damage);
    while let Some((payload, after)) = frame(rest, RECORD_MAX).map_err(damaged)? {
        let record = postcard::from_bytes(payload).map_err(|_| {
            Failure::because("cannot read the journal", "it holds a record of another version")
        })?;
        records.push(record);
        rest = after;
    }
    Ok((records, (bytes.len() - rest.len()) as u64))
}

/// A payload and what follows it.
type Framed<'a> = (&'a [u8], &'a [u8]);

/// The next payload, of at most `longest` bytes, and what follows it; none at the end or where a crash tore the
/// last record. Damage with whole records behind it is no crash: what we once promised is gone, and we must not go on as if not.
pub(crate) fn frame(bytes: &[u8], longest: usize) -> Result<Option<Framed<'_>>, Damaged> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
    let Some((payload, rest)) = rest.split_at_checked(len) else { return Ok(None) };
    if len > 0 && len <= longest && crc32fast::hash(payload) == u32::from_be_bytes(*crc) {
        return Ok(Some((payload, rest)));
    }
    if rest.is_empty() || bytes.iter().all(|byte| *byte == 0) {
        return Ok(None); // the last record, or a tail the file system never wrote
    }
    Err(Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(byte: u8) -> Record {
        Record::Own(vec![byte; 40])
    }

    #[test]
    fn a_tail_torn_anywhere_is_cut_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path, [1; 16]).unwrap();
        journal.append(&own(1)).unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        journal.append(&own(2)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for end in usize::try_from(whole).unwrap()..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let opened = Journal::open(&path).unwrap();
            assert_eq!(opened.records, [Record::Begin([1; 16]), own(1)], "cut at {end}");
            assert_eq!(opened.cut, end as u64 - whole);
            let mut journal = opened.journal;
            journal.append(&own(3)).unwrap();
            assert_eq!(Journal::open(&path).unwrap().records, [Record::Begin([1; 16]), own(1), own(3)]);
        }
    }

    #[test]
    fn damage_before_the_last_record_is_no_torn_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path, [1; 16]).unwrap();
        journal.append(&own(1)).unwrap();
        journal.append(&own(2)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(Journal::open(&path).unwrap_err().detail.contains("damaged"));
        bytes[40] ^= 1;
        bytes.extend([0; 100]); // a tail that was never written
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Journal::open(&path).unwrap().cut, 100);
    }

    #[test]
    fn a_journal_is_never_made_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::create(&path, [1; 16]).unwrap();
        assert!(Journal::create(&path, [2; 16]).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() })]

        /// Whatever was written and wherever a crash cut it: what is read is the beginning of it, whole.
        #[test]
        fn a_cut_leaves_whole_records(
            sizes in proptest::collection::vec(0_usize..300, 0..12),
            cut in proptest::prelude::any::<proptest::sample::Index>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            let mut journal = Journal::create(&path, [1; 16]).unwrap();
            let mut written = vec![Record::Begin([1; 16])];
            for size in sizes {
                let record = Record::Own(vec![7; size]);
                journal.append(&record).unwrap();
                written.push(record);
            }
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..cut.index(bytes.len() + 1)]).unwrap();
            let opened = Journal::open(&path).unwrap();
            proptest::prop_assert_eq!(&opened.records, &written[..opened.records.len()]);
        }
    }
}
