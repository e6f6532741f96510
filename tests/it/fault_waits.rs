//! What a service asks of everybody's time, and what a clock that jumps does.

use std::time::Duration;

use super::azure_server::{Bench, Reply, Server, answer, error};
use super::fault_kit::VM;

fn throttled(seconds: &str) -> Reply {
    error(429, "TooManyRequests", &[("retry-after", seconds)])
}

#[tokio::test]
async fn a_day_that_one_request_is_to_wait_is_not_waited_by_the_others() {
    for seconds in ["86400", "18446744073709551615"] {
        let server = Server::start(vec![throttled(seconds), answer(200, &[], "{}")]).await;
        let bench = Bench::of(&server);
        assert!(bench.get(VM).await.unwrap_err().is_throttled());
        bench.get(VM).await.unwrap();
        assert_eq!(bench.waited(), Duration::ZERO, "{seconds}");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_neither_stops_nor_prolongs_a_wait() {
    for jump in [-86_400_i64, 86_400] {
        let server = Server::start(vec![
            answer(200, &[], "{}"),
            throttled("17"),
            answer(200, &[], "{}"),
        ])
        .await;
        let bench = Bench::of(&server);
        bench.get(VM).await.unwrap();
        let now = azir::clock::Clock::now(&bench.clock);
        bench.clock.jump_to(now + chrono::TimeDelta::seconds(jump));
        bench.get(VM).await.unwrap();
        assert_eq!(bench.waited(), Duration::from_secs(17), "{jump}");
    }
}

#[tokio::test]
async fn a_date_far_off_is_told_and_changes_nothing() {
    let date = [("date", "Thu, 01 Jan 1970 00:00:00 GMT")];
    let server = Server::start(vec![answer(200, &date, "{}"), answer(200, &date, "{}")]).await;
    let bench = Bench::of(&server);
    bench.get(VM).await.unwrap();
    bench.write("PUT", VM, true).await.unwrap();
    assert_eq!(
        bench.client.clock_offset_ms(),
        Some(1_790_000_000_000 - 500)
    );
    assert_eq!((bench.tokens.given(), bench.waited()), (1, Duration::ZERO));
}
