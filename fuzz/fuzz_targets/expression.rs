//! Expressions: whatever stands between the braces ends, with a value or with words.
#![no_main]

use azir::runbook::expr::{Expressions, Scope};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

thread_local! {
    static EXPRESSIONS: Expressions = Expressions::new();
}

fuzz_target!(|text: &str| {
    let mut scope = Scope::new();
    scope.set(
        "vm",
        &json!({"id": "/subscriptions/s/resourceGroups/g", "tags": {"a": "b"}}),
    );
    scope.set("list", &json!([1, "two", null, {"three": 3}]));
    scope.set("n", &json!(7));
    EXPRESSIONS.with(|expressions| {
        let _ = expressions.names(text);
        let _ = expressions.paths(text);
        let _ = expressions.unknown_words(text);
        let _ = expressions.template(text, &scope);
        let _ = expressions.text(text, &scope);
        let _ = expressions.truth(text, &scope);
        let _ = expressions.list(text, &scope);
    });
});
