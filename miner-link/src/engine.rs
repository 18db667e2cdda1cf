//! Joins what is obeyed with what bitcoinds and pools propose, and makes jobs of the two.

use crate::contract::{Pairing, PolicyAnswer, PolicyStatus};
use crate::error::Error;
use crate::home::Home;
use crate::job::{Job, JobId, Marks, Offer, Payout, Route};
use crate::policy::{Held, Obeyed, Solo, Why, judge, recall};
use crate::shared::Shared;
use crate::template::Template;
use crate::template::gbt::Bitcoind;
use crate::upstream::check::View;
use crate::upstream::dial::Event;
use crate::upstream::pools::{Changed, Pools};
use crate::{node, template::source};
use bitcoin::{Network, Target};
use std::sync::Arc;
use tokio::sync::watch;
use tracing::{info, warn};

/// Seconds after which an unchanged template makes a job again, for its time's sake.
const SAME_TEMPLATE: u32 = 20;

/// What a link does, from moment to moment.
pub(crate) struct Engine {
    pub(crate) home: Home,
    pub(crate) pairing: Pairing,
    pub(crate) shared: Arc<Shared>,
    pub(crate) jobs: watch::Sender<Option<Offer>>,
    pub(crate) pools: Pools,
    bitcoinds: Vec<Bitcoind>,
    mark: Mark,
    obeyed: Obeyed,
    held: Option<Held>,
    /// What each bitcoind proposed last, if it is not in trouble.
    proposed: Vec<Option<(Network, Arc<Template>)>>,
    /// What was chosen of it last. It stays when all bitcoinds are in trouble.
    latest: Option<(Network, Arc<Template>)>,
    /// The bitcoind that proposed it.
    chosen: usize,
    agreed: Option<Agreed>,
    next_job: u32,
    /// The best hash that is on the disk.
    best: Option<Target>,
}

/// What distinguishes the coinbases of this link and this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) tag: [u8; 32],
    pub(crate) process: u32,
}

/// Blocks of ours that a bitcoind had nothing against.
#[derive(Debug)]
struct Agreed {
    payout: Payout,
    small: Option<Payout>,
    height: u32,
    bitcoind: usize,
}

impl Engine {
    /// Take up the policy that was obeyed before.
    pub(crate) fn new(
        home: Home,
        pairing: Pairing,
        shared: Arc<Shared>,
        bitcoinds: Vec<Bitcoind>,
        pools: Pools,
        mark: Mark,
    ) -> Result<Self, Error> {
        let held = home.held()?;
        let obeyed = recall(&pairing, held.as_ref());
        shared.update(|status| status.policy = PolicyStatus::from(&obeyed));
        let best = home.best();
        shared.surpass(best);
        let mut engine = Self {
            home,
            pairing,
            shared,
            jobs: watch::Sender::new(None),
            pools,
            proposed: bitcoinds.iter().map(|_| None).collect(),
            bitcoinds,
            mark,
            obeyed,
            held,
            latest: None,
            chosen: 0,
            agreed: None,
            next_job: 1,
            best,
        };
        engine.allow_pools();
        Ok(engine)
    }

    /// The node said something.
    pub(crate) async fn node(&mut self, report: node::Report) -> Result<(), Error> {
        let reachable = matches!(report, node::Report::Answer(_));
        self.shared.update(|status| {
            if status.node_reachable != reachable {
                info!(reachable, "the member's node");
            }
            status.node_reachable = reachable;
        });
        match report {
            node::Report::Answer(answer) => self.consider(&answer).await,
            node::Report::Silent(why) => {
                tracing::debug!(why, "the member's node does not answer");
                Ok(())
            }
        }
    }

    async fn consider(&mut self, answer: &PolicyAnswer) -> Result<(), Error> {
        let standing = self.held.as_ref().map(|held| held.standing);
        let judged = judge(&self.pairing, answer, standing);
        let refused = match &judged {
            Err(Why::Refused(refused)) => Some(refused.to_string()),
            _ => None,
        };
        self.shared.update(|status| {
            if let Some(why) = refused.as_ref().filter(|_| status.policy_refused != refused) {
                warn!(why, "policy refused");
            }
            status.policy_refused = refused;
        });
        match judged {
            Ok((solo, held)) => self.obey(solo, held).await,
            // Nothing that a node says takes away a policy that was obeyed.
            Err(_) if matches!(self.obeyed, Obeyed::Solo(_)) => Ok(()),
            Err(why) => {
                self.obeyed = Obeyed::Nothing(why);
                self.tell_policy();
                Ok(())
            }
        }
    }

    async fn obey(&mut self, solo: Solo, held: Held) -> Result<(), Error> {
        if self.held.as_ref() != Some(&held) {
            // Durable before any miner hashes for it, so that no restart goes back behind it (M1).
            self.home.hold(&held)?;
            self.held = Some(held);
        }
        let solo = Obeyed::Solo(Box::new(solo));
        if self.obeyed == solo {
            return Ok(());
        }
        self.obeyed = solo;
        self.tell_policy();
        self.allow_pools();
        // The template came before there was anybody to pay: nobody was asked about it yet.
        if let Some((network, template)) = self.latest.clone()
            && let Err(why) = self.consent(self.chosen, network, &template).await
        {
            self.trouble(why);
            return Ok(());
        }
        self.serve(true).await;
        Ok(())
    }

    fn trouble(&self, why: String) {
        warn!(why, "no job");
        self.shared.update(|status| status.job_trouble = Some(why));
    }

    /// No hash rate moves to a pool without a certificate that says so (M1).
    fn allow_pools(&mut self) -> Changed {
        self.pools.allow(matches!(&self.obeyed, Obeyed::Solo(solo) if solo.allows_pools()))
    }

    fn tell_policy(&self) {
        let policy = PolicyStatus::from(&self.obeyed);
        self.shared.update(|status| {
            if status.policy != policy {
                info!(?policy, "policy");
            }
            status.policy = policy;
        });
    }

    /// The bitcoind at this place said something.
    pub(crate) async fn template(&mut self, place: usize, report: source::Report) {
        let proposed = match report {
            source::Report::Trouble { reachable, why } => {
                warn!(why, "no template");
                self.shared.update(|status| {
                    status.bitcoind_reachable = reachable;
                    status.job_trouble = Some(why);
                });
                None
            }
            source::Report::Template(network, template) => Some((network, template)),
        };
        if let Some(slot) = self.proposed.get_mut(place) {
            *slot = proposed;
        }
        // The first that works is believed. When none does, what there was is mined on.
        let first = self.proposed.iter().position(Option::is_some);
        let chosen = first.and_then(|first| Some((first, self.proposed.get(first)?.clone()?)));
        if let Some((first, (network, template))) = chosen {
            self.propose(first, network, template).await;
        }
    }

    async fn propose(&mut self, place: usize, network: Network, template: Arc<Template>) {
        self.shared.update(|status| {
            status.bitcoind_reachable = true;
            status.height = Some(template.height);
        });
        let known = self.latest.as_ref().map(|(_, known)| known);
        let clean = known.is_none_or(|known| known.previous != template.previous);
        let same = known.is_some_and(|known| {
            known.txids == template.txids && template.time.abs_diff(known.time) < SAME_TEMPLATE
        });
        if !clean && same && self.jobs.borrow().is_some() {
            return;
        }
        if let Err(why) = self.consent(place, network, &template).await {
            self.trouble(why);
            return;
        }
        self.shared.update(|status| status.job_trouble = None);
        (self.latest, self.chosen) = (Some((network, template)), place);
        let view = self.view();
        let changed = self.pools.look(view.as_ref());
        if changed == Changed::Work || self.pools.job().is_none() {
            self.serve(clean).await;
        }
    }

    /// A pool said something.
    pub(crate) async fn pool(&mut self, heard: (Route, Event)) {
        let (view, id) = (self.view(), self.job_id());
        if self.pools.take(heard, view.as_ref(), id) == Changed::Work {
            self.serve(false).await;
        }
    }

    /// Time passed.
    pub(crate) async fn tick(&mut self) {
        self.keep_best();
        let view = self.view();
        if self.pools.look(view.as_ref()) == Changed::Work {
            self.serve(false).await;
        }
    }

    /// Give miners what there is to mine: a pool's work if one is in use, else our own.
    async fn serve(&mut self, clean: bool) {
        let offer = match self.pools.job() {
            Some(job) => Ok(Some(Offer::from(job))),
            None => self.own(clean),
        };
        match offer {
            Ok(Some(offer)) => {
                let job = offer.job();
                tracing::debug!(job = %job.id, pool = job.pool(), clean, "job");
                self.shared.update(|status| status.jobs += 1);
                self.jobs.send_replace(Some(offer));
            }
            Ok(None) => {}
            Err(why) => self.trouble(why),
        }
        // Not a moment before the miners have it.
        tokio::task::yield_now().await;
    }

    /// Make jobs of the latest template, if there is a policy to obey.
    fn own(&mut self, clean: bool) -> Result<Option<Offer>, String> {
        let (Obeyed::Solo(solo), Some((network, template))) = (&self.obeyed, &self.latest) else {
            return Ok(None);
        };
        let (solo, network, template) = (solo.clone(), *network, template.clone());
        right_chain(&solo, network)?;
        self.offer(&solo, network, &template, clean).map(Some)
    }

    /// One job for each coinbase that the policy wants made of `template`.
    fn offer(
        &mut self,
        solo: &Solo,
        network: Network,
        template: &Arc<Template>,
        clean: bool,
    ) -> Result<Offer, String> {
        let marks = self.marks(network);
        let mut make = |payout: &Payout| {
            let job = Job::new(self.job_id(), template.clone(), payout, &marks, clean);
            job.map(Arc::new).map_err(|error| error.to_string())
        };
        Ok(Offer::new(make(&solo.payout)?, solo.small.as_ref().map(make).transpose()?))
    }

    /// Once for each coinbase, and whenever heights do not follow each other: one that bitcoind would
    /// refuse costs nobody any work.
    async fn consent(
        &mut self,
        place: usize,
        network: Network,
        template: &Arc<Template>,
    ) -> Result<(), String> {
        let Obeyed::Solo(solo) = &self.obeyed else { return Ok(()) };
        let solo = solo.clone();
        right_chain(&solo, network)?;
        let follows = |agreed: &Agreed| {
            let by_one = template.height.checked_sub(agreed.height).is_some_and(|step| step <= 1);
            let same = agreed.payout == solo.payout && agreed.small == solo.small;
            by_one && same && agreed.bitcoind == place
        };
        if !self.agreed.as_ref().is_some_and(follows) {
            let bitcoind = self.bitcoinds.get(place).cloned().ok_or("no such bitcoind")?;
            let drafts = self.offer(&solo, network, template, true)?;
            for job in drafts.jobs() {
                ask_whether_fine(bitcoind.clone(), job).await?;
            }
        }
        let Solo { payout, small, .. } = *solo;
        self.agreed = Some(Agreed { payout, small, height: template.height, bitcoind: place });
        Ok(())
    }

    /// A record of a farm outlives the process. The disk may refuse it: shares matter more.
    fn keep_best(&mut self) {
        let best = self.shared.best();
        if best != self.best {
            self.best = best;
            if let Some(Err(error)) = best.map(|best| self.home.keep_best(best)) {
                warn!(%error, "the best share is not kept");
            }
        }
    }

    fn view(&self) -> Option<View> {
        self.latest.as_ref().map(|(network, template)| View::of(template, *network))
    }

    fn marks(&self, network: Network) -> Marks {
        Marks { tag: self.mark.tag, process: self.mark.process, network }
    }

    fn job_id(&mut self) -> JobId {
        let id = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        id
    }
}

fn right_chain(solo: &Solo, network: Network) -> Result<(), String> {
    if network == solo.network {
        return Ok(());
    }
    Err(format!("bitcoind is on {network}, and the guild lives on {}", solo.network))
}

async fn ask_whether_fine(bitcoind: Bitcoind, job: &Job) -> Result<(), String> {
    let Some(draft) = job.draft() else { return Ok(()) };
    let asked = tokio::task::spawn_blocking(move || bitcoind.objection(&draft)).await;
    match asked.map_err(|error| error.to_string())? {
        Ok(None) => Ok(()),
        Ok(Some(objection)) => Err(format!("bitcoind would refuse our block: {objection}")),
        Err(error) => Err(error.to_string()),
    }
}
