//! Who leads, by a record that several candidates read and write. Pure: the record and the time go in, what to do comes out.
//!
//! Clocks of different machines are never compared. A candidate counts from when it *saw* the record change, by its own
//! clock, as the times in the record are those of another one.

use std::time::Duration;

/// A holder that was not seen to renew for this long has lost the lease.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// A holder that did not succeed to renew for this long writes nothing more; what it had on its way then has the rest of
/// [`DURATION`] to arrive.
pub(crate) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// A holder renews this often.
pub(crate) const RENEW: Duration = Duration::from_secs(5);
/// The others look this often, and so does a holder that could not renew.
pub(crate) const RETRY: Duration = Duration::from_secs(2);

/// Time since some moment of this process; it never goes back.
pub(crate) type Moment = Duration;

/// What stands in the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who holds it; nobody if absent.
    pub(crate) holder: Option<String>,
    /// How long it asks others to wait, if it says so.
    pub(crate) duration: Option<Duration>,
    /// How often the holder changed.
    pub(crate) transitions: i32,
    /// Changes with every write.
    pub(crate) version: String,
}

/// What a candidate is to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make the lease, as its holder.
    Create,
    /// Write itself in, over exactly this version; `is_new` if another one, or nobody, held it.
    Write { version: String, transitions: i32, is_new: bool },
    /// Another one holds it.
    Wait,
}

/// One candidate.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    identity: String,
    observed: Option<(Record, Moment)>,
    leads_until: Moment,
}

impl Election {
    /// A candidate of this name, which no other one has.
    pub(crate) fn new(identity: String) -> Self {
        Self { identity, observed: None, leads_until: Moment::ZERO }
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The record was read at `now`; `None` if there is none. Gives what to do.
    pub(crate) fn observe(&mut self, record: Option<Record>, now: Moment) -> Step {
        let Some(record) = record else {
            self.observed = None;
            return Step::Create;
        };
        let since = match &self.observed {
            Some((known, since)) if *known == record => *since,
            _ => now,
        };
        let is_ours = record.holder.as_deref() == Some(&self.identity);
        let is_free = record.holder.as_deref().is_none_or(str::is_empty);
        if !is_ours {
            self.leads_until = Moment::ZERO;
        }
        // A record may ask for more time than usual, from a candidate of another version, and not for less.
        let duration = record.duration.unwrap_or(DURATION).clamp(DURATION, DURATION * 20);
        let step = if is_ours || is_free || now >= since + duration {
            let transitions = record.transitions.saturating_add(i32::from(!is_ours));
            Step::Write { version: record.version.clone(), transitions, is_new: !is_ours }
        } else {
            Step::Wait
        };
        self.observed = Some((record, since));
        step
    }

    /// What was to be done was done: the write was sent at `sent`, the record is now `record`.
    pub(crate) fn wrote(&mut self, record: Record, sent: Moment, now: Moment) {
        self.observed = Some((record, now));
        self.leads_until = sent + RENEW_DEADLINE;
    }

    /// Until when it leads, if nothing else happens.
    pub(crate) fn leads_until(&self) -> Moment {
        self.leads_until
    }

    /// Whether it may write at `now`.
    pub(crate) fn leads(&self, now: Moment) -> bool {
        now < self.leads_until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn held(holder: &str, version: &str) -> Record {
        Record { holder: Some(holder.into()), duration: Some(DURATION), transitions: 3, version: version.into() }
    }

    #[test]
    fn the_first_makes_the_lease_and_renews_it() {
        let mut a = Election::new("a".into());
        assert_eq!(a.observe(None, seconds(1)), Step::Create);
        assert!(!a.leads(seconds(1)));
        a.wrote(held("a", "1"), seconds(1), seconds(2));
        assert!(a.leads(seconds(10)) && !a.leads(seconds(11)), "counted from when the write was sent");
        let renew = Step::Write { version: "1".into(), transitions: 3, is_new: false };
        assert_eq!(a.observe(Some(held("a", "1")), seconds(6)), renew);
    }

    #[test]
    fn a_holder_that_renews_keeps_it_and_one_that_does_not_loses_it() {
        let mut b = Election::new("b".into());
        assert_eq!(b.observe(Some(held("a", "1")), seconds(100)), Step::Wait);
        assert_eq!(b.observe(Some(held("a", "1")), seconds(114)), Step::Wait);
        assert_eq!(b.observe(Some(held("a", "2")), seconds(115)), Step::Wait, "it was renewed");
        assert_eq!(b.observe(Some(held("a", "2")), seconds(129)), Step::Wait);
        let take = Step::Write { version: "2".into(), transitions: 4, is_new: true };
        assert_eq!(b.observe(Some(held("a", "2")), seconds(130)), take);
    }

    #[test]
    fn a_lease_that_was_released_is_taken_at_once_and_one_that_was_taken_is_no_longer_held() {
        let mut b = Election::new("b".into());
        let released = Record { holder: Some(String::new()), ..held("", "7") };
        assert!(matches!(b.observe(Some(released), seconds(1)), Step::Write { is_new: true, .. }));
        b.wrote(held("b", "8"), seconds(1), seconds(1));
        assert_eq!(b.observe(Some(held("a", "9")), seconds(2)), Step::Wait);
        assert!(!b.leads(seconds(2)), "whatever it thought before");
    }

    /// What can happen to a candidate at a moment.
    #[derive(Clone, Debug)]
    enum Event {
        /// It looks, and does what is to be done; the write takes so many milliseconds to arrive, and is answered or not.
        Look { candidate: usize, delay: u64, answered: bool },
        /// Time passes, in milliseconds.
        Pass(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let look = (0..3_usize, 0..4000_u64, any::<bool>()).prop_map(|(candidate, delay, answered)| Event::Look {
            candidate,
            delay,
            answered,
        });
        let pass = (0..8000_u64).prop_map(Event::Pass);
        proptest::collection::vec(prop_oneof![3 => look, 2 => pass], 1..200)
    }

    proptest! {
        /// The API's compare-and-swap and any order of delays, lost answers and pauses: never do two lead. Each candidate's
        /// clock starts elsewhere.
        #[test]
        fn never_do_two_lead(events in events(), starts in [0_u64..1_000_000, 0..1_000_000, 0..1_000_000]) {
            let mut candidates: Vec<_> = (0..3).map(|number| Election::new(number.to_string())).collect();
            let mut lease: Option<Record> = None;
            let (mut version, mut time) = (0_u64, 0_u64);
            for event in events {
                match event {
                    Event::Pass(milliseconds) => time += milliseconds,
                    Event::Look { candidate, delay, answered } => {
                        let clock = |time: u64| Duration::from_millis(starts[candidate] + time);
                        let sent = clock(time);
                        let step = candidates[candidate].observe(lease.clone(), sent);
                        time += delay;
                        let (expected, transitions) = match step {
                            Step::Create => (None, 0),
                            Step::Write { version, transitions, .. } => (Some(version), transitions),
                            Step::Wait => continue,
                        };
                        prop_assert_eq!(&lease.as_ref().map(|lease| lease.version.clone()), &expected);
                        version += 1;
                        let record = Record {
                            holder: Some(candidate.to_string()),
                            duration: Some(DURATION),
                            transitions,
                            version: version.to_string(),
                        };
                        lease = Some(record.clone());
                        if answered {
                            candidates[candidate].wrote(record, sent, clock(time));
                        }
                    }
                }
                let leading = candidates.iter().zip(starts);
                let leading = leading.filter(|(candidate, start)| candidate.leads(Duration::from_millis(start + time)));
                prop_assert!(leading.count() <= 1);
            }
        }
    }
}
