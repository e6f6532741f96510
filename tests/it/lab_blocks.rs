//! Blobs of the lab in pieces, in lists, and what is said about them and their containers.

use crate::lab_blob::{Account, BLOCK};
use crate::lab_support::Bench;

fn id(number: u8) -> String {
    // Base64 of "0001" and so on, of one length.
    ["MDAwMQ==", "MDAwMg==", "MDAwMw=="][usize::from(number) - 1].to_owned()
}

fn put(account: &Account<'_>, number: u8, text: &str) -> (u16, String) {
    let path = format!("ir-unprotected/large?comp=block&blockid={}", id(number));
    account.code("PUT", &path, &[], text)
}

fn commit(account: &Account<'_>, list: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    account.code("PUT", "ir-unprotected/large?comp=blocklist", headers, &body)
}

#[test]
fn blocks_are_a_blob_once_a_list_names_them() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    assert_eq!(put(&account, 2, "two ").0, 201);
    assert_eq!(put(&account, 1, "old ").0, 201);
    assert_eq!(put(&account, 1, "one ").0, 201);
    let get = || account.send("GET", "ir-unprotected/large", &[], "");
    assert_eq!(get().status, 404, "blocks alone are no blob");
    let waiting = account.send(
        "GET",
        "ir-unprotected/large?comp=blocklist&blocklisttype=all",
        &[],
        "",
    );
    assert_eq!(waiting.text.matches("<Size>4</Size>").count(), 2);
    let unknown = commit(&account, &format!("<Latest>{}</Latest>", id(3)), &[]);
    assert_eq!(unknown, (400, "InvalidBlockList".into()));
    let both = format!(
        "<Latest>{}</Latest><Uncommitted>{}</Uncommitted>",
        id(1),
        id(2)
    );
    assert_eq!(commit(&account, &both, &[("x-ms-meta-case", "ir1")]).0, 201);
    let whole = get();
    assert_eq!(
        (whole.text.as_str(), whole.header("x-ms-meta-case")),
        ("one two ", "ir1")
    );
    assert_eq!(put(&account, 3, "three").0, 201);
    let longer = format!("<Committed>{}</Committed><Latest>{}</Latest>", id(1), id(3));
    let once = commit(&account, &longer, &[("if-none-match", "*")]);
    assert_eq!(once, (409, "BlobAlreadyExists".into()));
    assert_eq!(commit(&account, &longer, &[]).0, 201);
    assert_eq!(get().text, "one three");
    // One block named again and again would be more than the lab keeps.
    assert_eq!(put(&account, 3, &"x".repeat(1 << 20)).0, 201);
    let again = format!("<Latest>{}</Latest>", id(3)).repeat(300);
    assert_eq!(commit(&account, &again, &[]).0, 501);
    assert_eq!(get().text, "one three");
    let odd = account.code("PUT", "ir-unprotected/x?comp=block&blockid=!", &[], "a");
    assert_eq!(odd, (400, "InvalidQueryParameterValue".into()));
}

#[test]
fn a_blob_that_is_kept_takes_no_other_blocks_and_no_metadata() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    account.send("PUT", "ir-evidence/proof", &[BLOCK], "proof");
    let path = format!("ir-evidence/proof?comp=block&blockid={}", id(1));
    assert_eq!(account.code("PUT", &path, &[], "x").0, 201);
    let list = format!("<BlockList><Latest>{}</Latest></BlockList>", id(1));
    for (path, body) in [
        ("ir-evidence/proof?comp=blocklist", list.as_str()),
        ("ir-evidence/proof?comp=metadata", ""),
    ] {
        let refused = account.code("PUT", path, &[("x-ms-meta-a", "b")], body);
        assert_eq!(refused, (409, "BlobImmutableDueToPolicy".into()), "{path}");
    }
    account.send("PUT", "ir-unprotected/note", &[BLOCK], "note");
    let told = account.send(
        "PUT",
        "ir-unprotected/note?comp=metadata",
        &[("x-ms-meta-a", "b")],
        "",
    );
    let shown = account.send("HEAD", "ir-unprotected/note", &[], "");
    assert_eq!((told.status, shown.header("x-ms-meta-a")), (200, "b"));
    assert_eq!(told.header("etag"), shown.header("etag"));
}

#[test]
fn a_list_says_how_it_was_asked_for_and_folds_at_a_delimiter() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    for name in ["a/1", "a/2", "b%20%26%20c", "d/1"] {
        let path = format!("ir-unprotected/{name}");
        let head = [BLOCK, ("x-ms-meta-n", "1")];
        assert_eq!(account.send("PUT", &path, &head, "x").status, 201);
    }
    let list = |more: &str| {
        let path = format!("ir-unprotected?restype=container&comp=list{more}");
        account.send("GET", &path, &[], "").text
    };
    let first = list("&maxresults=2&include=metadata");
    for part in [
        "<MaxResults>2</MaxResults>",
        "ContainerName=\"ir-unprotected\"",
        "<NextMarker>b &amp; c</NextMarker>",
        "<Metadata><n>1</n></Metadata>",
        "<Content-MD5>nd",
        "<Creation-Time>",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let second = list("&maxresults=2&marker=b%20%26%20c");
    assert!(second.contains("<Name>d/1</Name>") && second.contains("<NextMarker></NextMarker>"));
    assert!(!second.contains("<Metadata>"));
    let folded = list("&delimiter=/");
    assert_eq!(folded.matches("<BlobPrefix>").count(), 2);
    assert!(folded.contains("<BlobPrefix><Name>a/</Name></BlobPrefix>"));
    assert_eq!(list("&delimiter=/&prefix=a/").matches("<Blob>").count(), 2);
    let path = "ir-unprotected?restype=container&comp=list&maxresults=0";
    assert_eq!(
        account.code("GET", path, &[], ""),
        (400, "OutOfRangeQueryParameterValue".into())
    );
}

#[test]
fn a_range_is_told_with_its_sum_and_a_container_with_what_protects_it() {
    let bench = Bench::new();
    let account = Account::of(&bench);
    account.send("PUT", "ir-unprotected/abc", &[BLOCK], "xxabcxx");
    let summed = ("x-ms-range-get-content-md5", "true");
    let part = account.send(
        "GET",
        "ir-unprotected/abc",
        &[("x-ms-range", "bytes=2-4"), summed],
        "",
    );
    assert_eq!((part.status, part.text.as_str()), (206, "abc"));
    assert_eq!(part.header("content-md5"), "kAFQmDzST7DWlj99KOF/cg==");
    let whole = account.code("GET", "ir-unprotected/abc", &[summed], "");
    assert_eq!(whole, (400, "InvalidHeaderValue".into()));
    for (container, policy, hold) in [
        ("ir-evidence", "true", "false"),
        ("ir-held", "false", "true"),
        ("ir-unprotected", "false", "false"),
    ] {
        let path = format!("{container}?restype=container");
        let shown = account.send("HEAD", &path, &[], "");
        assert_eq!(shown.header("x-ms-has-immutability-policy"), policy);
        assert_eq!(shown.header("x-ms-has-legal-hold"), hold);
        assert!(!shown.header("etag").is_empty());
    }
    let copy = [("x-ms-copy-source", "https://elsewhere.example/a")];
    assert_eq!(
        account.code("PUT", "ir-unprotected/copy", &copy, ""),
        (501, "NotModelled".into())
    );
}
