//! Blob storage of the lab.

use crate::lab_support::{Answer, Bench, with_roles};

const MD5_OF_ABC: &str = "kAFQmDzST7DWlj99KOF/cg==";

/// An account of the lab, asked with a token for storage.
pub(crate) struct Account<'a> {
    bench: &'a Bench,
    base: String,
    token: String,
}

impl<'a> Account<'a> {
    pub(crate) fn of(bench: &'a Bench) -> Self {
        let port = bench.lab.ready().arm.rsplit(':').next().unwrap();
        let base = format!("https://stforensicirprodweu.blob.localhost:{port}");
        Self {
            bench,
            base,
            token: bench.token_for("https://storage.azure.com/.default"),
        }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = self
            .bench
            .http
            .request(method.parse().unwrap(), format!("{}/{path}", self.base))
            .bearer_auth(&self.token);
        request = request.header("x-ms-version", "2023-11-03");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.bench.send(request.body(body.to_owned()))
    }

    pub(crate) fn code(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let answer = self.send(method, path, headers, body);
        (answer.status, answer.header("x-ms-error-code").to_owned())
    }
}

pub(crate) const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const APPEND: (&str, &str) = ("x-ms-blob-type", "AppendBlob");

#[test]
fn a_blob_is_created_once_read_back_and_kept() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    let once = [
        BLOCK,
        ("if-none-match", "*"),
        ("content-md5", MD5_OF_ABC),
        ("x-ms-meta-sha256", "ba78"),
    ];
    let made = account.send("PUT", "ir-evidence/a/b.txt", &once, "abc");
    assert_eq!((made.status, made.header("content-md5")), (201, MD5_OF_ABC));
    assert_eq!(
        account.code("PUT", "ir-evidence/a/b.txt", &once, "abc"),
        (409, "BlobAlreadyExists".into())
    );
    assert_eq!(
        account.code("PUT", "ir-evidence/a/b.txt", &[BLOCK], "xyz"),
        (409, "BlobImmutableDueToPolicy".into())
    );
    assert_eq!(
        account.code("DELETE", "ir-evidence/a/b.txt", &[], ""),
        (409, "BlobImmutableDueToPolicy".into())
    );
    let read = account.send("GET", "ir-evidence/a/b.txt", &[], "");
    assert_eq!(
        (read.status, read.text.as_str(), read.header("etag")),
        (200, "abc", made.header("etag"))
    );
    let part = account.send("GET", "ir-evidence/a/b.txt", &[("range", "bytes=1-")], "");
    assert_eq!(
        (
            part.status,
            part.text.as_str(),
            part.header("content-range")
        ),
        (206, "bc", "bytes 1-2/3")
    );
    assert_eq!(
        account.code("GET", "ir-evidence/a/b.txt", &[("range", "bytes=7-")], ""),
        (416, "InvalidRange".into())
    );
    let head = account.send("HEAD", "ir-evidence/a/b.txt", &[], "");
    assert_eq!(
        (
            head.header("content-length"),
            head.header("x-ms-meta-sha256"),
            head.header("x-ms-blob-type")
        ),
        ("3", "ba78", "BlockBlob")
    );
    assert_eq!(
        account.send("HEAD", "ir-evidence/none", &[], "").status,
        404
    );
    let listed = account
        .send(
            "GET",
            "ir-evidence?restype=container&comp=list&prefix=a/",
            &[],
            "",
        )
        .text;
    assert!(
        listed.contains("<Name>a/b.txt</Name>")
            && listed.contains("<Content-Length>3</Content-Length>"),
        "{listed}"
    );
}

#[test]
fn appends_land_once_at_their_position() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    assert_eq!(
        account
            .send(
                "PUT",
                "ir-evidence/log",
                &[APPEND, ("if-none-match", "*")],
                ""
            )
            .status,
        201
    );
    let append = |at: &str, body: &str| {
        account.send(
            "PUT",
            "ir-evidence/log?comp=appendblock",
            &[("x-ms-blob-condition-appendpos", at)],
            body,
        )
    };
    let first = append("0", "one\n");
    assert_eq!(
        (
            first.status,
            first.header("x-ms-blob-append-offset"),
            first.header("x-ms-blob-committed-block-count")
        ),
        (201, "0", "1")
    );
    let again = append("0", "one\n");
    assert_eq!(
        (again.status, again.header("x-ms-error-code")),
        (412, "AppendPositionConditionNotMet")
    );
    assert_eq!(append("4", "two\n").header("x-ms-blob-append-offset"), "4");
    assert_eq!(
        account.send("GET", "ir-evidence/log", &[], "").text,
        "one\ntwo\n"
    );
    account.send("PUT", "ir-evidence/block", &[BLOCK], "x");
    assert_eq!(
        account.code("PUT", "ir-evidence/block?comp=appendblock", &[], "y"),
        (409, "InvalidBlobType".into())
    );
}

#[test]
fn what_is_wrong_with_a_request_is_said_as_storage_says_it() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    assert_eq!(
        account.code(
            "PUT",
            "ir-evidence/x",
            &[BLOCK, ("content-md5", MD5_OF_ABC)],
            "abd"
        ),
        (400, "Md5Mismatch".into())
    );
    assert_eq!(
        account.code(
            "PUT",
            "ir-evidence/x",
            &[BLOCK, ("content-md5", "c2hvcnQ=")],
            "abd"
        ),
        (400, "InvalidMd5".into())
    );
    assert_eq!(
        account.code("PUT", "ir-evidence/x", &[], "abc"),
        (400, "MissingRequiredHeader".into())
    );
    assert_eq!(
        account.code("PUT", "no-such/x", &[BLOCK], "abc"),
        (404, "ContainerNotFound".into())
    );
    assert_eq!(
        account.code("GET", "ir-evidence/x", &[], ""),
        (404, "BlobNotFound".into()),
        "nothing was stored"
    );
    assert_eq!(
        account.code("PUT", "ir-evidence/x?comp=tier", &[], ""),
        (501, "NotModelled".into())
    );
    assert_eq!(
        account.code(
            "PUT",
            "ir-evidence/x",
            &[BLOCK, ("x-ms-copy-source", "https://x/y")],
            ""
        ),
        (501, "NotModelled".into())
    );
    let bare = bench.send(
        bench
            .http
            .get(format!("{}/ir-evidence/x", account.base))
            .bearer_auth(&account.token),
    );
    assert_eq!(
        (bare.status, bare.header("x-ms-error-code")),
        (400, "InvalidHeaderValue")
    );
    let unsigned = bench.send(
        bench
            .http
            .get(format!("{}/ir-evidence/x", account.base))
            .header("x-ms-version", "2023-11-03"),
    );
    assert_eq!(
        (unsigned.status, unsigned.header("x-ms-error-code")),
        (401, "InvalidAuthenticationInfo")
    );
    assert!(
        unsigned
            .header("www-authenticate")
            .contains("resource_id=https://storage.azure.com")
    );
}

#[test]
fn the_management_planes_owner_has_no_right_on_data() {
    let bench = Bench::with(with_roles(&[("Owner", "/")], ""), |_| {});
    let account = Account::of(&bench);
    assert_eq!(
        account.code("GET", "ir-evidence/x", &[], ""),
        (403, "AuthorizationPermissionMismatch".into())
    );
    let group = "/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups";
    let reader = Bench::with(
        with_roles(
            &[(
                "Storage Blob Data Reader",
                &format!("{group}/rg-forensic-prod"),
            )],
            "",
        ),
        |_| {},
    );
    let account = Account::of(&reader);
    assert_eq!(
        account.code("GET", "ir-evidence/x", &[], ""),
        (404, "BlobNotFound".into())
    );
    assert_eq!(
        account.code("PUT", "ir-evidence/x", &[BLOCK], "x"),
        (403, "AuthorizationPermissionMismatch".into())
    );
    let elsewhere = Bench::with(
        with_roles(
            &[(
                "Storage Blob Data Contributor",
                &format!("{group}/rg-north"),
            )],
            "",
        ),
        |_| {},
    );
    let account = Account::of(&elsewhere);
    assert_eq!(
        account.code("GET", "ir-evidence/x", &[], ""),
        (403, "AuthorizationPermissionMismatch".into())
    );
}
