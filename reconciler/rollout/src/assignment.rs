//! The complete set of Releases that one device is to run.

use std::fmt::Display;

use crate::State;

/// What is wanted of one application, as far as one device is concerned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent<'a, R> {
    /// Name of the Application.
    pub application: &'a str,
    /// Whether the device is one of its targets.
    pub targeted: bool,
    /// It keeps its module on the device and does not run.
    pub suspended: bool,
    /// Its restart counter: a higher one starts it anew.
    pub restart: u64,
    /// Its rollout.
    pub rollout: &'a State<R>,
}

/// One application of a device's set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry<R> {
    /// Name of the Application.
    pub application: String,
    /// The Release to run.
    pub release: R,
    /// It keeps its module and does not run.
    pub suspended: bool,
    /// Its restart counter.
    pub restart: u64,
}

/// The complete set for `device`, by the applications' names: what is not in it is stopped and erased.
pub fn assignment<'a, R: Clone + PartialEq + Display + 'a>(
    device: &str,
    intents: impl IntoIterator<Item = Intent<'a, R>>,
) -> Vec<Entry<R>> {
    let mut entries: Vec<_> = intents
        .into_iter()
        .filter(|intent| intent.targeted)
        .filter_map(|intent| {
            let release = intent.rollout.release_of(device)?.clone();
            let Intent { application, suspended, restart, .. } = intent;
            Some(Entry { application: application.to_owned(), release, suspended, restart })
        })
        .collect();
    entries.sort_by(|a, b| a.application.cmp(&b.application));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Offer;

    #[test]
    fn a_device_gets_every_application_that_targets_it_and_has_a_release() {
        let none = State::default();
        let some = none.offered(&Offer { release: "r1", retry: false });
        let intent =
            |application, targeted, rollout| Intent { application, targeted, suspended: false, restart: 7, rollout };
        let set = assignment(
            "device",
            [
                intent("z", true, &some),
                intent("not-built", true, &none),
                intent("other", false, &some),
                intent("a", true, &some),
            ],
        );
        let names: Vec<_> = set.iter().map(|entry| entry.application.as_str()).collect();
        assert_eq!(names, ["a", "z"]);
        assert!(set.iter().all(|entry| entry.release == "r1" && entry.restart == 7 && !entry.suspended));
    }

    #[test]
    fn a_suspended_application_stays_in_the_set() {
        let rollout = State::default().offered(&Offer { release: "r1", retry: false });
        let intent = Intent { application: "a", targeted: true, suspended: true, restart: 0, rollout: &rollout };
        assert!(assignment("device", [intent])[0].suspended);
    }
}
