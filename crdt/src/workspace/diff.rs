//! From the text a person read and the text they left to the splices between: small ones, so that what
//! others write at the same time in other places stays.

use crate::edit::{STEPS_MAX, Step, Steps, Text};
use crate::text::{NOTE_MAX, Note, TextError};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::ops::Range;

/// Characters compared with characters, at most, in one changed passage: beyond, the passage is replaced.
const COMPARED_MAX: usize = 4_000_000;
/// Lines compared with lines, at most.
const LINES_MAX: usize = 4_000;
/// Bytes of the steps of one edit: leaves room in an entry for everything else.
const BATCH_MAX: usize = 28 * 1024;
/// Bytes of a step besides its words, at most: two positions, lengths, and what says which step it is.
const STEP_MAX: usize = 18;

/// A text that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Carries what nobody may write.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Longer than positions count.
    #[error("this text is too long")]
    TooLong,
}

/// The steps that make `to` of `from`: none if the texts are equal.
///
/// # Errors
///
/// [`WriteError`] if `to` carries what may not be written.
pub fn rewrite(text: Text, from: &str, to: &str) -> Result<Vec<Step>, WriteError> {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut steps = Vec::new();
    for (gone, come) in passages(&from, &to) {
        // Once everything before is done, the text up to here is that of `to`: positions count on it.
        let (mut at, mut remove) = (come.start, gone.len());
        let mut pieces = pieces(to.get(come).unwrap_or_default());
        if pieces.is_empty() {
            pieces.push(String::new());
        }
        for piece in pieces {
            let length = piece.chars().count();
            let (place, count) = (number(at)?, number(remove)?);
            steps.push(Step::Splice { text, at: place, remove: count, insert: Note::try_from(piece)? });
            (at, remove) = (at + length, 0);
        }
    }
    Ok(steps)
}

/// Steps as edits, as many to one as an entry holds: each edit is to build on the one before.
#[must_use]
pub fn batches(steps: Vec<Step>) -> Vec<Steps> {
    let mut batches: Vec<Vec<Step>> = Vec::new();
    let mut room = 0;
    for step in steps {
        let bytes = super::bytes(&step) + STEP_MAX;
        match batches.last_mut().filter(|batch| bytes <= room && batch.len() < STEPS_MAX) {
            Some(batch) => batch.push(step),
            None => {
                batches.push(vec![step]);
                room = BATCH_MAX;
            }
        }
        room = room.saturating_sub(bytes);
    }
    batches.into_iter().filter_map(|steps| Steps::try_from(steps).ok()).collect()
}

fn number(count: usize) -> Result<u32, WriteError> {
    u32::try_from(count).map_err(|_| WriteError::TooLong)
}

/// Characters cut so that each piece fits a note.
fn pieces(chars: &[char]) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for c in chars {
        if piece.len() + c.len_utf8() > NOTE_MAX {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(*c);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// What goes and what comes, in order: by line, then by character inside a changed passage.
fn passages(from: &[char], to: &[char]) -> Vec<(Range<usize>, Range<usize>)> {
    let (old, new) = (lines(from), lines(to));
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        return within(from, to, (0..from.len(), 0..to.len()));
    }
    let words = |text: &[char], lines: &[Range<usize>]| -> Vec<String> {
        lines.iter().map(|line| text.get(line.clone()).unwrap_or_default().iter().collect()).collect()
    };
    let ops = capture_diff_slices(Algorithm::Myers, &words(from, &old), &words(to, &new));
    let changed = ops.iter().filter(|op| changes(op));
    let passages = changed.flat_map(|op| {
        within(from, to, (span(&old, op.old_range(), from.len()), span(&new, op.new_range(), to.len())))
    });
    passages.collect()
}

fn changes(op: &DiffOp) -> bool {
    !matches!(op, DiffOp::Equal { .. })
}

/// The characters of these lines.
fn span(lines: &[Range<usize>], of: Range<usize>, end: usize) -> Range<usize> {
    let start = lines.get(of.start).map_or(end, |line| line.start);
    start..lines.get(of.end).map_or(end, |line| line.start)
}

/// Lines with their ends.
fn lines(text: &[char]) -> Vec<Range<usize>> {
    let mut start = 0;
    let split = text.split_inclusive(|c| *c == '\n').map(|line| {
        let range = start..start + line.len();
        start = range.end;
        range
    });
    split.collect()
}

/// The changes inside one passage, by character if that is not too much work.
fn within(
    from: &[char],
    to: &[char],
    (old, new): (Range<usize>, Range<usize>),
) -> Vec<(Range<usize>, Range<usize>)> {
    let one = from.get(old.clone()).unwrap_or_default();
    let other = to.get(new.clone()).unwrap_or_default();
    let head = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let most = one.len().min(other.len()) - head;
    let tail = one.iter().rev().zip(other.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.start + head..old.end - tail, new.start + head..new.end - tail);
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    if old.len().saturating_mul(new.len()) > COMPARED_MAX {
        return vec![(old, new)];
    }
    let (one, other) = (from.get(old.clone()).unwrap_or_default(), to.get(new.clone()).unwrap_or_default());
    let shift = |range: Range<usize>, by: usize| range.start + by..range.end + by;
    let ops = capture_diff_slices(Algorithm::Myers, one, other);
    let changed = ops.iter().filter(|op| changes(op));
    changed.map(|op| (shift(op.old_range(), old.start), shift(op.new_range(), new.start))).collect()
}
