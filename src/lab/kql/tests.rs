//! What each operator does: every case has a row that would differ if the operator did nothing.

use super::value::Cell;
use super::{Column, Error, Kind, Query, Table};

/// Answers a query over three small tables at noon of the first of December 2026.
pub(super) fn ask(query: &str) -> Result<Table, Error> {
    let tables = |name: &str| {
        let (columns, rows): (&[(&str, Kind)], serde_json::Value) = match name {
            "Visits" => (
                &[
                    ("who", Kind::String),
                    ("at", Kind::DateTime),
                    ("stay", Kind::Long),
                    ("more", Kind::Dynamic),
                ],
                serde_json::json!([
                    {"who": "ada", "at": "2026-12-01T10:00:00Z", "stay": 5, "more": {"city": "Bonn", "tags": ["x", "y"]}},
                    {"who": "bob", "at": "2026-12-01T11:30:00.5Z", "stay": 7, "more": {"city": "Kiel", "tags": []}},
                    {"who": "ada", "at": "2026-11-30T09:00:00Z", "stay": null, "more": null},
                ]),
            ),
            "Rooms" => (
                &[("who", Kind::String), ("room", Kind::Int)],
                serde_json::json!([{"who": "ada", "room": 1}, {"who": "ada", "room": 2}, {"who": "eve", "room": 3}]),
            ),
            "Texts" => (
                &[("who", Kind::String), ("more", Kind::String)],
                serde_json::json!([{"who": "tom", "more": "{\"city\":\"Ulm\"}"}]),
            ),
            _ => return None,
        };
        let columns = columns.iter().map(|(name, kind)| Column::new(*name, *kind));
        let rows = rows.as_array().cloned().unwrap_or_default();
        Some(Table::of(columns.collect(), rows.iter()))
    };
    let now = "2026-12-01T12:00:00Z".parse().unwrap();
    Query::parse(query)?.run(&tables, now)
}

/// Writes a result: columns with types, then rows.
pub(super) fn shown(query: &str) -> String {
    let table = match ask(query) {
        Ok(table) => table,
        Err(error) => return format!("{error}"),
    };
    let heads = table.columns.iter();
    let heads = heads.map(|column| format!("{}:{}", column.name, column.kind.name()));
    let mut lines = vec![heads.collect::<Vec<_>>().join(" ")];
    for row in &table.rows {
        let cells = row.iter().map(|cell| match cell {
            Cell::Null => "null".to_owned(),
            Cell::Text(text) => format!("'{text}'"),
            other => match other.shown() {
                serde_json::Value::String(text) => text,
                json => json.to_string(),
            },
        });
        lines.push(cells.collect::<Vec<_>>().join(" "));
    }
    lines.join(" | ")
}

pub(super) fn check(cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        assert_eq!(shown(query), *expected, "{query}");
    }
}

#[test]
fn rows_are_chosen_cut_and_counted() {
    check(&[
        (
            "Visits | where stay > 5 | project who",
            "who:string | 'bob'",
        ),
        ("Visits | filter stay >= 5 | count", "Count:long | 2"),
        ("Visits | count", "Count:long | 3"),
        ("Visits | take 1 | project who", "who:string | 'ada'"),
        ("let n = 2; Visits | limit n | count", "Count:long | 2"),
        ("Visits | top 1 by stay | project stay", "stay:long | 7"),
        (
            "Visits | top 1 by stay asc | project stay",
            "stay:long | null",
        ),
        ("Visits | distinct who", "who:string | 'ada' | 'bob'"),
        (
            "Rooms | project who | distinct *",
            "who:string | 'ada' | 'eve'",
        ),
    ]);
}

#[test]
fn columns_are_computed_named_and_left_out() {
    check(&[
        ("Rooms | project x = room + 1 | take 1", "x:long | 2"),
        (
            "Visits | project more.city, more.tags[0] | take 1",
            "more_city:dynamic more_tags_0:dynamic | Bonn x",
        ),
        (
            "Rooms | project room * 2, room * 3 | take 1",
            "Column1:long Column2:long | 2 3",
        ),
        (
            "Rooms | extend who = strcat(who, '!') | take 1",
            "who:string room:int | 'ada!' 1",
        ),
        (
            "Rooms | extend a = room, b = 1 | take 1",
            "who:string room:int a:int b:long | 'ada' 1 1 1",
        ),
        (
            "Visits | project-away mo*, at | take 1",
            "who:string stay:long | 'ada' 5",
        ),
        ("Visits | project-keep st* | take 1", "stay:long | 5"),
        (
            "Rooms | project-rename number = room | take 1",
            "who:string number:int | 'ada' 1",
        ),
        (
            "Rooms | project ['odd name'] = room | project ['odd name'] | take 1",
            "odd name:int | 1",
        ),
        // What is extended is computed of what came in.
        (
            "Rooms | extend a = 1, b = a",
            "'extend' operator: Failed to resolve column or scalar expression named 'a'",
        ),
    ]);
}

#[test]
fn order_falls_by_default_and_nulls_have_their_place() {
    check(&[
        (
            "Visits | order by stay | project stay",
            "stay:long | 7 | 5 | null",
        ),
        (
            "Visits | sort by stay asc | project stay",
            "stay:long | null | 5 | 7",
        ),
        (
            "Visits | sort by stay asc nulls last | project stay",
            "stay:long | 5 | 7 | null",
        ),
        (
            "Visits | sort by stay desc nulls first | project stay",
            "stay:long | null | 7 | 5",
        ),
        (
            "Visits | sort by who desc, at asc | project stay",
            "stay:long | 7 | null | 5",
        ),
    ]);
}

#[test]
fn groups_are_summarized() {
    check(&[
        (
            "Visits | summarize count() by who",
            "who:string count_:long | 'ada' 2 | 'bob' 1",
        ),
        (
            "Visits | summarize count(), countif(stay > 5), dcount(who), sum(stay), avg(stay), min(at), max(stay)",
            "count_:long countif_:long dcount_who:long sum_stay:long avg_stay:real min_at:datetime max_stay:long | 3 1 2 12 6.0 2026-11-30T09:00:00Z 7",
        ),
        (
            "Visits | summarize make_set(who), make_list(who), make_list(stay)",
            "set_who:dynamic list_who:dynamic list_stay:dynamic | [\"ada\",\"bob\"] [\"ada\",\"bob\",\"ada\"] [5,7]",
        ),
        (
            "Visits | summarize round(avg(stay)), 1 + count()",
            "avg_stay:real Column1:long | 6.0 4",
        ),
        (
            "Visits | summarize make_set(more.tags), make_list(more.tags)",
            "set_more_tags:dynamic list_more_tags:dynamic | [\"x\",\"y\"] [[\"x\",\"y\"],[]]",
        ),
        (
            "Rooms | summarize arg_max(room * 2, who, *)",
            "max_:long who:string room:int | 6 'eve' 3",
        ),
        (
            "Visits | summarize c = make_list(who, 2)",
            "c:dynamic | [\"ada\",\"bob\"]",
        ),
        (
            "Visits | summarize arg_max(at, stay) by who",
            "who:string at:datetime stay:long | 'ada' 2026-12-01T10:00:00Z 5 | 'bob' 2026-12-01T11:30:00.5Z 7",
        ),
        (
            "Visits | project who, at, stay | summarize arg_min(at, *) by who",
            "who:string at:datetime stay:long | 'ada' 2026-11-30T09:00:00Z null | 'bob' 2026-12-01T11:30:00.5Z 7",
        ),
        (
            "Visits | summarize latest = arg_max(at, who)",
            "latest:datetime who:string | 2026-12-01T11:30:00.5Z 'bob'",
        ),
        ("Visits | summarize take_any(who)", "who:string | 'ada'"),
        ("Visits | summarize any(who)", "any_who:string | 'ada'"),
        (
            "Visits | summarize take_any(who, stay)",
            "who:string stay:long | 'ada' 5",
        ),
        ("Visits | summarize by who", "who:string | 'ada' | 'bob'"),
        (
            "Visits | summarize count() by bin(at, 1d)",
            "at:datetime count_:long | 2026-12-01T00:00:00Z 2 | 2026-11-30T00:00:00Z 1",
        ),
        (
            "Visits | summarize n = count() by day = startofday(at), who | where n > 1",
            "day:datetime who:string n:long",
        ),
        (
            "Visits | summarize share = 100.0 * countif(who == 'ada') / count()",
            "share:real | 66.66666666666667",
        ),
        (
            "Visits | summarize countif(who == 'bob'), sumif(stay, who == 'ada'), dcountif(who, stay > 5), make_set_if(who, stay > 5)",
            "countif_:long sumif_stay:long dcountif_who:long set_who:dynamic | 1 5 1 [\"bob\"]",
        ),
        (
            "Visits | where stay > 100 | summarize count(), sum(stay), max(stay), make_set(who)",
            "count_:long sum_stay:long max_stay:long set_who:dynamic | 0 0 null []",
        ),
        (
            "Visits | where stay > 100 | summarize count() by who",
            "who:string count_:long",
        ),
        (
            "Visits | summarize count() by more",
            "'summarize' operator: the key 'more' is of a 'dynamic' type. Please use an explicit cast, for example tostring(more)",
        ),
        (
            "Visits | summarize stay",
            "'summarize' operator: Failed to resolve column or scalar expression named 'stay'",
        ),
        (
            "Visits | summarize count() by tostring(more.city) | take 1",
            "more_city:string count_:long | 'Bonn' 1",
        ),
    ]);
}

#[test]
fn rows_are_written_down_and_counted_up() {
    check(&[
        (
            "datatable(a: string, b: long) ['x', 1, 'y', 2] | where b > 1",
            "a:string b:long | 'y' 2",
        ),
        (
            "datatable(a: string, b: long) ['x']",
            "'datatable' operator: the number of values is no multiple of the number of columns",
        ),
        ("print 1 + 1, x = 'a'", "print_0:long x:string | 2 'a'"),
        ("range n from 1 to 5 step 2", "n:long | 1 | 3 | 5"),
        (
            "range t from ago(1h) to now() step 30m | count",
            "Count:long | 3",
        ),
        (
            "Rooms | take 1 | render table",
            "who:string room:int | 'ada' 1",
        ),
    ]);
}

#[test]
fn what_cannot_be_read_is_a_syntax_error_with_its_place() {
    for (query, token, line, column) in [
        ("", "", 1, 1),
        ("Rooms\n| whree room == 1", "whree", 2, 3),
        ("Rooms | where (", "", 1, 16),
        ("Rooms | where who = 'x'", "=", 1, 19),
        ("Rooms where", "where", 1, 7),
        ("Rooms | take 1 extra", "extra", 1, 16),
        ("Rooms | where who == 'x", "'x", 1, 22),
        ("Rooms | where who == ", "", 1, 22),
        ("Rooms | where and", "and", 1, 15),
        ("Rooms; drop", "drop", 1, 8),
        ("let x = 1 Rooms", "Rooms", 1, 11),
        ("Rooms | where at > ago(5parsecs)", "5parsecs)", 1, 24),
        ("Rooms | sort who", "who", 1, 14),
        ("print datetime(yesterday)", "datetime(yesterday)", 1, 7),
        ("print dynamic({)", "dynamic({)", 1, 7),
        ("print int(2147483648)", "int(2147483648)", 1, 7),
    ] {
        match ask(query) {
            Err(Error::Syntax {
                token: found,
                line: at,
                column: place,
            }) => {
                assert_eq!(
                    (found.as_str(), at, place),
                    (token, line, column),
                    "{query}"
                );
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn what_means_nothing_has_the_services_code() {
    for (query, code) in [
        ("rooms", "SEM0100"),
        ("Rooms | where Room == 1", "SEM0100"),
        ("Rooms | where geo_distance(1) > 1", "SEM0260"),
        ("Rooms | where ToLower(who) == ''", "SEM0260"),
        ("Rooms | where who > 'a'", "SEM0064"),
        ("Visits | where who > 5", "SEM0064"),
        ("Visits | where at == who", "SEM0064"),
        ("Visits | where more == more", "SEM0001"),
        ("Visits | where who has more", "SEM0001"),
        ("Rooms | project strlen()", "SEM0219"),
        ("Rooms | where who matches regex 'a+'", "SEM0001"),
        ("Rooms | parse who with a", "SEM0001"),
        ("Rooms | make-series count() on room", "SEM0001"),
        ("Rooms | evaluate bag_unpack(who)", "SEM0001"),
        ("Rooms | where room", "SEM0001"),
        ("Rooms | project who + 1", "SEM0001"),
        ("Rooms | project who.x", "SEM0001"),
        ("Rooms | project who, who = 1", "SEM0001"),
        ("Rooms | take -1", "SEM0001"),
        ("Rooms | summarize percentile(room, 50)", "SEM0001"),
        ("Rooms | where count() > 1", "SEM0260"),
        ("union *", "SEM0001"),
        ("union Room*", "SEM0001"),
    ] {
        match ask(query) {
            Err(Error::Semantic { code: found, .. }) => assert_eq!(found, code, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}
