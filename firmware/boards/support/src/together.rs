//! Futures that run side by side in one task, each with a waker of its own.
//!
//! embassy-net wakes its runner whenever a socket is looked at. With one waker for both, looking wakes whoever looked, and
//! the device never sleeps.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use embassy_sync::waitqueue::AtomicWaker;

/// Whether a future is to be polled, and who polls it.
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// One of the futures.
struct Member<'a> {
    future: Pin<&'a mut dyn Future<Output = Infallible>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<'a> Member<'a> {
    fn new(future: Pin<&'a mut dyn Future<Output = Infallible>>) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future, waker: Waker::from(bell.clone()), bell }
    }

    /// Polls it if it was woken.
    fn poll(&mut self, context: &Context<'_>) {
        self.bell.task.register(context.waker());
        if self.bell.rung.swap(false, Ordering::AcqRel) {
            let Poll::Pending = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        }
    }
}

/// Runs all of them for ever. They come pinned, for a future that is moved into another takes its room twice.
pub(crate) async fn forever<const COUNT: usize>(
    futures: [Pin<&mut dyn Future<Output = Infallible>>; COUNT],
) -> Infallible {
    let mut members = futures.map(Member::new);
    poll_fn(|context| {
        members.iter_mut().for_each(|member| member.poll(context));
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::pin::pin;

    use super::*;

    #[test]
    fn only_who_was_woken_is_polled_and_nobody_wakes_himself_by_waking_another() {
        let polled = Cell::new([0, 0]);
        let count = |index: usize| {
            let mut counts = polled.get();
            counts[index] += 1;
            polled.set(counts);
        };
        let runner = Cell::new(None::<Waker>);
        let looker = Cell::new(None::<Waker>);
        let a = poll_fn(|context| {
            count(0);
            runner.set(Some(context.waker().clone()));
            Poll::Pending
        });
        // As a socket that is looked at.
        let b = poll_fn(|context| {
            count(1);
            looker.set(Some(context.waker().clone()));
            if let Some(runner) = runner.take() {
                runner.wake();
            }
            Poll::Pending
        });
        let (a, b) = (pin!(a), pin!(b));
        let mut both = pin!(forever([a, b]));
        let mut poll = || assert!(both.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        poll();
        assert_eq!(polled.get(), [1, 1]);
        poll();
        assert_eq!(polled.get(), [2, 1], "the runner was woken");
        poll();
        assert_eq!(polled.get(), [2, 1], "and that was all");
        looker.take().expect("it was polled").wake();
        poll();
        assert_eq!(polled.get(), [2, 2]);
    }
}
