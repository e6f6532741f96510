//! How to check a run without azir: the very lines to paste into a shell, made for this run.
//!
//! They need `ssh-keygen`, `sha256sum` and `openssl` and nothing of azir; their paths are whole and quoted. A test
//! runs them as they are printed.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::journal::format::{NAMESPACE, checkpoint_name};
use crate::journal::reader::{open_regular, read_regular};
use crate::journal::verify::{Outside, Report};

/// One line to paste.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub struct ByHand {
    /// What it shows, and what it should print.
    pub what: String,
    /// The line.
    pub line: String,
}

/// Returns the lines for a run: of the last checkpoint its files and its session, of the last ones that persons
/// signed and authorities stamped their signatures and stamps, and all evidence.
pub fn lines(run_dir: &Path, outside: &Outside, report: &Report) -> Vec<ByHand> {
    let run_dir = std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.to_path_buf());
    let by_hand = Lines {
        run_dir: &run_dir,
        outside,
        report,
    };
    let numbers = numbers(&run_dir);
    let Some(last) = numbers.first() else {
        return Vec::new();
    };
    let mut lines = by_hand.files(*last);
    lines.extend(by_hand.session(*last));
    for (ending, whose) in [
        ("human.sig", "the responder"),
        ("second.sig", "a second person"),
    ] {
        let signed = numbers
            .iter()
            .find(|number| by_hand.beside(**number, ending).exists());
        lines.extend(signed.map(|number| by_hand.person(*number, ending, whose)));
    }
    for ending in ["tsr", "tsr2"] {
        let stamped = numbers
            .iter()
            .find(|number| by_hand.beside(**number, ending).exists());
        lines.extend(stamped.map(|number| by_hand.stamp(*number, ending)));
    }
    lines.extend(by_hand.evidence());
    lines
}

/// Returns the numbers of the checkpoints, the last first.
fn numbers(run_dir: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(run_dir.join("cp"))
        .into_iter()
        .flatten()
        .flatten();
    let mut numbers: Vec<u64> = names
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".cp")?
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers
}

struct Lines<'a> {
    run_dir: &'a Path,
    outside: &'a Outside,
    report: &'a Report,
}

impl Lines<'_> {
    fn beside(&self, number: u64, ending: &str) -> PathBuf {
        self.run_dir
            .join("cp")
            .join(checkpoint_name(number, ending))
    }

    fn text(&self, number: u64) -> String {
        read_regular(&self.beside(number, "cp"))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    /// The words of the checkpoint's `file` lines: name, bytes, hash.
    fn cited(&self, number: u64) -> Vec<[String; 3]> {
        let text = self.text(number);
        let lines = text.lines().filter_map(|line| {
            let mut words = line.strip_prefix("file ")?.split(' ').map(str::to_owned);
            let [name, bytes, hash] = [words.next()?, words.next()?, words.next()?];
            // What goes into a shell is looked at first: the folder may have been tampered with.
            let plain =
                bytes.parse::<u64>().is_ok() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then_some([name, bytes, hash])
        });
        lines.collect()
    }

    fn files(&self, number: u64) -> Vec<ByHand> {
        let cited = self.cited(number).into_iter();
        cited
            .map(|[name, bytes, hash]| ByHand {
                what: format!(
                    "the first {bytes} bytes of {name} have the hash that checkpoint {number} gives; prints {hash}"
                ),
                line: format!(
                    "head -c {bytes} {} | sha256sum",
                    quoted(&self.run_dir.join(name))
                ),
            })
            .collect()
    }

    /// The first line of the session that made a checkpoint: one segment is one session.
    fn opening(&self, number: u64) -> Option<Value> {
        use std::io::{BufRead as _, Read as _};
        let [name, ..] = self.cited(number).pop()?;
        let file = open_regular(&self.run_dir.join(name)).ok()?;
        let mut line = String::new();
        let limit = crate::journal::format::MAX_LINE as u64;
        std::io::BufReader::new(file.take(limit))
            .read_line(&mut line)
            .ok()?;
        serde_json::from_str(&line).ok()
    }

    fn session(&self, number: u64) -> Option<ByHand> {
        let opening = self.opening(number)?;
        let key = opening.pointer("/data/session_key")?.as_str()?;
        let signer = format!("session namespaces=\"{NAMESPACE}\" {key}");
        Some(ByHand {
            what: format!(
                "checkpoint {number} was signed by the session that wrote it, with the key that its first line names; prints Good"
            ),
            // The signers file comes through a second descriptor, since the checkpoint is standard input.
            line: format!(
                "printf '%s\\n' {} | ssh-keygen -Y verify -f /dev/fd/3 -I session -n {NAMESPACE} -s {} 3<&0 < {}",
                quote(&signer),
                quoted(&self.beside(number, "session.sig")),
                quoted(&self.beside(number, "cp")),
            ),
        })
    }

    fn person(&self, number: u64, ending: &str, whose: &str) -> ByHand {
        let (signature, checkpoint) = (
            quoted(&self.beside(number, ending)),
            quoted(&self.beside(number, "cp")),
        );
        let own = self.run_dir.join("signers");
        let signers = match &self.outside.signers {
            Some(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            None => Some(own).filter(|own| own.is_file()),
        };
        let Some(signers) = signers else {
            return ByHand {
                what: format!(
                    "checkpoint {number} bears a signature by the key that is printed; whose key it is, a signers file says"
                ),
                line: format!(
                    "ssh-keygen -Y check-novalidate -n {NAMESPACE} -s {signature} < {checkpoint}"
                ),
            };
        };
        let bounded = std::fs::read_to_string(&signers).is_ok_and(|text| text.contains("valid-"));
        let at = if bounded {
            format!(" -O verify-time={}", self.judged_at(number))
        } else {
            String::new()
        };
        let signers = quoted(&signers);
        let upn = (ending == "human.sig")
            .then(|| self.opening(number))
            .flatten()
            .and_then(|opening| Some(quote(opening.pointer("/data/responder/upn")?.as_str()?)));
        // Who the second person is stands nowhere in the record: the signers file is asked.
        let upn = upn.unwrap_or_else(|| {
            format!("\"$(ssh-keygen -Y find-principals{at} -f {signers} -s {signature})\"")
        });
        ByHand {
            what: format!("checkpoint {number} was signed by {whose}; prints Good"),
            line: format!(
                "ssh-keygen -Y verify -f {signers} -I {upn} -n {NAMESPACE}{at} -s {signature} < {checkpoint}"
            ),
        }
    }

    /// The time at which signatures over a checkpoint are judged, as `ssh-keygen` writes it.
    fn judged_at(&self, number: u64) -> String {
        let vouching = self
            .report
            .vouched
            .iter()
            .find(|vouching| vouching.number == number);
        let stamped = vouching
            .into_iter()
            .flat_map(|vouching| &vouching.stamps)
            .filter(|stamp| stamp.verified)
            .map(|stamp| stamp.time.clone())
            .min();
        let own = || {
            let text = self.text(number);
            let time = text.lines().find_map(|line| line.strip_prefix("time "));
            time.unwrap_or_default().to_owned()
        };
        let digits = |c: &char| c.is_ascii_digit();
        let time: String = stamped.unwrap_or_else(own).chars().filter(digits).collect();
        format!("{time}Z")
    }

    fn stamp(&self, number: u64, ending: &str) -> ByHand {
        let (reply, checkpoint) = (
            quoted(&self.beside(number, ending)),
            quoted(&self.beside(number, "cp")),
        );
        let file = format!("cp/{}", checkpoint_name(number, ending));
        let stamps = self
            .report
            .vouched
            .iter()
            .flat_map(|vouching| &vouching.stamps);
        let made = stamps
            .filter(|stamp| stamp.file == file)
            .find_map(|stamp| chrono::DateTime::parse_from_rfc3339(&stamp.time).ok());
        match (&self.outside.tsa_ca, made) {
            (Some(roots), Some(made)) => ByHand {
                what: format!(
                    "checkpoint {number} was stamped at {} by an authority under the roots given; prints Verification: OK",
                    made.format("%Y-%m-%dT%H:%M:%SZ")
                ),
                line: format!(
                    "openssl ts -verify -data {checkpoint} -in {reply} -CAfile {} -attime {}",
                    quoted(&std::path::absolute(roots).unwrap_or_else(|_| roots.clone())),
                    made.timestamp()
                ),
            },
            _ => ByHand {
                what: format!(
                    "when checkpoint {number} was stamped, and the hash that was stamped, which is that of the file printed last; with the authority's roots, azir journal verify --tsa-ca PEM prints how to verify it"
                ),
                line: format!("openssl ts -reply -in {reply} -text; sha256sum {checkpoint}"),
            },
        }
    }

    fn evidence(&self) -> Option<ByHand> {
        let folder = self.run_dir.join("evidence");
        std::fs::read_dir(&folder).ok()?.next()?.ok()?;
        Some(ByHand {
            what: "every object in evidence is what its name says; prints nothing but OK"
                .to_owned(),
            line: format!(
                "(cd {} && find . -type f ! -name 'tmp-*' -exec sha256sum {{}} + | awk '$1 != substr($2, 3) {{print \"CHANGED\", $2; bad = 1}} END {{if (!bad) print \"OK\"; exit bad}}')",
                quoted(&folder)
            ),
        })
    }
}

fn quoted(path: &Path) -> String {
    quote(&path.display().to_string())
}

/// Quotes a word for a POSIX shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word_in_a_shell() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("o'clock; $(x)"), "'o'\\''clock; $(x)'");
    }
}
