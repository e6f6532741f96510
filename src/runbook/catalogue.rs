//! The runbooks there are: those shipped with azir, and the user's own beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::Runbook;
use super::parse::{is_name, parse};
use super::problem::Problem;

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Words that are commands of their own (DESIGN section 7), so no runbook can have them.
pub const RESERVED: &[&str] = &[
    "approve",
    "attach",
    "completions",
    "diff",
    "doctor",
    "drill",
    "evidence",
    "find",
    "handover",
    "help",
    "hunt",
    "incident",
    "init",
    "journal",
    "key",
    "lab",
    "list",
    "man",
    "manual",
    "note",
    "plan",
    "preflight",
    "readiness",
    "report",
    "respond",
    "resume",
    "run",
    "runbook",
    "schema",
    "show",
    "status",
    "timeline",
    "undo",
    "wait",
];

/// A runbook's text and where it came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path: below `runbooks` for a shipped one.
    pub path: String,
    /// Its text.
    pub text: Arc<str>,
    /// Whether it is shipped with azir.
    pub shipped: bool,
}

/// The runbooks by name; parsed when asked for.
#[derive(Clone, Debug)]
pub struct Catalogue {
    sources: BTreeMap<String, Source>,
}

/// Why a runbook cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is none of this name.
    #[error("there is no runbook named {name}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name.
        near: Option<String>,
    },
    /// It is no sound runbook.
    #[error("runbook {name} cannot be read: {}", problems.first().map(Problem::line).unwrap_or_default())]
    Bad {
        /// The name.
        name: String,
        /// What is wrong with it.
        problems: Vec<Problem>,
        /// Its text, to show the places in.
        text: Arc<str>,
    },
    /// A user's file has a name that no command can have.
    #[error("{path} cannot be a command: a name begins with a-z and holds a-z, 0-9 and -")]
    BadName {
        /// The user's file.
        path: String,
    },
    /// A user's runbook has the name of a shipped one or of a command.
    #[error("{path} is named {name}, which is already a {what} of azir")]
    Shadows {
        /// The user's file.
        path: String,
        /// The name.
        name: String,
        /// `runbook` or `command`.
        what: &'static str,
    },
}

impl Catalogue {
    /// Returns the shipped runbooks.
    pub fn shipped() -> Self {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: Arc::from(text),
            shipped: true,
        };
        Self {
            sources: SHIPPED
                .iter()
                .map(|(name, path, text)| ((*name).to_owned(), source(path, text)))
                .collect(),
        }
    }

    /// Adds a user's runbook under its file's stem.
    ///
    /// # Errors
    /// A name that is taken: a user's file must not change what a command means.
    pub fn add(&mut self, name: &str, path: &str, text: &str) -> Result<(), CatalogueError> {
        let shadows = |what| CatalogueError::Shadows {
            path: path.to_owned(),
            name: name.to_owned(),
            what,
        };
        if !is_name(name, '-') {
            return Err(CatalogueError::BadName {
                path: path.to_owned(),
            });
        }
        if RESERVED.contains(&name) {
            return Err(shadows("command"));
        }
        if self.sources.contains_key(name) {
            return Err(shadows("runbook"));
        }
        let source = Source {
            path: path.to_owned(),
            text: Arc::from(text),
            shipped: false,
        };
        self.sources.insert(name.to_owned(), source);
        Ok(())
    }

    /// Lets a text stand for the runbook of a name: for a drill, in which a changed runbook is tried.
    pub fn replace(&mut self, name: &str, path: &str, text: &str) {
        let source = Source {
            path: path.to_owned(),
            text: Arc::from(text),
            shipped: false,
        };
        self.sources.insert(name.to_owned(), source);
    }

    /// Returns every name with its source, sorted.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources
            .iter()
            .map(|(name, source)| (name.as_str(), source))
    }

    /// Returns the source of a runbook.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }

    /// Parses a runbook.
    ///
    /// # Errors
    /// An unknown name; a file with problems; a name inside that is not the file's.
    pub fn load(&self, name: &str) -> Result<(Arc<Runbook>, Arc<str>), CatalogueError> {
        let Some(source) = self.sources.get(name) else {
            let near = super::problem::nearest(name, self.sources.keys().map(String::as_str));
            return Err(CatalogueError::Unknown {
                name: name.to_owned(),
                near: near.map(str::to_owned),
            });
        };
        let bad = |problems| CatalogueError::Bad {
            name: name.to_owned(),
            problems,
            text: Arc::clone(&source.text),
        };
        let runbook = parse(&source.path, &source.text).map_err(bad)?;
        if runbook.name.value != name {
            return Err(bad(vec![Problem {
                code: "file-name",
                file: source.path.clone(),
                place: runbook.name.place,
                message: format!(
                    "the file is named {name} and the runbook {}",
                    runbook.name.value
                ),
                help: Some("give both one name".to_owned()),
                related: Vec::new(),
            }]));
        }
        Ok((Arc::new(runbook), Arc::clone(&source.text)))
    }
}

/// Returns a runbook's title by looking for its line, for lists that need nothing else.
pub fn title(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.strip_prefix("title: "));
    let title = line.unwrap_or_default().trim();
    let quoted = |quote| title.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_runbook_parses_and_has_a_title() {
        let catalogue = Catalogue::shipped();
        assert!(catalogue.sources().count() >= 4);
        for (name, source) in catalogue.sources() {
            let (runbook, _) = catalogue
                .load(name)
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(title(&source.text), runbook.title, "{name}");
            assert!(!RESERVED.contains(&name));
        }
    }

    #[test]
    fn a_users_runbook_cannot_take_a_name() {
        let mut catalogue = Catalogue::shipped();
        assert!(catalogue.add("isolate-vm", "x.yaml", "").is_err());
        assert!(catalogue.add("undo", "x.yaml", "").is_err());
        for bad in ["", "../x", "Mine", "-x", "mine.yaml"] {
            assert!(catalogue.add(bad, "x.yaml", "").is_err(), "{bad}");
        }
        assert!(catalogue.add("mine", "x.yaml", "azir: v1").is_ok());
        assert!(matches!(
            catalogue.load("isolate-vn"),
            Err(CatalogueError::Unknown { near: Some(_), .. })
        ));
        assert!(matches!(
            catalogue.load("mine"),
            Err(CatalogueError::Bad { .. })
        ));
    }

    #[test]
    fn a_title_is_found_without_parsing() {
        assert_eq!(title("azir: v1\ntitle: Say \"x\"\n"), "Say \"x\"");
        assert_eq!(title("title: 'A: b'\n"), "A: b");
        assert_eq!(title("  title: inner\n"), "");
    }
}
