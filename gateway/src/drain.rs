//! Ending the sessions of a gateway that goes, spread over time.

use std::time::{Duration, Instant};

use crate::closing::Closing;
use crate::context::Context;

/// Time between two rounds, but for jitter.
const ROUND: Duration = Duration::from_millis(250);

/// Ends the sessions one after another, over at most `over`: devices come again at once, and are not to come to the other
/// gateways in one wave. Completes as soon as none is left.
pub(crate) async fn drain(context: &Context, over: Duration) {
    let end = Instant::now() + over;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let staying = context.sessions.staying();
        if staying == 0 || left.is_zero() {
            return;
        }
        context.sessions.close_some(share(staying, left), &Closing::Shutdown);
        let pause = ROUND.mul_f64(rand::random_range(0.5..1.5)).min(left);
        tokio::time::sleep(pause).await;
    }
}

/// How many of `staying` sessions end in this round so that all have ended when `left` is over; one at least.
fn share(staying: usize, left: Duration) -> usize {
    let rounds = usize::try_from(left.as_millis() / ROUND.as_millis()).unwrap_or(usize::MAX);
    staying.div_ceil(rounds.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_have_ended_when_the_time_is_over_and_no_round_takes_much_more_than_its_share(
            sessions in 0_usize..200_000,
            seconds in 1_u64..120,
        ) {
            let rounds = usize::try_from(Duration::from_secs(seconds).as_millis() / ROUND.as_millis()).expect("a few");
            let (mut staying, mut left) = (sessions, Duration::from_secs(seconds));
            while !left.is_zero() {
                let share = share(staying, left);
                prop_assert!(share <= sessions.div_ceil(rounds));
                staying -= share.min(staying);
                left -= ROUND;
            }
            prop_assert_eq!(staying, 0);
        }
    }
}
