//! What a guild decides, and how: proposals, ballots, and what makes a decision of them (§7).

mod ballot;
mod budget;
mod distribute;
mod epoch_change;
mod exit;
mod proposal;
mod setting;
pub mod spend;
mod statement;
mod tally;

pub use ballot::{Ballot, Choice};
pub use budget::{Budget, BudgetError, Disburse, DrawError};
pub use distribute::{Basis, Distribute, Work, divide, outputs};
pub use epoch_change::{EpochChange, EpochChangeError, RollEntry};
pub use exit::{Exit, exit_id};
pub use proposal::{Class, Effect, EffectError, Proposal};
pub use setting::{Setting, SettingKey};
pub use spend::{Output, Payable, Spend, SpendError};
pub use statement::{CloseStatement, Seen};
pub use tally::{NotPassing, Passing, Tally, passing};
