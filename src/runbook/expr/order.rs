//! Filters that put lists in order and cut them into pieces.

use serde_json::{Value, json};

use super::filters::{arg, list, text_arg};
use super::language::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "chunks",
        chunks,
        "list | chunks(1000): lists of at most so many items",
    ),
    (
        "sort_by",
        sort_by,
        "list | sort_by('a.b'): in the order of a member; those without it come first",
    ),
    (
        "where_after",
        where_after,
        "list | where_after('a.b', time): where the member is a time that is not before this one",
    ),
    (
        "where_before",
        where_before,
        "list | where_before('a.b', time): where the member is an earlier time",
    ),
];

fn chunks(value: &Value, args: &[Value]) -> Result<Value, String> {
    let most = arg(args, 0)?.as_u64().filter(|most| *most > 0);
    let most = most
        .and_then(|most| usize::try_from(most).ok())
        .ok_or("it cuts into pieces of a whole number of items")?;
    Ok(list(value)?
        .chunks(most)
        .map(|piece| json!(piece))
        .collect())
}

fn sort_by(value: &Value, args: &[Value]) -> Result<Value, String> {
    let path = text_arg(args, 0)?;
    let mut sorted = list(value)?.clone();
    sorted.sort_by_cached_key(|item| {
        let found = crate::json::member(item, path);
        found.map_or_else(String::new, |found| {
            found
                .as_str()
                .map_or_else(|| found.to_string(), str::to_owned)
        })
    });
    Ok(Value::Array(sorted))
}

fn where_after(value: &Value, args: &[Value]) -> Result<Value, String> {
    by_time(value, args, |found, limit| found >= limit)
}

fn where_before(value: &Value, args: &[Value]) -> Result<Value, String> {
    by_time(value, args, |found, limit| found < limit)
}

type Moment = chrono::DateTime<chrono::Utc>;

fn by_time(
    value: &Value,
    args: &[Value],
    keep: fn(Moment, Moment) -> bool,
) -> Result<Value, String> {
    let (path, limit) = (text_arg(args, 0)?, text_arg(args, 1)?);
    let limit = moment(limit).ok_or_else(|| format!("{limit:?} is no time"))?;
    Ok(list(value)?
        .iter()
        .filter(|item| at(item, path).is_some_and(|found| keep(found, limit)))
        .cloned()
        .collect())
}

/// Returns the time that a member holds, if it holds one.
pub(super) fn at(item: &Value, path: &str) -> Option<Moment> {
    moment(crate::json::member(item, path)?.as_str()?)
}

/// Reads a time with its offset, as `2026-05-23T10:00:00Z`.
pub(super) fn moment(text: &str) -> Option<Moment> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&chrono::Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_ordered_cut_and_divided_by_time() {
        let list = json!([{"t": "2026-05-02T00:00:00Z"}, {"x": 1}, {"t": "2026-05-01T00:00:00Z"}]);
        let at = json!("2026-05-02T00:00:00+00:00");
        let t = json!("t");
        assert_eq!(
            sort_by(&list, std::slice::from_ref(&t)).unwrap(),
            json!([{"x": 1}, {"t": "2026-05-01T00:00:00Z"}, {"t": "2026-05-02T00:00:00Z"}])
        );
        assert_eq!(
            where_after(&list, &[t.clone(), at.clone()]).unwrap(),
            json!([{"t": "2026-05-02T00:00:00Z"}])
        );
        assert_eq!(
            where_before(&list, &[t.clone(), at]).unwrap(),
            json!([{"t": "2026-05-01T00:00:00Z"}])
        );
        assert!(where_after(&list, &[t, json!("then")]).is_err());
        assert_eq!(
            chunks(&json!([1, 2, 3]), &[json!(2)]).unwrap(),
            json!([[1, 2], [3]])
        );
        assert!(chunks(&json!([1]), &[json!(0)]).is_err());
    }
}
