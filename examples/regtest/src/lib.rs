//! A real bitcoind for the demo and the tests: where it comes from, and how to run it on regtest.
//!
//! [`provide`] finds a `bitcoind` or builds one out of a source tree that `Cargo.lock` pins with a
//! checksum. [`Bitcoind`] runs it. [`keeper`] is the program that every child of the demo and the
//! tests runs under, so that none of them outlives its owner, however that one ends.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use regtest::{Bitcoind, Keeper, Kept, Options, Provide, provide, to_stderr};
//!
//! let binaries = provide(&Provide { install: true, progress: &to_stderr })?;
//! let keeper = Keeper::find()?;
//! let node = Bitcoind::start(&keeper, &binaries.bitcoind, &Options::new("chain"))?;
//! assert_eq!(node.height()?, 0);
//!
//! let mut command = keeper.command("sleep");
//! command.arg("600");
//! let mut other = Kept::spawn(command)?;
//! other.pause()?;
//! other.stop()?;
//! node.stop()?;
//! # Ok(())
//! # }
//! ```

pub mod keeper;

mod bitcoind;
mod build;
mod cache;
mod clock;
mod kept;
mod provide;
mod rpc;
mod step;
mod tools;

pub use bitcoind::{Bitcoind, Options};
pub use kept::{Keeper, Kept};
pub use provide::{Binaries, Provide, provide, to_stderr};
pub use rpc::Rpc;
