//! One change of a shared thing for all who need it.
//!
//! Many targets may need the same quarantine NSG nudged. A change that *began after* somebody asked
//! serves that asker; one that was already under way may have missed what the asker just did. So
//! askers during a change wait for it and then share the next one. Many targets come to it almost
//! together, so whoever is first waits a moment: else all the others would need a second change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

use super::failure::Failure;

type Answer = Result<Value, Failure>;

#[derive(Default)]
struct Lane {
    /// Counts changes that have begun.
    begun: u64,
    /// The last change that has ended, by its number.
    ended: Option<(u64, Answer)>,
}

/// The shared changes of one run, by key.
#[derive(Default)]
pub(crate) struct Shared {
    lanes: Mutex<HashMap<String, (Arc<AsyncMutex<()>>, Arc<Mutex<Lane>>)>>,
}

impl Shared {
    /// Makes the change behind `key` when `others` may have come, or takes the answer of one that began after this call.
    pub(crate) async fn once<W, F>(&self, key: &str, others: W, change: F) -> Answer
    where
        W: Future<Output = ()>,
        F: Future<Output = Answer>,
    {
        let (turn, lane) = self.lane(key);
        let asked_at = with(&lane, |lane| lane.begun);
        let _turn = turn.lock().await;
        if let Some(answer) = with(&lane, |lane| {
            lane.ended
                .as_ref()
                .filter(|(number, _)| *number > asked_at)
                .map(|(_, answer)| answer.clone())
        }) {
            return answer;
        }
        others.await;
        let number = with(&lane, |lane| {
            lane.begun += 1;
            lane.begun
        });
        let answer = change.await;
        with(&lane, |lane| lane.ended = Some((number, answer.clone())));
        answer
    }

    fn lane(&self, key: &str) -> (Arc<AsyncMutex<()>>, Arc<Mutex<Lane>>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(key.to_owned()).or_default().clone()
    }
}

fn with<T>(lane: &Mutex<Lane>, f: impl FnOnce(&mut Lane) -> T) -> T {
    f(&mut lane.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn askers_during_a_change_share_the_next_one() {
        let shared = Shared::default();
        let count = AtomicUsize::new(0);
        let change = || async {
            count.fetch_add(1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            Ok(Value::Null)
        };
        let first = shared.once("nsg", ready(()), change());
        let later = async {
            tokio::task::yield_now().await;
            futures_util::future::join_all((0..10).map(|_| shared.once("nsg", ready(()), change())))
                .await
        };
        let (one, many) = futures_util::future::join(first, later).await;
        assert!(one.is_ok() && many.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
    #[tokio::test]
    async fn those_who_come_while_the_first_waits_for_them_need_no_change_of_their_own() {
        let shared = Shared::default();
        let count = AtomicUsize::new(0);
        let change = || async {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Value::Null)
        };
        let moment = || async {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        };
        let late = async {
            tokio::task::yield_now().await;
            shared.once("nsg", moment(), change()).await
        };
        let first = shared.once("nsg", moment(), change());
        let (one, other) = futures_util::future::join(first, late).await;
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
