//! What bitcoind proposes to mine on.

mod fit;
pub(crate) mod gbt;
pub(crate) mod source;

pub use fit::Cost;

use crate::job::{Head, subsidy};
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, BlockHash, CompactTarget, Network, ScriptBuf, Target, Transaction, Txid};
use fit::Load;
use hex::FromHex as _;
use serde::Deserialize;

/// A template, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The version bitcoind wants, with the bits of its deployments.
    pub version: u32,
    /// The tip to build on.
    pub previous: BlockHash,
    /// The height of the block to be.
    pub height: u32,
    /// The network's target, as headers spell it.
    pub bits: CompactTarget,
    /// The same, as a number.
    pub target: Target,
    /// The time a header should carry.
    pub time: u32,
    /// The earliest time a header may carry.
    pub least_time: u32,
    /// Subsidy and fees.
    pub value: Amount,
    /// The output script that commits to the witnesses.
    pub commitment: Option<ScriptBuf>,
    /// All but the coinbase, in order.
    pub transactions: Vec<Transaction>,
    /// Their ids.
    pub txids: Vec<Txid>,
    /// What each takes of the limits and gives in fees.
    pub(crate) loads: Vec<Load>,
    /// What a block may take in all.
    pub(crate) limit: Cost,
    /// What bitcoind knows this template by.
    pub longpoll_id: String,
}

/// A template that is not to be mined on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Not in the shape that is known here.
    #[error("the template cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// A field with nonsense in it.
    #[error("the template's {0} cannot be read")]
    Field(&'static str),
    /// A rule that this code does not follow.
    #[error("the template demands rule '{0}', which is not known here")]
    Rule(String),
    /// `bits` and `target` disagree.
    #[error("the template's bits and target differ")]
    Target,
}

#[derive(Debug, Deserialize)]
struct Raw {
    version: i32,
    previousblockhash: BlockHash,
    height: u32,
    bits: String,
    target: String,
    curtime: u32,
    mintime: u32,
    coinbasevalue: u64,
    default_witness_commitment: Option<String>,
    transactions: Vec<RawTransaction>,
    longpollid: String,
    #[serde(default = "fit::weight_limit")]
    weightlimit: u64,
    #[serde(default = "fit::sigop_limit")]
    sigoplimit: u64,
    #[serde(default)]
    rules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RawTransaction {
    data: String,
    #[serde(default)]
    fee: u64,
    #[serde(default)]
    sigops: u64,
}

/// Rules with a `!` that this code follows.
const RULES: [&str; 2] = ["segwit", "signet"];

impl Template {
    /// Read the answer of `getblocktemplate`.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] names what cannot be used.
    pub fn read(answer: serde_json::Value) -> Result<Self, TemplateError> {
        let raw: Raw = serde_json::from_value(answer)?;
        let must = raw.rules.iter().filter_map(|rule| rule.strip_prefix('!'));
        if let Some(rule) = must.into_iter().find(|rule| !RULES.contains(rule)) {
            return Err(TemplateError::Rule(rule.to_owned()));
        }
        let field = TemplateError::Field;
        let bits = CompactTarget::from_unprefixed_hex(&raw.bits).map_err(|_| field("bits"))?;
        let target = <[u8; 32]>::from_hex(&raw.target).map_err(|_| field("target"))?;
        let target = Target::from_be_bytes(target);
        if target != Target::from_compact(bits) {
            return Err(TemplateError::Target);
        }
        let commitment = raw.default_witness_commitment.as_deref().map(ScriptBuf::from_hex).transpose();
        let transactions = raw.transactions.iter().map(RawTransaction::read).collect::<Option<Vec<_>>>();
        let transactions = transactions.ok_or(field("transactions"))?;
        let load = |(raw, read): (&RawTransaction, &Transaction)| Load {
            cost: Cost { weight: read.weight().to_wu(), sigops: raw.sigops },
            fee: Amount::from_sat(raw.fee),
        };
        Ok(Self {
            loads: raw.transactions.iter().zip(&transactions).map(load).collect(),
            limit: Cost { weight: raw.weightlimit, sigops: raw.sigoplimit },
            version: u32::from_ne_bytes(raw.version.to_ne_bytes()),
            previous: raw.previousblockhash,
            height: raw.height,
            bits,
            target,
            time: raw.curtime,
            least_time: raw.mintime,
            value: Amount::from_sat(raw.coinbasevalue),
            commitment: commitment.map_err(|_| field("default_witness_commitment"))?,
            txids: transactions.iter().map(Transaction::compute_txid).collect(),
            transactions,
            longpoll_id: raw.longpollid,
        })
    }

    /// What it says of the header.
    #[must_use]
    pub const fn head(&self) -> Head {
        let Self { version, previous, bits, target, time, least_time, .. } = *self;
        Head { version, previous, bits, target, time, least_time }
    }

    /// A template without transactions on `tip`, at once, while bitcoind still makes one with them: that
    /// of the block after this one, when `tip` is a block of this one's height. None where the next
    /// block's bits cannot be known from this one's.
    #[must_use]
    pub fn empty_on(&self, tip: BlockHash, height: u32, network: Network, unix: u32) -> Option<Self> {
        const PERIOD: u32 = 2_016;
        let bits_vary = matches!(network, Network::Testnet | Network::Testnet4);
        let next = height.checked_add(1)?;
        if height != self.height || next % PERIOD == 0 || bits_vary {
            return None;
        }
        Some(Self {
            previous: tip,
            height: next,
            time: self.time.max(unix),
            // The median of the last eleven is hours behind; this template's time is after it.
            least_time: self.time,
            value: subsidy(next, network),
            commitment: None,
            transactions: Vec::new(),
            txids: Vec::new(),
            loads: Vec::new(),
            ..self.clone()
        })
    }

    /// The hashes that lead from the coinbase's txid to the merkle root, in hashing order.
    #[must_use]
    pub fn merkle_branch(&self) -> Vec<[u8; 32]> {
        let mut branch = Vec::new();
        let mut level: Vec<[u8; 32]> = self.txids.iter().map(|txid| txid.to_byte_array()).collect();
        // `level` is always a whole level of the tree without its first node.
        while let Some(first) = level.first().copied() {
            branch.push(first);
            let rest = level.split_off(1);
            let pair = |pair: &[[u8; 32]]| match pair {
                [left, right] => join(*left, *right),
                [odd] => join(*odd, *odd),
                _ => unreachable!("chunks of at most two"),
            };
            level = rest.chunks(2).map(pair).collect();
        }
        branch
    }
}

impl RawTransaction {
    fn read(&self) -> Option<Transaction> {
        deserialize(&Vec::from_hex(&self.data).ok()?).ok()
    }
}

/// The parent of two nodes of a merkle tree.
pub(crate) fn join(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both.iter_mut().zip(left.into_iter().chain(right)).for_each(|(to, from)| *to = from);
    bitcoin::hashes::sha256d::Hash::hash(&both).to_byte_array()
}
