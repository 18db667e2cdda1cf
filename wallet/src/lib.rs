//! The treasury: the coins under a guild's group key, payments built and checked, and the chain that
//! they live on.
//!
//! ```text
//! chain::Source ────news────> Treasury ──view()──> View ──> anchor::choose, lineage, settled
//!                                │                  ├────> spend::build    (the coordinator)
//!                        take_staged() ──> Store    ├────> policy::check   (every signer) ──> CheckedTx
//!                                                   └────> ledger, balance        │
//! chain::Source <───broadcast── Transaction <──finish── 64-byte signatures <──────┘
//! ```
//!
//! Everything but [`chain`] and [`store`] decides without opening anything: a [`View`] is a value, and
//! the same view gives the same answer. Money fails closed: what a view does not show is not spent.
//!
//! Seals and sweeps are built and checked here; which epoch follows is not decided here.
//! Section numbers in comments (§) refer to `docs/PROTOCOL.md`.

pub mod address;
pub mod alarm;
pub mod anchor;
#[cfg(test)]
mod attacks;
pub mod audit;
mod canonical;
pub mod chain;
mod error;
pub mod export;
pub mod fee;
pub mod finish;
pub mod ledger;
pub mod marker;
pub mod payee;
pub mod policy;
pub mod price;
pub mod recovery;
pub mod spend;
pub mod split;
pub mod store;
pub mod treasury;
pub mod view;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

pub use anchor::{Line, Lineage};
pub use bdk_wallet::chain::{BlockId, CheckPoint};
pub use error::Error;
pub use finish::finish;
pub use policy::{CheckedTx, Violation};
pub use spend::{Outline, Params, Purpose, Unsigned};
pub use store::Store;
pub use treasury::{ChangeSet, Treasury};
pub use view::{Balance, Coin, View};

/// Where a key lies below the group key: keychain (0 receives, 1 takes change), then index.
pub type Path = [u32; 2];
