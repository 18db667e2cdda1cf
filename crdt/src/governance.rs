//! What a guild decides, and how: proposals, ballots, and what makes a decision of them (§7).

mod ballot;
mod budget;
mod closing;
mod distribute;
mod epoch_change;
mod exit;
mod options;
mod passing;
mod proposal;
mod relative;
mod setting;
pub mod spend;
mod statement;
mod tally;
mod witness;

pub use ballot::{Approvals, Ballot, Choice};
pub use budget::{Budget, BudgetError, Disburse, DrawError};
pub use closing::{closes_due, statement};
pub use distribute::{Basis, Carried, Distribute, Work, divide, outputs};
pub use epoch_change::{EpochChange, EpochChangeError, RollEntry};
pub use exit::{Exit, exit_id};
pub use options::{OPTIONS_MAX, Options, OptionsError};
pub use passing::{Funds, Local, NotPassing, Passing, leaving, part_of, passing};
pub use proposal::{Class, Effect, EffectError, Proposal};
pub use relative::{PATIENCE, Relative, Vote, Voter, judged_from};
pub use setting::{Setting, SettingKey};
pub use spend::{Output, Payable, Spend, SpendError};
pub use statement::{CloseStatement, Seen};
pub use tally::Tally;
pub use witness::{is_held, witness};
