//! Lines that a writer with all the keys might make: right hashes, right chain, and a lie in the form or in the story.

use serde_json::{Value, json};

use crate::journal_kit::{ALICE, Forge, codes, run_start};

#[test]
fn lines_with_right_hashes_that_break_the_form_are_errors() {
    assert_eq!(Forge::started().verify().exit_code, 2);
    let whole = |member: &str, value: Value| {
        let mut forge = Forge::started();
        let mut members = forge.members("note", json!({}));
        members[member] = value;
        forge.line(&members);
        forge.verify().exit_code
    };
    assert_eq!(whole("actor", json!({"service": "x"})), 2);
    assert_eq!(
        whole(
            "actor",
            json!({"human": {"upn": ALICE, "name": "A", "oid": "o"}})
        ),
        2
    );
    for (member, value) in [
        ("actor", json!({})),
        ("actor", json!({"service": "x", "azir": "y"})),
        (
            "actor",
            json!({"azir": "00000000-0000-4000-8000-000000000002"}),
        ),
        ("actor", json!({"human": {"name": "A"}})),
        ("actor", json!({"human": {"upn": ALICE, "mail": "x"}})),
        ("actor", json!("azir")),
        ("data", json!([])),
        ("mono_us", json!(-1)),
        ("mono_us", json!("1")),
        ("nonce", json!("0".repeat(31))),
        ("nonce", json!("A".repeat(32))),
        ("prev", json!("0".repeat(64))),
        ("seq", json!(7)),
        ("session", json!("00000000-0000-4000-8000-000000000002")),
        ("session", json!("x")),
        ("time", json!("2026-02-30T00:00:00.000000Z")),
        ("time", json!("2026-01-01T00:00:60.000000Z")),
        ("time", json!("2026-01-01T00:00:00Z")),
        ("type", json!("Note")),
        ("type", json!("note.")),
        ("extra", json!(1)),
    ] {
        assert_eq!(whole(member, value.clone()), 1, "{member}: {value}");
    }
    let text = |change: &dyn Fn(String) -> String| {
        let mut forge = Forge::started();
        let body =
            azir::json::canonical(&forge.members("note", json!({"a": "x", "b": 1}))).unwrap();
        forge.body(change(body).as_bytes());
        forge.verify().exit_code
    };
    assert_eq!(text(&|body| body), 2);
    for (from, to) in [
        ("\"b\":1", "\"b\":1,\"b\":1"),
        ("\"b\":1", "\"b\":1.0"),
        ("\"b\":1", "\"b\":9007199254740992"),
        ("\"b\":1", "\"B\":1"),
        ("\"b\":1", "\"b\": 1"),
        ("\"a\":\"x\",\"b\":1", "\"b\":1,\"a\":\"x\""),
        ("\"x\"", "\"\\u0078\""),
        ("\"x\"", "\"\\ud800\""),
        ("\"x\"", "\"\\/\""),
        ("}", "} "),
        ("\"type\":\"note\"", "\"type\":\"note\",\"zzz\":1"),
    ] {
        assert_eq!(
            text(&|body| body.replacen(from, to, 1)),
            1,
            "{from} -> {to}"
        );
    }
    let mut forge = Forge::started();
    let invalid = forge.body(b"{\"actor\":\"\xff\"}");
    assert_eq!((invalid, forge.verify().exit_code), (1, 1));
}

#[test]
fn a_writer_with_every_key_cannot_sign_a_malformed_line_into_a_record() {
    let folder = tempfile::tempdir().unwrap();
    // The line itself; nothing else about the run is wrong, and everything about it is signed.
    let judged = |what: usize, change: &dyn Fn(&mut Forge)| {
        let mut forge = Forge::started();
        forge.say("note", json!({"n": 1}));
        change(&mut forge);
        forge.say("note", json!({"n": 2}));
        forge.say("seal", json!({"open_intents": []}));
        let (run_dir, outside) = forge.signed(&folder.path().join(what.to_string()));
        azir::journal::verify::verify(&run_dir, &outside)
    };
    let sound = judged(0, &|forge| {
        forge.say("note", json!({"n": 0}));
    });
    assert_eq!(sound.exit_code, 0, "{sound:?}");
    let mut tried = 0;
    let mut refused = |change: &dyn Fn(&mut Forge)| {
        tried += 1;
        let report = judged(tried, change);
        assert_eq!(report.exit_code, 1, "{tried}: {report:?}");
        let named = report
            .findings
            .iter()
            .any(|finding| finding.file == "seg-000001.jsonl" && finding.line == Some(3));
        assert!(named, "{tried}: {report:?}");
    };
    for (member, value) in [
        ("actor", json!({"human": {"upn": "a b"}})),
        ("data", json!({"a": 1.5})),
        ("data", json!({"Upper": 1})),
        ("data", json!({"sha256": "ab".repeat(32), "size": -1})),
        ("extra", json!(1)),
        ("mono_us", json!(-1)),
        ("nonce", json!("0")),
        ("prev", json!("1".repeat(64))),
        ("seq", json!(3)),
        ("session", json!("00000000-0000-4000-8000-000000000002")),
        ("time", json!("2026-02-30T00:00:00.000000Z")),
        ("type", json!("run.start")),
        ("type", json!("session.open")),
        ("type", json!("seal")),
        ("type", json!("Note")),
    ] {
        refused(&|forge| {
            let mut members = forge.members("note", json!({}));
            members[member] = value.clone();
            let body = serde_json::to_string(&members).unwrap();
            let body = azir::json::canonical(&members).unwrap_or(body);
            forge.body(body.as_bytes());
        });
    }
    for (from, to) in [
        ("\"b\":1", "\"b\":1,\"b\":1"),
        ("\"b\":1", "\"b\":01"),
        ("\"b\":1", "\"b\":-0"),
        ("\"b\":1", "\"b\":1e3"),
        ("\"b\":1", "\"b\":9007199254740992"),
        ("\"b\":1", "\"b\": 1"),
        ("\"b\":1", "\"b\":\t1"),
        ("\"a\":\"x\",\"b\":1", "\"b\":1,\"a\":\"x\""),
        ("\"x\"", "\"\\u0078\""),
        ("\"x\"", "\"\\ud800\""),
        ("\"x\"", "\"\u{0}\""),
        ("\"type\":\"note\"", "\"type\":\"note\",\"type\":\"note\""),
    ] {
        refused(&|forge| {
            let body = azir::json::canonical(&forge.members("note", json!({"a": "x", "b": 1})));
            forge.body(body.unwrap().replacen(from, to, 1).as_bytes());
        });
    }
    for (kind, data) in [
        ("action.intent", json!({})),
        ("action.intent", json!({"client_request_id": "X"})),
        ("action.result", json!({"intent": 1, "outcome": "ok"})),
        ("action.reconcile", json!({"intent": 9, "found": "yes"})),
        ("note", json!({"long": "y".repeat(65_536)})),
        (
            "note",
            (0..33).fold(json!([]), |inner, _| json!({"d": inner})),
        ),
    ] {
        refused(&|forge| {
            forge.say(kind, data.clone());
        });
    }
    println!("malformed lines signed with every key: {tried}, none undetected");
}

#[test]
fn a_line_may_be_as_long_and_as_deep_as_it_says_and_no_more() {
    let long = |bytes: usize| {
        let mut forge = Forge::started();
        let before = forge.bytes.len();
        let mut probe = Forge::started();
        probe.say("note", json!({"x": ""}));
        let overhead = probe.bytes.len() - before;
        forge.say("note", json!({"x": "y".repeat(bytes - overhead)}));
        assert_eq!(forge.bytes.len() - before, bytes);
        forge.verify().exit_code
    };
    assert_eq!((long(65_536), long(65_537)), (2, 1));
    let deep = |levels: usize| {
        let mut forge = Forge::started();
        // data is level 1, so that its first array is level 2.
        let nested = (2..levels).fold(json!([]), |inner, _| json!([inner]));
        forge.say("note", json!({"x": nested}));
        forge.verify().exit_code
    };
    assert_eq!((deep(32), deep(33)), (2, 1));
}

#[test]
fn sessions_begin_as_they_should() {
    let begun = |change: &dyn Fn(&mut Value)| {
        let mut forge = Forge::new();
        let mut data = run_start();
        change(&mut data);
        forge.say("run.start", data);
        forge.verify().exit_code
    };
    assert_eq!(begun(&|_| ()), 2);
    assert_eq!(begun(&|data| data["format"] = json!("azir-journal-v2")), 4);
    assert_eq!(begun(&|data| data["format"] = json!(1)), 1);
    assert_eq!(begun(&|data| data["mode"] = json!("drill")), 2);
    let undo = |of: Value| {
        begun(&|data| {
            data["mode"] = json!("undo");
            data["of"] = of.clone();
        })
    };
    assert_eq!(
        undo(
            json!({"run": "00000000-0000-4000-8000-000000000003", "size": 3, "chain": "a".repeat(64)})
        ),
        2
    );
    assert_eq!(
        undo(json!({"run": "00000000-0000-4000-8000-000000000003", "size": 3})),
        1
    );
    for (member, value) in [
        ("incident", json!("IR 1")),
        ("incident", json!("IR-1")),
        ("origin", json!("azir/IR-2026-0042/x")),
        ("mode", json!("test")),
        ("mode", json!("undo")),
        ("responder", json!({})),
        ("responder", json!({"upn": ""})),
        ("responder", json!({"upn": "a b"})),
        ("responder", json!({"upn": "#a"})),
        ("session_key", json!("ssh-ed25519 AAAA")),
        ("session_key", json!("ssh-rsa AAAA")),
    ] {
        assert_eq!(
            begun(&|data| data[member] = value.clone()),
            1,
            "{member}: {value}"
        );
    }
    let mut first = Forge::new();
    first.say("note", json!({}));
    assert_eq!(first.verify().exit_code, 1);
    let mut second = Forge::started();
    second.say("run.start", run_start());
    assert_eq!(second.verify().exit_code, 1);
}

#[test]
fn intents_results_and_reconciles_follow_each_other_as_they_can() {
    let id = |n: u64| json!({"client_request_id": format!("00000000-0000-4000-8000-{n:012x}")});
    let story = |acts: &[(&str, &str)]| {
        let mut forge = Forge::started();
        let intent = forge.say("action.intent", id(1));
        for (kind, word) in acts {
            let name = if *kind == "result" {
                "outcome"
            } else {
                "found"
            };
            forge.say(
                &format!("action.{kind}"),
                json!({"intent": intent, name: word}),
            );
        }
        let report = forge.verify();
        (report.exit_code, report.open_intents)
    };
    assert_eq!(story(&[]), (2, 1));
    assert_eq!(story(&[("result", "ok")]), (2, 0));
    assert_eq!(story(&[("result", "unknown")]), (2, 1));
    assert_eq!(
        story(&[
            ("result", "unknown"),
            ("reconcile", "undecidable"),
            ("reconcile", "yes"),
            ("reconcile", "no")
        ]),
        (2, 0)
    );
    assert_eq!(
        story(&[("reconcile", "yes"), ("reconcile", "undecidable")]),
        (2, 0)
    );
    for bad in [
        &[("result", "ok"), ("result", "ok")][..],
        &[("result", "unknown"), ("result", "ok")],
        &[("reconcile", "undecidable"), ("result", "ok")],
        &[("result", "failed"), ("reconcile", "yes")],
        &[("result", "perhaps")],
        &[("reconcile", "ok")],
    ] {
        assert_eq!(story(bad).0, 1, "{bad:?}");
    }
    let mut again = Forge::started();
    again.say("action.intent", id(1));
    again.say("action.intent", id(1));
    assert_eq!(codes(&again.verify())[0], "request-id-again");
    let seal = |open: Value| {
        let mut forge = Forge::started();
        forge.say("action.intent", id(1));
        forge.say("seal", json!({"open_intents": open}));
        forge
    };
    assert_eq!(seal(json!([1])).verify().exit_code, 2);
    assert_eq!(seal(json!([])).verify().exit_code, 1);
    assert_eq!(seal(json!([1, 1])).verify().exit_code, 1);
    let mut after = seal(json!([1]));
    after.say("note", json!({}));
    assert_eq!(after.verify().exit_code, 1);
    let mut tail = seal(json!([1]));
    tail.bytes.push(b'x');
    assert_eq!(tail.verify().exit_code, 1);
}

#[test]
fn evidence_is_there_with_one_size_unless_it_is_stored_elsewhere_or_redacted() {
    let sha = "ab".repeat(32);
    let cited = |lines: &[Value]| {
        let mut forge = Forge::started();
        for line in lines {
            forge.say(
                if line.get("why").is_some() {
                    "redact"
                } else {
                    "evidence"
                },
                line.clone(),
            );
        }
        forge.verify().exit_code
    };
    let plain = json!({"sha256": sha, "size": 3});
    let stored = json!({"sha256": sha, "size": 3, "stored": {"uri": "u"}});
    assert_eq!(cited(std::slice::from_ref(&plain)), 1);
    assert_eq!(cited(std::slice::from_ref(&stored)), 2);
    assert_eq!(cited(&[stored.clone(), plain.clone()]), 1);
    assert_eq!(
        cited(&[plain, json!({"sha256": sha, "why": "court order"})]),
        2
    );
    assert_eq!(
        cited(&[
            stored,
            json!({"deep": [{"sha256": sha, "size": 4, "stored": {}}]})
        ]),
        1
    );
    assert_eq!(cited(&[json!({"sha256": "xyz", "size": 3})]), 1);
    assert_eq!(cited(&[json!({"sha256": sha})]), 2);
}

#[test]
fn a_whole_line_behind_a_broken_place_is_no_crash() {
    let mut forge = Forge::started();
    let torn = forge.bytes.len();
    forge.say("note", json!({}));
    let mut pushed = Forge::started();
    pushed.bytes.push(b'x');
    pushed.bytes.extend_from_slice(&forge.bytes[torn..]);
    assert_eq!(pushed.verify().exit_code, 1);
    pushed.bytes.pop();
    assert_eq!(pushed.verify().exit_code, 3);
}
