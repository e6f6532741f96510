//! The runbook format: a sample with every key, every kind of mistake at its exact place, and no panic on any input.

use std::fmt::Write as _;

use azir::runbook::catalogue::Catalogue;
use azir::runbook::docs;
use azir::runbook::expr::{Expressions, Scope};
use azir::runbook::lint::lint;
use azir::runbook::model::{Action, Undo};
use azir::runbook::parse::{parse, parse_bytes};
use azir::runbook::problem::render;
use azir::runbook::schema::schema;
use serde_json::{Value, json};

/// Uses every key of the format.
const SAMPLE: &str = r#"azir: v1
name: sample
version: 1.2.3
title: Show every key
about: |
  Two lines
  of help.
purpose: contain
deadline: 5m
together: true
controls: {nist: [IR-4], iso: A.5.26}
params:
  disk: {type: resource, of: Microsoft.Compute/disks, position: 1, many: true, required: true, help: A disk}
  mode: {type: enum, values: [cut, watch], default: cut}
  count: {type: int, min: 1, max: 5, default: 2}
  ranges: {type: list, of: cidr, default: [10.0.0.1/24]}
  lookback: {type: duration, default: 24h}
  earlier: {type: run, help: A run}
permissions:
  arm: [Microsoft.Compute/disks/read, Microsoft.Compute/disks/write, Microsoft.Insights/eventtypes/values/read, Microsoft.Resources/tags/read, Microsoft.Resources/tags/write, Microsoft.Authorization/roleAssignments/delete, Microsoft.Authorization/roleAssignments/read]
  graph: [User.Read.All]
  blob: [Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write]
  vault: [Microsoft.KeyVault/vaults/secrets/setSecret/action]
steps:
  - id: state
    phase: inventory
    title: Read the disk
    read: {arm: "GET {{ disk.id }}", api_version: "2023-10-02", query: {$expand: x}, headers: {Prefer: minimal}, missing_ok: true}
    otherwise: say
    limit: 30s
    let: {name: "{{ body.name }}", upper: "{{ name | upper }}"}
    say: "{{ upper }}"
  - id: users
    phase: inventory
    title: Read users
    after: state
    read: {graph: GET /beta/users, beta: v1.0 tells less, query: {$filter: "displayName eq {{ disk.name }}"}, pages: true}
    let: {ids: "{{ items | pluck('id') }}"}
  - id: sure
    phase: inventory
    title: Be sure
    assert: {that: "{{ state.name != '' }}", message: no name}
  - id: which
    phase: preserve
    title: Choose
    decide: {question: Which?, options: "{{ users.ids }}", default: all}
  - id: look
    phase: preserve
    title: Look at it
    manual: {instruction: Look., finding: What did you see?}
  - id: pause
    phase: preserve
    title: Let it settle
    wait: {for: 5s, why: it needs a moment}
  - id: kept
    phase: preserve
    title: Keep the disk's state
    run: {runbook: collect-activity-log, with: {group: "{{ disk.id }}"}}
  - id: close
    phase: isolate
    title: Close the disk to the network
    when: "{{ mode == 'cut' }}"
    skip_reason: only watching
    edit: {arm: "{{ disk.id }}", api_version: "2023-10-02", set: {properties.publicNetworkAccess: Disabled}, if_match: true}
    shared: "{{ disk.id | lower }}"
    check: {claim: closed, get: {arm: "GET {{ disk.id }}", api_version: "2023-10-02"}, that: "{{ got.properties.publicNetworkAccess == 'Disabled' }}", observed: "{{ got_status }}", within: 1m, gate: true, otherwise: gap}
    undo: restore
  - id: tag
    phase: tag
    title: Tag it
    for_each: "{{ users.ids }}"
    as: user
    parallel: 4
    again: true
    otherwise: continue
    request:
      before: {arm: "GET {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}
      unless: "{{ before.properties.tags.seen == user }}"
      arm: "PATCH {{ disk.id }}/providers/Microsoft.Resources/tags/default"
      api_version: "2021-04-01"
      body: {operation: Merge, properties: {tags: {seen: "{{ user }}"}}}
      idempotent: true
    check:
      - {claim: tagged, when: "{{ count > 1 }}", get: {arm: "GET {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}, that: "{{ got.properties.tags.seen == user }}"}
    undo:
      requests:
        - read: {arm: "GET {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}
          unless: "{{ current == before }}"
          drift: "{{ current != after }}"
          request: {arm: "PATCH {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01", body: "{{ before }}"}
          that: "{{ current == before }}"
          ask: true
  - id: tag_else
    phase: tag
    title: Tag it another way
    fallback: {of: tag, price: "whoever reads {{ left | length }} tags", lessens: true}
    consent: explicit
    otherwise: continue
    for_each: "{{ left }}"
    request: {arm: "PATCH {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01", body: {operation: Replace, properties: {tags: {seen: "{{ item }}"}}}}
    check: {claim: replaced, get: {arm: "GET {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}, that: "{{ got.properties.tags.seen == item }}"}
    undo: {never: nobody knows the tags any more}
  - id: mark
    phase: tag
    title: Leave a mark
    request: {arm: "PUT {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01", body: {}}
    check: {claim: marked, get: {arm: "GET {{ disk.id }}/providers/Microsoft.Resources/tags/default", api_version: "2021-04-01"}, that: "{{ got_status == 200 }}"}
    lasting: the mark is evidence
  - id: log
    phase: export
    title: Export
    collect:
      arm: "GET /subscriptions/{{ disk.subscription }}/providers/Microsoft.Insights/eventtypes/management/values"
      api_version: "2015-04-01"
      pages: value
      name: log.jsonl
      description: The log
      window: {from: "{{ time_add(run.started_at, 0 - lookback) }}", to: "{{ run.started_at }}"}
      follow_up: azir sample
    otherwise: gap
  - id: drop
    phase: delete
    title: Remove the lock's assignment
    consent: explicit
    request: {arm: "DELETE {{ disk.id }}/providers/Microsoft.Authorization/roleAssignments/x", api_version: "2022-04-01"}
    check: {claim: gone, get: {arm: "GET {{ disk.id }}/providers/Microsoft.Authorization/roleAssignments/x", api_version: "2022-04-01", missing_ok: true}, that: "{{ got_status == 404 }}"}
    undo: {never: an assignment gets a new id}
  - id: keeper
    phase: delete
    title: Read the vault
    read: {arm: "GET {{ disk.id }}", api_version: "2023-07-01"}
    let: {uri: "{{ body.properties.vaultUri }}"}
  - id: made_here
    phase: delete
    title: Set a password that nobody knows
    rotate:
      generate: {length: 32, alphabet: password}
      upstream: {graph: "PATCH /v1.0/users/{{ disk.name }}", body: {passwordProfile: {password: "{{ secret }}"}}}
    check: {claim: changed, get: {graph: "GET /v1.0/users/{{ disk.name }}"}, that: "{{ got_status == 200 }}"}
    lasting: the old one is known
  - id: made_there
    phase: delete
    title: Make a secret and keep it
    rotate:
      upstream: {graph: "POST /v1.0/applications/{{ disk.name }}/addPassword", body: {}, secret: secretText}
      vault: {vault: "PUT {{ keeper.uri }}/secrets/x", api_version: "7.4", body: {}}
      discard: {graph: "POST /v1.0/applications/{{ disk.name }}/removePassword", body: {keyId: "{{ upstream.keyId }}"}}
    check: {claim: kept, get: {vault: "GET {{ keeper.uri }}/secrets/x/versions", api_version: "7.4", pages: value}, that: "{{ got | length > 0 }}"}
    lasting: it is in the vault
  - id: again
    phase: delete
    title: Say it back
    on: undo
    manual: {instruction: "Tell {{ which.chosen | join(', ') }}", finding: Done?}
result: {name: "{{ state.name }}"}
residual:
  - {when: "{{ mode == 'cut' }}", what: "{{ item }} knows", until: "{{ time_add(now, 60) }}", for_each: "{{ users.ids }}"}
findings:
  - {when: "{{ mode == 'cut' }}", severity: low, what: "{{ item }} was seen", item: "{{ item }}", for_each: "{{ users.ids }}"}
collateral: "{{ users.ids }}"
"#;

#[test]
fn a_runbook_with_every_key_parses_lints_clean_and_fits_the_schema() {
    let runbook = parse("sample.yaml", SAMPLE).unwrap_or_else(|problems| panic!("{problems:?}"));
    let found = lint("sample.yaml", &runbook, &Catalogue::shipped());
    let shown: String = found
        .iter()
        .map(|problem| render(problem, SAMPLE))
        .collect();
    assert!(found.is_empty(), "{shown}");
    assert_eq!(
        runbook.params["ranges"].default,
        Some(json!(["10.0.0.0/24"]))
    );
    assert_eq!(runbook.params["lookback"].default, Some(json!(86_400)));
    assert_eq!(runbook.steps.len(), 17);
    assert!(
        matches!(&runbook.steps[8].undo, Some(Undo::Requests(requests)) if requests.len() == 1)
    );
    assert!(
        matches!(&runbook.steps[11].action, Action::Collect(collect) if collect.window.is_some())
    );
    assert_eq!(runbook.steps[1].id.place.line, 33);
    assert!(docs::show(&runbook).contains(
        "DISK  the name or resource id of a Microsoft.Compute/disks, one or more: A disk (required)"
    ));
    assert_every_key_is_used(&schema(), "", &mut Vec::new());
}

/// Follows the schema's properties and looks for each key in the sample.
fn assert_every_key_is_used(schema: &Value, at: &str, seen: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (name, below) in members {
                if name == "properties" {
                    for key in below
                        .as_object()
                        .into_iter()
                        .flat_map(serde_json::Map::keys)
                    {
                        let known = SAMPLE.contains(&format!("{key}:"));
                        assert!(known || key == "logs", "{at}.{key}");
                        seen.push(key.clone());
                    }
                }
                assert_every_key_is_used(below, name, seen);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| assert_every_key_is_used(item, at, seen)),
        _ => {}
    }
}

/// A mistake: what to replace by what, the code told, where in the new text it must point, and words of the message.
type Mistake = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const MISTAKES: &[Mistake] = &[
    ("azir: v1", "azir: v2", "unknown-word", "v2", "v1"),
    (
        "title: Show every key",
        "titel: Show every key",
        "unknown-key",
        "titel",
        "title",
    ),
    (
        "purpose: contain",
        "purpose: contian",
        "unknown-word",
        "contian",
        "contain",
    ),
    (
        "deadline: 5m",
        "deadline: 5 min",
        "bad-duration",
        "5 min",
        "90s",
    ),
    (
        "default: 2}",
        "default: 9}",
        "bad-default",
        "9",
        "whole number",
    ),
    (
        "inventory\n    title: Read the disk",
        "invent\n    title: Read the disk",
        "unknown-word",
        "invent",
        "inventory",
    ),
    (
        "missing_ok: true}\n    otherwise",
        "missing_okay: true}\n    otherwise",
        "unknown-key",
        "missing_okay",
        "missing_ok",
    ),
    (
        "    limit: 30s",
        "    wait: {for: 1s, why: x}",
        "one-kind",
        "wait",
        "read, wait",
    ),
    (
        "GET /beta/users",
        "FETCH /beta/users",
        "bad-call",
        "FETCH",
        "method",
    ),
    (
        "wait: {for: 5s",
        "wait: {for: soon",
        "bad-duration",
        "soon",
        "90s",
    ),
    (
        "set: {properties.publicNetworkAccess: Disabled}",
        "set: {properties..x: Disabled}",
        "bad-path",
        "properties..x",
        "dots",
    ),
    (
        "    undo: restore",
        "    undo: restroe",
        "unknown-word",
        "restroe",
        "restore",
    ),
    (
        "    parallel: 4",
        "    parallel: many",
        "wrong-type",
        "many",
        "whole number",
    ),
];

/// Returns the line and column of `token` within the first `part` of `text`.
fn place(text: &str, part: &str, token: &str) -> (usize, usize) {
    let before = &text[..text.find(part).unwrap() + part.find(token).unwrap()];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

#[test]
fn every_mistake_is_found_at_its_exact_place() {
    for (from, to, code, token, said) in MISTAKES {
        assert!(SAMPLE.contains(from), "{from}");
        let text = SAMPLE.replacen(from, to, 1);
        let problems = parse("sample.yaml", &text).unwrap_err();
        let found = problems
            .iter()
            .find(|problem| problem.code == *code)
            .unwrap_or_else(|| panic!("{to}: {problems:?}"));
        assert_eq!(
            (found.place.line, found.place.column),
            place(&text, to, token),
            "{to}"
        );
        let shown = render(found, &text);
        assert!(shown.contains(said), "{to}: {shown}");
    }
}

#[test]
fn independent_mistakes_are_all_told_in_the_order_of_the_file() {
    let text = MISTAKES
        .iter()
        .fold(SAMPLE.to_owned(), |text, (from, to, ..)| {
            text.replacen(from, to, 1)
        });
    let problems = parse("sample.yaml", &text).unwrap_err();
    for (_, to, code, token, _) in MISTAKES {
        let expected = place(&text, to, token);
        let told = problems.iter().any(|problem| {
            problem.code == *code && (problem.place.line, problem.place.column) == expected
        });
        assert!(told, "{to}: {problems:?}");
    }
    assert!(problems.is_sorted_by_key(|problem| problem.place.offset));
}

#[test]
fn a_problem_is_shown_like_a_compilers() {
    let text = SAMPLE.replacen("purpose: contain", "purpose: contian", 1);
    let problems = parse("sample.yaml", &text).unwrap_err();
    assert_eq!(
        render(&problems[0], &text),
        "error[unknown-word]: purpose cannot be \"contian\"\n  --> sample.yaml:8:10\n  |\n8 | purpose: contian\n  |          ^^^^^^^\n  = help: did you mean contain?\n"
    );
    let twice = SAMPLE.replacen("id: users", "id: state", 1);
    let runbook = parse("sample.yaml", &twice).unwrap();
    let found = lint("sample.yaml", &runbook, &Catalogue::shipped());
    let same = found
        .iter()
        .find(|problem| problem.code == "same-id")
        .unwrap();
    assert!(
        render(same, &twice).contains(":::"),
        "both places are shown"
    );
}

#[test]
fn hostile_files_are_refused_without_a_panic() {
    let head = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\n";
    let mut lists = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        let _ = writeln!(lists, "a{level}: &a{level} [*a{0}, *a{0}]", level - 1);
    }
    let files: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\0".to_vec(),
        b"azir: v1\n\xff\xfe".to_vec(),
        b"\xef\xbb\xbfazir: v1\n".to_vec(),
        lists.into_bytes(),
        "[".repeat(200_000).into_bytes(),
        "{a: ".repeat(50_000).into_bytes(),
        "- ".repeat(100_000).into_bytes(),
        "x".repeat(11 << 20).into_bytes(),
        format!("{head}steps:\n\t- id: a\n").into_bytes(),
        format!("{head}steps: []\n---\nazir: v1\n").into_bytes(),
        format!("{head}steps: []\nsteps: []\n").into_bytes(),
        format!("{head}steps: [{{id: a, phase: tag, title: T, read: {{graph: GET /x, body: {{b: 1, b: 2}}}}}}]\n").into_bytes(),
        format!("{head}steps: !include x\n").into_bytes(),
        format!("{head}<<: {{steps: []}}\n").into_bytes(),
        format!("{head}steps: [{{parallel: 99999999999999999999999}}]\n").into_bytes(),
        format!("{head}steps: \"unclosed\n").into_bytes(),
        format!("{head}steps: [1, null, [], x, {{1: 2}}, {{? [a] : b}}]\n").into_bytes(),
        b"null".to_vec(),
        b"- azir: v1".to_vec(),
    ];
    for file in files {
        let problems = parse_bytes("x.yaml", &file).expect_err("nothing of this is a runbook");
        let text = String::from_utf8_lossy(&file);
        for problem in problems {
            assert!(
                problem.place.line >= 1 && problem.place.column >= 1,
                "{problem:?}"
            );
            assert!(render(&problem, &text).len() < 4_000);
        }
    }
    let nul = parse("x.yaml", "azir: v1\nä\0").unwrap_err();
    assert_eq!((nul[0].place.line, nul[0].place.column), (2, 2));
    let bytes = parse_bytes("x.yaml", b"azir: v1\n\xc3\xa4\xff").unwrap_err();
    assert_eq!((bytes[0].place.line, bytes[0].place.column), (2, 2));
}

/// Returns numbers that look random and are the same every time.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below.max(1) as u64).unwrap_or(0)
    }
}

#[test]
fn a_damaged_file_is_never_a_panic() {
    let catalogue = Catalogue::shipped();
    let mut next = numbers(0x9e37_79b9_7f4a_7c15);
    let junk: &[&str] = &[
        "{", "}", "{{", "}}", "[", "\n", ": ", "- ", "\"", "'", "|", "&a ", "*a", "\t", "ä", "9",
        "~", "{%", "\u{feff}", "!x ",
    ];
    for _ in 0..600 {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for _ in 0..=next(3) {
            let at = next(text.len());
            match next(3) {
                0 => drop(text.drain(at..(at + next(12)).min(text.len()))),
                1 => drop(text.splice(at..at, junk[next(junk.len())].chars())),
                _ => text.swap(at, (at + 1).min(SAMPLE.chars().count() / 2)),
            }
        }
        let text: String = text.into_iter().collect();
        let problems = match parse("x.yaml", &text) {
            Ok(runbook) => lint("x.yaml", &runbook, &catalogue),
            Err(problems) => {
                assert!(!problems.is_empty());
                problems
            }
        };
        for problem in problems {
            assert!(!render(&problem, &text).is_empty());
        }
    }
}

#[test]
fn no_value_from_the_cloud_leaves_its_place_in_a_call() {
    let text = "azir: v1\nname: x\nversion: 1.0.0\ntitle: X\npurpose: read\nsteps:\n  - {id: a, phase: tag, title: T, read: {arm: \"GET /subscriptions/{{ evil }}/providers/A.B/c\", api_version: x, query: {$filter: \"name eq {{ evil }}\"}}}\n  - {id: b, phase: tag, title: T, read: {logs: \"POST https://api.loganalytics.io/v1/workspaces/{{ evil }}/query\", body: {query: \"T | where a == {{ evil }}\"}}}\n";
    let runbook = parse("x.yaml", text).unwrap();
    let expressions = Expressions::new();
    let mut next = numbers(7);
    let alphabet: Vec<char> = "'\"\\/?#%&=. ;|()x\u{e4}".chars().collect();
    for _ in 0..500 {
        let evil: String = (0..=next(12))
            .map(|_| alphabet[next(alphabet.len())])
            .collect();
        let mut scope = Scope::new();
        scope.set("evil", &json!(evil));
        for step in &runbook.steps {
            let Action::Read(call) = &step.action else {
                continue;
            };
            // Only a relative segment is refused; whatever is sent is one segment and one literal.
            let Ok(sent) = expressions.call(call, &scope) else {
                assert!(matches!(evil.as_str(), "." | ".."), "{evil:?}");
                continue;
            };
            let path = sent
                .path_or_url
                .trim_start_matches("https://api.loganalytics.io");
            let segments = if step.id.value == "a" { 6 } else { 5 };
            assert_eq!(path.split('/').count(), segments, "{evil:?} {path}");
            assert!(!path.contains(['?', '#', '\'', ' ']), "{evil:?} {path}");
            for (_, filter) in &sent.query {
                let literal = filter
                    .strip_prefix("name eq '")
                    .and_then(|rest| rest.strip_suffix('\''))
                    .unwrap();
                assert_eq!(literal.replace("''", "'"), evil);
                assert!(!literal.replace("''", "").contains('\''), "{filter}");
            }
            if let Some(body) = sent.body {
                let query = body["query"].as_str().unwrap();
                let literal = query
                    .strip_prefix("T | where a == '")
                    .and_then(|rest| rest.strip_suffix('\''))
                    .unwrap();
                assert_eq!(
                    unescaped(literal).as_deref(),
                    Some(evil.as_str()),
                    "{query}"
                );
            }
        }
    }
}

/// Reads the inside of a KQL literal; `None` if it ends early.
fn unescaped(literal: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?),
            '\'' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}
