//! What proves a share, and what rebuilds one: the transcript of the key generation, and the charter.

use crate::api::dto::Status;
use crate::client::Client;
use crate::core::Node;
use crate::daemon;
use crate::error::{Code, Failure, Outcome};
use crate::home::{self, Home};
use crate::journal::{Journal, Record};
use crate::keystore::Keystore;
use bitcoin::hex::DisplayHex as _;
use crdt::{Charter, MemberId, Payload, Verifier};
use std::fmt;
use std::path::Path;
use threshold::dkg::{Transcript, recover as rebuild};
use threshold::{KeyShare, PublicKeys, Wire as _};

/// A share and the key that it was shown to be of.
pub(super) struct Proof {
    share: KeyShare,
    transcript: [u8; 32],
    /// Whether the guild's own word for its key was at hand, and the same.
    agreed: bool,
}

impl Proof {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "v": 1, "epoch": Node::EPOCH, "party": self.share.party().number(),
            "t": self.share.threshold().t(), "n": self.share.threshold().n(),
            "group_key": self.share.group().to_string(),
            "transcript": self.transcript.to_lower_hex_string(), "agreed": self.agreed,
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, threshold) = (&self.share, self.share.threshold());
        let (t, n) = (threshold.t(), threshold.n());
        write!(f, "{} of {n}, {t} sign, epoch {}, group key {}", share.party(), Node::EPOCH, share.group())?;
        let unknown = "; compare the group key with guild status, nothing here says it yet";
        f.write_str(if self.agreed { "" } else { unknown })
    }
}

fn refuse(why: impl fmt::Display) -> Failure {
    Failure::new(Code::Refused, format!("the key share: {why}"))
}

/// The stored share against the one that member key and transcript make, and against the guild's key.
pub(super) fn check(home: &Home, keystore: &Keystore) -> Outcome<Proof> {
    let missing = || Failure::not_found("there is no key share here: guild share recover rebuilds it");
    let stored = keystore.share(Node::EPOCH)?.ok_or_else(missing)?;
    let (proof, _) = prove(home, keystore, None)?;
    if *stored.to_bytes() != *proof.share.to_bytes() {
        return Err(refuse("it is not the one that the transcript gives this member; guild share recover"));
    }
    Ok(proof)
}

/// Rebuild the share and store it, with the transcript it came from.
pub(super) fn recover(home: &Home, keystore: &Keystore, file: Option<&Path>) -> Outcome<Proof> {
    if check(home, keystore).is_ok() {
        return Err(Failure::conflict("the key share is here and whole: there is nothing to recover"));
    }
    let (proof, transcript) = prove(home, keystore, file)?;
    let _lock = home.lock()?; // a running node would not notice
    keystore.store_share(Node::EPOCH, &proof.share)?;
    home::write_private(&home.blob(Node::TRANSCRIPT_BLOB), &transcript)?;
    Ok(proof)
}

fn prove(home: &Home, keystore: &Keystore, file: Option<&Path>) -> Outcome<(Proof, Vec<u8>)> {
    let charter = daemon::read_charter(home)?;
    let blob = home.blob(Node::TRANSCRIPT_BLOB);
    if file.is_none() && !blob.exists() {
        let how = "start the node, it asks the others for it, or name a member's copy with --transcript";
        return Err(Failure::not_found(format!("the transcript of the key is not here: {how}")));
    }
    let bytes = home::read(file.unwrap_or(&blob))?;
    let transcript = Transcript::from_wire(&bytes).map_err(refuse)?;
    of_this_guild(&transcript, &charter)?;
    let me = MemberId::from(&keystore.member().verifying_key()).to_bytes();
    let seat = transcript.parties().iter().find(|(_, key)| **key == me).map(|(party, _)| *party);
    let seat = seat.ok_or_else(|| refuse("this member is no co-signer"))?;
    let (share, keys) = rebuild(keystore.member(), seat, &transcript).map_err(refuse)?;
    let hash = transcript.hash(&keys);
    let agreed = agreed(home, &charter, &keys, hash)?;
    Ok((Proof { share, transcript: hash, agreed }, bytes))
}

fn of_this_guild(transcript: &Transcript, charter: &Charter) -> Outcome<()> {
    let other = "the transcript is of another guild or epoch";
    if Node::is_transcript_of(charter, transcript) { Ok(()) } else { Err(refuse(other)) }
}

/// Compare with what the running node, or else our own `KeyReady` in the journal, says. False if neither can
/// tell, as right after a restore.
fn agreed(home: &Home, charter: &Charter, keys: &PublicKeys, hash: [u8; 32]) -> Outcome<bool> {
    let same = match home.lock() {
        Ok(_lock) => {
            let said = said(home, charter)?;
            (!said.is_empty()).then(|| said.contains(&hash))
        }
        Err(_) => {
            let status: Status = Client::of(home)?.get("status")?;
            status.group_key.map(|key| key == keys.group().to_string())
        }
    };
    match same {
        Some(false) => Err(refuse("the transcript is not of the key that the guild uses")),
        said => Ok(said.is_some()),
    }
}

/// The transcripts that this member called ready: of several attempts one at most came to a key.
fn said(home: &Home, charter: &Charter) -> Outcome<Vec<[u8; 32]>> {
    let verifier = Verifier::new(charter);
    let records = Journal::open(&home.journal())?.records;
    let ready = records.iter().filter_map(|record| match record {
        Record::Own(bytes) => match &verifier.verify(bytes).ok()?.entry().payload {
            Payload::KeyReady(ready) => Some(ready.transcript.0),
            _ => None,
        },
        _ => None,
    });
    Ok(ready.collect())
}
