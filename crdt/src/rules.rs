//! How each class of actions is decided: part of the charter, changed by epochs only (§7).

use crate::Height;
use crate::governance::Class;
use crate::limits::PERIOD_MAX;
use serde::{Deserialize, Serialize};

/// The rules of a guild, by class of actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Words.
    pub text: ClassRule,
    /// Settings: one period for all of them.
    pub setting: ClassRule,
    /// Payments.
    pub spend: ClassRule,
    /// Payments to the members.
    pub distribute: ClassRule,
    /// Standing permissions to spend.
    pub budget: ClassRule,
    /// Changes of the guild itself.
    pub epoch: ClassRule,
    /// Vetoes: the fast class.
    pub cancel: ClassRule,
    /// Members who leave: no vote decides that.
    pub exit: ExitRule,
}

/// How one class of actions is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRule {
    /// By which rule. Whatever it says, final YES of the same share of the whole roll decide too.
    pub rule: Rule,
    /// By the relative rule: certain YES and abstentions weigh at least this share of the roll, in percent.
    pub quorum_percent: u8,
    /// YES must weigh more than this share, in percent (50…99): of the whole roll by the absolute rule, of
    /// YES and NO by the relative.
    pub more_than_percent: u8,
    /// Blocks from the proposal to its close.
    pub period: Height,
    /// Blocks between the certificate and what follows from it, for a veto.
    pub delay: Height,
    /// Above this amount in satoshis the absolute rule decides, whatever the rule of the class.
    pub cap_sat: Option<u64>,
}

/// The two ways to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Final YES outweigh a share of the whole roll. Assumes nothing about the network.
    Absolute,
    /// YES outweigh NO among those who vote, with a quorum. Assumes that no honest co-signer is cut off
    /// from all others for a day.
    Relative,
}

/// How members leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRule {
    /// Blocks from when a co-signer first saw the exit until it certifies it.
    pub cooling: Height,
    /// Blocks between the certificate and the payment.
    pub delay: Height,
}

/// Sets of rules to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Few people who know each other: a majority of all decides, at once.
    Family,
    /// A co-operative: those who vote decide small things, a majority of all the large ones, and there is
    /// time for a veto.
    CoOp,
    /// Other people's money: two thirds of all for whatever pays, and a long time for a veto.
    Fund,
}

/// Three days of blocks: the shortest time in which everybody looks at least once.
const THREE_DAYS: Height = 432;
/// A week of blocks.
const WEEK: Height = 1_008;
/// Satoshis above which a co-op asks for a majority of all.
const CO_OP_CAP_SAT: u64 = 5_000_000;

impl Rules {
    /// The same rule for every class, without a delay: settings, words and vetoes never have one.
    #[must_use]
    pub const fn all(rule: Rule, more_than_percent: u8, period: Height) -> Self {
        const fn copy(rule: Rule, more_than_percent: u8, period: Height) -> ClassRule {
            ClassRule { rule, quorum_percent: 50, more_than_percent, period, delay: 0, cap_sat: None }
        }
        Self {
            text: copy(rule, more_than_percent, period),
            setting: copy(rule, more_than_percent, period),
            spend: copy(rule, more_than_percent, period),
            distribute: copy(rule, more_than_percent, period),
            budget: copy(rule, more_than_percent, period),
            epoch: copy(rule, more_than_percent, period),
            cancel: copy(rule, more_than_percent, period),
            exit: ExitRule { cooling: period, delay: 0 },
        }
    }

    /// The rules of a preset for a guild whose grace is `grace` and which has `co_signers`.
    #[must_use]
    pub fn preset(preset: Preset, co_signers: usize, grace: Height) -> Self {
        let short = (3 * grace).max(THREE_DAYS);
        let veto = short + 2 * grace;
        let mut rules = Self::all(Rule::Absolute, 50, short.max(WEEK));
        rules.cancel.period = short;
        match preset {
            Preset::Family => rules.cancel.more_than_percent = 60,
            Preset::CoOp => {
                for class in [&mut rules.text, &mut rules.setting] {
                    *class = ClassRule { rule: Rule::Relative, quorum_percent: 33, ..class.clone() };
                }
                // Money by those who vote needs more than three co-signers (§7).
                let money = if co_signers > 3 { Rule::Relative } else { Rule::Absolute };
                let cap_sat = (co_signers > 3).then_some(CO_OP_CAP_SAT);
                for class in [&mut rules.spend, &mut rules.distribute, &mut rules.budget] {
                    *class = ClassRule { rule: money, delay: veto, cap_sat, ..class.clone() };
                }
                rules.cancel = ClassRule { more_than_percent: 60, ..rules.cancel };
                rules.epoch = ClassRule { more_than_percent: 60, delay: veto, ..rules.epoch };
                rules.exit = ExitRule { cooling: 2 * WEEK, delay: 0 };
            }
            Preset::Fund => {
                let money = [&mut rules.spend, &mut rules.distribute, &mut rules.budget, &mut rules.epoch];
                for class in money {
                    *class = ClassRule {
                        more_than_percent: 66,
                        delay: veto.max(WEEK),
                        period: 2 * WEEK,
                        ..class.clone()
                    };
                }
                rules.setting.more_than_percent = 60;
                rules.cancel.more_than_percent = 66;
                rules.exit = ExitRule { cooling: 6 * WEEK, delay: 0 };
            }
        }
        rules
    }

    /// The rule of a class; none for exits, which no vote decides.
    #[must_use]
    pub const fn of(&self, class: Class) -> Option<&ClassRule> {
        Some(match class {
            Class::Text => &self.text,
            Class::Setting => &self.setting,
            Class::Spend => &self.spend,
            Class::Distribute => &self.distribute,
            Class::Budget => &self.budget,
            Class::Epoch => &self.epoch,
            Class::Cancel => &self.cancel,
            Class::Exit => return None,
        })
    }

    /// Every class that a vote decides, with its rule.
    #[must_use]
    pub const fn classes(&self) -> [(Class, &ClassRule); 7] {
        [
            (Class::Text, &self.text),
            (Class::Setting, &self.setting),
            (Class::Spend, &self.spend),
            (Class::Distribute, &self.distribute),
            (Class::Budget, &self.budget),
            (Class::Epoch, &self.epoch),
            (Class::Cancel, &self.cancel),
        ]
    }

    /// Check the rules of a guild with `co_signers` and the grace that goes with them (§2, §7).
    ///
    /// # Errors
    ///
    /// The first rule broken, in words, and by which class.
    pub fn check(&self, co_signers: usize, grace: Height) -> Result<(), (Class, &'static str)> {
        for (class, rule) in self.classes() {
            rule.check(grace).map_err(|why| (class, why))?;
            let instant = matches!(class, Class::Text | Class::Setting | Class::Cancel);
            if instant && rule.delay != 0 {
                return Err((
                    class,
                    "words, settings and vetoes take effect with their certificate: no delay",
                ));
            }
            let vetoed_in_time = rule.delay == 0 || rule.delay > self.cancel.period + grace;
            if !vetoed_in_time {
                return Err((class, "a delay is longer than the period of a veto and the grace, or none"));
            }
            let money = matches!(class, Class::Spend | Class::Distribute | Class::Budget);
            if money && co_signers <= 3 && rule.rule == Rule::Relative {
                return Err((class, "with three co-signers or fewer money goes by the absolute rule"));
            }
            if rule.delay != 0
                && rule.rule == Rule::Relative
                && self.cancel.quorum_percent < rule.quorum_percent
            {
                return Err((Class::Cancel, "a veto has no lower quorum than what it can stop"));
            }
        }
        let ExitRule { cooling, delay } = self.exit;
        let exit = cooling >= 3 * grace && cooling <= PERIOD_MAX && delay <= PERIOD_MAX;
        if exit {
            Ok(())
        } else {
            Err((Class::Exit, "an exit cools for three times the grace, a year at most"))
        }
    }
}

impl ClassRule {
    fn check(&self, grace: Height) -> Result<(), &'static str> {
        let rules = [
            ((50..100).contains(&self.more_than_percent), "a decision needs more than 50 to 99 percent"),
            ((1..=100).contains(&self.quorum_percent), "a quorum is 1 to 100 percent"),
            (self.period >= 3 * grace, "a period is at least three times the grace"),
            (self.period <= PERIOD_MAX, "a period is at most 52,560 blocks"),
            (self.delay <= PERIOD_MAX, "a delay is at most 52,560 blocks"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(*why))
    }

    /// The rule for an action that moves `amount_sat`.
    #[must_use]
    pub fn rule_for(&self, amount_sat: Option<u64>) -> Rule {
        let large = amount_sat.zip(self.cap_sat).is_some_and(|(amount, cap)| amount > cap);
        if large { Rule::Absolute } else { self.rule }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Absolute => "absolute",
            Self::Relative => "relative",
        })
    }
}

impl std::fmt::Display for ClassRule {
    /// The rule in words, for whoever is about to agree to it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, quorum_percent, more_than_percent, period, delay, cap_sat } = self;
        match rule {
            Rule::Absolute => write!(f, "final yes of more than {more_than_percent} % of all weight")?,
            Rule::Relative => write!(
                f,
                "yes of more than {more_than_percent} % of yes and no, with yes and abstain of {quorum_percent} % or \
                 more of all weight"
            )?,
        }
        write!(f, ", within {period} blocks")?;
        if let Some(cap) = cap_sat.filter(|_| *rule == Rule::Relative) {
            write!(f, "; above {cap} sat final yes of more than {more_than_percent} % of all weight")?;
        }
        if *delay > 0 { write!(f, "; takes effect {delay} blocks after, if no veto comes") } else { Ok(()) }
    }
}
