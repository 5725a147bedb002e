//! Places: how many of something there may be at once, all together and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places, all together and by source. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    most_per_source: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Places {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, taken: Arc::default() }
    }

    /// A place, if there is one for this source.
    pub(crate) fn take(&self, source: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let from_source = taken.by_source.get(&source).copied().unwrap_or_default();
        if taken.all >= self.most || from_source >= self.most_per_source {
            return None;
        }
        taken.all += 1;
        taken.by_source.insert(source, from_source + 1);
        Some(Place { places: self.clone(), source })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(count) = taken.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_source_and_together_and_come_back() {
        let places = Places::new(3, 2);
        let (a, b) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = places.take(a).expect("there is a place");
        let _second = places.take(a).expect("there is a place");
        assert!(places.take(a).is_none());
        let _third = places.take(b).expect("there is a place");
        assert!(places.take(b).is_none());
        drop(first);
        assert!(places.take(b).is_some());
    }
}
