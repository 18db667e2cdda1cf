//! What links show of their work becomes what their member says (§11).

use super::Node;
use crate::api::dto::{Answer, EntryDto, V};
use crate::error::{Failure, Outcome};
use crdt::receipt::Receipt;
use crdt::{Payload, Verdict};
use hex::FromHex as _;
use miner_link::contract::ReceiptHex;

impl Node {
    /// Say `receipt`, unless it was said before. A link hands one over again when it does not know whether it
    /// was taken. What proves nothing is a conflict, which a link takes as an answer for good.
    pub(super) fn receipt(&mut self, receipt: &ReceiptHex) -> Outcome<Answer> {
        let unreadable = || Failure::conflict("this is no receipt in canonical form");
        let bytes = Vec::<u8>::from_hex(&receipt.receipt_hex).map_err(|_| unreadable())?;
        let receipt: Receipt = postcard::from_bytes(&bytes).map_err(|_| unreadable())?;
        if postcard::to_stdvec(&receipt).ok().as_deref() != Some(bytes.as_slice()) {
            return Err(unreadable());
        }
        receipt.check(self.guild, self.me).map_err(|flaw| Failure::conflict(flaw.to_string()))?;
        let same =
            |payload: &Payload| matches!(payload, Payload::Receipt(said) if said.header == receipt.header);
        let said = self
            .document
            .chain(&self.me)
            .and_then(|chain| chain.entries().iter().find(|signed| same(&signed.entry().payload)).cloned());
        let signed = match said {
            Some(signed) => signed,
            None => self.say(Payload::Receipt(Box::new(receipt)))?,
        };
        let entry = signed.entry();
        Ok(Answer::Entry(EntryDto {
            v: V,
            id: signed.id().to_string(),
            author: self.name(&entry.author),
            seq: entry.seq,
            height: entry.height,
            kind: entry.payload.kind().to_owned(),
            // It was checked a moment ago, by the same function as the fold's.
            verdict: Verdict::Applied.to_string(),
        }))
    }
}
