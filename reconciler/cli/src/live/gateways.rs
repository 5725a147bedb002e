//! Live events of gateways on a cluster: of every process that a name leads to, as one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wasmbed_streams::live::{LiveEvent, LiveFilter, Published};
use wasmbed_streams::{Connector, StreamError};

/// How often names are looked up again, and gateways tried again that were not reached.
const AGAIN: Duration = Duration::from_secs(2);
/// Events under way from all gateways before they wait.
const IN_FLIGHT: usize = 256;

/// Calls `show` with each event that `filter` wants, of each address that the names of `named` lead to: first the kept ones
/// in the order of time, then, if the filter follows, the others as they come.
///
/// # Errors
/// When none is reached at the start, or `show` fails. What is not reached besides or later is said on standard error.
pub(super) async fn each(
    named: Vec<Connector>,
    filter: &LiveFilter,
    mut show: impl FnMut(LiveEvent) -> Result<()>,
) -> Result<()> {
    let mut unreached = Unreached::default();
    let mut seen = Seen::default();
    for published in kept(&named, filter, &mut unreached).await? {
        seen.is_new(&published);
        show(published.event)?;
    }
    if !filter.follow {
        return Ok(());
    }
    let (said, mut heard) = mpsc::channel(IN_FLIGHT);
    let mut tasks = JoinSet::new();
    tasks.spawn(look_again(named, said.clone()));
    let mut reading = BTreeSet::new();
    while let Some(what) = heard.recv().await {
        match what {
            Said::Looked(found) => {
                unreached.forget_all_but(&found);
                for (name, why) in found.lost {
                    unreached.say(name, why);
                }
                for place in found.places {
                    if reading.insert(place.to_string()) {
                        tasks.spawn(read(place, filter.path(), said.clone()));
                    }
                }
            }
            Said::Reached(place) => unreached.reached(&place),
            Said::Event(published) if seen.is_new(&published) => show(published.event)?,
            Said::Event(_) => {}
            Said::NotReached(place, why) => {
                reading.remove(&place);
                unreached.say(place, why);
            }
        }
        while tasks.try_join_next().is_some() {}
    }
    Ok(())
}

/// What the tasks say that look names up and read.
enum Said {
    /// Names were looked up.
    Looked(Found),
    /// A place is read from now on.
    Reached(String),
    /// An event came.
    Event(Published),
    /// A place is read no more, and why.
    NotReached(String, String),
}

/// Where names lead.
#[derive(Default)]
struct Found {
    places: Vec<Connector>,
    /// Names that lead nowhere, and why.
    lost: Vec<(String, String)>,
}

async fn look(named: &[Connector]) -> Found {
    let mut found = Found::default();
    for (name, led) in join_all(named.iter().map(|name| async move { (name, name.each_address().await) })).await {
        match led {
            Ok(places) => found.places.extend(places),
            Err(error) => found.lost.push((name.to_string(), error.to_string())),
        }
    }
    found
}

async fn look_again(named: Vec<Connector>, said: mpsc::Sender<Said>) {
    while said.send(Said::Looked(look(&named).await)).await.is_ok() {
        tokio::time::sleep(AGAIN).await;
    }
}

/// The kept events of all places, in the order of time.
async fn kept(named: &[Connector], filter: &LiveFilter, unreached: &mut Unreached) -> Result<Vec<Published>> {
    let Found { places, lost } = look(named).await;
    let path = LiveFilter { follow: false, ..filter.clone() }.path();
    let reads = places.iter().map(|place| {
        let path = &path;
        async move {
            let mut events = wasmbed_streams::read::<Published>(place, path).await?;
            let mut kept = Vec::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => kept.push(event),
                    // What came counts.
                    Err(error) => return Ok((kept, Some(error))),
                }
            }
            Ok::<_, StreamError>((kept, None))
        }
    });
    let mut failures = lost;
    // One process may have two addresses.
    let mut events = BTreeMap::new();
    let mut is_reached = false;
    for (place, read) in places.iter().zip(join_all(reads).await) {
        let error = match read {
            Ok((kept, error)) => {
                is_reached = true;
                events.extend(kept.into_iter().map(|published| ((published.hub, published.number), published)));
                error
            }
            Err(error) => Some(error),
        };
        failures.extend(error.map(|error| (place.to_string(), error.to_string())));
    }
    if !is_reached {
        let why: Vec<_> = failures.into_iter().map(|(place, why)| format!("{place}: {why}")).collect();
        bail!("no gateway's live events can be read: {}", why.join("; "));
    }
    for (place, why) in failures {
        unreached.say(place, why);
    }
    let mut events: Vec<_> = events.into_values().collect();
    events.sort_by_key(|published| published.event.time_ms);
    Ok(events)
}

/// Reads from a place until it is not reached.
async fn read(place: Connector, path: String, said: mpsc::Sender<Said>) {
    let name = place.to_string();
    loop {
        let began = Instant::now();
        let error = match wasmbed_streams::read::<Published>(&place, &path).await {
            Ok(mut events) => {
                if said.send(Said::Reached(name.clone())).await.is_err() {
                    return;
                }
                loop {
                    match events.next().await {
                        Some(Ok(event)) => {
                            if said.send(Said::Event(event)).await.is_err() {
                                return;
                            }
                        }
                        // Streams come to an end, and so do processes: which it was shows when another one is opened.
                        None | Some(Err(StreamError::Http(_))) => break None,
                        Some(Err(error)) => break Some(error),
                    }
                }
            }
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            // Whoever would hear it may be gone.
            let _ = said.send(Said::NotReached(name, error.to_string())).await;
            return;
        }
        tokio::time::sleep_until(began + AGAIN).await;
    }
}

/// What was shown already. A place that is read again begins with what it keeps.
#[derive(Default)]
struct Seen(BTreeMap<u64, u64>);

impl Seen {
    /// Whether an event was not there before, nor one after it of the same hub; from now on it was.
    fn is_new(&mut self, published: &Published) -> bool {
        let last = self.0.get(&published.hub);
        let is_new = last.is_none_or(|last| published.number > *last);
        if is_new {
            self.0.insert(published.hub, published.number);
        }
        is_new
    }
}

/// The places that are not reached, and what was said of each.
#[derive(Default)]
struct Unreached(BTreeMap<String, String>);

impl Unreached {
    fn say(&mut self, place: String, why: String) {
        if self.0.get(&place) != Some(&why) {
            eprintln!("not reached: {place}: {why}");
            self.0.insert(place, why);
        }
    }

    fn reached(&mut self, place: &str) {
        if self.0.remove(place).is_some() {
            eprintln!("reached again: {place}");
        }
    }

    /// Names lead to places no more that are gone for good.
    fn forget_all_but(&mut self, found: &Found) {
        let places = found.places.iter().map(ToString::to_string);
        let there: BTreeSet<_> = places.chain(found.lost.iter().map(|(name, _)| name.clone())).collect();
        self.0.retain(|place, _| there.contains(place));
    }
}

#[cfg(test)]
mod tests {
    use wasmbed_streams::live::LiveKind;

    use super::*;

    fn published(hub: u64, number: u64) -> Published {
        let kind = LiveKind::Log { level: "output".to_owned(), text: String::new() };
        let (gateway, device) = ("gateway-1".to_owned(), "device-1".to_owned());
        Published { hub, number, event: LiveEvent { time_ms: 0, gateway, device, application: None, kind } }
    }

    #[test]
    fn an_event_is_new_once_whoever_else_says_it() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&published(1, 0)));
        assert!(seen.is_new(&published(2, 0)), "another process counts for itself");
        assert!(seen.is_new(&published(1, 7)), "others are of kinds that were not asked for");
        for (hub, number) in [(1, 0), (1, 7), (2, 0)] {
            assert!(!seen.is_new(&published(hub, number)));
        }
        assert!(seen.is_new(&published(1, 8)));
    }
}
