//! `mining.submit`, read exactly.

use crate::job::{Extranonce2, JobId};
use crate::share::Reason;
use hex::FromHex as _;
use serde_json::Value;

/// What a miner submits, apart from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The job; none if it never was one of ours.
    pub job: Option<JobId>,
    /// What the miner counted.
    pub extranonce2: Extranonce2,
    /// The header's time.
    pub time: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The rolled version bits, where the miner rolls them.
    pub version_bits: Option<u32>,
}

impl Submission {
    /// Read the five or six parameters: worker, job, extranonce 2 of `size` bytes, time, nonce, version
    /// bits.
    ///
    /// # Errors
    ///
    /// [`Reason::Malformed`] for anything that is not text of the exact length.
    pub fn read(params: &[Value], size: usize) -> Result<(&str, Self), Reason> {
        let texts: Option<Vec<&str>> = params.iter().map(Value::as_str).collect();
        let (worker, job, extranonce2, time, nonce, bits) = match texts.as_deref() {
            Some([worker, job, extranonce2, time, nonce]) => {
                (*worker, *job, *extranonce2, *time, *nonce, None)
            }
            Some([worker, job, extranonce2, time, nonce, bits]) => {
                (*worker, *job, *extranonce2, *time, *nonce, Some(*bits))
            }
            _ => return Err(Reason::Malformed),
        };
        let extranonce2 = Extranonce2::from_hex(extranonce2, size).ok_or(Reason::Malformed)?;
        let (time, nonce) = (word(time)?, word(nonce)?);
        let version_bits = bits.map(word).transpose()?;
        Ok((worker, Self { job: job_id(job), extranonce2, time, nonce, version_bits }))
    }
}

/// Eight hexadecimal digits, big-endian.
fn word(text: &str) -> Result<u32, Reason> {
    let bytes = <[u8; 4]>::from_hex(text).map_err(|_| Reason::Malformed)?;
    Ok(u32::from_be_bytes(bytes))
}

/// Only the spelling that was sent names a job.
fn job_id(text: &str) -> Option<JobId> {
    let id = JobId(u32::from_str_radix(text, 16).ok()?);
    (id.to_string() == text).then_some(id)
}
