//! `guild draft …`: a proposal that members write together.

use super::proposal::{payments, plain};
use super::say::{Say, btc};
use crate::api::dto::ProposalDto;
use crate::api::dto::workspace::{DraftDto, DraftEdit, DraftHistory, Drafts, NewDraft};
use crate::client::Client;
use crate::error::{Failure, Outcome};
use crate::home::Home;
use clap::{Args, Subcommand};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Subcommand)]
pub(crate) enum Draft {
    /// Begin a draft.
    New(New),
    /// Change a draft: in $EDITOR, or as the options say. What others write meanwhile stays.
    Edit(Edit),
    /// One draft.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// All drafts.
    List,
    /// Who changed what, oldest first.
    History {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Freeze it to a proposal that is voted on.
    Propose {
        /// Its id, or the beginning of it.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// One line that says what for.
    #[arg(long)]
    title: String,
    /// More words.
    #[arg(long, default_value = "", conflicts_with = "body_file")]
    body: String,
    /// More words, from a file.
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Whom to pay and how many satoshis. May be repeated.
    #[arg(long = "pay", value_name = "ADDRESS=SATOSHIS")]
    pay: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Its id, or the beginning of it.
    id: String,
    /// The new title.
    #[arg(long)]
    title: Option<String>,
    /// The new body.
    #[arg(long, conflicts_with_all = ["body_file", "append"])]
    body: Option<String>,
    /// The new body, from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "append")]
    body_file: Option<PathBuf>,
    /// A paragraph at the end of the body.
    #[arg(long, value_name = "TEXT")]
    append: Option<String>,
    /// Whom to pay and how many satoshis. May be repeated.
    #[arg(long = "pay", value_name = "ADDRESS=SATOSHIS")]
    pay: Vec<String>,
    /// Whom to pay no more. May be repeated.
    #[arg(long = "unpay", value_name = "ADDRESS")]
    unpay: Vec<String>,
}

impl Draft {
    pub(crate) fn run(self, home: &Home, say: Say) -> Outcome<()> {
        let client = Client::of(home)?;
        match self {
            Self::New(new) => {
                let shown: DraftDto = client.post("drafts", &new.parse()?)?;
                say.data(&shown, || text(&shown));
                let id: String = shown.id.chars().take(8).collect();
                say.hint(&format!("guild draft edit {id}, then guild draft propose {id}"));
            }
            Self::Edit(edit) => {
                let path = format!("drafts/{}", plain(&edit.id)?);
                let read: DraftDto = client.get(&path)?;
                let shown = match edit.parse(&read)? {
                    Some(edit) => client.post(&format!("{path}/edits"), &edit)?,
                    None => read,
                };
                say.data(&shown, || text(&shown));
            }
            Self::Show { id } => {
                let shown: DraftDto = client.get(&format!("drafts/{}", plain(&id)?))?;
                say.data(&shown, || text(&shown));
            }
            Self::List => {
                let list: Drafts = client.get("drafts")?;
                say.data(&list, || list_text(&list));
            }
            Self::History { id } => {
                let history: DraftHistory = client.get(&format!("drafts/{}/history", plain(&id)?))?;
                say.data(&history, || history_text(&history));
            }
            Self::Propose { id } => {
                let path = format!("drafts/{}/propose", plain(&id)?);
                let shown: ProposalDto = client.post(&path, &())?;
                say.data(&shown, || super::proposal::text(&shown));
                say.hint(&format!("guild proposal vote {} yes --final", shown.id));
            }
        }
        Ok(())
    }
}

impl New {
    fn parse(self) -> Outcome<NewDraft> {
        let body = self.body_file.as_deref().map_or(Ok(self.body), read)?;
        Ok(NewDraft { title: self.title, body, outputs: payments(&self.pay)? })
    }
}

impl Edit {
    /// None: nothing changes.
    fn parse(self, read_draft: &DraftDto) -> Outcome<Option<DraftEdit>> {
        let asked = self.title.is_some()
            || self.body.is_some()
            || self.body_file.is_some()
            || self.append.is_some()
            || !self.pay.is_empty()
            || !self.unpay.is_empty();
        let (title, body) = if asked {
            let appended = self.append.map(|text| append(&read_draft.body, &text));
            let from_file = self.body_file.as_deref().map(read).transpose()?;
            (self.title, self.body.or(from_file).or(appended))
        } else {
            let (title, body) = in_editor(&read_draft.title, &read_draft.body)?;
            (Some(title), Some(body))
        };
        let title = title.filter(|title| *title != read_draft.title);
        let body = body.filter(|body| *body != read_draft.body);
        let (pay, unpay) = (payments(&self.pay)?, self.unpay);
        let changes = title.is_some() || body.is_some() || !pay.is_empty() || !unpay.is_empty();
        Ok(changes.then(|| DraftEdit { base: read_draft.base.clone(), title, body, pay, unpay }))
    }
}

fn read(path: &Path) -> Outcome<String> {
    let fail = |error| Failure::because(format_args!("cannot read {}", path.display()), error);
    std::fs::read_to_string(path).map_err(fail).map(|text| text.replace("\r\n", "\n"))
}

fn append(body: &str, text: &str) -> String {
    let between = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    format!("{body}{between}{text}")
}

/// Let the person change title and body in their editor: the title is the first line, then an empty one.
fn in_editor(title: &str, body: &str) -> Outcome<(String, String)> {
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.filter(|editor| !editor.trim().is_empty()).ok_or_else(|| {
        Failure::usage(
            "set $EDITOR, or say what changes: --title, --body, --body-file, --append, --pay, --unpay",
        )
    })?;
    let fail = |error: std::io::Error| Failure::because("cannot keep the draft for the editor", error);
    let mut file = tempfile::Builder::new().prefix("draft-").suffix(".txt").tempfile().map_err(fail)?;
    file.write_all(format!("{title}\n\n{body}\n").as_bytes()).map_err(fail)?;
    // The variable may hold arguments, as `code --wait`: a shell takes it apart, as git does.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file.path())
        .status()
        .map_err(|error| Failure::because(format_args!("cannot run {editor}"), error))?;
    if !status.success() {
        return Err(Failure::usage(format!("{editor} failed ({status}); nothing was changed")));
    }
    let left = read(file.path())?;
    parts(&left)
        .ok_or_else(|| Failure::usage("the first line is the title, then an empty one; nothing was changed"))
}

/// Title and body of what the editor left.
fn parts(left: &str) -> Option<(String, String)> {
    let (title, rest) = left.split_once('\n').unwrap_or((left, ""));
    let body = if rest.is_empty() { rest } else { rest.strip_prefix('\n')? };
    let body = body.strip_suffix('\n').unwrap_or(body);
    (!title.trim().is_empty()).then(|| (title.trim().to_owned(), body.to_owned()))
}

fn text(draft: &DraftDto) -> String {
    let mut lines = vec![
        format!("{}  {}", draft.title, draft.id),
        format!("by {}, {} edits", draft.authors.join(", "), draft.edits),
    ];
    lines.extend(draft.body.lines().map(|line| format!("  {line}")));
    let pays = draft.outputs.iter();
    lines.extend(pays.map(|output| format!("pays {} to {}", btc(output.amount_sat), output.address)));
    lines.join("\n")
}

fn list_text(list: &Drafts) -> String {
    let lines = list.drafts.iter().map(|draft| {
        let id: String = draft.id.chars().take(8).collect();
        format!("{id}  {} ({})", draft.title.replace('\n', " "), draft.authors.join(", "))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    if text.is_empty() { "no drafts yet".to_owned() } else { text }
}

fn history_text(history: &DraftHistory) -> String {
    let edits = history.edits.iter().map(|edit| {
        let id: String = edit.id.chars().take(8).collect();
        let did: String = edit.did.iter().map(|line| format!("\n  {line}")).collect();
        format!("{id}  {} at height {}{did}", edit.author, edit.height)
    });
    edits.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_that_changes_nothing_changes_nothing() {
        for body in ["", "one", "one\n", "one\n\ntwo\n\n"] {
            let left = format!("Title\n\n{body}\n");
            assert_eq!(parts(&left), Some(("Title".to_owned(), body.to_owned())), "{body:?}");
        }
        assert_eq!(parts("Only a title"), Some(("Only a title".to_owned(), String::new())));
        for bad in ["", "\n\nbody\n", "  \n\nbody", "Title\nbody without a gap\n"] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_paragraph_is_put_at_the_end() {
        for (body, whole) in [("", "new"), ("old", "old\nnew"), ("old\n", "old\nnew")] {
            assert_eq!(append(body, "new"), whole);
        }
    }
}
