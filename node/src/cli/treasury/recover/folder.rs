//! What a recovery takes from a folder: charter, group key, the treasury, and the way to the chain.

use crate::chain;
use crate::cli::say::Say;
use crate::config::Config;
use crate::core::Node;
use crate::daemon;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::store::Store;
use bitcoin::Transaction;
use bitcoin::hex::FromHex as _;
use crdt::treasury::GroupKey;
use crdt::{Charter, Document, Fold, Height, Verifier};
use std::collections::BTreeMap;
use std::time::Duration;
use threshold::Wire as _;
use threshold::dkg::Transcript;
use wallet::Treasury;
use wallet::chain::{BroadcastError, Source};

/// How often a source that has nothing new is asked again while it still looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Failures in a row before the source counts as out of reach: two minutes of them.
const FAILURES_MAX: u32 = 60;
/// How long to wait after each.
const RETRY: Duration = Duration::from_secs(2);
/// Blocks in which a recovery should confirm.
const FEE_TARGET: u16 = 6;

/// Everything at hand.
pub(super) struct Folder {
    pub(super) charter: Charter,
    pub(super) treasury: Treasury,
    source: Box<dyn Source>,
    kept: Option<wallet::Store>,
}

impl Folder {
    /// From a folder alone.
    pub(super) fn open(home: &Home, config: &Config, group_key: Option<&str>) -> Outcome<Self> {
        let charter = daemon::read_charter(home)?;
        let key = match group_key {
            Some(text) => parse(text)?,
            None => group_key_of(home, &charter)?,
        };
        let fail = |error: &dyn std::error::Error| Failure::because("the treasury", chain::line(error));
        // what is stored only spares the walk along the chain
        let mut kept = Store::open(home).ok().and_then(|store| wallet::Store::open(store.db()).ok());
        let stored = kept.as_mut().and_then(|kept| kept.load().ok().flatten());
        let loaded = stored.and_then(|stored| Treasury::load(&charter, key, stored).ok());
        let treasury = match loaded {
            Some(treasury) => treasury,
            None => {
                kept = None;
                Treasury::create(&charter, key).map_err(|error| fail(&error))?
            }
        };
        let source = chain::source(config, Some(&charter));
        Ok(Self { charter, treasury, source, kept })
    }

    /// Go to the tip of the chain.
    pub(super) fn catch_up(&mut self, say: Say) -> Outcome<()> {
        let (mut failures, mut anew, mut told) = (0, false, None);
        loop {
            match self.step(anew) {
                Ok(true) => break,
                Ok(false) => (failures, anew) = (0, false),
                Err(why) if failures >= FAILURES_MAX => {
                    return Err(Failure::new(Code::Unreachable, why));
                }
                Err(why) => {
                    say.note(&format!("{why}; trying again"));
                    (failures, anew) = (failures + 1, true);
                    std::thread::sleep(RETRY);
                }
            }
            let progress = self.source.progress();
            if let Some(progress) = progress.filter(|now| Some(*now) != told) {
                say.note(&format!("{}: {} of {}", self.source.name(), progress.done, progress.of));
            }
            told = progress;
        }
        for disagreement in self.source.health().disagreements {
            say.note(&format!("careful: {disagreement}"));
        }
        if let (Some(kept), Some(changes)) = (&mut self.kept, self.treasury.take_staged()) {
            drop(kept.append(&changes)); // read from the chain again next time
        }
        Ok(())
    }

    /// Whether the tip is reached.
    fn step(&mut self, anew: bool) -> Result<bool, String> {
        let news =
            self.source.follow(&self.treasury.position(), anew).map_err(|error| chain::line(&error))?;
        let (more, empty) = (news.more, news.is_empty());
        self.treasury.apply(news).map_err(|error| chain::line(&error))?;
        let tip = self.source.tip().map_err(|error| chain::line(&error));
        let at_tip = tip.is_ok_and(|tip| tip.hash == self.treasury.tip().1);
        if !more && empty && !at_tip {
            std::thread::sleep(PAUSE);
        }
        Ok(!more && at_tip && self.source.progress().is_none())
    }

    /// What the source estimates, within the charter's cap.
    pub(super) fn fee_rate(&mut self) -> u64 {
        let estimate = self.source.estimate_fee(FEE_TARGET).ok().flatten();
        estimate.unwrap_or(wallet::fee::DEFAULT_RATE).clamp(1, self.charter.fee_cap.sat_per_vb)
    }

    pub(super) fn broadcast(&mut self, transaction: &Transaction) -> Result<(), BroadcastError> {
        self.source.broadcast(transaction).map(drop)
    }
}

fn parse(text: &str) -> Outcome<GroupKey> {
    let refuse = |why: &dyn std::fmt::Display| Failure::usage(format!("--group-key: {why}"));
    let bytes: Vec<u8> = Vec::from_hex(text).map_err(|error| refuse(&error))?;
    GroupKey::try_from(bytes).map_err(|error| refuse(&error))
}

/// The key that the transcript proves, or that all co-signers said is theirs.
fn group_key_of(home: &Home, charter: &Charter) -> Outcome<GroupKey> {
    let blob = home.blob(Node::TRANSCRIPT_BLOB);
    if blob.exists() {
        let refuse = |why: &dyn std::fmt::Display| Failure::because("the transcript of the key", why);
        let transcript = Transcript::from_wire(&home::read(&blob)?).map_err(|error| refuse(&error))?;
        if !Node::is_transcript_of(charter, &transcript) {
            return Err(refuse(&"it is of another guild"));
        }
        let keys = transcript.verify().map_err(|error| refuse(&error))?;
        let bytes = keys.group().to_bytes().to_vec();
        return GroupKey::try_from(bytes).map_err(|error| refuse(&error));
    }
    said(home, charter)?.ok_or_else(|| {
        let why = "the group key is not in this folder: name it with --group-key (guild status shows it), or put \
                   the file blobs/transcript-1 of any member here";
        Failure::not_found(why)
    })
}

/// What the record here says of the key.
fn said(home: &Home, charter: &Charter) -> Outcome<Option<GroupKey>> {
    let mut document = Document::new(charter);
    let verifier = Verifier::new(charter);
    let own = crate::journal::Journal::open(&home.journal()).map(|opened| opened.records).unwrap_or_default();
    for record in own {
        if let crate::journal::Record::Own(bytes) = record
            && let Ok(signed) = verifier.verify(&bytes)
        {
            document.insert(signed, Height::MAX);
        }
    }
    for signed in Store::open(home)?.entries(&verifier)?.entries {
        document.insert(signed, Height::MAX);
    }
    let birth = &charter.birth;
    let facts = crdt::ChainFacts {
        height: birth.height,
        block_hash: birth.hash,
        settled: BTreeMap::new(),
        epochs: vec![],
    };
    let mut fold = Fold::new(charter, &facts);
    fold.catch_up(&document);
    Ok(fold.state().key.as_ref().map(|key| key.ready.group_key))
}
