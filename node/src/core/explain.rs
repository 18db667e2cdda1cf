//! Why a proposal is where it is: every check that a co-signer makes before it gives a share, with its
//! evidence as this node sees it, and what co-signers said when they were asked.

use super::Node;
use super::ask::Subject;
use crate::api::dto::governance::{CheckDto, CoSignerDto, Explanation, VoterDto};
use crate::api::dto::{Answer, Ceremony, V};
use crate::error::{Failure, Outcome};
use crdt::governance::{Local, NotPassing, Relative, Tally, Vote, Voter, judged_from};
use crdt::limits::WINDOW;
use crdt::rules::{ClassRule, Rule};
use crdt::state::ProposalState;
use crdt::{MemberId, ProposalId};

type Known<'a> = (&'a ProposalId, &'a ProposalState);

fn check(rule: &str, holds: impl Into<Option<bool>>, expected: String, found: String) -> CheckDto {
    CheckDto { rule: rule.to_owned(), holds: holds.into(), expected, found }
}

impl Node {
    pub(super) fn explain(&self, id: ProposalId) -> Outcome<Answer> {
        let state = self.state();
        let missing = || Failure::not_found(format!("there is no proposal '{id}'"));
        let proposal = state.proposals.get(&id).ok_or_else(missing)?;
        let standing = self.standing(&id, proposal);
        let class = proposal.proposal.effect.class();
        let rule = state.rules.of(class).ok_or_else(missing)?;
        let local = self.local(&id);
        let option = proposal.decided().unwrap_or_default();
        let relative = (rule.rule_for(proposal.amount_sat()) == Rule::Relative)
            .then(|| Relative::count(state, (&id, proposal), option, rule, (local.me, local.tip)));
        let mut checks = self.checks((&id, proposal), (rule, option), relative.as_ref(), &local);
        checks.extend(self.checks_of_payment(&id, proposal));
        Ok(Answer::Explanation(Box::new(Explanation {
            v: V,
            id: id.to_string(),
            title: proposal.proposal.title.to_string(),
            class: class.to_string(),
            rule: rule.to_string(),
            next: self.next_line(&id, proposal, &standing),
            checks,
            voters: self.voters(proposal, relative.as_ref()),
            co_signers: self.co_signers_on(&id, proposal),
            forecast: self.forecast(proposal),
        })))
    }

    fn checks(
        &self,
        (id, proposal): Known<'_>,
        (rule, option): (&ClassRule, u16),
        relative: Option<&Relative>,
        local: &Local,
    ) -> Vec<CheckDto> {
        let state = self.state();
        let veto = state.cancelled(id);
        let tally = Tally::of(state, proposal, option);
        let found = if proposal.withdrawn { "it was withdrawn" } else { "it stands" };
        let mut checks = vec![
            check(
                "not withdrawn",
                !proposal.withdrawn,
                "its author stands by it".to_owned(),
                found.to_owned(),
            ),
            check(
                "not cancelled",
                veto.is_none(),
                "no certified veto".to_owned(),
                veto.map_or_else(|| "none".to_owned(), |veto| format!("the decision {}", veto.short())),
            ),
            check(
                "absolute rule",
                tally.passes(),
                format!(
                    "final yes above {} of {} ({} %)",
                    tally.needed_above, tally.roll, rule.more_than_percent
                ),
                format!("final yes {}", tally.final_yes),
            ),
        ];
        if let Some(relative) = relative {
            checks.extend(self.checks_of_relative(proposal, relative, local));
        }
        checks.push(check(
            "certified in time",
            proposal.decided().is_some() || local.tip <= proposal.close.saturating_add(WINDOW),
            format!("a tip of {} at the most", proposal.close.saturating_add(WINDOW)),
            format!("tip {}", local.tip),
        ));
        if let Err(why) = self.judge(id)
            && proposal.decided().is_none()
            && !checks.iter().any(|known| known.rule == why.rule())
        {
            let holds = if matches!(why, NotPassing::Early(_) | NotPassing::Open { .. }) {
                None
            } else {
                Some(false)
            };
            checks.push(check(why.rule(), holds, why.expected(), why.found()));
        }
        checks
    }

    /// The relative rule, step by step.
    fn checks_of_relative(
        &self,
        proposal: &ProposalState,
        counted: &Relative,
        local: &Local,
    ) -> Vec<CheckDto> {
        let from = judged_from(self.state(), proposal.close);
        let over = local.tip >= from;
        let known = |holds: bool| over.then_some(holds);
        let names = |members: &[MemberId]| {
            members.iter().map(|member| self.name(member)).collect::<Vec<_>>().join(", ")
        };
        let lacking: Vec<String> = counted.lacking.iter().map(|(voter, _)| self.name(voter)).collect();
        vec![
            check("grace", over, format!("a tip of {from} or more"), format!("tip {}", local.tip)),
            check(
                "statements",
                known(counted.stated_enough()),
                format!("statements of {} co-signers", counted.statements_needed),
                format!("{}: {}", counted.stated.len(), names(&counted.stated)),
            ),
            check(
                "presence",
                known(counted.was_there()),
                format!("our own statement, or {}, saw the proposal in time", counted.signers_needed),
                format!(
                    "ours {}, {} in all",
                    if counted.present_own { "did" } else { "did not" },
                    counted.present
                ),
            ),
            check(
                "named ballots",
                known(lacking.is_empty()),
                "every ballot that a statement names, of voters whose yes counts".to_owned(),
                if lacking.is_empty() {
                    "none is missing".to_owned()
                } else {
                    format!("missing: {}", lacking.join(", "))
                },
            ),
            check(
                "quorum",
                known(counted.has_quorum()),
                format!("certain yes and abstain of {} or more of {}", counted.quorum, counted.roll),
                format!("yes {} and abstain {}", counted.yes, counted.abstain),
            ),
            check(
                "approval",
                known(counted.is_approved()),
                format!(
                    "certain yes above {} % of yes and no, and above every other option",
                    counted.more_than_percent
                ),
                format!("yes {}, no {}, the next option {}", counted.yes, counted.no, counted.other),
            ),
        ]
    }

    /// What follows from the certificate, for what pays.
    fn checks_of_payment(&self, id: &ProposalId, proposal: &ProposalState) -> Vec<CheckDto> {
        let Some(from) = self.executable_from(id) else {
            let text = "none yet".to_owned();
            return vec![check("certificate", None, "a signature of the group".to_owned(), text)];
        };
        let at = self.decisions.certified_at.get(id).copied().unwrap_or_default();
        let mut checks = vec![check(
            "certificate",
            true,
            "a signature of the group".to_owned(),
            format!("first held here at height {at}"),
        )];
        if proposal.payable().is_some() {
            let (tip, end) = (self.tip_height(), from.saturating_add(WINDOW));
            let found = || format!("tip {tip}");
            checks.push(check("delay", tip >= from, format!("a tip of {from} or more"), found()));
            checks.push(check("expiry", tip <= end, format!("a tip of {end} at the most"), found()));
        }
        checks
    }

    fn voters(&self, proposal: &ProposalState, relative: Option<&Relative>) -> Vec<VoterDto> {
        let state = self.state();
        let members = state.members.keys().filter(|member| u32::from(state.weight(member)) > 0);
        members
            .map(|member| {
                let held = proposal.ballots.get(member);
                let counted =
                    relative.and_then(|all| all.voters.iter().find(|voter| voter.member == *member));
                let (counts, because) = match counted {
                    Some(voter) => self.counted(voter),
                    None => match held {
                        Some(held) if held.last && held.choice.is_for() => {
                            ("final yes", "it is marked final".to_owned())
                        }
                        Some(held) if held.choice.is_for() => {
                            ("nothing yet", "only a final yes decides".to_owned())
                        }
                        Some(_) => ("against", "whoever is not for it is not among the final yes".to_owned()),
                        None => ("nothing", "no ballot is here".to_owned()),
                    },
                };
                VoterDto {
                    member: self.name(member),
                    weight: u64::from(u32::from(state.weight(member))),
                    said: held.map(|held| {
                        format!(
                            "{}{} at height {}",
                            held.choice,
                            if held.last { ", final," } else { "" },
                            held.height
                        )
                    }),
                    counts: counts.to_owned(),
                    because,
                }
            })
            .collect()
    }

    /// What a vote counts as by the relative rule, and why.
    fn counted(&self, voter: &Voter) -> (&'static str, String) {
        let by = voter.via.map(|via| format!("{} votes for it; ", self.name(&via))).unwrap_or_default();
        let own = if voter.own { "our own statement and " } else { "" };
        let named = format!("{by}{own}{} statements name its ballot", voter.named_by);
        match voter.vote {
            Vote::Yes => ("certain yes", named),
            Vote::Abstain => ("certain abstain", named),
            Vote::Other => ("other options", named),
            Vote::No => ("no", format!("{by}a no is held, and no later ballot of it is certain")),
            Vote::Disputed => ("nothing: disputed", format!("{named}: too few, and it came too late for us")),
            Vote::Silent => ("nothing", "no ballot of it counts here".to_owned()),
        }
    }

    fn co_signers_on(&self, id: &ProposalId, proposal: &ProposalState) -> Vec<CoSignerDto> {
        let state = self.state();
        let subject =
            if proposal.decided().is_none() { Subject::Certificate(*id) } else { Subject::Payment(*id) };
        let last = self.last_report(&subject);
        let said = state.statements.get(&proposal.close);
        let co_signer = |member: &MemberId| CoSignerDto {
            member: self.name(member),
            connected: *member == self.me || self.peers.connected.contains_key(member),
            paused: state.members.get(member).is_some_and(|member| member.paused),
            stated: said.and_then(|all| all.get(member)).is_some_and(crdt::state::Statement::complete),
            refusal: last.and_then(|report| refusal_of(report, &self.name(member))),
        };
        state.co_signers.iter().map(co_signer).collect()
    }
}

fn refusal_of(report: &Ceremony, name: &str) -> Option<CheckDto> {
    let refusal = report.refusals.iter().find(|refusal| refusal.member == name)?;
    Some(check(&refusal.rule, Some(false), refusal.expected.clone(), refusal.found.clone()))
}
