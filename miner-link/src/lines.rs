//! Lines over a stream, both ways, bounded both ways.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes read at once: several times the lines that miners send.
const READ: usize = 1_024;

/// Splits a stream into lines of bounded length.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) const fn new(reader: R, max: usize) -> Self {
        Self { reader, buffer: Vec::new(), max }
    }

    /// The next line; none when it is too long. Safe to cancel: what was read stays in the buffer.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(place) = fresh.iter().position(|byte| *byte == b'\n') {
                let end = searched + place;
                searched = 0;
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok((line.len() <= self.max).then_some(line));
            }
            searched = self.buffer.len();
            if searched > self.max {
                return Ok(None);
            }
            self.buffer.reserve(READ);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

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
            self.bytes = Vec::new();
            self.since = None;
        } else {
            self.bytes.drain(..count);
        }
    }
}
