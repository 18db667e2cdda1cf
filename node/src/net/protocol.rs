//! What nodes ask of each other, directly: versioned by the protocol's name, bounded, canonical postcard.

use crate::core::ask::Ask;
use crate::net::limits::{REQUEST_MAX, RESPONSE_MAX};
use crdt::sync::{Answer, Question};
use crdt::{Digest, EntryId};
use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use threshold::PartyId;
use threshold::sign::Refusal;

/// The protocol's name on the wire.
pub const NAME: StreamProtocol = StreamProtocol::new("/hashguild/node/3");

/// What a node asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The charter of the guild.
    Charter,
    /// Anti-entropy.
    Sync(Question),
    /// A message of a key generation ([`threshold::dkg::DkgMessage`]).
    Dkg(Vec<u8>),
    /// "Take a seat in this signing session."
    Commit {
        /// What is to be signed: the signer builds the request itself.
        ask: Ask,
        /// The session and the request ([`threshold::sign::Offer`]).
        offer: Vec<u8>,
        /// For a certificate: the entries that the coordinator's judgement rests on. The signer judges what
        /// it has and these together.
        witness: Vec<EntryId>,
    },
    /// "Give your shares" ([`threshold::sign::SigningPackage`]).
    Sign {
        /// What is to be signed.
        ask: Ask,
        /// The commitments of all seats.
        package: Vec<u8>,
    },
    /// "Give me the transcript of the key": it is public to members, and what rebuilds a lost share.
    Transcript,
    /// "These are the shares I gave in a session in which you gave yours, and no signature was seen"
    /// ([`threshold::sign::Shares`]).
    Given {
        /// Who led it.
        coordinator: PartyId,
        /// The shares.
        shares: Vec<u8>,
    },
    /// "Give me the checkpoint of this hash."
    Checkpoint(Digest),
    /// "All signatures of this sweep are here."
    Complete {
        /// Which: the receiver builds it itself.
        ask: Ask,
        /// 64 bytes for each input, one after another: a list of lists would cost many times what it is long.
        signatures: Vec<u8>,
    },
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The charter's bytes.
    Charter(Vec<u8>),
    /// Anti-entropy.
    Sync(Answer),
    /// Received.
    Taken,
    /// Commitments of the seat ([`threshold::sign::Commitments`]).
    Commitments(Vec<u8>),
    /// Signature shares of the seat ([`threshold::sign::Shares`]).
    Shares(Vec<u8>),
    /// No share, and why.
    Refused(Refusal),
    /// The asker has no right to this.
    NotAllowed,
    /// The transcript of the key ([`threshold::dkg::Transcript`]).
    Transcript(Vec<u8>),
    /// A checkpoint ([`crdt::Checkpoint`]).
    Checkpoint(Vec<u8>),
}

/// Reads and writes both, within bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Codec;

async fn read<T: DeserializeOwned>(io: &mut (impl AsyncRead + Unpin + Send), max: u64) -> io::Result<T> {
    let mut bytes = Vec::new();
    io.take(max + 1).read_to_end(&mut bytes).await?;
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    if bytes.len() as u64 > max {
        return Err(bad("message above the size limit"));
    }
    postcard::from_bytes(&bytes).map_err(|_| bad("message does not decode"))
}

async fn write(
    io: &mut (impl AsyncWrite + Unpin + Send),
    message: &(impl Serialize + Sync),
) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    io.write_all(&bytes).await?;
    io.close().await
}

impl libp2p::request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Request> {
        read(io, REQUEST_MAX).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Response> {
        read(io, RESPONSE_MAX).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()> {
        write(io, &request).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()> {
        write(io, &response).await
    }
}
