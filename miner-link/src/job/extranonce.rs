//! The bytes of a coinbase that tell connections and attempts apart.

use hex::FromHex as _;

/// Bytes that tell connections apart: 65,536 of them at once. Two, so that the rest of a pool's
/// extranonce 2 is left to miners, even through two links.
pub const EXTRANONCE1: usize = 2;
/// Bytes that a miner counts through. Some firmware cannot use more than 8; 4 is what all can.
pub const EXTRANONCE2: usize = 4;
/// The same where pools are used: many leave four bytes for everything. It is the least that firmware
/// takes, and with nonce and version bits more than any device gets through within a job.
pub const EXTRANONCE2_LEAST: usize = 2;
/// The same for another link, which shares them out among miners of its own.
pub const EXTRANONCE2_OF_LINK: usize = EXTRANONCE1 + EXTRANONCE2;
/// Bytes of the room in our own coinbases: enough for another link.
pub const ROOM: usize = EXTRANONCE1 + EXTRANONCE2_OF_LINK;

/// What a miner counts through: two or four bytes, or six of another link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extranonce2 {
    bytes: [u8; EXTRANONCE2_OF_LINK],
    size: usize,
}

impl Extranonce2 {
    /// `size` bytes, at most [`EXTRANONCE2_OF_LINK`], all zero.
    #[must_use]
    pub fn zero(size: usize) -> Self {
        Self { bytes: [0; EXTRANONCE2_OF_LINK], size: size.min(EXTRANONCE2_OF_LINK) }
    }

    /// The bytes that exactly `size` pairs of hexadecimal digits stand for.
    #[must_use]
    pub fn from_hex(text: &str, size: usize) -> Option<Self> {
        let mut all = Self::zero(size);
        match size {
            EXTRANONCE2_LEAST => all.fill(&<[u8; EXTRANONCE2_LEAST]>::from_hex(text).ok()?),
            EXTRANONCE2 => all.fill(&<[u8; EXTRANONCE2]>::from_hex(text).ok()?),
            EXTRANONCE2_OF_LINK => all.fill(&<[u8; EXTRANONCE2_OF_LINK]>::from_hex(text).ok()?),
            _ => return None,
        }
        Some(all)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or(&self.bytes)
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.bytes.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
}

impl<const SIZE: usize> From<[u8; SIZE]> for Extranonce2 {
    fn from(bytes: [u8; SIZE]) -> Self {
        const { assert!(SIZE <= EXTRANONCE2_OF_LINK) };
        let mut all = Self::zero(SIZE);
        all.fill(&bytes);
        all
    }
}
