//! The one error of this crate, for callers that do not tell its parts from each other.

/// What stops *us*. Verdicts on others are `Rejected` and `Outcome`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are no message.
    #[error(transparent)]
    Wire(#[from] crate::WireError),
    /// Something that is no key.
    #[error(transparent)]
    Key(#[from] crate::KeyError),
    /// A threshold that no key may have.
    #[error(transparent)]
    Threshold(#[from] crate::BadThreshold),
    /// A key generation that cannot begin.
    #[error(transparent)]
    Config(#[from] crate::dkg::BadConfig),
    /// A transcript that proves nothing.
    #[error(transparent)]
    Transcript(#[from] crate::dkg::BadTranscript),
    /// A request that cannot be signed.
    #[error(transparent)]
    Request(#[from] crate::sign::BadRequest),
    /// A sealed file that does not open.
    #[error(transparent)]
    Sealed(#[from] crate::sealed::SealError),
}
