//! What members do beside proposing and voting: comment, name who votes for them, pause, leave, draw on
//! budgets; and what holds because of what was decided.

use super::Node;
use crate::api::dto::governance::{NewDraw, SettingDto, Settings};
use crate::api::dto::{Answer, CertificateFile, Said, V};
use crate::error::{Code, Failure, Outcome};
use bitcoin::hex::DisplayHex as _;
use crdt::governance::{Disburse, Effect, Setting, SettingKey, exit_id};
use crdt::text::Note;
use crdt::{Certificate, EntryId, Payload, ProposalId};
use std::collections::BTreeSet;

impl Node {
    /// Say `payload`, and answer which entry that is.
    pub(super) fn said(&mut self, payload: Payload) -> Outcome<Answer> {
        let signed = self.say(payload)?;
        if let Some(crdt::Verdict::Ignored(why)) =
            crdt::explain(&self.charter, &self.document, &self.facts(), signed.id())
        {
            return Err(Failure::new(Code::Refused, format!("it was said, but counts for nothing: {why}")));
        }
        Ok(Answer::Said(Said { v: V, entry: signed.id().to_string() }))
    }

    pub(super) fn comment(&mut self, proposal: ProposalId, text: String) -> Outcome<Answer> {
        let text = Note::try_from(text).map_err(Failure::usage)?;
        self.said(Payload::Comment { proposal, text })
    }

    pub(super) fn name_delegate(&mut self, to: Option<String>) -> Outcome<Answer> {
        let to = to.map(|name| self.member_of(&name)).transpose()?;
        if to == Some(self.me) {
            return Err(Failure::usage("nobody votes for themselves by delegation"));
        }
        self.said(Payload::Delegate { to })
    }

    /// Draw on a budget, if it is decided and allows it.
    pub(super) fn draw(&mut self, budget: ProposalId, new: NewDraw) -> Outcome<Answer> {
        let outputs =
            new.outputs.iter().map(|output| self.parse_output(output)).collect::<Outcome<Vec<_>>>()?;
        let reason = Note::try_from(new.reason).map_err(Failure::usage)?;
        let draw = Disburse { budget, outputs, reason };
        let state = self.state().proposals.get(&budget);
        let state = state.ok_or_else(|| Failure::not_found(format!("there is no proposal '{budget}'")))?;
        let Effect::Budget(limits) = &state.proposal.effect else {
            return Err(Failure::usage("this proposal is no budget"));
        };
        if state.decided().is_none() {
            return Err(Failure::new(Code::Refused, "this budget is not decided"));
        }
        limits
            .check_draw(&self.me, self.tip_height(), &draw)
            .map_err(|why| Failure::new(Code::Refused, why.to_string()))?;
        self.said(Payload::Disburse(draw))
    }

    /// The values of all settings: the register, and what the charter began with.
    pub(super) fn settings(&self) -> Settings {
        let state = self.state();
        let keys: BTreeSet<SettingKey> =
            state.proposals.values().filter_map(|proposal| Some(proposal.setting()?.key())).collect();
        let mut settings = Vec::new();
        if state.setting(&SettingKey::Mining).is_none() {
            let value = words(&Setting::Mining(self.charter.mining.clone()));
            let (name, close) = (SettingKey::Mining.to_string(), self.charter.birth.height);
            settings.push(SettingDto { name, value, decision: None, close });
        }
        let decided = keys.iter().filter_map(|key| Some((key, state.setting(key)?)));
        settings.extend(decided.map(|(key, (id, proposal, setting))| SettingDto {
            name: key.to_string(),
            value: words(setting),
            decision: Some(id.to_string()),
            close: proposal.close,
        }));
        Settings { v: V, settings }
    }

    /// A proposal or an exit, by its id or the beginning of it.
    pub(super) fn find_decision(&self, text: &str) -> Outcome<ProposalId> {
        let exits = self.state().exits.keys().map(|member| exit_id(self.guild, member));
        let named = exits.into_iter().find(|id| id.to_string() == text);
        named.map_or_else(|| self.find(text), Ok)
    }

    /// The certificate of `text`, with all that it takes to verify it; of the charter's policy for "founding".
    pub(super) fn certificate_file(&self, text: &str) -> Outcome<Answer> {
        let not_yet = || Failure::not_found("it has no certificate");
        let key = self.state().key.as_ref().ok_or_else(not_yet)?;
        let (certificate, proposal): (&Certificate, Option<String>) = if text == "founding" {
            (key.founding().ok_or_else(not_yet)?, None)
        } else {
            let id = self.find(text)?;
            let proof = self.state().proposals.get(&id).and_then(|proposal| proposal.certificate());
            let entry = self.document.find(EntryId(id.0)).ok_or_else(not_yet)?;
            (proof.ok_or_else(not_yet)?, Some(entry.to_bytes().to_lower_hex_string()))
        };
        Ok(Answer::Certificate(Box::new(CertificateFile {
            v: V,
            charter: self.charter.to_bytes().to_lower_hex_string(),
            group_key: key.ready.group_key.to_string(),
            epoch: certificate.body.epoch,
            proposal,
            option: certificate.body.option,
            close: certificate.body.close,
            signature: format!("{:?}", certificate.signature),
        })))
    }
}

/// A setting's value in words.
fn words(setting: &Setting) -> String {
    match setting {
        Setting::Mining(policy) => {
            format!("{:?}, paid to the {:?}", policy.mode, policy.payout).to_lowercase()
        }
        Setting::House { value, .. } => value.to_string(),
        Setting::Coin { frozen, .. } => if *frozen { "frozen" } else { "free" }.to_owned(),
    }
}
