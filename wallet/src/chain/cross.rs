//! Two sources held against each other. The first drives the treasury. The second fills a treasury of its
//! own that nothing is paid from, and the two must show the same: the same best chain, the same
//! transactions in the same blocks with the same witnesses, and neither far behind. What they do not agree
//! on is named, and money waits (see [`Health::money`]).
//!
//! What the second treasury learns is for whoever runs this to store ([`Source::take_staged`]); without it
//! the second source tells everything again after a start, and money waits for that too.

use super::error::line;
use super::health::LAG_BLOCKS;
use super::{
    BroadcastError, ChainError, Disagreement, Health, News, Position, Progress, Source, SourceHealth, Tip,
};
use crate::treasury::{ChangeSet, Treasury};
use crate::view::View;
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, Transaction, Txid};
use crdt::treasury::GroupKey;
use crdt::{Charter, Height};

/// Two sources.
#[derive(Debug)]
pub struct Cross {
    first: Box<dyn Source>,
    second: Box<dyn Source>,
    charter: Charter,
    shadow: Option<(GroupKey, Treasury)>,
    /// What was stored of it.
    stored: Option<ChangeSet>,
    /// Whether the second source is to begin where the shadow stands, whatever it told before.
    anew: bool,
    tips: [Option<Tip>; 2],
    found: Vec<Disagreement>,
    compared: Option<(Looked, Vec<Disagreement>)>,
}

/// What a comparison looked at: both best blocks, and how much each knew.
type Looked = [(BlockHash, usize); 2];

impl Cross {
    /// `first` drives the treasury of `charter`, `second` checks it.
    #[must_use]
    pub fn new(first: Box<dyn Source>, second: Box<dyn Source>, charter: Charter) -> Self {
        let (shadow, stored, compared) = (None, None, None);
        Self {
            first,
            second,
            charter,
            shadow,
            stored,
            anew: true,
            tips: [None; 2],
            found: Vec::new(),
            compared,
        }
    }

    fn check_tips(&mut self) {
        let mut tips = [None; 2];
        for (tip, source) in tips.iter_mut().zip([&mut self.first, &mut self.second]) {
            match source.tip() {
                Ok(found) => *tip = Some(found),
                Err(error) => {
                    self.found.push(Disagreement::Silent { who: source.name(), why: line(&error) });
                }
            }
        }
        self.tips = tips;
        let [Some(first), Some(second)] = tips else { return };
        let (behind, blocks) = match first.height < second.height {
            true => (&self.first, second.height - first.height),
            false => (&self.second, first.height - second.height),
        };
        if blocks > LAG_BLOCKS {
            self.found.push(Disagreement::Behind { who: behind.name(), blocks });
        }
        self.check_chain(first.height.min(second.height));
    }

    /// Whether both have one block at the height that both have.
    fn check_chain(&mut self, height: Height) {
        match (self.first.block_hash(height), self.second.block_hash(height)) {
            (Ok(first), Ok(second)) if first != second => {
                self.found.push(Disagreement::Chain { height, first, second });
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) => {
                self.found.push(Disagreement::Silent { who: self.first.name(), why: line(&error) });
            }
            (_, Err(error)) => {
                self.found.push(Disagreement::Silent { who: self.second.name(), why: line(&error) });
            }
        }
    }

    /// The second treasury, as it was stored, or from nothing.
    fn shadow(&mut self, key: GroupKey) -> Result<Treasury, String> {
        if let Some((_, treasury)) = self.shadow.take().filter(|(known, _)| *known == key) {
            return Ok(treasury);
        }
        self.anew = true;
        let stored = self.stored.take().and_then(|stored| Treasury::load(&self.charter, key, stored).ok());
        stored.map_or_else(|| Treasury::create(&self.charter, key).map_err(|error| line(&error)), Ok)
    }

    /// Let the second source go on, and compare what both know.
    fn check_coins(&mut self, at: &Position) -> Result<(), String> {
        let mut treasury = self.shadow(at.key)?;
        let position = treasury.position();
        let news = match self.second.follow(&position, self.anew) {
            Ok(news) => news,
            Err(error) => {
                self.shadow = Some((at.key, treasury)); // it stands where it stood
                return Err(line(&error));
            }
        };
        self.anew = false;
        if news.more || self.second.progress().is_some() {
            self.found.push(Disagreement::Scanning { who: self.second.name() });
        }
        drop(position); // or the treasury would copy its view
        treasury.apply(news).map_err(|error| line(&error))?;
        let view = treasury.view();
        self.shadow = Some((at.key, treasury));
        let looked = [&at.view, &view].map(|view| (view.tip_hash(), view.transactions().count()));
        if self.compared.as_ref().is_none_or(|(before, _)| *before != looked) {
            let found = compare((&self.first.name(), &at.view), (&self.second.name(), &view));
            self.compared = Some((looked, found));
        }
        self.found.extend(self.compared.iter().flat_map(|(_, found)| found.clone()));
        Ok(())
    }
}

/// What two views, each with the name of its source, do not show alike up to the height that both have.
#[must_use]
pub fn compare(first: (&str, &View), second: (&str, &View)) -> Vec<Disagreement> {
    let height = first.1.tip().min(second.1.tip());
    let mut found = withheld(first.1, second, height);
    found.extend(withheld(second.1, first, height));
    found.dedup();
    found
}

/// What `shown` has in a block at or below `top`, and the other has not, or has otherwise.
fn withheld(shown: &View, (by, other): (&str, &View), top: Height) -> Vec<Disagreement> {
    let mut found = Vec::new();
    for (txid, seen) in shown.transactions() {
        let Some(height) = seen.height.filter(|height| *height <= top) else { continue };
        match other.transaction(txid) {
            Some(there) if there.height == Some(height) => {
                if there.transaction.compute_wtxid() != seen.transaction.compute_wtxid() {
                    found.push(Disagreement::Differs { txid: *txid });
                }
            }
            Some(there) if there.height.is_some_and(|there| there <= top) => {
                found.push(Disagreement::Differs { txid: *txid });
            }
            _ => found.push(Disagreement::Withheld { by: by.to_owned(), txid: *txid, height }),
        }
    }
    found
}

impl Source for Cross {
    fn name(&self) -> String {
        format!("{}, checked by {}", self.first.name(), self.second.name())
    }

    fn decides(&self) -> bool {
        self.found.is_empty()
    }

    fn tip(&mut self) -> Result<Tip, ChainError> {
        self.first.tip()
    }

    fn block_hash(&mut self, height: Height) -> Result<Option<BlockHash>, ChainError> {
        self.first.block_hash(height)
    }

    fn header(&mut self, hash: BlockHash) -> Result<Header, ChainError> {
        self.first.header(hash).or_else(|_| self.second.header(hash))
    }

    fn block(&mut self, hash: BlockHash) -> Result<Block, ChainError> {
        self.first.block(hash).or_else(|_| self.second.block(hash))
    }

    fn follow(&mut self, at: &Position, anew: bool) -> Result<News, ChainError> {
        let news = self.first.follow(at, anew)?;
        self.found.clear();
        self.check_tips();
        if let Err(why) = self.check_coins(at) {
            self.found.push(Disagreement::Silent { who: self.second.name(), why });
        }
        self.found.dedup();
        Ok(news)
    }

    fn progress(&self) -> Option<Progress> {
        self.first.progress()
    }

    fn estimate_fee(&mut self, target: u16) -> Result<Option<u64>, ChainError> {
        self.first.estimate_fee(target)
    }

    /// Both are told: either may keep it to itself.
    fn broadcast(&mut self, transaction: &Transaction) -> Result<Txid, BroadcastError> {
        let second = self.second.broadcast(transaction);
        match self.first.broadcast(transaction) {
            Err(BroadcastError::Chain(_)) => second,
            first => first,
        }
    }

    fn take_staged(&mut self) -> Option<ChangeSet> {
        self.shadow.as_mut().and_then(|(_, treasury)| treasury.take_staged())
    }

    fn remember(&mut self, stored: ChangeSet) {
        self.stored = Some(stored);
    }

    fn health(&mut self) -> Health {
        if self.shadow.is_none() {
            // before there is a treasury, tips are all there is to compare
            self.found.clear();
            self.check_tips();
        }
        let [first, second] = self.tips;
        let sources = [(&self.first, first), (&self.second, second)].map(|(source, tip)| SourceHealth {
            name: source.name(),
            tip,
            progress: source.progress(),
            decides: source.decides(),
        });
        Health { sources: sources.into(), disagreements: self.found.clone() }
    }
}

#[cfg(test)]
mod tests;
