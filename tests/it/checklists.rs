//! What a simulator of Azure is asked for, item by item, in `checklists.yaml`: each behaviour has tests that are there,
//! or the reason why it has none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A list of items by number, each with what is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checklists {
    arm: BTreeMap<u32, Vec<Asked>>,
    graph: BTreeMap<u32, Vec<Asked>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// What a tenant does, or azir where a tenant does it.
    behaviour: String,
    /// What fails without it.
    #[serde(default)]
    tests: Vec<String>,
    /// Why there is no such test.
    none: Option<String>,
}

impl Checklists {
    fn read() -> Self {
        serde_saphyr::from_str(include_str!("checklists.yaml")).unwrap()
    }

    fn all(&self) -> impl Iterator<Item = &Asked> {
        self.arm.values().chain(self.graph.values()).flatten()
    }
}

#[test]
fn every_item_of_both_lists_is_there() {
    let lists = Checklists::read();
    assert!(lists.arm.keys().copied().eq(1..=6));
    assert!(lists.graph.keys().copied().eq(1..=15));
    let asked = lists.arm.values().chain(lists.graph.values());
    assert!(asked.clone().all(|item| !item.is_empty()));
    let mut known = std::collections::BTreeSet::new();
    for (list, items) in [("arm", &lists.arm), ("graph", &lists.graph)] {
        for (item, asked) in items {
            for one in asked {
                let once = known.insert((list, item, &one.behaviour));
                assert!(once, "{list} {item}: {}", one.behaviour);
            }
        }
    }
}

#[test]
fn every_behaviour_has_tests_or_a_reason_and_not_both() {
    for asked in Checklists::read().all() {
        let reason = asked.none.as_ref().map_or(0, String::len);
        assert_eq!(
            (asked.tests.is_empty(), asked.none.is_some()),
            (reason > 20, reason > 20),
            "{}",
            asked.behaviour
        );
    }
}

#[test]
fn every_test_that_is_named_is_one() {
    let lists = Checklists::read();
    let mut missing: Vec<&String> = lists
        .all()
        .flat_map(|asked| &asked.tests)
        .filter(|name| !is_test(name))
        .collect();
    missing.sort();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(!is_test("lab_signin::no_such_test"));
    assert!(!is_test("lab_signin"));
    assert!(!is_test("no_such_room::entra_refuses_in_its_own_words"));
    // A function that is no test.
    assert!(!is_test("lab_support::at"));
}

/// Returns whether a path is that of a test, in this folder or in the library.
fn is_test(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    let text = sources(module)
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok());
    let Some(text) = text else { return false };
    let heads = [format!("fn {name}()"), format!("async fn {name}()")];
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let marked = ["#[test]", "#[tokio::test]"].contains(&pair[0]);
        marked && heads.iter().any(|head| pair[1].starts_with(head.as_str()))
    })
}

/// Returns where a module may lie: `azure::retry::tests` in the library, `lab_wire` here.
fn sources(module: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match module.strip_suffix("::tests") {
        Some(inner) => {
            let path = inner.replace("::", "/");
            ["", "/mod"]
                .map(|end| root.join(format!("src/{path}{end}.rs")))
                .into()
        }
        None => vec![root.join(format!("tests/it/{module}.rs"))],
    }
}
