//! Templates as they come: three threads that watch one bitcoind, each able to do without the others.
//!
//! One waits in a long poll, which answers within milliseconds of a new tip. One waits in
//! `waitfornewblock`, which a bitcoind answers that has stopped to make templates. The third asks for
//! the tip twice a second, in case both are stuck, and for a fresh template now and then. Tips are
//! compared by hash, so that a new tip of the same height is not missed.

use crate::clock::Clock;
use crate::template::Template;
use crate::template::gbt::{Bitcoind, RpcError};
use bitcoin::{BlockHash, Network};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How often the tip is asked for.
const TIP_POLL: Duration = Duration::from_millis(500);
/// Tip polls between two templates on the same tip: new transactions, and a time that moves on.
const POLLS_PER_REFRESH: u32 = 60;
/// A template that takes longer than this is not waited for when the tip moves.
const SLOW: Duration = Duration::from_millis(20);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Reports that wait to be read. A thread that finds it full waits: the next template is no better.
const QUEUE: usize = 4;

/// What the threads say.
#[derive(Debug)]
pub(crate) enum Report {
    /// Mine on this.
    Template(Network, Arc<Template>),
    /// There is no template.
    Trouble {
        /// Whether it was bitcoind that said so.
        reachable: bool,
        /// What is wrong.
        why: String,
    },
}

struct Watch {
    clock: Clock,
    /// What the last template took to make.
    took: Mutex<Duration>,
    place: usize,
    bitcoind: Bitcoind,
    known: Mutex<Option<(Network, Arc<Template>)>>,
    reports: Sender<(usize, Report)>,
}

/// Nobody listens any more.
struct Gone;

/// Watch `bitcoinds` until the receiver is dropped. Reports carry their place.
pub(crate) fn watch(bitcoinds: &[Bitcoind], clock: Clock) -> Receiver<(usize, Report)> {
    let (reports, receiver) = channel(QUEUE * bitcoinds.len().max(1));
    for (place, bitcoind) in bitcoinds.iter().enumerate() {
        let (bitcoind, reports) = (bitcoind.clone(), reports.clone());
        let (known, took) = (Mutex::new(None), Mutex::new(Duration::ZERO));
        let watch = Arc::new(Watch { clock, took, place, bitcoind, known, reports });
        let (second, third) = (watch.clone(), watch.clone());
        thread::spawn(move || watch.poll());
        thread::spawn(move || while second.wait_for_better().is_ok() {});
        thread::spawn(move || while third.wait_for_block().is_ok() {});
    }
    receiver
}

impl Watch {
    fn poll(&self) {
        let mut polls = 0;
        while self.look(polls % POLLS_PER_REFRESH == 0).is_ok() {
            polls = polls.wrapping_add(1);
            thread::sleep(TIP_POLL);
        }
    }

    /// Ask for the tip, and for a template if that moved, or `anyway`.
    fn look(&self, anyway: bool) -> Result<(), Gone> {
        if self.reports.is_closed() {
            return Err(Gone);
        }
        match self.bitcoind.tip() {
            Err(error) => {
                // A node that went away may be another one when it is back.
                *self.lock() = None;
                self.trouble(&error)
            }
            Ok(tip) => self.seen(tip, anyway),
        }
    }

    /// A tip was named: ask for a template, if it is another one than known, or `anyway`.
    fn seen(&self, tip: BlockHash, anyway: bool) -> Result<(), Gone> {
        let known = self.known();
        let moved = known.as_ref().is_none_or(|(_, template)| template.previous != tip);
        if moved || anyway { self.fetch(known.map(|(network, _)| network)) } else { Ok(()) }
    }

    fn fetch(&self, network: Option<Network>) -> Result<(), Gone> {
        let network = network.map_or_else(|| self.bitcoind.network(), Ok);
        let before = self.clock.now().since_start;
        let fetched = network.and_then(|network| Ok((network, self.bitcoind.template(network, None)?)));
        *self.took.lock().unwrap_or_else(PoisonError::into_inner) =
            self.clock.now().since_start.saturating_sub(before);
        match fetched {
            Ok((network, template)) => self.deliver(network, template),
            Err(error) => self.trouble(&error),
        }
    }

    fn wait_for_better(&self) -> Result<(), Gone> {
        if self.reports.is_closed() {
            return Err(Gone);
        }
        let Some((network, known)) = self.known() else {
            thread::sleep(RETRY);
            return Ok(());
        };
        match self.bitcoind.template(network, Some(&known.longpoll_id)) {
            Ok(template) => self.deliver(network, template),
            // The polling thread reports what is wrong.
            Err(_) => {
                thread::sleep(RETRY);
                Ok(())
            }
        }
    }

    fn wait_for_block(&self) -> Result<(), Gone> {
        if self.reports.is_closed() {
            return Err(Gone);
        }
        let Some((_, known)) = self.known() else {
            thread::sleep(RETRY);
            return Ok(());
        };
        match self.bitcoind.new_tip(known.previous) {
            Ok((tip, height)) => {
                self.hurry(tip, height)?;
                self.seen(tip, false)
            }
            Err(_) => {
                thread::sleep(RETRY);
                Ok(())
            }
        }
    }

    /// Where templates take long to make, an empty block is worth more meanwhile than one on an old tip.
    fn hurry(&self, tip: BlockHash, height: u32) -> Result<(), Gone> {
        let took = *self.took.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((network, known)) = self.known().filter(|_| took > SLOW) else { return Ok(()) };
        if known.previous == tip {
            return Ok(());
        }
        match known.empty_on(tip, height, network, self.clock.now().unix) {
            Some(empty) => self.say(Report::Template(network, Arc::new(empty))),
            None => Ok(()),
        }
    }

    fn deliver(&self, network: Network, template: Template) -> Result<(), Gone> {
        let template = Arc::new(template);
        *self.lock() = Some((network, template.clone()));
        self.say(Report::Template(network, template))
    }

    fn trouble(&self, error: &RpcError) -> Result<(), Gone> {
        let reachable = !matches!(error, RpcError::Unreachable(_));
        self.say(Report::Trouble { reachable, why: error.to_string() })?;
        thread::sleep(RETRY);
        Ok(())
    }

    fn say(&self, report: Report) -> Result<(), Gone> {
        self.reports.blocking_send((self.place, report)).map_err(|_| Gone)
    }

    fn known(&self) -> Option<(Network, Arc<Template>)> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Network, Arc<Template>)>> {
        // The value is replaced as a whole, so a panic elsewhere leaves it sound.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
