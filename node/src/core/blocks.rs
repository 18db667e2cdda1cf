//! What the node thinks of its chain sources: whether the state may follow them, and whether money may.

use super::Node;
use crate::api::dto::Wait;
use crate::api::dto::treasury::{ChainDto, SourceDto};
use bitcoin::Network;
use crdt::ChainFacts;
use crdt::ProposalId;
use crdt::epoch::Sealed;
use crdt::state::Settled;
use std::collections::BTreeMap;
use threshold::Timestamp;
use threshold::sign::Refusal;
use wallet::chain::Health;

/// The chain sources, as they last were.
#[derive(Debug, Default)]
pub(super) struct Chain {
    health: Health,
    /// Why no source answers, if none does.
    lost: Option<String>,
    /// What had ended when the sources last agreed.
    agreed: BTreeMap<ProposalId, Settled>,
    /// The epochs that were sealed then.
    epochs: Vec<Sealed>,
    /// Whether they began or ceased to agree with their last answer.
    turned: bool,
}

impl Chain {
    pub(super) fn answered(&mut self, health: Health) {
        self.turned = self.health.decides() != health.decides();
        self.health = health;
        self.lost = None;
    }

    pub(super) fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    pub(super) const fn turned(&self) -> bool {
        self.turned
    }

    /// The facts as far as the sources may decide them.
    pub(super) fn agreed(&self, facts: ChainFacts) -> ChainFacts {
        if self.health.decides() {
            return facts;
        }
        ChainFacts { settled: self.agreed.clone(), epochs: self.epochs.clone(), ..facts }
    }

    /// These facts were told.
    pub(super) fn told(&mut self, facts: &ChainFacts) {
        if self.health.decides() {
            self.agreed.clone_from(&facts.settled);
            self.epochs.clone_from(&facts.epochs);
        }
    }

    /// Whether money may move on what the sources say, at Unix time `now`.
    fn money(&self, network: Network, now: u64) -> Result<(), String> {
        match &self.lost {
            Some(why) => Err(why.clone()),
            None => self.health.money(network, now),
        }
    }

    /// Whether the newest header is young, and told by sources that may decide (§7).
    pub(super) fn fresh(&self, network: Network, now: u64) -> bool {
        self.lost.is_none() && self.health.decides() && self.health.fresh(network, now)
    }
}

/// Unix seconds.
fn seconds(now: Timestamp) -> u64 {
    now.as_millis() / 1_000
}

impl Node {
    /// Whether this node may say what came in time (§7).
    pub(super) fn chain_fresh(&self) -> bool {
        self.chain.fresh(self.charter.network, seconds(self.now))
    }

    /// Money fails closed while the chain sources are silent, stale, disagree, or are one server that
    /// nobody checks.
    pub(super) fn check_chain(&self) -> Result<(), Refusal> {
        let money = self.chain.money(self.charter.network, seconds(self.now));
        money.map_err(|why| Refusal::new("chain sources", "sources that answer, agree and are fresh", why))
    }

    /// How the chain sources are.
    pub(super) fn chain_dto(&self) -> ChainDto {
        let now = seconds(self.now);
        let sources = self.chain.health.sources.iter().map(|source| SourceDto {
            name: source.name.clone(),
            height: source.tip.map(|tip| tip.height),
            block_hash: source.tip.map(|tip| tip.hash.to_string()),
            age_s: source.tip.map(|tip| now.saturating_sub(tip.time.into())),
            scanned: source.progress.map(|progress| progress.done),
            to_scan: source.progress.map(|progress| progress.of),
            decides_alone: source.decides,
        });
        ChainDto {
            sources: sources.collect(),
            disagreements: self.chain.health.disagreements.iter().map(ToString::to_string).collect(),
            fresh: self.chain_fresh(),
            money: self.chain.money(self.charter.network, now).err(),
        }
    }

    /// What the node waits for from its chain sources.
    pub(super) fn chain_waits(&self) -> Vec<Wait> {
        let wait =
            |what: String, todo: &str| Wait { what, missing: vec![], since_s: None, todo: todo.to_owned() };
        let now = seconds(self.now);
        let chain = &self.chain;
        if let Some(why) = &chain.lost {
            let todo =
                "check that it runs, and [bitcoind], [filters], [electrum] or [esplora] in config.toml";
            return vec![wait(format!("the chain source: {why}"), todo)];
        }
        if self.tip.is_none() {
            return vec![wait(
                "the first block of the chain source".to_owned(),
                "wait, or check config.toml",
            )];
        }
        let mut waits = Vec::new();
        for source in &chain.health.sources {
            let Some(progress) = source.progress else { continue };
            let what = format!("{}: looked at {} of {}", source.name, progress.done, progress.of);
            waits.push(wait(what, "wait: the treasury is read from the chain"));
        }
        for disagreement in &chain.health.disagreements {
            waits.push(wait(
                format!("money waits: {disagreement}"),
                "nothing is paid until both sources agree; see which of them is right",
            ));
        }
        if chain.health.disagreements.is_empty()
            && let Err(why) = chain.health.money(self.charter.network, now)
        {
            let todo = "nothing is paid on this node's word until then; see the chain sources in config.toml";
            waits.push(wait(format!("money waits: {why}"), todo));
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::BlockHash;
    use bitcoin::Txid;
    use bitcoin::hashes::Hash as _;
    use crdt::state::How;
    use wallet::chain::{Disagreement, SourceHealth, Tip};

    fn health(decides: bool, disagreements: Vec<Disagreement>) -> Health {
        let tip = Some(Tip { height: 5, hash: BlockHash::all_zeros(), time: 1_000 });
        let source = SourceHealth { name: "it".to_owned(), tip, progress: None, decides };
        Health { sources: vec![source], disagreements }
    }

    fn facts(settled: u8) -> ChainFacts {
        let settled = (0..settled).map(|number| {
            let ended = Settled { how: How::Paid, txid: Txid::all_zeros(), height: 1 };
            (ProposalId::from(crdt::EntryId(crdt::Digest([number; 32]))), ended)
        });
        ChainFacts {
            height: 5,
            block_hash: BlockHash::all_zeros(),
            settled: settled.collect(),
            epochs: vec![],
        }
    }

    #[test]
    fn a_lone_server_settles_nothing_and_a_disagreement_nothing_new() {
        let mut chain = Chain::default();
        assert_eq!(chain.agreed(facts(2)).settled.len(), 0, "nobody answered yet");
        chain.answered(health(false, vec![]));
        assert_eq!(chain.agreed(facts(2)).settled.len(), 0, "one server's word");
        chain.answered(health(true, vec![]));
        assert!(chain.turned());
        let told = chain.agreed(facts(1));
        assert_eq!(told.settled.len(), 1);
        chain.told(&told);
        chain.answered(health(true, vec![Disagreement::Scanning { who: "it".to_owned() }]));
        assert_eq!(chain.agreed(facts(2)).settled.len(), 1, "what both agreed on stays, nothing comes");
        assert_eq!(chain.agreed(facts(0)).settled.len(), 1);
        chain.answered(health(true, vec![]));
        assert_eq!(chain.agreed(facts(2)).settled.len(), 2);
    }

    #[test]
    fn what_is_silent_or_old_is_not_fresh_and_moves_no_money() {
        let mut chain = Chain::default();
        assert!(!chain.fresh(Network::Regtest, 1_000));
        chain.answered(health(true, vec![]));
        assert!(chain.fresh(Network::Bitcoin, 1_000) && chain.money(Network::Bitcoin, 1_000).is_ok());
        assert!(!chain.fresh(Network::Bitcoin, 9_000) && chain.money(Network::Bitcoin, 9_000).is_err());
        chain.lost("gone".to_owned());
        assert!(!chain.fresh(Network::Regtest, 1_000));
        assert_eq!(chain.money(Network::Regtest, 1_000), Err("gone".to_owned()));
    }
}
