//! Words that people write, bounded and free of control characters, so that they can be printed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest [`Line`] in bytes.
pub const LINE_MAX: usize = 120;
/// The longest [`Note`] in bytes: leaves room in an entry for everything else.
pub const NOTE_MAX: usize = 16 * 1024;

/// Text that may not enter the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than its kind allows.
    #[error("text of {0} bytes is longer than {1}")]
    TooLong(usize, usize),
    /// Carries a character that could command a terminal or hide text.
    #[error("text carries the unprintable character {0:?}")]
    Unprintable(char),
}

// Bidirectional marks can make an address read differently from what it is, separators break a line,
// and what shows nothing lets two names look alike.
fn printable(c: char) -> bool {
    let bidi =
        matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(c, '\u{2028}'..='\u{2029}');
    let invisible = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    !(c.is_control() || bidi || separator || invisible)
}

fn check(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), TextError> {
    if text.len() > max {
        return Err(TextError::TooLong(text.len(), max));
    }
    text.chars().find(|c| !allowed(*c)).map_or(Ok(()), |c| Err(TextError::Unprintable(c)))
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                check(&text, $max, $allowed).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text! {
    /// One line: a name, a title.
    Line, LINE_MAX, printable
}
text! {
    /// Several lines: a description, a reason.
    Note, NOTE_MAX, |c| printable(c) || c == '\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_fool_a_reader_is_refused() {
        assert!(Line::try_from("Pay the host, November".to_owned()).is_ok());
        let fools =
            ["two\nlines", "two\u{2028}lines", "\u{1b}[2J", "pay\u{202e}to", "pay\u{61c}to", "a\u{200b}b"];
        for bad in fools {
            assert!(Line::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(Note::try_from("two\nlines".to_owned()).is_ok());
        assert_eq!(Line::try_from("x".repeat(121)), Err(TextError::TooLong(121, 120)));
    }
}
