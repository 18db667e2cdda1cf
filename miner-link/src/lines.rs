//! Lines over a stream, both ways, bounded both ways.

use crate::stratum::limits::READ_COST;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes read at once: several times the lines that miners send.
const READ: usize = 1_024;

/// What a reading came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// A line, without its end.
    Line(Vec<u8>),
    /// A part of one.
    Part,
    /// More than a line may have.
    TooLong,
}

/// Splits a stream into lines of bounded length.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer in which no line ends.
    searched: usize,
    max: usize,
    /// What was read and not yet asked for by [`Lines::cost`].
    cost: u32,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) const fn new(reader: R, max: usize) -> Self {
        Self::resume(reader, Vec::new(), max)
    }

    /// Go on with what was read already.
    pub(crate) const fn resume(reader: R, buffer: Vec<u8>, max: usize) -> Self {
        Self { reader, buffer, searched: 0, max, cost: 0 }
    }

    /// The stream, and what was read of it and not used.
    pub(crate) fn into_parts(self) -> (R, Vec<u8>) {
        (self.reader, self.buffer)
    }

    /// A line that was read already, or what one more reading comes to. Safe to cancel: what was read stays
    /// in the buffer.
    pub(crate) async fn next(&mut self) -> io::Result<Read> {
        if let Some(read) = self.buffered() {
            return Ok(read);
        }
        self.buffer.reserve(READ);
        let count = self.reader.read_buf(&mut self.buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.cost = self.cost.saturating_add(count).saturating_add(READ_COST);
        Ok(self.buffered().unwrap_or(Read::Part))
    }

    /// What was read since this was asked last, in bytes, and in what each reading counts as.
    pub(crate) fn cost(&mut self) -> u32 {
        std::mem::take(&mut self.cost)
    }

    fn buffered(&mut self) -> Option<Read> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(place) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return (self.searched > self.max).then_some(Read::TooLong);
            };
            let end = self.searched + place;
            self.searched = 0;
            let rest = self.buffer.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            line.truncate(end);
            if !line.trim_ascii().is_empty() {
                return Some(if line.len() <= self.max { Read::Line(line) } else { Read::TooLong });
            }
        }
    }
}

thread_local! {
    /// Room for what is written at once: most lines wait for nothing, and share it.
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The most of it that is kept: several jobs.
const ROOM_KEPT: usize = 16 * 1_024;

/// What waits to be written. Nothing waits for a slow reader but bytes of it, at most `max`.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    max: usize,
    /// Since when bytes wait.
    since: Option<Duration>,
}

impl Outbox {
    pub(crate) const fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, since: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn push(&mut self, line: &str) {
        if self.bytes.capacity() == 0 {
            self.bytes = ROOM.take();
        }
        self.bytes.reserve(line.len() + 1); // once for both
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.push(b'\n');
    }

    /// Whether the reader is too slow: more waits than may, or for longer.
    pub(crate) fn is_stuck(&self, now: Duration, limit: Duration) -> bool {
        let waited = self.since.map(|since| now.saturating_sub(since));
        self.bytes.len() > self.max || waited.is_some_and(|waited| waited > limit)
    }

    /// Write what can be written without waiting.
    pub(crate) async fn write_some<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        now: Duration,
    ) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let wrote = poll_fn(|context| Poll::Ready(self.poll(writer, context))).await;
        self.since = if self.bytes.is_empty() { None } else { self.since.or(Some(now)) };
        wrote
    }

    /// Write on, as soon as the reader takes more. Safe to cancel.
    pub(crate) async fn write_on<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<()> {
        let count = writer.write(&self.bytes).await?;
        self.written(count);
        writer.flush().await
    }

    fn poll<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, context: &mut Context<'_>) -> io::Result<()> {
        while !self.bytes.is_empty() {
            match Pin::new(&mut *writer).poll_write(context, &self.bytes) {
                Poll::Pending => return Ok(()),
                Poll::Ready(count) => self.written(count?),
            }
        }
        match Pin::new(writer).poll_flush(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(flushed) => flushed,
        }
    }

    fn written(&mut self, count: usize) {
        if count >= self.bytes.len() {
            // Most of the time nothing waits, and nothing is kept for it.
            let mut room = std::mem::take(&mut self.bytes);
            room.clear();
            room.shrink_to(ROOM_KEPT);
            ROOM.set(room);
            self.since = None;
        } else {
            self.bytes.drain(..count);
        }
    }
}
