//! What the client does when a service or the way to it fails: a row a fault, kept in `src/azure/FAULTS.md`.

use azir::azure::Http;

use super::azure_server::{Bench, Reply, answer, error};
use super::fault_kit::{self, KINDS, Row, hold, line, many, page, throttled};

fn status(status: u16) -> Reply {
    error(status, "ServiceSaysNo", &[])
}

/// 300 MiB of nothing in 300 KiB, again and again.
fn bomb() -> Vec<Reply> {
    let body = zeros(300);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let bytes = [head.into_bytes(), body].concat();
    (0..3).map(|_| Reply::Raw(bytes.clone())).collect()
}

/// Returns a gzip body (RFC 1952) that unpacks to so many mebibytes of zeros: one block of fixed codes (RFC 1951
/// section 3.2.6), a zero and then matches of 258 at distance 1. Each match is the 13 bits 11000101 00000, so that 8 of
/// them fill 13 bytes, whatever came before.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    let mut code = |value: u16, length: u16| {
        bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
    };
    code(0x30, 8);
    // The first match shifts all by a whole number of bytes and five bits; the rest repeats after eight.
    for _ in 0..16 {
        code(0b1100_0101, 8);
        code(0, 5);
    }
    let byte = |bits: &[bool]| {
        let bit = |(at, bit): (usize, &bool)| u8::from(*bit) << at;
        bits.iter().enumerate().map(bit).sum::<u8>()
    };
    let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
    // Three bits of head and eight of the zero come first: from the second byte on every 13 bytes are alike.
    let (first, period) = (&bytes[..2], &bytes[2..15]);
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.extend(first);
    for _ in 0..mebibytes * 1_048_576 / 258 / 8 {
        body.extend(period);
    }
    body
}

/// Every fault of one answer.
const ROWS: &[Row] = &[
    Row {
        fault: "429 with `Retry-After` in seconds",
        script: || vec![throttled("retry-after", "17")],
    },
    // The manual clock stands at 14:13:20.
    Row {
        fault: "429 with `Retry-After` as a date",
        script: || vec![throttled("retry-after", "Mon, 21 Sep 2026 14:14:00 GMT")],
    },
    Row {
        fault: "the same, the service's clock a day ahead",
        script: || {
            let date = ("date", "Tue, 22 Sep 2026 14:13:20 GMT");
            let until = ("retry-after", "Tue, 22 Sep 2026 14:14:00 GMT");
            vec![error(429, "TooManyRequests", &[date, until])]
        },
    },
    Row {
        fault: "429 with `Retry-After` in milliseconds",
        script: || vec![throttled("x-ms-retry-after-ms", "250")],
    },
    Row {
        fault: "429 without a word of how long",
        script: || vec![status(429)],
    },
    Row {
        fault: "429 with `Retry-After: 0`, eight times",
        script: || (0..8).map(|_| throttled("retry-after", "0")).collect(),
    },
    Row {
        fault: "429 that asks for an hour",
        script: || vec![throttled("retry-after", "3600")],
    },
    Row {
        fault: "429 that never ends",
        script: || many(|| throttled("retry-after", "60")),
    },
    Row {
        fault: "408",
        script: || vec![status(408)],
    },
    Row {
        fault: "500",
        script: || vec![status(500)],
    },
    Row {
        fault: "502",
        script: || vec![status(502)],
    },
    Row {
        fault: "503",
        script: || vec![status(503)],
    },
    Row {
        fault: "503 with `Retry-After`",
        script: || vec![error(503, "ServerBusy", &[("retry-after", "5")])],
    },
    Row {
        fault: "504",
        script: || vec![status(504)],
    },
    Row {
        fault: "400 in a megabyte of words",
        script: || {
            let words = "no ".repeat(350_000);
            let body = format!(r#"{{"error":{{"code":"BadRequest","message":"{words}"}}}}"#);
            vec![answer(400, &[], &body)]
        },
    },
    Row {
        fault: "503 that never ends",
        script: || many(|| status(503)),
    },
    Row {
        fault: "409 `AnotherOperationInProgress`",
        script: || vec![error(409, "AnotherOperationInProgress", &[])],
    },
    Row {
        fault: "409 `ScopeLocked`",
        script: || vec![error(409, "ScopeLocked", &[])],
    },
    Row {
        fault: "412",
        script: || vec![error(412, "PreconditionFailed", &[])],
    },
    Row {
        fault: "the connection is reset",
        script: || vec![Reply::Reset],
    },
    Row {
        fault: "the host goes away after the request",
        script: || vec![Reply::ResetAndLeave],
    },
    Row {
        fault: "no answer begins",
        script: || vec![Reply::Stall(Vec::new())],
    },
    Row {
        fault: "the answer stands still",
        script: || {
            vec![Reply::Stall(
                b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(),
            )]
        },
    },
    Row {
        fault: "the answer creeps, a byte now and then",
        script: || vec![Reply::Creep],
    },
    Row {
        fault: "the answer breaks off",
        script: || vec![Reply::Truncate],
    },
    Row {
        fault: "the JSON is cut, the length right",
        script: || vec![answer(200, &[], "{\"value\":[")],
    },
    Row {
        fault: "the JSON is none",
        script: || vec![answer(200, &[], "{\"value\": [}")],
    },
    Row {
        fault: "a page of something in between, 200",
        script: || vec![page(200)],
    },
    Row {
        fault: "a page of something in between, 404",
        script: || vec![page(404)],
    },
    Row {
        fault: "a page of something in between, 502",
        script: || vec![page(502)],
    },
    Row {
        fault: "JSON that is called something else",
        script: || vec![answer(200, &[("content-type", "text/plain")], "{}")],
    },
    Row {
        fault: "a gzip body that unpacks to 300 MiB",
        script: bomb,
    },
    Row {
        fault: "gzip that is none",
        script: || vec![answer(200, &[("content-encoding", "gzip")], "no gzip")],
    },
    Row {
        fault: "headers of 10 MB",
        script: || {
            vec![Reply::Raw(
                [
                    b"HTTP/1.1 200 OK\r\nx-long: ".to_vec(),
                    vec![b'x'; 10_000_000],
                    b"\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
                ]
                .concat(),
            )]
        },
    },
    Row {
        fault: "what is no HTTP",
        script: || vec![Reply::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())],
    },
    Row {
        fault: "a redirect to itself",
        script: || vec![answer(307, &[("location", "{base}/elsewhere")], "")],
    },
    Row {
        fault: "401, the token has expired",
        script: || vec![error(401, "ExpiredAuthenticationToken", &[])],
    },
    Row {
        fault: "401 for ever",
        script: || many(|| error(401, "InvalidAuthenticationToken", &[])),
    },
    Row {
        fault: "a claims challenge",
        script: || vec![claims()],
    },
    Row {
        fault: "a claims challenge for ever",
        script: || many(claims),
    },
];

fn claims() -> Reply {
    let asked = r#"Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ""#;
    error(
        401,
        "InvalidAuthenticationToken",
        &[("www-authenticate", asked)],
    )
}

#[tokio::test]
async fn each_fault_of_an_answer_has_its_row() {
    let mut rows = String::new();
    for row in ROWS {
        rows += &fault_kit::row(row.fault, &KINDS, row.script).await;
    }
    hold("answers", &rows);
}

#[tokio::test]
async fn nobody_there_is_tried_three_times_and_was_never_sent() {
    // Bound and let go: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    // No such name can ever be (RFC 6761 section 6.4).
    let mut rows = String::new();
    for (fault, base) in [
        ("the connection is refused", refused.as_str()),
        ("the name is not known", "https://management.invalid"),
    ] {
        let mut cells = Vec::new();
        for (method, idempotent) in KINDS {
            let http = Http::with_patience(None, fault_kit::hasty()).unwrap();
            let bench = Bench::at(base, http);
            let told = fault_kit::of(&bench, method, idempotent).await;
            told.sound(fault, method);
            assert_eq!(told.result.as_ref().unwrap_err().code(), "unreachable");
            cells.push(told.cell().replace("sent", "tried"));
        }
        rows += &line(fault, &cells);
    }
    hold("connections", &rows);
}
