//! The treasury's wallet: which outputs of the chain are the guild's.
//!
//! [`bdk_wallet`] indexes, and nothing else: it never holds a private key, builds a transaction or picks
//! a coin. What it learns is staged; the caller stores [`Treasury::take_staged`] when it likes, because
//! Bitcoin gives all of it back.

mod change;
mod follow;
mod scripts;
mod seals;
mod source;

pub use change::ChangeSet;
pub use seals::{SEAL, SealCoin, SealSpend};

use crate::Path;
use crate::canonical::Canonical;
use crate::view::{Balance, First, View};
use bdk_wallet::chain::{BlockId, CheckPoint};
use bdk_wallet::miniscript::Descriptor;
use bdk_wallet::{KeychainKind, Wallet};
use bitcoin::hashes::Hash as _;
use bitcoin::{Address, Block, BlockHash, Network, OutPoint, Script, ScriptBuf, Transaction, Txid};
use crdt::treasury::{GroupKey, descriptor};
use crdt::{Charter, Height};
use seals::SealKey;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// External addresses that every node watches. Equal on all nodes, so that all see the same coins;
/// what pays an address beyond is nobody's until a later version looks there.
pub const ADDRESSES: u32 = 1_000;
/// The index of the address that mining pays to.
pub const MINING: u32 = 0;
/// The keychain and index of all change.
pub const CHANGE: Path = [1, 0];
/// Scripts that the index keeps beyond the revealed ones. None are used.
pub(crate) const LOOKAHEAD: u32 = 1;

/// The coins under one group key.
#[derive(Debug)]
pub struct Treasury {
    pub(crate) wallet: Wallet,
    key: GroupKey,
    seal: SealKey,
    /// Every output to the seal's script that was ever seen.
    seal_coins: BTreeSet<OutPoint>,
    birth: Height,
    scripts: Arc<Vec<ScriptBuf>>,
    /// What counts of what the wallet knows.
    canonical: Canonical,
    /// What the wallet learnt and nobody has taken to be stored.
    staged: ChangeSet,
    /// Scripts that coins are at, as the descriptor has them: looking them up takes a derivation.
    own: HashMap<ScriptBuf, (Path, [u8; 32])>,
    view: View,
    touched: BTreeSet<Txid>,
}

/// Why there is no such treasury, or why it does not move on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreasuryError {
    /// The charter and the key give no descriptor.
    #[error("charter and group key give no treasury")]
    Descriptor(#[source] bdk_wallet::descriptor::DescriptorError),
    /// What was stored is of another treasury, or incomplete.
    #[error("what is stored is not of this treasury")]
    Stored(#[source] bdk_wallet::LoadError),
    /// Nothing was stored.
    #[error("nothing of this treasury is stored")]
    Empty,
    /// The block does not follow any block that is known.
    #[error("block {height} does not connect to what is known")]
    Connect {
        /// Its height.
        height: Height,
        /// What does not fit.
        #[source]
        source: bdk_wallet::chain::local_chain::ApplyHeaderError,
    },
    /// The chain of a delta does not follow from what is known.
    #[error("the new chain does not connect to what is known")]
    Delta(#[from] bdk_wallet::chain::local_chain::CannotConnectError),
}

impl Treasury {
    /// An empty treasury at the genesis block of the charter's network.
    ///
    /// # Errors
    ///
    /// [`TreasuryError::Descriptor`] for a charter that was never checked.
    pub fn create(charter: &Charter, key: GroupKey) -> Result<Self, TreasuryError> {
        let params = Wallet::create_from_two_path_descriptor(descriptor(charter, key));
        let params = params.network(charter.network).lookahead(LOOKAHEAD);
        let mut wallet = params.create_wallet_no_persist().map_err(TreasuryError::Descriptor)?;
        let staged = ChangeSet::from(wallet.take_staged().unwrap_or_default());
        let mut treasury = Self::load(charter, key, staged.clone())?;
        let scripts = std::mem::replace(&mut treasury.staged, staged);
        treasury.staged.merge(scripts);
        Ok(treasury)
    }

    /// The treasury as it was stored.
    ///
    /// # Errors
    ///
    /// [`TreasuryError::Empty`] or [`TreasuryError::Stored`]; the remedy is [`Treasury::create`] and a
    /// new walk along the chain.
    pub fn load(charter: &Charter, key: GroupKey, mut stored: ChangeSet) -> Result<Self, TreasuryError> {
        let scripts = scripts::fill(&mut stored.wallet);
        let params = Wallet::load().two_path_descriptor(descriptor(charter, key));
        let params = params.check_network(charter.network).lookahead(LOOKAHEAD).use_spk_cache(true);
        let wallet = params.load_wallet_no_persist(stored.wallet).map_err(TreasuryError::Stored)?;
        let mut treasury = Self::of(wallet.ok_or(TreasuryError::Empty)?, charter, key)?;
        treasury.staged.merge(scripts.into());
        treasury.view.first = Arc::new(stored.first.unwrap_or_default());
        Ok(treasury)
    }

    fn of(wallet: Wallet, charter: &Charter, key: GroupKey) -> Result<Self, TreasuryError> {
        let seal = SealKey::of(charter, key)?;
        let [_, change] = CHANGE;
        let change_script = wallet.peek_address(KeychainKind::Internal, change).address.script_pubkey();
        let mut treasury = Self {
            view: View::new(charter.id(), wallet.latest_checkpoint().block_id(), change_script),
            scripts: Arc::new(source::scripts(&wallet).into_iter().chain([seal.script.clone()]).collect()),
            seal,
            seal_coins: BTreeSet::new(),
            wallet,
            key,
            birth: charter.birth.height,
            canonical: Canonical::default(),
            staged: ChangeSet::default(),
            own: HashMap::new(),
            touched: BTreeSet::new(),
        };
        treasury.catch_up();
        treasury.show_left_alone();
        Ok(treasury)
    }

    /// Take the next block, or the first of a branch that replaces known blocks.
    ///
    /// # Errors
    ///
    /// [`TreasuryError::Connect`] if neither its predecessor nor `connected_to` is known; nothing changed.
    pub fn apply_block(
        &mut self,
        block: &Block,
        height: Height,
        connected_to: BlockId,
    ) -> Result<(), TreasuryError> {
        let applied = self.wallet.apply_block_connected_to(block, height, connected_to);
        applied.map_err(|source| TreasuryError::Connect { height, source })?;
        self.keep_seals(block, height);
        self.follow();
        if !self.view.first.is_below(height) {
            self.look_for_first(First::of_block(block, height, |output| self.path(&output.script_pubkey)));
        }
        Ok(())
    }

    /// Take what is in the mempool, with the Unix time it was seen at, and forget what left it. Display
    /// and the building of payments follow it; nothing is ever settled by it.
    pub fn apply_mempool(
        &mut self,
        seen: impl IntoIterator<Item = (Arc<Transaction>, u64)>,
        evicted: impl IntoIterator<Item = (Txid, u64)>,
    ) {
        self.evict(evicted);
        let seen: Vec<(Arc<Transaction>, u64)> = seen.into_iter().collect();
        self.keep_waiting_seals(&seen);
        self.wallet.apply_unconfirmed_txs(seen);
        self.follow();
    }

    /// What changed since the last call, to be stored.
    pub fn take_staged(&mut self) -> Option<ChangeSet> {
        Some(std::mem::take(&mut self.staged)).filter(|staged| !staged.is_empty())
    }

    /// The transactions that came, moved or went since the last call: what is derived from a view can
    /// follow it by them.
    pub fn take_touched(&mut self) -> BTreeSet<Txid> {
        std::mem::take(&mut self.touched)
    }

    /// The network its coins live on.
    #[must_use]
    pub fn network(&self) -> Network {
        self.wallet.network()
    }

    /// The height of the best block, and the block.
    #[must_use]
    pub fn tip(&self) -> (Height, BlockHash) {
        let tip = self.wallet.latest_checkpoint();
        (tip.height(), tip.hash())
    }

    /// Where a chain source takes up the thread.
    #[must_use]
    pub fn checkpoint(&self) -> CheckPoint {
        self.wallet.latest_checkpoint()
    }

    /// The first block that can contain a coin of this guild.
    #[must_use]
    pub const fn birth(&self) -> Height {
        self.birth
    }

    /// The hash of the best chain's block at `height`, if this treasury went through it.
    #[must_use]
    pub fn block_hash(&self, height: Height) -> Option<BlockHash> {
        self.canonical.block_hash(height)
    }

    /// The transactions that were in the mempool when we last looked.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<Arc<Transaction>> {
        self.canonical.unconfirmed().filter_map(|txid| self.wallet.tx_graph().get_tx(txid)).collect()
    }

    /// BDK's wallet, to measure ours beside.
    #[cfg(any(test, feature = "testkit"))]
    pub(crate) const fn bdk(&mut self) -> &mut Wallet {
        &mut self.wallet
    }

    /// Every transaction that was ever seen to spend `outpoint`, replaced ones included.
    #[must_use]
    pub fn spends_of(&self, outpoint: OutPoint) -> Vec<Arc<Transaction>> {
        let graph = self.wallet.tx_graph();
        graph.outspends(outpoint).iter().filter_map(|txid| graph.get_tx(*txid)).collect()
    }

    /// The receiving address number `index`: [`MINING`], or one for each contributor from 1 on. None
    /// from [`ADDRESSES`] on, where nobody would see the coins.
    #[must_use]
    pub fn address(&self, index: u32) -> Option<Address> {
        let watched = index < ADDRESSES;
        watched.then(|| self.wallet.peek_address(KeychainKind::External, index).address)
    }

    /// The script at `path`. None beyond what is watched.
    #[must_use]
    pub fn script(&self, path: Path) -> Option<ScriptBuf> {
        let (keychain, index) = keychain(path)?;
        Some(self.wallet.peek_address(keychain, index).address.script_pubkey())
    }

    /// The root of the script tree at `path`, which tweaks the key that signs. None beyond what is
    /// watched.
    #[must_use]
    pub fn merkle_root(&self, path: Path) -> Option<[u8; 32]> {
        let (keychain, index) = keychain(path)?;
        let descriptor = self.wallet.public_descriptor(keychain);
        match descriptor.derived_descriptor(self.wallet.secp_ctx(), index).ok()? {
            Descriptor::Tr(tree) => Some(tree.spend_info().merkle_root()?.to_byte_array()),
            _ => None,
        }
    }

    /// What it holds.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.view.balance()
    }

    /// Everything that decisions about money need, at the best block.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    fn path(&self, script: &Script) -> Option<Path> {
        if let Some((path, _)) = self.own.get(script) {
            return Some(*path);
        }
        let (keychain, index) = self.wallet.derivation_of_spk(script.to_owned())?;
        let path = match keychain {
            KeychainKind::External => [0, index],
            KeychainKind::Internal => [1, index],
        };
        watched(path).then_some(path)
    }
}

/// Whether all nodes watch this path.
const fn watched(path: Path) -> bool {
    match path {
        [0, index] => index < ADDRESSES,
        _ => path[0] == CHANGE[0] && path[1] == CHANGE[1],
    }
}

fn keychain(path: Path) -> Option<(KeychainKind, u32)> {
    let [keychain, index] = path;
    let keychain = if keychain == 0 { KeychainKind::External } else { KeychainKind::Internal };
    watched(path).then_some((keychain, index))
}

#[cfg(test)]
mod tests;
