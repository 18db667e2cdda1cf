//! A whole guild on one machine: real processes, driven only through their public command line.
//!
//! [`story::run`] is what `cargo demo` tells and what the end-to-end test asserts. Nothing imports this
//! package.

pub mod build;
pub mod guild;
pub mod narrate;
pub mod story;
