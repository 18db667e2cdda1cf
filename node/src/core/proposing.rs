//! What people propose, in words, made into effects: names become members, addresses scripts, and what can
//! be worked out is written out.

use super::Node;
use crate::api::dto::governance::{NewBudget, NewEffect, NewEpoch, NewOption};
use crate::api::dto::{NewSpend, OutputDto};
use crate::card::MemberCard;
use crate::error::{Code, Failure, Outcome};
use bitcoin::{Amount, ScriptBuf};
use crdt::governance::{Budget, Effect, EpochChange, Options, RollEntry, Setting, Spend};
use crdt::mining::MiningPolicy;
use crdt::rules::{Preset, Rules};
use crdt::text::{Line, Note};
use crdt::{MemberId, ProposalId, Weight};
use std::str::FromStr as _;

impl Node {
    /// The effect that `new` asks for: a spend, if it names none.
    pub(super) fn effect_of(&self, new: &NewSpend) -> Outcome<Effect> {
        let effect = match &new.effect {
            None => match new.distribute_sat {
                None => Effect::Spend(self.spend_of(&new.outputs)?),
                Some(sat) if new.outputs.is_empty() => {
                    self.afford(sat)?;
                    Effect::Distribute(self.by_shares(Amount::from_sat(sat))?)
                }
                Some(_) => return Err(Failure::usage("a distribution pays the members and nobody else")),
            },
            Some(_) if !new.outputs.is_empty() || new.distribute_sat.is_some() => {
                return Err(Failure::usage("outputs belong to a payment: leave them out of this"));
            }
            Some(NewEffect::Text) => Effect::Text,
            Some(NewEffect::Mining { mode }) => Effect::Setting(Setting::Mining(policy(mode)?)),
            Some(NewEffect::House { name, value }) => Effect::Setting(house(name, value)?),
            Some(NewEffect::Coin { outpoint, frozen }) => {
                Effect::Setting(Setting::Coin { outpoint: self.coin_named(outpoint)?, frozen: *frozen })
            }
            Some(NewEffect::Budget(budget)) => Effect::Budget(self.budget_of(budget)?),
            Some(NewEffect::Cancel { proposal }) => Effect::Cancel(self.target_of(proposal)?),
            Some(NewEffect::Epoch(change)) => Effect::Epoch(Box::new(self.change_of(change)?)),
            Some(NewEffect::Choose { options }) => Effect::Choose(self.options_of(options)?),
        };
        effect.check().map_err(Failure::usage)?;
        Ok(effect)
    }

    fn spend_of(&self, pay: &[OutputDto]) -> Outcome<Spend> {
        let outputs = pay.iter().map(|output| self.parse_output(output)).collect::<Outcome<Vec<_>>>()?;
        let spend = Spend { outputs, anchor: self.choose_anchor()? };
        spend.check().map_err(Failure::usage)?;
        self.afford(spend.total().map_or(u64::MAX, Amount::to_sat))?;
        Ok(spend)
    }

    /// Whether the treasury has `total` to spend now.
    fn afford(&self, total: u64) -> Outcome<()> {
        let balance = self.balance()?;
        if total <= balance.confirmed_sat {
            return Ok(());
        }
        let detail = format!(
            "the outputs add up to {total} sat, the treasury has {} sat to spend ({} sat more are not mature)",
            balance.confirmed_sat, balance.immature_sat
        );
        Err(Failure::new(Code::NotEnoughFunds, detail))
    }

    fn budget_of(&self, new: &NewBudget) -> Outcome<Budget> {
        let payees =
            new.payees.iter().map(|address| self.payee_script(address)).collect::<Outcome<Vec<_>>>()?;
        let drawers = new.drawers.iter().map(|name| self.member_of(name)).collect::<Outcome<Vec<_>>>()?;
        Ok(Budget {
            limit: Amount::from_sat(new.limit_sat),
            period: new.period,
            payees,
            drawers,
            purpose: Line::try_from(new.purpose.clone()).map_err(Failure::usage)?,
            end: new.end,
            anchor: self.choose_anchor()?,
        })
    }

    fn payee_script(&self, address: &str) -> Outcome<ScriptBuf> {
        let output = OutputDto { address: address.to_owned(), amount_sat: 0 };
        Ok(self.parse_output(&output)?.script)
    }

    /// The proposal that a veto names: one that is here, or the full id of one that is not.
    fn target_of(&self, text: &str) -> Outcome<ProposalId> {
        self.find(text).or_else(|missing| ProposalId::from_str(text).map_err(|_| missing))
    }

    fn options_of(&self, options: &[NewOption]) -> Outcome<Options> {
        let mixed = || Failure::usage("all options are of one kind: words, settings or payments");
        Ok(match options.first() {
            Some(NewOption::Text { .. }) => Options::Text(each(options, |option| match option {
                NewOption::Text { text } => Line::try_from(text.clone()).map_err(Failure::usage),
                _ => Err(mixed()),
            })?),
            Some(NewOption::Pay { .. }) => {
                let anchor = self.choose_anchor()?;
                Options::Spend(each(options, |option| match option {
                    NewOption::Pay { outputs } => Ok(Spend { anchor, ..self.spend_of(outputs)? }),
                    _ => Err(mixed()),
                })?)
            }
            Some(_) => Options::Setting(each(options, |option| match option {
                NewOption::Mining { mode } => Ok(Setting::Mining(policy(mode)?)),
                NewOption::House { name, value } => house(name, value),
                _ => Err(mixed()),
            })?),
            None => return Err(Failure::usage("there is nothing to choose from")),
        })
    }

    fn change_of(&self, new: &NewEpoch) -> Outcome<EpochChange> {
        let mut put = Vec::new();
        for joins in &new.add {
            let card = MemberCard::from_str(&joins.card).map_err(Failure::usage)?;
            let replaces = joins.replaces.as_ref().map(|name| self.member_of(name)).transpose()?;
            let before = replaces.as_ref().and_then(|key| self.state().members.get(key));
            let before = before.filter(|_| joins.weight == 0 && joins.claim == 0);
            let units = |text| Weight::try_from(text).map_err(Failure::usage);
            put.push(RollEntry {
                key: card.key,
                name: card.name,
                weight: before.map_or_else(|| units(joins.weight), |member| Ok(member.weight))?,
                claim: before.map_or_else(|| units(joins.claim), |member| Ok(member.claim))?,
                payout: card.payout,
                replaces,
            });
        }
        for (name, weight) in &new.weights {
            let key = self.member_of(name)?;
            let member = self.state().members.get(&key).ok_or_else(|| Failure::not_found(name.clone()))?;
            put.push(RollEntry {
                key,
                name: member.name.clone(),
                weight: Weight::try_from(*weight).map_err(Failure::usage)?,
                claim: member.claim,
                payout: member.payout.clone(),
                replaces: None,
            });
        }
        let named = new.candidates.iter().map(|name| self.member_or_new(name, &put));
        let candidates: Vec<MemberId> = named.collect::<Outcome<_>>()?;
        Ok(EpochChange {
            remove: new.remove.iter().map(|name| self.member_of(name)).collect::<Outcome<Vec<_>>>()?,
            rules: new.rules.as_ref().map(|name| self.rules_of(name, candidates.len())).transpose()?,
            threshold: new.threshold.map(crdt::charter::ThresholdRule::AtLeast),
            least: new.least.unwrap_or_else(|| u16::try_from(candidates.len()).unwrap_or(u16::MAX)),
            candidates,
            put,
        })
    }

    /// The rules of a preset for so many co-signers, or for those of now.
    fn rules_of(&self, name: &str, candidates: usize) -> Outcome<Rules> {
        let preset = match name {
            "family" => Preset::Family,
            "co-op" => Preset::CoOp,
            "fund" => Preset::Fund,
            other => return Err(Failure::usage(format!("'{other}' is no preset: family, co-op or fund"))),
        };
        let co_signers = if candidates == 0 { self.state().co_signers.len() } else { candidates };
        Ok(Rules::preset(preset, co_signers, crdt::charter::grace(co_signers)))
    }

    /// A member of the roll, or one that the change adds.
    fn member_or_new(&self, name: &str, put: &[RollEntry]) -> Outcome<MemberId> {
        let new = put.iter().find(|member| member.name.as_str() == name).map(|member| member.key);
        new.map_or_else(|| self.member_of(name), Ok)
    }

    /// A member by name, key, or the beginning of its key.
    pub(super) fn member_of(&self, text: &str) -> Outcome<MemberId> {
        let members = self.state().members.iter();
        let named = members.filter(|(key, member)| member.name.as_str() == text || key.to_string() == text);
        let named: Vec<MemberId> = named.map(|(key, _)| *key).collect();
        match named.as_slice() {
            [one] => Ok(*one),
            _ => Err(Failure::not_found(format!("there is no member '{text}'"))),
        }
    }
}

fn each<T>(options: &[NewOption], one: impl Fn(&NewOption) -> Outcome<T>) -> Outcome<Vec<T>> {
    options.iter().map(one).collect()
}

fn policy(mode: &str) -> Outcome<MiningPolicy> {
    match mode {
        "solo" => Ok(MiningPolicy::SOLO),
        "pool" => Ok(MiningPolicy::POOL),
        other => Err(Failure::usage(format!("'{other}' is no mining mode: solo or pool"))),
    }
}

fn house(name: &str, value: &str) -> Outcome<Setting> {
    let name = Line::try_from(name.to_owned()).map_err(Failure::usage)?;
    Ok(Setting::House { name, value: Note::try_from(value.to_owned()).map_err(Failure::usage)? })
}
