//! No text makes the language panic, hang or overflow its stack.

use super::tests::ask;

/// A small generator of numbers, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

const SOUP: &[&str] = &[
    "Visits",
    "Rooms",
    "Texts",
    "who",
    "at",
    "stay",
    "more",
    "room",
    "|",
    "|",
    "|",
    "where",
    "project",
    "extend",
    "summarize",
    "by",
    "join",
    "kind=inner",
    "kind=leftanti",
    "on",
    "union",
    "let",
    "x",
    "=",
    ";",
    "order by",
    "sort by",
    "desc",
    "asc",
    "nulls last",
    "take",
    "top",
    "distinct",
    "count",
    "mv-expand",
    "to typeof(long)",
    "project-away",
    "render table",
    "print",
    "datatable(a:long)[1]",
    "range n from 1 to 9 step 3",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ",",
    ".",
    "..",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "and",
    "or",
    "in",
    "!in~",
    "has",
    "!contains",
    "has_any",
    "between",
    "matches regex",
    "'a'",
    "\"",
    "'",
    "@'\\'",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1.5e300",
    "1d",
    "99999999d",
    "null",
    "true",
    "long(null)",
    "datetime(0001-01-01)",
    "datetime(9999-12-31T23:59:59.9999999Z)",
    "dynamic([1,{\"a\":null}])",
    "dynamic({",
    "ago(",
    "now()",
    "bin(",
    "count()",
    "dcount(",
    "make_set(",
    "arg_max(",
    "avg(",
    "sum(",
    "strcat(",
    "tostring(",
    "toint(",
    "parse_json(",
    "split(",
    "substring(",
    "datetime_diff('week',",
    "startofweek(",
    "startofyear(",
    "iff(",
    "case(",
    "coalesce(",
    "isempty(",
    "array_length(",
    "toscalar(",
    "materialize(",
    "round(",
    "abs(",
    "format_datetime(",
    "*",
    "$left.who == $right.who",
    "é",
    "\u{0}",
    "//",
    "\n",
    "```",
];

#[test]
fn no_soup_of_words_panics() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut answered = 0;
    for _ in 0..30_000 {
        let mut query = String::new();
        if dice.below(3) > 0 {
            query.push_str(["Visits | ", "Rooms | where ", "print "][dice.below(3)]);
        }
        for _ in 0..dice.below(24) {
            query.push_str(SOUP[dice.below(SOUP.len())]);
            query.push_str([" ", "", " "][dice.below(3)]);
        }
        answered += usize::from(ask(&query).is_ok());
    }
    assert!(answered > 30, "some of it is a query: {answered}");
}

#[test]
fn no_expression_of_odd_values_panics() {
    const VALUES: &[&str] = &[
        "long(null)",
        "-9223372036854775807",
        "9223372036854775807",
        "int(-2147483648)",
        "0",
        "0.0",
        "1e308",
        "real(nan)",
        "real(+inf)",
        "real(-inf)",
        "'é\u{1F600}x'",
        "''",
        "datetime(null)",
        "datetime(0001-01-01)",
        "datetime(9999-12-31)",
        "timespan(null)",
        "1tick",
        "-9000000d",
        "dynamic(null)",
        "dynamic([])",
        "dynamic({'a':[1,'x',null]})",
        "bool(null)",
        "true",
        "who",
        "at",
        "stay",
        "more",
        "more.city",
        "more.tags[-1]",
    ];
    const CALLS: &[&str] = &[
        "tostring",
        "toint",
        "tolong",
        "todouble",
        "tobool",
        "todatetime",
        "totimespan",
        "toguid",
        "parse_json",
        "now",
        "ago",
        "bin",
        "startofday",
        "startofweek",
        "startofmonth",
        "startofyear",
        "endofday",
        "hourofday",
        "dayofweek",
        "isempty",
        "isnull",
        "not",
        "iff",
        "case",
        "coalesce",
        "max_of",
        "min_of",
        "round",
        "abs",
        "strcat",
        "strcat_delim",
        "strcat_array",
        "tolower",
        "strlen",
        "split",
        "substring",
        "indexof",
        "replace_string",
        "array_length",
        "bag_keys",
        "set_has_element",
        "pack_array",
        "bag_pack",
        "gettype",
    ];
    const OPERATORS: &[&str] = &[
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "=~",
        "has",
        "contains",
        "and",
        "or",
        "hasprefix",
        "!endswith",
        "startswith_cs",
    ];
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut answered = 0;
    for _ in 0..30_000 {
        let mut pick = || VALUES[dice.below(VALUES.len())];
        let (a, b, c) = (pick(), pick(), pick());
        let call = CALLS[dice.below(CALLS.len())];
        let operator = OPERATORS[dice.below(OPERATORS.len())];
        let expr = match dice.below(8) {
            0 | 1 => format!("{call}({a})"),
            2 => format!("{call}({a}, {b})"),
            3 => format!("{call}({a}, {b}, {c})"),
            4 => format!("datetime_diff('week', {a}, {b})"),
            5 => format!("format_datetime({a}, 'yy-MM-dd hh:mm:ss.fffffff tt')"),
            6 => format!("{a} between ({b} .. {c})"),
            _ => format!("{a} {operator} {b}"),
        };
        let query = match dice.below(4) {
            0 => format!("Visits | summarize min({expr}), sum({a}), avg({b}), arg_max({c}, *)"),
            1 => format!("Visits | sort by {expr} | extend x = {expr}"),
            2 => format!("Visits | summarize count(), make_set({expr}) by x = {a}"),
            _ => format!("Visits | project x = {expr}"),
        };
        answered += usize::from(ask(&query).is_ok());
    }
    assert!(answered > 1_000, "much of it is a query: {answered}");
}
