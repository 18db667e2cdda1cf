//! The thread that talks to peers: what it hears lands in [`Shared`], which calls look at.

use super::highest;
use crate::chain::esplora::checked;
use crate::chain::{Progress, Tip, now};
use bdk_kyoto::bip157::chain::{BlockHeaderChanges, ChainState, IndexedHeader};
use bdk_kyoto::bip157::tokio::runtime::Runtime;
use bdk_kyoto::bip157::tokio::{self, time};
use bdk_kyoto::bip157::{
    Builder, Client, Event, HashCheckpoint, IndexedFilter, Requester, TrustedPeer, Warning,
};
use bdk_wallet::chain::CheckPoint;
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, Network, ScriptBuf};
use crdt::Height;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a peer may take to answer.
const RESPONSE: Duration = Duration::from_secs(20);
/// Seconds without a single header after which peers are looked for anew: none of them has our first block,
/// or none can be reached. Peers on loopback are there at once or never.
const SILENT_MAX: u64 = 60;
const SILENT_MAX_REGTEST: u64 = 10;
/// How often one block is asked for, each time of another peer, before the peers count as of no use.
const TRIES: u32 = 5;

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Shared {
    network: Network,
    start: HashCheckpoint,
    headers: BTreeMap<Height, Header>,
    /// Matches whose blocks are to be fetched.
    queued: BTreeMap<Height, BlockHash>,
    /// Blocks whose filters matched.
    pub(super) matched: BTreeMap<Height, Arc<Block>>,
    /// Filters are looked at up to here, and the blocks that matched are there.
    synced: Option<Height>,
    looked: Height,
    /// When it began, in Unix seconds.
    begun: u64,
    warning: Option<String>,
    ended: Option<String>,
}

impl Shared {
    pub(super) const fn new(network: Network, start: HashCheckpoint, begun: u64) -> Self {
        Self {
            network,
            start,
            headers: BTreeMap::new(),
            queued: BTreeMap::new(),
            matched: BTreeMap::new(),
            synced: None,
            looked: start.height,
            begun,
            warning: None,
            ended: None,
        }
    }

    /// The best chain's block at this height, as far as headers were read.
    pub(super) fn hash(&self, height: Height) -> Option<BlockHash> {
        if height == self.start.height {
            return Some(self.start.hash);
        }
        self.headers.get(&height).map(Header::block_hash)
    }

    fn tip_at(&self, height: Height) -> Option<Tip> {
        let time = self.headers.get(&height).map_or(0, |header| header.time);
        Some(Tip { height, hash: self.hash(height)?, time })
    }

    /// The best block, once all headers were read: filters are looked at after them.
    pub(super) fn best(&self) -> Option<Tip> {
        if self.synced.is_none() && self.looked == self.start.height {
            return None;
        }
        self.tip_at(self.headers.keys().next_back().copied().unwrap_or(self.start.height))
    }

    /// The block up to which everything is known.
    pub(super) fn synced(&self) -> Option<Tip> {
        self.tip_at(self.synced?)
    }

    /// What it does at the moment, in words.
    pub(super) fn standing(&self) -> String {
        let looking = "looking for peers that serve compact block filters".to_owned();
        if self.headers.is_empty() {
            self.warning.clone().unwrap_or(looking)
        } else {
            "reading headers".to_owned()
        }
    }

    /// Why it is of no use, if it is.
    fn ended(&self, now: u64) -> Option<String> {
        let patience = if self.network == Network::Regtest { SILENT_MAX_REGTEST } else { SILENT_MAX };
        let silent = self.headers.is_empty() && self.synced.is_none();
        let HashCheckpoint { height, hash } = self.start;
        let stuck = (silent && now >= self.begun.saturating_add(patience)).then(|| {
            let warning = self.warning.as_ref().map(|warning| format!(" ({warning})")).unwrap_or_default();
            format!("no peer shows a chain with block {hash} at height {height}{warning}")
        });
        self.ended.clone().or(stuck)
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        let top = self.headers.keys().next_back().copied().unwrap_or(self.start.height);
        let through = self.synced.is_some_and(|synced| synced >= top);
        (!through).then_some(Progress { done: self.looked, of: top })
    }

    /// The highest of the treasury's blocks that is in the best chain, and what is in the place of those
    /// above it. What lies below our first header cannot be told and is taken as it is.
    pub(super) fn fork(&self, from: &CheckPoint) -> (CheckPoint, BTreeMap<Height, BlockHash>) {
        let (base, above) = highest(from, |block| {
            block.height() < self.start.height || self.hash(block.height()) == Some(block.hash())
        });
        let instead = above.into_iter().filter_map(|height| Some((height, self.hash(height)?)));
        (base, instead.collect())
    }

    pub(super) fn forget_below(&mut self, height: Height) {
        self.matched = self.matched.split_off(&height);
    }

    fn connect(&mut self, IndexedHeader { height, header }: IndexedHeader) {
        self.headers.insert(height, header);
    }

    pub(super) fn headers(&mut self, changes: BlockHeaderChanges) {
        match changes {
            BlockHeaderChanges::Connected(header) => self.connect(header),
            BlockHeaderChanges::Reorganized { accepted, reorganized } => {
                for gone in &reorganized {
                    self.headers.remove(&gone.height);
                    self.queued.remove(&gone.height);
                    self.matched.remove(&gone.height);
                }
                let fork = reorganized.iter().map(|gone| gone.height).min().unwrap_or(self.start.height + 1);
                self.looked = self.looked.min(fork - 1);
                self.synced = self.synced.map(|synced| synced.min(fork - 1));
                accepted.into_iter().for_each(|header| self.connect(header));
            }
            BlockHeaderChanges::ForkAdded(_) => {}
        }
    }

    fn filter(&mut self, filter: &IndexedFilter, scripts: &[ScriptBuf]) {
        self.looked = self.looked.max(filter.height());
        if filter.contains_any(scripts.iter()) {
            self.queued.insert(filter.height(), filter.block_hash());
        }
    }

    /// Take a block that was asked for.
    fn block(&mut self, height: Height, hash: BlockHash, block: Block) -> Result<(), String> {
        checked(&block, hash, self.network)?;
        self.queued.remove(&height);
        if self.hash(height) == Some(hash) {
            self.matched.insert(height, Arc::new(block));
        }
        Ok(())
    }
}

/// The network part, as long as it is wanted.
#[derive(Debug)]
pub(super) struct Pump {
    shared: Arc<Mutex<Shared>>,
    scripts: Arc<Vec<ScriptBuf>>,
    requester: Requester,
    runtime: Option<Runtime>,
}

impl Pump {
    pub(super) fn start(
        network: Network,
        start: HashCheckpoint,
        peers: Vec<TrustedPeer>,
        agree: u8,
        scripts: Arc<Vec<ScriptBuf>>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("filters")
            .enable_all()
            .build()?;
        let mut builder = Builder::new(network)
            .chain_state(ChainState::Checkpoint(start))
            .required_peers(agree)
            .response_timeout(RESPONSE)
            .fetch_witness_data(); // how a coin was spent is read off its witness
        if !peers.is_empty() {
            builder = builder.add_peers(peers).whitelist_only();
        }
        if scripts.is_empty() {
            builder = builder.headers_only_sync();
        }
        let (node, client) = builder.build();
        let shared = Arc::new(Mutex::new(Shared::new(network, start, now())));
        let requester = client.requester.clone();
        let heard = Arc::clone(&shared);
        runtime.spawn(async move {
            let why = match node.run().await {
                Ok(()) => "stopped".to_owned(),
                Err(_) => format!(
                    "no peer can be reached that serves compact block filters and has block {} at height {}",
                    start.hash, start.height
                ),
            };
            lock(&heard).ended.get_or_insert(why);
        });
        runtime.spawn(hear(client, Arc::clone(&shared), Arc::clone(&scripts)));
        Ok(Self { shared, scripts, requester, runtime: Some(runtime) })
    }

    pub(super) fn watches(&self, scripts: &Arc<Vec<ScriptBuf>>) -> bool {
        Arc::ptr_eq(&self.scripts, scripts) || self.scripts == *scripts
    }

    pub(super) fn ended(&self) -> Option<String> {
        self.shared().ended(now())
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    pub(super) const fn requester(&self) -> &Requester {
        &self.requester
    }

    /// What `future` gives, unless it takes too long.
    pub(super) fn wait<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.runtime.as_ref()?.block_on(async { time::timeout(limit, future).await.ok() })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        drop(self.requester.shutdown());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Take what peers say into `shared`, until the network part ends.
async fn hear(client: Client, shared: Arc<Mutex<Shared>>, scripts: Arc<Vec<ScriptBuf>>) {
    let Client { requester, mut info_rx, mut warn_rx, mut event_rx } = client;
    loop {
        tokio::select! {
            event = event_rx.recv() => match event {
                None => return,
                Some(Event::ChainUpdate(changes)) => lock(&shared).headers(changes),
                Some(Event::IndexedFilter(filter)) => lock(&shared).filter(&filter, &scripts),
                Some(Event::FiltersSynced(update)) => {
                    if let Err(why) = fetch(&requester, &shared).await {
                        lock(&shared).ended.get_or_insert(why);
                        drop(requester.shutdown());
                        return;
                    }
                    let mut shared = lock(&shared);
                    shared.looked = update.tip.height;
                    shared.synced = Some(update.tip.height);
                }
            },
            Some(warning) = warn_rx.recv() => {
                if !matches!(warning, Warning::NeedConnections { .. } | Warning::EvaluatingFork) {
                    lock(&shared).warning = Some(warning.to_string());
                }
            }
            Some(_) = info_rx.recv() => {}
        }
    }
}

/// Fetch every block whose filter matched, lowest first.
async fn fetch(requester: &Requester, shared: &Mutex<Shared>) -> Result<(), String> {
    let mut tries = 0;
    loop {
        let next = lock(shared).queued.first_key_value().map(|(height, hash)| (*height, *hash));
        let Some((height, hash)) = next else { return Ok(()) };
        let why = match requester.get_block(hash).await {
            Ok(found) => match lock(shared).block(height, hash, found.block) {
                Ok(()) => {
                    tries = 0;
                    continue;
                }
                Err(why) => format!("a peer gives {why} that does not fit its header"),
            },
            Err(error) => error.to_string(),
        };
        tries += 1;
        if lock(shared).hash(height) != Some(hash) {
            lock(shared).queued.remove(&height); // the chain turned
        } else if tries >= TRIES {
            return Err(why);
        }
    }
}
