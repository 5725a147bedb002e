//! Bytes by digest, within a budget; whatever many ask for at once is read once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

/// Why bytes cannot be had now; shared by all who asked.
pub(crate) type LoadError = Arc<str>;

type Load = Shared<BoxFuture<'static, Result<Bytes, LoadError>>>;

/// A cache of immutable bytes.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    budget: usize,
    state: Mutex<State<K>>,
    /// Reads at once: each holds its bytes two or three times over.
    loads: Semaphore,
}

#[derive(Debug)]
struct State<K> {
    slots: HashMap<K, Slot>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
enum Slot {
    Loading(Load),
    Ready { bytes: Bytes, used: u64 },
}

impl<K: Copy + Eq + Hash + Send + 'static> Cache<K> {
    /// An empty cache of `budget` bytes that reads `loads` things at once.
    pub(crate) fn new(budget: usize, loads: usize) -> Self {
        let state = State { slots: HashMap::new(), bytes: 0, tick: 0 };
        Self { budget, state: Mutex::new(state), loads: Semaphore::new(loads) }
    }

    /// The bytes, if they are at hand.
    pub(crate) fn at_hand(&self, key: K) -> Option<Bytes> {
        let mut state = self.lock();
        state.tick += 1;
        let tick = state.tick;
        match state.slots.get_mut(&key) {
            Some(Slot::Ready { bytes, used }) => {
                *used = tick;
                Some(bytes.clone())
            }
            _ => None,
        }
    }

    /// The bytes, read by `load` unless they are at hand or being read. A read that has begun ends by itself, even when
    /// all who asked have gone, so that no place stays taken.
    ///
    /// # Errors
    /// What `load` says; the next who asks tries again.
    pub(crate) async fn find<F>(self: &Arc<Self>, key: K, load: impl FnOnce() -> F) -> Result<Bytes, LoadError>
    where
        F: Future<Output = Result<Bytes, LoadError>> + Send + 'static,
    {
        let loading = {
            let mut state = self.lock();
            state.tick += 1;
            let tick = state.tick;
            match state.slots.get_mut(&key) {
                Some(Slot::Ready { bytes, used }) => {
                    *used = tick;
                    return Ok(bytes.clone());
                }
                Some(Slot::Loading(loading)) => loading.clone(),
                None => {
                    let (cache, load) = (self.clone(), load());
                    let task = tokio::spawn(async move {
                        let permit = cache.loads.acquire().await;
                        let loaded = load.await;
                        drop(permit);
                        cache.settle(key, &loaded);
                        loaded
                    });
                    let loading = async { task.await.unwrap_or_else(|_| Err("the gateway stops".into())) };
                    let loading = loading.boxed().shared();
                    state.slots.insert(key, Slot::Loading(loading.clone()));
                    loading
                }
            }
        };
        loading.await
    }

    /// Puts what was read in its place.
    fn settle(&self, key: K, loaded: &Result<Bytes, LoadError>) {
        let mut state = self.lock();
        state.slots.remove(&key);
        let Ok(bytes) = loaded else {
            return;
        };
        if bytes.len() > self.budget {
            return;
        }
        while state.bytes + bytes.len() > self.budget {
            let oldest = state.slots.iter().filter_map(|(key, slot)| match slot {
                Slot::Ready { used, .. } => Some((*used, *key)),
                Slot::Loading(_) => None,
            });
            let Some((_, key)) = oldest.min_by_key(|(used, _)| *used) else {
                break;
            };
            if let Some(Slot::Ready { bytes, .. }) = state.slots.remove(&key) {
                state.bytes -= bytes.len();
            }
        }
        state.tick += 1;
        state.bytes += bytes.len();
        let used = state.tick;
        state.slots.insert(key, Slot::Ready { bytes: bytes.clone(), used });
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_read() {
        let (cache, reads) = (Arc::new(Cache::new(100, 4)), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            cache.find(1u8, || {
                let reads = reads.clone();
                async move {
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(Bytes::from_static(b"module"))
                }
            })
        };
        let all = futures::future::join_all((0..50).map(|_| ask())).await;
        assert!(all.iter().all(|bytes| bytes.as_deref() == Ok(b"module")));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_budget_holds_and_what_was_used_longest_ago_goes_first() {
        let cache = Arc::new(Cache::new(25, 4));
        let load = |length: usize| move || async move { Ok(Bytes::from(vec![0; length])) };
        cache.find(1u8, load(10)).await.expect("it loads");
        cache.find(2, load(10)).await.expect("it loads");
        assert!(cache.at_hand(1).is_some());
        cache.find(3, load(10)).await.expect("it loads");
        assert!(cache.at_hand(2).is_none());
        assert!(cache.at_hand(1).is_some() && cache.at_hand(3).is_some());
        assert_eq!(cache.find(4, load(26)).await.expect("it loads").len(), 26);
        assert!(cache.at_hand(4).is_none(), "larger than the whole budget");
        assert!(cache.lock().bytes <= 25);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = Arc::new(Cache::new(100, 4));
        assert!(cache.find(1u8, || async { Err("gone".into()) }).await.is_err());
        assert!(cache.find(1, || async { Ok(Bytes::new()) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_reader_that_gives_up_keeps_no_place() {
        let cache = Arc::new(Cache::new(100, 1));
        let never = cache.find(1u8, || async {
            tokio::task::yield_now().await;
            Ok(Bytes::from_static(b"x"))
        });
        assert!(never.now_or_never().is_none());
        assert_eq!(cache.find(1, || async { Err("not asked".into()) }).await.as_deref(), Ok(&b"x"[..]));
    }
}
