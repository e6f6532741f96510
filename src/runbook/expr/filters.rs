//! Filters over plain JSON: lists, objects, texts and times.

use serde_json::{Map, Value, json};

use super::language::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "choices",
        choices,
        "list | choices('id', 'label.path'): objects with id and label for a decision",
    ),
    ("cut", cut, "text | cut(64): its first characters"),
    (
        "entries",
        entries,
        "object | entries: a list of {key, value}",
    ),
    (
        "first_or",
        first_or,
        "list | first_or(x): the first item, or x",
    ),
    (
        "first_or_none",
        first_or_none,
        "list | first_or_none: the first item, or none",
    ),
    ("flatten", flatten, "list of lists | flatten: one list"),
    (
        "fromkeys",
        fromkeys,
        "list | fromkeys(x): an object with these keys, each x",
    ),
    (
        "get",
        get,
        "object | get('a.b', default): the member at a path",
    ),
    (
        "keep",
        keep,
        "list | keep(['a', 'b']): of each object only these members",
    ),
    (
        "lower_keys",
        lower_keys,
        "object | lower_keys: with the names of its members in lower case",
    ),
    (
        "map_lower",
        map_lower,
        "list | map_lower: each text in lower case",
    ),
    (
        "merge",
        merge,
        "object | merge(other): the members of both; of one name, the other's",
    ),
    (
        "need",
        need,
        "value | need('why not'): the value; where it is none, the step fails and says so",
    ),
    (
        "omit",
        omit,
        "object | omit(['a']): without these members, whatever their case",
    ),
    (
        "pick",
        pick,
        "object | pick(['a']): only these members, whatever their case",
    ),
    (
        "pluck",
        pluck,
        "list | pluck('a.b'): the member of each, where it is there",
    ),
    (
        "prefixed",
        prefixed,
        "list | prefixed('x/'): each text with x/ before it",
    ),
    ("product", product, "product(a, b): every pair"),
    (
        "short_hash",
        short_hash,
        "text | short_hash: ten hex digits of its SHA-256, whatever its case",
    ),
    (
        "spread_seconds",
        spread_seconds,
        "list of times | spread_seconds: from the first to the last",
    ),
    (
        "tag_value",
        tag_value,
        "text | tag_value: as it fits into a tag (256 characters)",
    ),
    (
        "time_add",
        time_add,
        "time_add(time, seconds): a later or earlier time",
    ),
    (
        "time_diff",
        time_diff,
        "time_diff(a, b): seconds from b to a",
    ),
    ("unique", unique, "list | unique: each item once"),
    (
        "unique_by",
        unique_by,
        "list | unique_by('a.b'): the first of each value of a member",
    ),
    (
        "uuid_from",
        uuid_from,
        "uuid_from(a, b): always the same UUID for the same texts",
    ),
    (
        "where",
        where_is,
        "list | where('a.b', x): where the member is x, whatever the case",
    ),
    (
        "where_any",
        where_any,
        "list | where_any('a.list', 'member', [x]): where any element's member is one of these",
    ),
    (
        "where_filled",
        where_filled,
        "list | where_filled('a'): where the member is not empty",
    ),
    (
        "where_in",
        where_in,
        "list | where_in('a.b', [x]): where the member is one of these",
    ),
    (
        "where_starts",
        where_starts,
        "list | where_starts('a.b', 'x'): where the member is a text that begins so, whatever the case",
    ),
    (
        "where_prefix",
        where_prefix,
        "list | where_prefix('x'): texts that begin so",
    ),
    (
        "without_in",
        without_in,
        "list | without_in('a.b', [x]): where the member is none of these",
    ),
    (
        "without_none",
        without_none,
        "object | without_none: without members that are none",
    ),
];

/// A product of two lists from the cloud must not fill the memory.
const MAX_PRODUCT: usize = 100_000;

pub(super) fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| "it works on a list".to_owned())
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "it works on text".to_owned())
}

pub(super) fn arg(args: &[Value], index: usize) -> Result<&Value, String> {
    args.get(index)
        .ok_or_else(|| format!("it needs {} arguments", index + 1))
}

pub(super) fn text_arg(args: &[Value], index: usize) -> Result<&str, String> {
    arg(args, index)?
        .as_str()
        .ok_or_else(|| "an argument must be text".to_owned())
}

fn member<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    crate::json::member(value, path).filter(|member| !member.is_null())
}

/// Compares values; texts without regard to case, as Azure does with names and ids.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn filter_list(value: &Value, keep: impl Fn(&Value) -> bool) -> Result<Value, String> {
    Ok(list(value)?
        .iter()
        .filter(|item| keep(item))
        .cloned()
        .collect())
}

fn map_list(value: &Value, map: impl Fn(&Value) -> Result<Value, String>) -> Result<Value, String> {
    list(value)?.iter().map(map).collect()
}

fn choices(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (id, label) = (text_arg(args, 0)?, text_arg(args, 1)?);
    map_list(value, |item| {
        Ok(json!({"id": member(item, id), "label": member(item, label)}))
    })
}

fn cut(value: &Value, args: &[Value]) -> Result<Value, String> {
    let most = arg(args, 0)?
        .as_u64()
        .and_then(|most| usize::try_from(most).ok())
        .ok_or("it cuts to a whole number")?;
    Ok(json!(text(value)?.chars().take(most).collect::<String>()))
}

fn entries(value: &Value, _: &[Value]) -> Result<Value, String> {
    let object = value.as_object().ok_or("it works on an object")?;
    Ok(object
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect())
}

fn first_or(value: &Value, args: &[Value]) -> Result<Value, String> {
    Ok(list(value)?.first().unwrap_or(arg(args, 0)?).clone())
}

fn first_or_none(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(list(value)?.first().cloned().unwrap_or(Value::Null))
}

fn need(value: &Value, args: &[Value]) -> Result<Value, String> {
    if value.is_null() {
        return Err(text_arg(args, 0)?.to_owned());
    }
    Ok(value.clone())
}

fn flatten(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut flat = Vec::new();
    for item in list(value)? {
        match item {
            Value::Array(items) => flat.extend(items.iter().cloned()),
            Value::Null => {}
            other => flat.push(other.clone()),
        }
    }
    Ok(Value::Array(flat))
}

fn fromkeys(value: &Value, args: &[Value]) -> Result<Value, String> {
    let given = arg(args, 0)?;
    let mut object = Map::new();
    for key in list(value)? {
        object.insert(text(key)?.to_owned(), given.clone());
    }
    Ok(Value::Object(object))
}

fn get(value: &Value, args: &[Value]) -> Result<Value, String> {
    let path = text_arg(args, 0)?;
    match (member(value, path), args.get(1)) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(format!("there is no {path}")),
    }
}

fn keep(value: &Value, args: &[Value]) -> Result<Value, String> {
    map_list(value, |item| pick(item, args))
}

fn lower_keys(value: &Value, _: &[Value]) -> Result<Value, String> {
    let object = value.as_object().ok_or("it works on an object")?;
    let lower = object
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()));
    Ok(Value::Object(lower.collect()))
}

fn map_lower(value: &Value, _: &[Value]) -> Result<Value, String> {
    map_list(value, |item| Ok(json!(text(item)?.to_lowercase())))
}

fn merge(value: &Value, args: &[Value]) -> Result<Value, String> {
    let object = |value: &Value| {
        value
            .as_object()
            .cloned()
            .ok_or_else(|| "it works on objects".to_owned())
    };
    let mut merged = object(value)?;
    merged.extend(object(arg(args, 0)?)?);
    Ok(Value::Object(merged))
}

fn named(args: &[Value]) -> Result<Vec<String>, String> {
    list(arg(args, 0)?)?
        .iter()
        .map(|name| text(name).map(str::to_lowercase))
        .collect()
}

fn members(value: &Value, keep: impl Fn(&str) -> bool) -> Result<Value, String> {
    let object = value.as_object().ok_or("it works on an object")?;
    let kept = object.iter().filter(|(name, _)| keep(&name.to_lowercase()));
    Ok(Value::Object(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ))
}

fn omit(value: &Value, args: &[Value]) -> Result<Value, String> {
    let names = named(args)?;
    members(value, |name| !names.iter().any(|known| known == name))
}

fn pick(value: &Value, args: &[Value]) -> Result<Value, String> {
    let names = named(args)?;
    members(value, |name| names.iter().any(|known| known == name))
}

fn pluck(value: &Value, args: &[Value]) -> Result<Value, String> {
    let path = text_arg(args, 0)?;
    Ok(list(value)?
        .iter()
        .filter_map(|item| member(item, path))
        .cloned()
        .collect())
}

fn prefixed(value: &Value, args: &[Value]) -> Result<Value, String> {
    let prefix = text_arg(args, 0)?;
    map_list(value, |item| Ok(json!(format!("{prefix}{}", text(item)?))))
}

fn product(value: &Value, args: &[Value]) -> Result<Value, String> {
    let others = list(arg(args, 0)?)?;
    if list(value)?.len().saturating_mul(others.len()) > MAX_PRODUCT {
        return Err(format!("it would have more than {MAX_PRODUCT} pairs"));
    }
    Ok(list(value)?
        .iter()
        .flat_map(|a| others.iter().map(move |b| json!([a, b])))
        .collect())
}

fn short_hash(value: &Value, _: &[Value]) -> Result<Value, String> {
    Ok(json!(
        crate::digest::Digest::of(text(value)?.to_lowercase().as_bytes()).short(10)
    ))
}

fn time(value: &Value) -> Result<chrono::DateTime<chrono::Utc>, String> {
    let text = text(value)?;
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&chrono::Utc))
        .map_err(|_| format!("{text:?} is no time such as 2026-05-23T10:00:00Z"))
}

fn spread_seconds(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut times = list(value)?
        .iter()
        .filter(|item| item.as_str() != Some(""))
        .map(time)
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    let spread = match (times.first(), times.last()) {
        (Some(first), Some(last)) => (*last - *first).num_milliseconds(),
        _ => 0,
    };
    Ok(json!(format!("{}.{:03}", spread / 1_000, spread % 1_000)))
}

fn tag_value(value: &Value, _: &[Value]) -> Result<Value, String> {
    let text = text(value)?;
    if text.chars().count() <= 256 {
        return Ok(json!(text));
    }
    // arm.md section 2.3: a resource id may be longer than a tag; its digest still says which it was.
    let head: String = text.chars().take(230).collect();
    Ok(json!(format!(
        "{head}...{}",
        crate::digest::Digest::of(text.to_lowercase().as_bytes()).short(16)
    )))
}

fn time_add(value: &Value, args: &[Value]) -> Result<Value, String> {
    let seconds = arg(args, 0)?.as_i64().ok_or("it adds whole seconds")?;
    let shifted = chrono::Duration::try_seconds(seconds)
        .and_then(|span| time(value).ok()?.checked_add_signed(span));
    let shifted = shifted.ok_or_else(|| format!("{value} cannot be moved by {seconds} s"))?;
    Ok(json!(crate::clock::seconds(shifted)))
}

fn time_diff(value: &Value, args: &[Value]) -> Result<Value, String> {
    Ok(json!((time(value)? - time(arg(args, 0)?)?).num_seconds()))
}

/// Keeps the first of equal items; unlike names and ids, values are equal only if their case is.
fn unique(value: &Value, _: &[Value]) -> Result<Value, String> {
    let mut seen: Vec<&Value> = Vec::new();
    for item in list(value)? {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    Ok(seen.into_iter().cloned().collect())
}

fn unique_by(value: &Value, args: &[Value]) -> Result<Value, String> {
    let path = text_arg(args, 0)?;
    let mut seen: Vec<&Value> = Vec::new();
    let mut kept = Vec::new();
    for item in list(value)? {
        let key = member(item, path).unwrap_or(&Value::Null);
        if !seen.iter().any(|known| equal(known, key)) {
            seen.push(key);
            kept.push(item.clone());
        }
    }
    Ok(Value::Array(kept))
}

fn uuid_from(value: &Value, args: &[Value]) -> Result<Value, String> {
    let mut name = text(value)?.to_owned();
    for part in args {
        name.push('\n');
        name.push_str(text(part)?);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&crate::digest::Digest::of(name.as_bytes()).0[..16]);
    Ok(json!(
        uuid::Builder::from_custom_bytes(bytes)
            .into_uuid()
            .to_string()
    ))
}

fn where_is(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (path, wanted) = (text_arg(args, 0)?, arg(args, 1)?);
    filter_list(value, |item| {
        equal(member(item, path).unwrap_or(&Value::Null), wanted)
    })
}

fn where_any(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (path, name, wanted) = (text_arg(args, 0)?, text_arg(args, 1)?, list(arg(args, 2)?)?);
    filter_list(value, |item| {
        let elements = member(item, path)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        elements
            .filter_map(|element| member(element, name))
            .any(|found| wanted.iter().any(|wanted| equal(found, wanted)))
    })
}

fn where_filled(value: &Value, args: &[Value]) -> Result<Value, String> {
    let path = text_arg(args, 0)?;
    filter_list(value, |item| match member(item, path) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        Some(_) => true,
    })
}

fn one_of(item: &Value, path: &str, wanted: &[Value]) -> bool {
    member(item, path).is_some_and(|found| wanted.iter().any(|wanted| equal(found, wanted)))
}

fn where_in(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (path, wanted) = (text_arg(args, 0)?, list(arg(args, 1)?)?);
    filter_list(value, |item| one_of(item, path, wanted))
}

fn without_in(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (path, unwanted) = (text_arg(args, 0)?, list(arg(args, 1)?)?);
    filter_list(value, |item| !one_of(item, path, unwanted))
}

fn where_starts(value: &Value, args: &[Value]) -> Result<Value, String> {
    let (path, start) = (text_arg(args, 0)?, text_arg(args, 1)?.to_lowercase());
    Ok(list(value)?
        .iter()
        .filter(|item| {
            crate::json::member(item, path)
                .and_then(Value::as_str)
                .is_some_and(|text| text.to_lowercase().starts_with(&start))
        })
        .cloned()
        .collect())
}

fn where_prefix(value: &Value, args: &[Value]) -> Result<Value, String> {
    let prefix = text_arg(args, 0)?.to_lowercase();
    filter_list(value, |item| {
        item.as_str()
            .is_some_and(|text| text.to_lowercase().starts_with(&prefix))
    })
}

fn without_none(value: &Value, _: &[Value]) -> Result<Value, String> {
    let object = value.as_object().ok_or("it works on an object")?;
    let kept = object.iter().filter(|(_, value)| !value.is_null());
    Ok(Value::Object(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filtered_without_regard_to_case() {
        let nsgs = json!([{"n": "A", "p": {"x": 1}}, {"n": "b"}]);
        assert_eq!(
            where_is(&nsgs, &[json!("n"), json!("a")]).unwrap(),
            json!([{"n": "A", "p": {"x": 1}}])
        );
        assert_eq!(pluck(&nsgs, &[json!("p.x")]).unwrap(), json!([1]));
        assert_eq!(
            where_in(&nsgs, &[json!("n"), json!(["B"])]).unwrap(),
            json!([{"n": "b"}])
        );
        let vaults = json!([{"id": 1, "a": [{"o": "X"}]}, {"id": 2, "a": []}]);
        assert_eq!(
            where_any(&vaults, &[json!("a"), json!("o"), json!(["x"])]).unwrap(),
            json!([{"id": 1, "a": [{"o": "X"}]}])
        );
        assert_eq!(
            product(&json!([1, 2]), &[json!(["a"])]).unwrap(),
            json!([[1, "a"], [2, "a"]])
        );
        assert_eq!(
            unique_by(&json!([{"i": "A"}, {"i": "a"}]), &[json!("i")]).unwrap(),
            json!([{"i": "A"}])
        );
    }

    #[test]
    fn objects_merge_and_texts_are_cut_at_characters() {
        assert_eq!(
            merge(&json!({"a": 1, "b": 1}), &[json!({"b": 2})]).unwrap(),
            json!({"a": 1, "b": 2})
        );
        assert_eq!(cut(&json!("äöü"), &[json!(2)]).unwrap(), json!("äö"));
        assert!(cut(&json!("x"), &[json!(-1)]).is_err());
        let long = json!(vec![0; 400]);
        assert!(product(&long, std::slice::from_ref(&long)).is_err());
        assert_eq!(
            unique(&json!(["a", "A", "a"]), &[]).unwrap(),
            json!(["a", "A"])
        );
    }

    #[test]
    fn times_and_tags_have_fixed_forms() {
        assert_eq!(
            time_add(&json!("2026-05-23T10:00:00Z"), &[json!(-86_400)]).unwrap(),
            json!("2026-05-22T10:00:00Z")
        );
        assert!(time_add(&json!("2026-05-23T10:00:00Z"), &[json!(i64::MAX)]).is_err());
        assert_eq!(
            spread_seconds(
                &json!(["2026-05-23T10:00:00.25Z", "", "2026-05-23T10:00:01+00:00"]),
                &[]
            )
            .unwrap(),
            json!("0.750")
        );
        let long = tag_value(&json!("x".repeat(300)), &[]).unwrap();
        assert!(long.as_str().unwrap().len() <= 256);
        assert_eq!(
            uuid_from(&json!("a"), &[json!("b")]),
            uuid_from(&json!("a"), &[json!("b")])
        );
    }
}
