//! What the operators do that bring tables together or pull rows apart, and what names stand for.

use super::tests::{check, shown};

#[test]
fn joins_are_of_every_kind() {
    let head = "who:string stay:long who1:string room:int";
    let left = "Visits | project who, stay";
    for (kind, on, expected) in [
        (
            "inner",
            "who",
            format!(
                "{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2 | 'ada' null 'ada' 1 | 'ada' null 'ada' 2"
            ),
        ),
        // The default: of the two left rows of ada one is matched.
        (
            "",
            "who",
            format!("{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2"),
        ),
        (
            "innerunique",
            "$left.who == $right.who",
            format!("{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2"),
        ),
        (
            "leftouter",
            "$left.who == $right.who",
            format!(
                "{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2 | 'bob' 7 '' null | 'ada' null 'ada' 1 | 'ada' null 'ada' 2"
            ),
        ),
        (
            "leftanti",
            "who",
            "who:string stay:long | 'bob' 7".to_owned(),
        ),
        ("anti", "who", "who:string stay:long | 'bob' 7".to_owned()),
        (
            "leftsemi",
            "who",
            "who:string stay:long | 'ada' 5 | 'ada' null".to_owned(),
        ),
        (
            "rightanti",
            "who",
            "who:string room:int | 'eve' 3".to_owned(),
        ),
        (
            "rightsemi",
            "who",
            "who:string room:int | 'ada' 1 | 'ada' 2".to_owned(),
        ),
        (
            "rightouter",
            "who",
            format!(
                "{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2 | 'ada' null 'ada' 1 | 'ada' null 'ada' 2 | '' null 'eve' 3"
            ),
        ),
        (
            "fullouter",
            "who",
            format!(
                "{head} | 'ada' 5 'ada' 1 | 'ada' 5 'ada' 2 | 'bob' 7 '' null | 'ada' null 'ada' 1 | 'ada' null 'ada' 2 | '' null 'eve' 3"
            ),
        ),
    ] {
        let kind = if kind.is_empty() {
            String::new()
        } else {
            format!("kind={kind} ")
        };
        assert_eq!(
            shown(&format!("{left} | join {kind}(Rooms) on {on}")),
            expected,
            "{kind}"
        );
    }
    check(&[
        (
            "Rooms | join kind=inner (Rooms | where room == 2) on who, room",
            "who:string room:int who1:string room1:int | 'ada' 2 'ada' 2",
        ),
        (
            "Rooms | join kind=inner (Rooms) on $left.who == $right.who and $left.room == $right.room | count",
            "Count:long | 3",
        ),
        ("Rooms | join Texts on who | count", "Count:long | 0"),
        (
            "Visits | join (Visits) on more",
            "'join' operator: the key 'more' is of a 'dynamic' type. Please use an explicit cast, for example tostring(more)",
        ),
        (
            "Rooms | join (Visits) on $left.room == $right.who",
            "Cannot compare values of types int and string. Try adding explicit casts",
        ),
        (
            "Rooms | join (Visits) on room",
            "'join' operator: Failed to resolve column or scalar expression named 'room'",
        ),
        (
            "Visits | join (Texts) on $left.more[0].x == $right.who",
            "'join' operator: only equality of columns is allowed: a column of both sides, or $left.a == $right.b",
        ),
        (
            "Rooms | join (Visits) on $right.who == $left.who",
            "'join' operator: only equality of columns is allowed: a column of both sides, or $left.a == $right.b",
        ),
        (
            "Rooms | join kind=sideways (Visits) on who",
            "'join' operator: there is no kind 'sideways'",
        ),
    ]);
}

#[test]
fn tables_are_united() {
    check(&[
        (
            "union Rooms, (Visits | project who) | count",
            "Count:long | 6",
        ),
        (
            "Rooms | union kind=inner (Visits) | take 4 | where who == 'bob' or room == 1",
            "'where' operator: Failed to resolve column or scalar expression named 'room'",
        ),
        (
            "union kind=inner Rooms, Texts | where who == 'tom'",
            "who:string | 'tom'",
        ),
        (
            "union Rooms, Texts | where who in ('tom', 'eve')",
            "who:string room:int more:string | 'eve' 3 '' | 'tom' null '{\"city\":\"Ulm\"}'",
        ),
        // Columns of one name and two types are two.
        (
            "union (Visits | project more | take 1), (Texts | project more)",
            "more_dynamic:dynamic more_string:string | {\"city\":\"Bonn\",\"tags\":[\"x\",\"y\"]} '' | null '{\"city\":\"Ulm\"}'",
        ),
        (
            "union withsource=from Rooms, Texts | summarize count() by from",
            "from:string count_:long | 'Rooms' 3 | 'Texts' 1",
        ),
        (
            "union isfuzzy=true Rooms, Nowhere | count",
            "Count:long | 3",
        ),
        (
            "union Rooms, Nowhere | count",
            "'query' operator: Failed to resolve table or column expression named 'Nowhere'",
        ),
        (
            "union isfuzzy=true Nowhere",
            "'query' operator: Failed to resolve table or column expression named 'Nowhere'",
        ),
    ]);
}

#[test]
fn variables_are_scalars_tables_and_functions_of_nothing() {
    check(&[
        (
            "let least = 5; let long_stays = Visits | where stay > least; long_stays | project who",
            "who:string | 'bob'",
        ),
        (
            "let f = () { Rooms | where room == 3 }; f() | project who",
            "who:string | 'eve'",
        ),
        (
            "let names = Rooms | distinct who; Visits | where who in (names) | count",
            "Count:long | 2",
        ),
        (
            "let names = dynamic(['ada', 'eve']); Visits | where who !in (names) | project who",
            "who:string | 'bob'",
        ),
        (
            "let since = ago(1h); Visits | where at > since | project who",
            "who:string | 'bob'",
        ),
        (
            "let most = toscalar(Visits | summarize max(stay)); Visits | where stay == most | project who",
            "who:string | 'bob'",
        ),
        (
            "let m = materialize(Rooms | take 2); m | count",
            "Count:long | 2",
        ),
        ("let T = Rooms; T | count;", "Count:long | 3"),
        (
            "Visits | where who in ((Rooms | where room == 3 | project who)) | count",
            "Count:long | 0",
        ),
        (
            "Visits | where who in (Rooms | project who) | count",
            "Count:long | 2",
        ),
        (
            "let a = 1; let a = 2; print a",
            "the variable 'a' is declared twice",
        ),
        (
            "let f = (x:long) { x }; print f(1)",
            "'f': functions with parameters and views are not modelled by the lab",
        ),
    ]);
}

#[test]
fn arrays_and_bags_become_rows() {
    check(&[
        // An empty array leaves no row; what is null stays.
        (
            "Visits | project who, tag = more.tags | mv-expand tag",
            "who:string tag:dynamic | 'ada' x | 'ada' y | 'ada' null",
        ),
        (
            "Visits | mv-expand t = more.tags to typeof(string) | where t == 'y' | project who, t",
            "who:string t:string | 'ada' 'y'",
        ),
        (
            "print b = dynamic({'p': 1, 'q': 2}) | mv-expand b",
            "b:dynamic | {\"p\":1} | {\"q\":2}",
        ),
        (
            "print b = dynamic({'p': 1}) | mv-expand kind=array b",
            "b:dynamic | [\"p\",1]",
        ),
        (
            "print a = dynamic([1, 2]), b = dynamic(['x']) | mv-expand a, b",
            "a:dynamic b:dynamic | 1 x | 2 null",
        ),
        (
            "print a = dynamic([7, 8, 9]) | mv-expand with_itemindex=i a limit 2",
            "a:dynamic i:long | 7 0 | 8 1",
        ),
        (
            "print a = dynamic([1, 'x']) | mv-expand a to typeof(long)",
            "a:long | 1 | null",
        ),
        (
            "Rooms | mv-expand who",
            "'mv-expand' operator: the expression is of type string and has to be dynamic",
        ),
    ]);
}
