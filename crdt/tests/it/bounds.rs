//! What hostile bytes may cost whoever reads them (D3).

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// Time of the processor for one input, whatever it is.
const TIME: Duration = Duration::from_millis(10);
/// Memory for one input at any moment.
const BYTES: u64 = 1024 * 1024;
/// A machine that is interrupted counts that to whom it interrupted: only what is slow each time is slow.
const TRIES: usize = 5;

/// What `read` gives. Fails the test if that cost more than any input may.
pub(crate) fn bounded<T>(input: &[u8], read: impl Fn() -> T) -> T {
    for _ in 0..TRIES {
        let (given, took) = measured(input, &read);
        if took <= TIME {
            return given;
        }
    }
    panic!("reading took more than {TIME:?} {TRIES} times: {}", shown(input));
}

fn measured<T>(input: &[u8], read: impl Fn() -> T) -> (T, Duration) {
    let mut given = None;
    let before = spent();
    let memory = allocation_counter::measure(|| given = Some(read()));
    let took = spent().saturating_sub(before);
    assert!(memory.bytes_max <= BYTES, "reading took {} bytes: {}", memory.bytes_max, shown(input));
    (given.expect("it was read"), took)
}

/// Time of the processor that this thread has had.
fn spent() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).expect("below a billion"))
}

fn shown(input: &[u8]) -> String {
    let begin: String = input.iter().take(200).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes, {begin}…", input.len())
}
