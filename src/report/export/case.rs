//! A run in CASE/UCO, as JSON-LD: the investigation, what was done in it, by whom, with what authority, and the
//! provenance of every exhibit (CASE 1.x and UCO 1.x; `case_validate` of `case-utils` checks it in a test).
//!
//! Written line by line while the journal is read, so that memory does not grow with it, save for answers that are
//! awaited and the list of exhibits. Names are derived from the run: the same run gives the same graph.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::ExportError;
use super::header::Header;
use crate::digest::Digest;
use crate::journal::Line;
use crate::journal::reader::Lines;
use crate::report::words::{chosen, text, what};

/// Writes the graph; returns how many objects it has.
///
/// # Errors
/// A journal that cannot be read; an output that cannot be written.
pub fn json_ld(run_dir: &Path, to: &mut impl Write) -> Result<u64, ExportError> {
    let header = Header::read(run_dir)?;
    let mut graph = Graph {
        to,
        header: &header,
        count: 0,
        open: BTreeMap::new(),
        sources: BTreeMap::new(),
        persons: BTreeSet::new(),
        authorized: false,
        parts: Vec::new(),
    };
    graph.begin()?;
    let mut last = header.first.time.clone();
    let mut lines = Lines::open(run_dir)?;
    while let Some(line) = lines.next_line()? {
        graph.take(&line)?;
        last = line.time;
    }
    graph.end(&last)?;
    Ok(graph.count)
}

struct Graph<'a, W> {
    to: &'a mut W,
    header: &'a Header,
    count: u64,
    /// Requests whose answer is awaited, by number.
    open: BTreeMap<u64, Line>,
    /// What was acted on or asked, by name.
    sources: BTreeMap<String, String>,
    persons: BTreeSet<String>,
    /// Whether an authority is on record.
    authorized: bool,
    /// The investigation's own objects: authorization, exhibits, decisions.
    parts: Vec<Value>,
}

impl<W: Write> Graph<'_, W> {
    fn begin(&mut self) -> Result<(), ExportError> {
        let context = json!({
            "action": "https://ontology.unifiedcyberontology.org/uco/action/",
            "core": "https://ontology.unifiedcyberontology.org/uco/core/",
            "identity": "https://ontology.unifiedcyberontology.org/uco/identity/",
            "investigation": "https://ontology.caseontology.org/case/investigation/",
            "kb": "urn:azir:",
            "observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
            "tool": "https://ontology.unifiedcyberontology.org/uco/tool/",
            "types": "https://ontology.unifiedcyberontology.org/uco/types/",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        });
        write!(self.to, "{{\"@context\":{context},\n\"@graph\":[\n").map_err(ExportError::Write)?;
        let header = self.header;
        self.put(json!({
            "@id": self.id("tool", ""),
            "@type": "tool:Tool",
            "core:name": header.word("tool/name"),
            "tool:version": header.word("tool/version"),
            "core:description": format!("binary with SHA-256 {}", header.word("tool/binary_sha256")),
        }))?;
        self.person(&header.word("responder/upn"))?;
        self.authorization()
    }

    /// The authority, where one is on record; none is invented.
    fn authorization(&mut self) -> Result<(), ExportError> {
        let of = |name: &str| self.header.word(&format!("authority/{name}"));
        let (basis, ticket, by) = (of("basis"), of("ticket"), of("granted_by"));
        if basis.is_empty() && ticket.is_empty() && by.is_empty() {
            return Ok(());
        }
        self.authorized = true;
        let id = self.id("authorization", "");
        let mut node = json!({
            "@id": id,
            "@type": "investigation:Authorization",
            "core:startTime": time(&self.header.first.time),
        });
        for (name, value) in [
            ("investigation:authorizationType", basis),
            ("investigation:authorizationIdentifier", ticket),
        ] {
            if !value.is_empty() {
                node[name] = json!(value);
            }
        }
        if !by.is_empty() {
            node["core:description"] = json!(format!("granted by {by}"));
        }
        self.parts.push(json!({ "@id": id }));
        self.put(node)
    }

    fn take(&mut self, line: &Line) -> Result<(), ExportError> {
        match line.kind.as_str() {
            "action.intent" => {
                self.open.insert(line.seq, line.clone());
                Ok(())
            }
            "action.result" | "action.reconcile" => self.answered(line),
            "decision" | "manual" | "transfer" => self.by_person(line),
            "evidence" => self.exhibit(line),
            _ => Ok(()),
        }
    }

    fn answered(&mut self, line: &Line) -> Result<(), ExportError> {
        let seq = line.data.get("intent").and_then(Value::as_u64);
        let outcome = [text(line, "outcome"), text(line, "found")].concat();
        if matches!(outcome.as_str(), "unknown" | "undecidable") {
            return Ok(());
        }
        let Some(intent) = seq.and_then(|seq| self.open.remove(&seq)) else {
            return Ok(());
        };
        let status = match outcome.as_str() {
            "ok" | "yes" => "Success",
            _ => "Fail",
        };
        let code = text(line, "error_code");
        let code = if code.is_empty() {
            code
        } else {
            format!(", {code}")
        };
        self.request(
            &intent,
            Some(&line.time),
            status,
            &format!("{outcome}{code}"),
        )
    }

    /// One request to the cloud: asked for by the responder, made with the tool, on what it was about.
    fn request(
        &mut self,
        intent: &Line,
        ended: Option<&str>,
        status: &str,
        outcome: &str,
    ) -> Result<(), ExportError> {
        let object = self.source(&text(intent, "target"))?;
        let what = format!(
            "{} request {}, client request id {}: {outcome}",
            text(intent, "effect"),
            intent.seq,
            text(intent, "client_request_id")
        );
        let mut node = self.action(
            intent,
            &format!("{} {}", text(intent, "api/method"), text(intent, "why")),
            &what,
        );
        node["action:performer"] = reference(&self.person_id(&self.header.word("responder/upn")));
        node["action:instrument"] = reference(&self.id("tool", ""));
        node["action:object"] = reference(&object);
        node["action:actionStatus"] = json!(status);
        if let Some(ended) = ended {
            node["action:endTime"] = time(ended);
        }
        self.put(node)
    }

    fn by_person(&mut self, line: &Line) -> Result<(), ExportError> {
        let person = line.actor.pointer("/human/upn").and_then(Value::as_str);
        let person = person.map_or_else(|| self.header.word("responder/upn"), str::to_owned);
        self.person(&person)?;
        let choice = line.data.get("choice").map(chosen);
        let choice = choice
            .map(|choice| format!(" Chosen: {choice}"))
            .unwrap_or_default();
        let mut node = self.action(line, &line.kind, &format!("{}{choice}", what(line)));
        node["action:performer"] = reference(&self.person_id(&person));
        for name in ["from", "to"] {
            let other = text(line, name);
            if line.kind == "transfer" && !other.is_empty() && other != person {
                self.person(&other)?;
                node["action:participant"] = reference(&self.person_id(&other));
            }
        }
        self.parts
            .push(reference(node["@id"].as_str().unwrap_or_default()));
        self.put(node)
    }

    fn exhibit(&mut self, line: &Line) -> Result<(), ExportError> {
        let (sha256, size) = (text(line, "sha256"), line.data.get("size"));
        let key = line.seq.to_string();
        let (file, record) = (self.id("file", &key), self.id("provenance", &key));
        let source = text(line, "source");
        let source = self.source(if source.is_empty() { "azir" } else { &source })?;
        let mut facet = json!({
            "@id": self.id("content", &key),
            "@type": "observable:ContentDataFacet",
            "observable:hash": {
                "@id": self.id("hash", &key),
                "@type": "types:Hash",
                "types:hashMethod": "SHA256",
                "types:hashValue": {"@type": "xsd:hexBinary", "@value": sha256},
            },
        });
        let mut named = json!({
            "@id": self.id("name", &key),
            "@type": "observable:FileFacet",
            "observable:fileName": text(line, "name"),
        });
        if let Some(size) = size {
            facet["observable:sizeInBytes"] = size.clone();
            named["observable:sizeInBytes"] = size.clone();
        }
        self.put(json!({
            "@id": file,
            "@type": "observable:File",
            "core:name": text(line, "name"),
            "core:hasFacet": [named, facet],
        }))?;
        self.put(json!({
            "@id": record,
            "@type": "investigation:ProvenanceRecord",
            "core:description": format!("{}{}", self.header.mark(), text(line, "description")),
            "core:objectCreatedTime": time(&line.time),
            "investigation:exhibitNumber": text(line, "exhibit"),
            "core:object": [reference(&file)],
        }))?;
        let mut node = self.action(line, "collect", &text(line, "description"));
        node["action:performer"] = reference(&self.person_id(&self.header.word("responder/upn")));
        node["action:instrument"] = reference(&self.id("tool", ""));
        node["action:object"] = reference(&source);
        node["action:result"] = json!([reference(&file), reference(&record)]);
        node["action:endTime"] = time(&line.time);
        node["action:actionStatus"] = json!("Success");
        let action = node["@id"].clone();
        self.parts
            .extend([reference(&record), json!({ "@id": action })]);
        self.put(node)
    }

    /// Requests without an answer, and the investigation that holds it all.
    fn end(&mut self, last: &str) -> Result<(), ExportError> {
        for intent in std::mem::take(&mut self.open).into_values() {
            self.request(&intent, None, "Unknown", "no answer is on record")?;
        }
        let header = self.header;
        let warning = header
            .warning()
            .map(|text| format!("{text} "))
            .unwrap_or_default();
        let none = if header.word("authority/basis").is_empty() {
            " No basis of authority is on record."
        } else {
            ""
        };
        let mut node = json!({
            "@id": self.id("investigation", ""),
            "@type": "investigation:Investigation",
            "core:name": format!("{}{}", header.mark(), header.word("incident")),
            "core:description": format!(
                "{warning}Run {} ({} of {} {}), as its custody record {} tells it.{none} The record proves unchanged since, never true when written.",
                header.run,
                header.word("mode"),
                header.word("runbook/name"),
                header.word("runbook/version"),
                header.word("origin"),
            ),
            "core:startTime": time(&header.first.time),
            "core:endTime": time(last),
            "investigation:investigationForm": "incident",
        });
        if !self.parts.is_empty() {
            node["core:object"] = Value::Array(std::mem::take(&mut self.parts));
        }
        if self.authorized {
            node["investigation:relevantAuthorization"] = reference(&self.id("authorization", ""));
        }
        self.put(node)?;
        self.to.write_all(b"\n]}\n").map_err(ExportError::Write)?;
        self.to.flush().map_err(ExportError::Write)
    }

    fn action(&self, line: &Line, name: &str, description: &str) -> Value {
        json!({
            "@id": self.id("action", &line.seq.to_string()),
            "@type": "investigation:InvestigativeAction",
            "core:name": format!("{}{}", self.header.mark(), name.trim()),
            "core:description": description.trim(),
            "action:startTime": time(&line.time),
        })
    }

    /// Makes sure that a person is in the graph.
    fn person(&mut self, upn: &str) -> Result<(), ExportError> {
        if !self.persons.insert(upn.to_owned()) {
            return Ok(());
        }
        let id = self.person_id(upn);
        self.put(json!({"@id": id, "@type": "identity:Person", "core:name": upn}))
    }

    /// Makes sure that what a request was about is in the graph; returns its name there.
    fn source(&mut self, name: &str) -> Result<String, ExportError> {
        if let Some(id) = self.sources.get(name) {
            return Ok(id.clone());
        }
        let id = self.id("object", name);
        self.sources.insert(name.to_owned(), id.clone());
        self.put(json!({"@id": id, "@type": "observable:ObservableObject", "core:name": name}))?;
        Ok(id)
    }

    fn put(&mut self, node: Value) -> Result<(), ExportError> {
        let comma = if self.count == 0 { "" } else { ",\n" };
        write!(self.to, "{comma}{node}").map_err(ExportError::Write)?;
        self.count += 1;
        Ok(())
    }

    fn person_id(&self, upn: &str) -> String {
        self.id("person", upn)
    }

    /// Names an object: UCO wants a UUID at its end, and the same run must give the same name.
    fn id(&self, kind: &str, key: &str) -> String {
        let name = format!("{}\n{kind}\n{key}", self.header.word("origin"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Digest::of(name.as_bytes()).0[..16]);
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        format!("kb:{kind}-{uuid}")
    }
}

fn reference(id: &str) -> Value {
    json!({ "@id": id })
}

fn time(text: &str) -> Value {
    json!({"@type": "xsd:dateTime", "@value": text})
}
