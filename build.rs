//! Embeds every runbook, so that adding a file adds a command, and every scenario of a drill; refuses two of one name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let folder = root.join("runbooks");
    println!("cargo::rerun-if-changed=runbooks");
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    collect(&folder, &mut found);
    let drills = folder.join("drills");
    let (scenarios, runbooks): (BTreeMap<_, _>, BTreeMap<_, _>) = found
        .into_iter()
        .partition(|(_, path)| path.starts_with(&drills));
    embed(&folder, &runbooks, "SHIPPED", "shipped.rs");
    embed(&folder, &scenarios, "SCENARIOS", "scenarios.rs");
}

/// Writes a table of the files that were found.
fn embed(folder: &Path, found: &BTreeMap<String, PathBuf>, table: &str, file: &str) {
    let mut out = format!(
        "/// Name, path below `runbooks`, text.\npub(crate) const {table}: &[(&str, &str, &str)] = &[\n"
    );
    for (name, path) in found {
        let text = std::fs::read_to_string(path).expect("a runbook is readable UTF-8");
        let named = format!("\nname: {name}\n");
        assert!(
            text.contains(&named),
            "{}: the runbook must be named as its file: name: {name}",
            path.display()
        );
        assert!(
            text.contains("\ntitle: "),
            "{}: title must stand on a line of its own",
            path.display()
        );
        let below = path
            .strip_prefix(folder)
            .expect("found below it")
            .display()
            .to_string();
        writeln!(
            out,
            "    ({name:?}, {below:?}, include_str!({:?})),",
            path.display().to_string()
        )
        .expect("a String takes all");
    }
    out.push_str("];\n");
    let target = Path::new(&std::env::var("OUT_DIR").expect("cargo sets it")).join(file);
    std::fs::write(target, out).expect("the build folder is writable");
}

fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder)
        .expect("runbooks is a folder")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            let name = path
                .file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            if let Some(other) = found.insert(name, path.clone()) {
                panic!("{} and {} have one name", other.display(), path.display());
            }
        }
    }
}
