//! Joins what is obeyed with what bitcoind proposes, and makes jobs of the two.

use crate::contract::{Pairing, PolicyAnswer, PolicyStatus};
use crate::error::Error;
use crate::home::Home;
use crate::job::{Job, JobId, Marks};
use crate::policy::{Held, Obeyed, Solo, Why, judge, recall};
use crate::shared::Shared;
use crate::template::Template;
use crate::template::gbt::Bitcoind;
use crate::{node, template::source};
use bitcoin::{Network, ScriptBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tracing::{info, warn};

/// Seconds after which an unchanged template makes a job again, for its time's sake.
const SAME_TEMPLATE: u32 = 20;

/// What a link does, from moment to moment.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) home: Home,
    pub(crate) pairing: Pairing,
    pub(crate) shared: Arc<Shared>,
    pub(crate) bitcoind: Bitcoind,
    pub(crate) jobs: watch::Sender<Option<Arc<Job>>>,
    tag: [u8; 32],
    process: u32,
    obeyed: Obeyed,
    held: Option<Held>,
    latest: Option<(Network, Arc<Template>)>,
    /// The script for which bitcoind has agreed to a block of ours.
    agreed: Option<ScriptBuf>,
    next_job: u32,
}

/// What distinguishes the coinbases of this link and this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) tag: [u8; 32],
    pub(crate) process: u32,
}

impl Engine {
    /// Take up the policy that was obeyed before.
    pub(crate) fn new(
        home: Home,
        pairing: Pairing,
        shared: Arc<Shared>,
        bitcoind: Bitcoind,
        mark: Mark,
    ) -> Result<Self, Error> {
        let held = home.held()?;
        let obeyed = recall(&pairing, held.as_ref());
        shared.update(|status| status.policy = PolicyStatus::from(&obeyed));
        let Mark { tag, process } = mark;
        let jobs = watch::Sender::new(None);
        let (latest, agreed, next_job) = (None, None, 1);
        Ok(Self {
            home,
            pairing,
            shared,
            bitcoind,
            jobs,
            tag,
            process,
            obeyed,
            held,
            latest,
            agreed,
            next_job,
        })
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
        self.work(true).await;
        Ok(())
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

    /// bitcoind said something.
    pub(crate) async fn template(&mut self, report: source::Report) {
        match report {
            source::Report::Trouble { reachable, why } => {
                warn!(why, "no template");
                self.shared.update(|status| {
                    status.bitcoind_reachable = reachable;
                    status.job_trouble = Some(why);
                });
            }
            source::Report::Template(network, template) => {
                self.shared.update(|status| {
                    status.bitcoind_reachable = true;
                    status.height = Some(template.height);
                    status.job_trouble = None;
                });
                let known = self.latest.as_ref().map(|(_, known)| known);
                let clean = known.is_none_or(|known| known.previous != template.previous);
                let same = known.is_some_and(|known| {
                    known.txids == template.txids && template.time.abs_diff(known.time) < SAME_TEMPLATE
                });
                if clean || !same || self.jobs.borrow().is_none() {
                    self.latest = Some((network, template));
                    self.work(clean).await;
                }
            }
        }
    }

    /// Make a job of the latest template, if there is a policy to obey.
    async fn work(&mut self, clean: bool) {
        let (Obeyed::Solo(solo), Some((network, template))) = (&self.obeyed, &self.latest) else { return };
        let solo = solo.clone();
        let made = self.make(&solo, *network, template.clone(), clean).await;
        match made {
            Ok(job) => {
                let job = Arc::new(job);
                tracing::debug!(job = %job.id, height = job.template.height, clean, "job");
                self.shared.update(|status| status.jobs += 1);
                self.jobs.send_replace(Some(job));
            }
            Err(why) => {
                warn!(why, "no job");
                self.shared.update(|status| status.job_trouble = Some(why));
            }
        }
    }

    async fn make(
        &mut self,
        solo: &Solo,
        network: Network,
        template: Arc<Template>,
        clean: bool,
    ) -> Result<Job, String> {
        if network != solo.network {
            return Err(format!("bitcoind is on {network}, and the guild lives on {}", solo.network));
        }
        let id = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        let marks = Marks { tag: self.tag, process: self.process, network };
        let job = Job::new(id, template, &solo.script, &marks, clean).map_err(|error| error.to_string())?;
        if self.agreed.as_ref() != Some(&solo.script) {
            self.ask_whether_fine(&job).await?;
            self.agreed = Some(solo.script.clone());
        }
        Ok(job)
    }

    /// Once per payee: a coinbase that bitcoind would refuse costs nobody any work.
    async fn ask_whether_fine(&self, job: &Job) -> Result<(), String> {
        let (bitcoind, draft) = (self.bitcoind.clone(), job.draft());
        let asked = tokio::task::spawn_blocking(move || bitcoind.objection(&draft)).await;
        match asked.map_err(|error| error.to_string())? {
            Ok(None) => Ok(()),
            Ok(Some(objection)) => Err(format!("bitcoind would refuse our block: {objection}")),
            Err(error) => Err(error.to_string()),
        }
    }
}
