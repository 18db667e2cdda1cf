//! What can go wrong for the person at the keyboard: one clear line, and a documented exit code.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of failure, each with its exit code and stable name. The same on the command line, in the
/// HTTP API and in `guild help exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Something failed that no other code names.
    Failed,
    /// The request itself is malformed.
    Usage,
    /// What was named is not there.
    NotFound,
    /// The caller may not do this.
    NotAuthorised,
    /// A rule of the guild forbids it.
    Refused,
    /// It contradicts what is already so.
    Conflict,
    /// Too few signers or peers answered.
    NotEnoughSigners,
    /// The treasury does not hold enough.
    NotEnoughFunds,
    /// Coins left the treasury for nothing that was decided.
    Alarm,
    /// No daemon answers.
    Unreachable,
    /// Not now; later perhaps.
    TryAgain,
    /// The configuration is wrong.
    BadConfig,
}

/// Every code with its number and meaning, in order.
pub const CODES: [(Code, u8, &str); 12] = [
    (Code::Failed, 1, "it failed"),
    (Code::Usage, 2, "the command line is wrong"),
    (Code::NotFound, 3, "what was named does not exist"),
    (Code::NotAuthorised, 4, "not authorised"),
    (Code::Refused, 5, "refused by a rule of the guild (votes, time, amounts)"),
    (Code::Conflict, 6, "contradicts the present state"),
    (Code::NotEnoughSigners, 7, "too few signers or peers answered in time"),
    (Code::NotEnoughFunds, 8, "the treasury does not hold enough"),
    (Code::Alarm, 9, "an alarm: coins left the treasury for nothing that was decided"),
    (Code::Unreachable, 69, "the daemon, or bitcoind, cannot be reached"),
    (Code::TryAgain, 75, "not now: try again"),
    (Code::BadConfig, 78, "the configuration is wrong"),
];

impl Code {
    /// The process exit code.
    #[must_use]
    pub fn exit(self) -> u8 {
        CODES.iter().find(|(code, ..)| *code == self).map_or(1, |(_, exit, _)| *exit)
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn http(self) -> u16 {
        match self {
            Self::Failed | Self::BadConfig => 500,
            Self::Usage => 400,
            Self::NotFound => 404,
            Self::NotAuthorised => 401,
            Self::Refused | Self::NotEnoughFunds => 422,
            Self::Conflict | Self::Alarm => 409,
            Self::NotEnoughSigners | Self::Unreachable | Self::TryAgain => 503,
        }
    }
}

/// A failure in one line. In HTTP it is the problem document of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub code: Code,
    /// What failed and why, in one line.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// See [`Code::Usage`].
    pub fn usage(detail: impl fmt::Display) -> Self {
        Self::new(Code::Usage, detail.to_string())
    }

    /// See [`Code::NotFound`].
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// See [`Code::Conflict`].
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Code::Conflict, detail)
    }

    /// A failure to do `what`, because of `why`.
    pub fn because(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(Code::Failed, format!("{what}: {why}"))
    }
}

/// Result of everything a person can ask for.
pub type Outcome<T> = Result<T, Failure>;
