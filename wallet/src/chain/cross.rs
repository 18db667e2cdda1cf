//! Two sources held against each other. The first drives the treasury. The second fills a treasury of its
//! own that nothing is paid from, and the two must show the same: the same best chain, the same
//! transactions in the same blocks with the same witnesses, and neither far behind. What they do not agree
//! on is named, and money waits (see [`Health::money`]).
//!
//! The second treasury is not stored: after each start the second source tells everything again, and money
//! waits for that too.

use super::error::line;
use super::health::LAG_BLOCKS;
use super::{
    BroadcastError, ChainError, Disagreement, Health, News, Position, Progress, Source, SourceHealth, Tip,
};
use crate::treasury::Treasury;
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
    tips: [Option<Tip>; 2],
    found: Vec<Disagreement>,
    compared: Option<(Looked, Vec<Disagreement>)>,
}

/// What a comparison looked at: both best blocks, and how much each knew.
type Looked = [(BlockHash, usize); 2];

impl Cross {
    /// `first` drives the treasury of `charter`, `second` checks it.
    #[must_use]
    pub const fn new(first: Box<dyn Source>, second: Box<dyn Source>, charter: Charter) -> Self {
        Self { first, second, charter, shadow: None, tips: [None; 2], found: Vec::new(), compared: None }
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

    /// Let the second source go on, and compare what both know.
    fn check_coins(&mut self, at: &Position) -> Result<(), String> {
        let kept = self.shadow.take().filter(|(key, _)| *key == at.key);
        let anew = kept.is_none();
        let fresh = || Treasury::create(&self.charter, at.key).map_err(|error| line(&error));
        let (_, mut treasury) = kept.map_or_else(|| Ok((at.key, fresh()?)), Ok::<_, String>)?;
        let news = self.second.follow(&treasury.position(), anew).map_err(|error| line(&error));
        let applied = news.and_then(|news| {
            let more = news.more;
            treasury.apply(news).map(|()| more).map_err(|error| line(&error))
        });
        let view = treasury.view();
        match applied {
            Ok(more) => {
                self.shadow = Some((at.key, treasury));
                if more || self.second.progress().is_some() {
                    self.found.push(Disagreement::Scanning { who: self.second.name() });
                }
            }
            Err(why) => return Err(why),
        }
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
            self.shadow = None;
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
