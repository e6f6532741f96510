//! The words of the language: every filter, function and test there is, with a line of documentation.
//!
//! The environment starts empty; what this table does not name does not exist.

use std::collections::BTreeSet;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Value as Mini, filters as built_in, tests};
use serde_json::Value;

use super::convert::{to_json, to_mini};
use super::{
    address, alike, arm_filters, consents, credentials, filters, graph, mail, members, methods,
    network, order, rbac, reachable, reissue, roles, signins, standing, subnet, timeline, vaults,
};

/// A filter over JSON: the value, its arguments, and the result or what is wrong.
pub(super) type Filter = fn(&Value, &[Value]) -> Result<Value, String>;

/// Name, implementation, one line of documentation.
pub(super) type Row = (&'static str, Filter, &'static str);

/// Filters that come with the engine of the language.
const BUILT_IN: &[(&str, &str)] = &[
    ("default", "x | default(y): y where x is undefined"),
    (
        "first",
        "list | first: its first item; undefined where there is none",
    ),
    ("int", "text | int: a whole number"),
    ("join", "list | join(', '): one text"),
    (
        "last",
        "list | last: its last item; undefined where there is none",
    ),
    ("length", "list, object or text | length: how many"),
    ("list", "object | list: its names"),
    ("lower", "text | lower: in lower case"),
    ("max", "list | max: the greatest item"),
    ("min", "list | min: the least item"),
    ("replace", "text | replace('a', 'b'): with b for each a"),
    ("round", "number | round(digits): rounded"),
    ("sort", "list | sort: in order"),
    ("split", "text | split('/'): its parts"),
    ("trim", "text | trim: without space at its ends"),
    ("upper", "text | upper: in upper case"),
];

/// Tests, as in `x is none`.
const TESTS: &[&str] = &["defined", "none"];

fn rows() -> impl Iterator<Item = &'static Row> {
    filters::ROWS
        .iter()
        .chain(address::ROWS)
        .chain(alike::ROWS)
        .chain(arm_filters::ROWS)
        .chain(consents::ROWS)
        .chain(credentials::ROWS)
        .chain(graph::ROWS)
        .chain(mail::ROWS)
        .chain(members::ROWS)
        .chain(methods::ROWS)
        .chain(network::ROWS)
        .chain(order::ROWS)
        .chain(rbac::ROWS)
        .chain(reachable::ROWS)
        .chain(reissue::ROWS)
        .chain(roles::ROWS)
        .chain(signins::ROWS)
        .chain(standing::ROWS)
        .chain(subnet::ROWS)
        .chain(timeline::ROWS)
        .chain(vaults::ROWS)
}

/// Returns every filter with a line of documentation, sorted.
pub fn documented() -> Vec<(&'static str, &'static str)> {
    let mut rows: Vec<_> = rows()
        .map(|(name, _, help)| (*name, *help))
        .chain(BUILT_IN.iter().copied())
        .collect();
    rows.sort_unstable();
    rows
}

/// Returns the names that can be called as functions: azir's own filters.
pub(super) fn functions() -> BTreeSet<&'static str> {
    rows().map(|(name, ..)| *name).collect()
}

/// Returns whether the language has a test of this name.
pub(super) fn has_test(name: &str) -> bool {
    TESTS.contains(&name)
}

/// Adds all there is; each of azir's own filters can be called as a function too, its value first.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("default", built_in::default);
    env.add_filter("first", built_in::first);
    env.add_filter("int", built_in::int);
    env.add_filter("join", built_in::join);
    env.add_filter("last", built_in::last);
    env.add_filter("length", built_in::length);
    env.add_filter("list", built_in::list);
    env.add_filter("lower", built_in::lower);
    env.add_filter("max", built_in::max);
    env.add_filter("min", built_in::min);
    env.add_filter("replace", built_in::replace);
    env.add_filter("round", built_in::round);
    env.add_filter("sort", built_in::sort);
    env.add_filter("split", built_in::split);
    env.add_filter("trim", built_in::trim);
    env.add_filter("upper", built_in::upper);
    env.add_test("defined", tests::is_defined);
    env.add_test("none", tests::is_none);
    for (name, filter, _) in rows() {
        let call = move |value: Mini, args: Rest<Mini>| -> Result<Mini, Error> {
            let refuse = |message: String| {
                Error::new(ErrorKind::InvalidOperation, format!("{name}: {message}"))
            };
            let value = to_json(&value).map_err(refuse)?;
            let args = args
                .iter()
                .map(to_json)
                .collect::<Result<Vec<_>, _>>()
                .map_err(refuse)?;
            filter(&value, &args)
                .map(|value| to_mini(&value))
                .map_err(refuse)
        };
        env.add_filter(*name, call);
        env.add_function(*name, call);
    }
}

#[cfg(test)]
mod tests_of_the_table {
    use super::*;

    #[test]
    fn every_documented_filter_exists_and_says_its_name() {
        let mut env = Environment::empty();
        add(&mut env);
        let rows = documented();
        for (name, help) in &rows {
            let error = env
                .compile_expression(&format!("x | {name}"))
                .unwrap()
                .eval(minijinja::context! { x => [1] });
            let unknown = error.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter);
            assert!(!unknown, "{name}");
            assert!(help.contains(name), "{name}");
        }
        let names: BTreeSet<_> = rows.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), rows.len(), "a name is there once");
    }
}
