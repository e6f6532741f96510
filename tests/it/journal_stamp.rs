//! Time stamps: made by a real authority on this machine, judged by the verifier.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use azir::journal::verify::{Outside, verify};

use crate::journal_kit::{
    ALICE, anchor, codes, inside, last_checkpoint, person, sealed_run, signers_line,
};

/// A time-stamp authority under a root of its own.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

const CONFIG: &str = "[tsa]
serial = ./serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
";

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(authority.path("tsa.cnf"), CONFIG).unwrap();
        fs::write(authority.path("serial"), "01\n").unwrap();
        fs::write(
            authority.path("ext"),
            "extendedKeyUsage=critical,timeStamping\nkeyUsage=digitalSignature\n",
        )
        .unwrap();
        authority.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=root -days 36500");
        authority.openssl("req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=tsa");
        authority.openssl("x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile ext -out tsa.pem");
        authority
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn stamp(&self, file: &Path) -> Vec<u8> {
        fs::copy(file, self.path("data")).unwrap();
        self.openssl("ts -query -data data -sha256 -cert -out request.tsq");
        self.answer(&fs::read(self.path("request.tsq")).unwrap())
    }

    /// Answers a request; one at a time, for it keeps its serial number in a file.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        fs::write(self.path("request.tsq"), request).unwrap();
        self.openssl("ts -reply -config tsa.cnf -section tsa -queryfile request.tsq -signer tsa.pem -inkey tsa.key -chain ca.pem -out reply.tsr");
        fs::read(self.path("reply.tsr")).unwrap()
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_stamp_anchors_the_head_and_every_change_to_what_it_says_is_found() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = Outside {
        earlier_checkpoints: Vec::new(),
        tsa_ca: Some(authority.path("ca.pem")),
        ..anchor(&run_dir, folder.path())
    };
    assert_eq!(verify(&run_dir, &outside).exit_code, 2);
    let cp = last_checkpoint(&run_dir);
    let stamp = authority.stamp(&cp);
    fs::write(cp.with_extension("tsr"), &stamp).unwrap();
    let report = verify(&run_dir, &outside);
    assert_eq!(
        (report.exit_code, report.anchored_to),
        (0, Some(12)),
        "{report:?}"
    );
    // The run's clock stands still in another year than the authority's.
    assert_eq!(codes(&report), ["stamp-delay"]);
    assert_eq!(inside(&run_dir).exit_code, 2);
    // The content of the token: its type, an explicit tag, an octet string with TSTInfo in it; lengths of one byte.
    let id = [
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
    ];
    let found = stamp.windows(id.len()).position(|window| window == id);
    let outer = found.unwrap() + id.len();
    let long =
        |at: usize| usize::from(stamp[at + 1] & 0x80 != 0) * usize::from(stamp[at + 1] & 0x7f);
    let octets = outer + 2 + long(outer);
    let info = octets + 2 + long(octets);
    let length = &stamp[octets + 1..info];
    let length = match length {
        [short] => usize::from(*short),
        [_, rest @ ..] => rest
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        [] => unreachable!("a length has a byte"),
    };
    let signature = stamp.len() - 256;
    let mut tried = 0;
    for bit in (info * 8..(info + length) * 8).chain(signature * 8..stamp.len() * 8) {
        let mut bad = stamp.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(cp.with_extension("tsr"), bad).unwrap();
        assert_eq!(verify(&run_dir, &outside).exit_code, 1, "bit {bit}");
        tried += 1;
    }
    println!(
        "flipped bits of a stamp's TSTInfo and signature, every one: {tried}, none undetected"
    );
    for (what, bad) in [
        (
            "of other bytes",
            authority.stamp(&run_dir.join("cp/000001.cp")),
        ),
        ("with a byte more", [&stamp[..], &[0]].concat()),
        ("cut", stamp[..stamp.len() - 1].to_vec()),
        ("empty", Vec::new()),
    ] {
        fs::write(cp.with_extension("tsr"), bad).unwrap();
        assert_eq!(verify(&run_dir, &outside).exit_code, 1, "{what}");
        assert_eq!(inside(&run_dir).exit_code, 1, "{what}, without roots");
    }
    fs::write(cp.with_extension("tsr"), &stamp).unwrap();
    let stranger = Authority::new();
    let other = Outside {
        tsa_ca: Some(stranger.path("ca.pem")),
        ..outside.clone()
    };
    assert_eq!(verify(&run_dir, &other).exit_code, 1);
}

#[test]
#[ignore = "needs openssl"]
fn signatures_are_dated_by_the_stamp_and_else_by_the_checkpoint() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = sealed_run(folder.path(), 1);
    let outside = anchor(&run_dir, folder.path());
    let cp = last_checkpoint(&run_dir);
    fs::write(cp.with_extension("tsr"), authority.stamp(&cp)).unwrap();
    let made = chrono::Utc::now();
    let day = |offset: i64| {
        (made + chrono::Duration::days(offset))
            .format("%Y%m%dZ")
            .to_string()
    };
    // Valid only around the stamp; the checkpoint says another time.
    let bounds = format!(",valid-after=\"{}\",valid-before=\"{}\"", day(-2), day(2));
    fs::write(
        outside.signers.as_ref().unwrap(),
        signers_line(ALICE, &bounds, &person(1)),
    )
    .unwrap();
    assert_eq!(verify(&run_dir, &outside).exit_code, 1);
    let with_roots = Outside {
        tsa_ca: Some(authority.path("ca.pem")),
        ..outside
    };
    assert_eq!(verify(&run_dir, &with_roots).exit_code, 0);
}
