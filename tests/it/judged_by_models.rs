//! Every request that azir makes is one that Microsoft's own clients could have made: method, address, api-version and
//! every member of its body are looked up in the clients themselves, and Graph's in the metadata of v1.0.
//!
//! azir signs in through the Azure CLI here, as a responder who has typed `az login` does.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::az_kit::Judge;
use crate::graph_metadata::Metadata;
use crate::requests_sent::{Given, given, send_all};

/// What the clients for Resource Manager do not have, and why it is sent all the same.
const BESIDE: &[(&str, &str)] = &[
    (": NetworkInterface.kind", ECHOED),
    (": NetworkInterface.properties.allowPort25Out", ECHOED),
];

/// Why a member is sent that no model has.
const ECHOED: &str =
    "the service shows it in what it answers, and an edit sends back what it has read";

/// Returns the folders of the packages of the three environments: that of the Azure CLI has clients that are newer than
/// those that are out, and the other two what it does without.
fn packages() -> Vec<String> {
    let az = std::env::var("AZIR_TEST_AZ").expect("AZIR_TEST_AZ names an az");
    let beside = Path::new(&az)
        .with_file_name("python")
        .display()
        .to_string();
    let others = ["AZIR_TEST_SDK_PYTHON", "AZIR_TEST_FORENSICS_PYTHON"];
    let others = others.map(|name| std::env::var(name).expect(name));
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'), end='')";
    let pythons = others.into_iter().chain([beside]);
    let folder = |python: String| {
        Command::new(&python)
            .args(["-c", ask])
            .output()
            .expect(&python)
    };
    pythons
        .map(|python| String::from_utf8(folder(python).stdout).unwrap())
        .collect()
}

#[test]
#[ignore = "needs azure-cli and the Azure SDKs for Python"]
fn every_request_that_azir_makes_is_in_the_routes_and_models_of_the_clients() {
    let judge = Judge::with(|options| options.bodies = true);
    send_all(&|command| judge.azir(command));
    let metadata = Metadata::read();
    let mut lines = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut on_graph = 0;
    for sent in judge.azir.lab.requests() {
        match given(&sent) {
            Given::Arm => {
                let line = json!({"method": sent.method, "path": sent.path, "api_version": sent.api_version, "body": sent.body});
                lines.insert(line.to_string());
            }
            Given::Graph(below) => {
                on_graph += 1;
                let body = sent.body.as_ref();
                if let Err(why) = metadata.check(&sent.method, below, &sent.query, body) {
                    wrong.push(format!("{} {below}: {why}", sent.method));
                }
            }
            Given::Other => {}
        }
    }
    assert!(
        lines.len() > 100 && on_graph > 100,
        "{} {on_graph}",
        lines.len()
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sdk/routes.py");
    let mut child = Command::new("python3")
        .arg(script)
        .args(packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in &lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let mut told: Vec<&str> = told.lines().collect();
    let last = told.pop().unwrap();
    assert!(
        last.starts_with(&format!("judged {} by ", lines.len())),
        "{last}"
    );
    let mut idle: BTreeSet<&str> = BESIDE.iter().map(|(part, _)| *part).collect();
    for line in told {
        match BESIDE.iter().find(|(part, _)| line.ends_with(part)) {
            Some((part, _)) => {
                idle.remove(part);
            }
            None => wrong.push(line.to_owned()),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        idle.is_empty(),
        "the clients have it, or it is not sent: {idle:?}"
    );
}
