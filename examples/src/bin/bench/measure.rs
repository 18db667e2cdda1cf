//! The clock of the benches, and all cores at once.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Items a thread takes at a time: long enough to cost nothing, short enough that all end together.
const CHUNK: usize = 256;

/// Runs from its start.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a bench is about time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What `work` gives, and how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Stopwatch::start();
    let given = work();
    (given, start.elapsed())
}

/// What `work` gives, and the time that processors spent on it: what a short piece of work and a long one
/// can be compared by while others use the machine.
pub(crate) fn spent<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let spent = || {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).expect("below a billion"))
    };
    let before = spent();
    let given = work();
    (given, spent().saturating_sub(before))
}

/// Threads that everything here uses, and every floor too.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// What `work` gives for each of `items`, in their order, by all threads.
pub(crate) fn in_parallel<I: Sync, O: Send>(items: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let chunks: Vec<&[I]> = items.chunks(CHUNK).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = chunks.get(index) else { return done };
            done.push((index, chunk.iter().map(&work).collect::<Vec<_>>()));
        }
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads()).map(|_| scope.spawn(worker)).collect();
        let done = workers.into_iter().flat_map(|worker| worker.join().expect("workers do not panic"));
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, outputs)| outputs).collect()
}

/// Let all threads change `items`.
pub(crate) fn each<I: Send>(items: &mut [I], work: impl Fn(&mut I) + Sync) {
    let share = items.len().div_ceil(threads()).max(1);
    thread::scope(|scope| {
        for items in items.chunks_mut(share) {
            scope.spawn(|| items.iter_mut().for_each(&work));
        }
    });
}

/// The middle of `durations`.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
