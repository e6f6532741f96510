//! Filters that tell what is alike once, with how often and when.

use serde_json::{Map, Value, json};

use super::filters::list;
use super::language::Row;
use super::rating::text;

pub(super) const ROWS: &[Row] = &[(
    "alike_sign_ins",
    alike_sign_ins,
    "judged sign-ins | alike_sign_ins: those that differ in nothing but their time as one, with number, first and last",
)];

/// What a judgement says begins with the time of the sign-in.
fn alike_sign_ins(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut kinds: Vec<(String, Map<String, Value>)> = Vec::new();
    for sign_in in list(value)? {
        let time = text(sign_in, "createdDateTime");
        let what = text(sign_in, "what");
        let what = what.strip_prefix(time).unwrap_or(what).trim_start();
        if let Some((_, found)) = kinds.iter_mut().find(|(kind, _)| kind == what) {
            add(found, time);
        } else {
            let mut found = sign_in.as_object().cloned().unwrap_or_default();
            found.insert("number".to_owned(), json!(1));
            found.insert("first".to_owned(), json!(time));
            found.insert("last".to_owned(), json!(time));
            kinds.push((what.to_owned(), found));
        }
    }
    let told = kinds.into_iter().map(|(kind, mut found)| {
        let of = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let what = match found["number"].as_u64() {
            Some(1) => format!("{} {kind}", of("first")),
            number => format!(
                "{} sign-ins, {} to {}, {kind}",
                number.unwrap_or_default(),
                of("first"),
                of("last")
            ),
        };
        found.insert("what".to_owned(), json!(what));
        Value::Object(found)
    });
    Ok(told.collect())
}

/// Times of one log are of one form, so that texts sort as they do.
fn add(found: &mut Map<String, Value>, time: &str) {
    let number = found["number"].as_u64().unwrap_or_default() + 1;
    found.insert("number".to_owned(), json!(number));
    if found["first"].as_str().is_some_and(|first| time < first) {
        found.insert("first".to_owned(), json!(time));
    }
    if found["last"].as_str().is_some_and(|last| time > last) {
        found.insert("last".to_owned(), json!(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_its_time_alone_is_told_once() {
        let one = |time: &str, from: &str| json!({"id": time, "createdDateTime": time, "what": format!("{time} from {from}: unclear")});
        let judged = json!([
            one("T2", "a"),
            one("T1", "b"),
            one("T3", "a"),
            one("T1", "a")
        ]);
        let found = alike_sign_ins(&judged, &[]).unwrap();
        let told: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| text(kind, "what"))
            .collect();
        assert_eq!(
            told,
            [
                "3 sign-ins, T1 to T3, from a: unclear",
                "T1 from b: unclear"
            ]
        );
        assert_eq!(found[0]["id"], "T2");
        assert!(alike_sign_ins(&json!(5), &[]).is_err());
    }
}
