//! The pending list: unknown keys that knocked, and what they proved. Bounded, rate-limited, with quotas by source; pure.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use wasmbed_api::{ByteString, PendingKey, Time};
use wasmbed_protocol::PublicKey;
use wasmbed_protocol::message::Pairing;
use wasmbed_protocol::pairing::{EXPORTER_LENGTH, Proof};

use crate::directory::Known;
use crate::limits::Limits;
use crate::rate::{Meters, Rate};
use crate::session::{Now, Verdict};

/// New keys from one source: 16 at once, then one in ten seconds.
const KNOCKS: Rate = Rate { period: Duration::from_secs(10), burst: 16 };
/// Proofs for one Device, and from one source: five at once, then one a minute.
const PROOFS: Rate = Rate { period: Duration::from_secs(60), burst: 5 };
/// Sources and Devices counted one by one.
const COUNTED: usize = 4096;
/// How long a device that is turned away for good should wait.
const LATER: Duration = Duration::from_secs(300);

/// An unknown key that knocked.
#[derive(Clone, Debug)]
struct Entry {
    source: IpAddr,
    board: String,
    claims: Option<String>,
    since: Timestamp,
    heard: Instant,
    paired: Option<Paired>,
}

/// A one-time code was proved by this key.
#[derive(Clone, Debug)]
struct Paired {
    device: String,
    /// The code, by its public half: another code in the declaration starts anew.
    code: PublicKey,
    exporter: [u8; EXPORTER_LENGTH],
    proof: Proof,
}

/// Someone knocks.
#[derive(Debug)]
pub(crate) struct Knock<'a> {
    pub(crate) key: PublicKey,
    pub(crate) source: IpAddr,
    pub(crate) board: String,
    pub(crate) pairing: Option<&'a Pairing>,
    pub(crate) exporter: [u8; EXPORTER_LENGTH],
}

/// Unknown keys that knocked.
#[derive(Debug)]
pub(crate) struct PendingList {
    entries: BTreeMap<PublicKey, Entry>,
    per_source: HashMap<IpAddr, usize>,
    most: usize,
    most_per_source: usize,
    kept: Duration,
    knocks: Meters<IpAddr>,
    proofs_by_device: Meters<String>,
    proofs_by_source: Meters<IpAddr>,
}

impl PendingList {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            entries: BTreeMap::new(),
            per_source: HashMap::new(),
            most: limits.pending,
            most_per_source: limits.pending_per_source,
            kept: limits.pending_kept,
            knocks: Meters::new(KNOCKS, COUNTED),
            proofs_by_device: Meters::new(PROOFS, COUNTED),
            proofs_by_source: Meters::new(PROOFS, COUNTED),
        }
    }

    /// Judges a knock. `claimed` is the Device that the pairing names, if there is one.
    pub(crate) fn knock(&mut self, knock: Knock<'_>, claimed: Option<&Known>, now: Now) -> Verdict {
        self.expire(now.at);
        let paired = match knock.pairing {
            Some(pairing) => match self.prove(&knock, pairing, claimed, now) {
                Ok(paired) => Some(paired),
                Err(verdict) => return verdict,
            },
            None => None,
        };
        if let Err(verdict) = self.admit(&knock, now) {
            return verdict;
        }
        let since = Timestamp::from_millisecond(i64::try_from(now.unix_ms).unwrap_or(i64::MAX)).unwrap_or_default();
        let entry = self.entries.entry(knock.key).or_insert_with(|| {
            *self.per_source.entry(knock.source).or_default() += 1;
            Entry { source: knock.source, board: String::new(), claims: None, since, heard: now.at, paired: None }
        });
        entry.heard = now.at;
        // Shown to people, in a terminal.
        entry.board = knock.board.chars().filter(|c| !c.is_control()).collect();
        entry.claims = knock.pairing.map(|pairing| pairing.device.clone());
        if paired.is_some() {
            entry.paired = paired;
        }
        Verdict::Pending(match &entry.paired {
            Some(paired) => format!("paired with {}; its key is being taken up", paired.device),
            None => "this key is not known; approve it with `wasmbed enroll`".to_owned(),
        })
    }

    /// The key is known now, or need not wait any more.
    pub(crate) fn remove(&mut self, key: &PublicKey) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        if let Some(count) = self.per_source.get_mut(&entry.source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&entry.source);
            }
        }
        true
    }

    /// Forgets keys not heard for long; whether there were any.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let old: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| now.saturating_duration_since(entry.heard) > self.kept)
            .map(|(key, _)| *key)
            .collect();
        for key in &old {
            self.remove(key);
        }
        !old.is_empty()
    }

    /// Whether a key has proved the code of this Device and waits to be taken up.
    pub(crate) fn is_enrolling(&self, device: &str) -> bool {
        self.entries.values().any(|entry| entry.paired.as_ref().is_some_and(|paired| paired.device == device))
    }

    /// As a Gateway's status holds it.
    pub(crate) fn to_status(&self) -> Vec<PendingKey> {
        let pending = |(key, entry): (&PublicKey, &Entry)| {
            let paired = entry.paired.as_ref();
            PendingKey {
                public_key: wasmbed_api::PublicKey::from_bytes(key.0),
                source: entry.source.to_string(),
                board: Some(entry.board.clone()),
                device: entry.claims.as_ref().and_then(|device| device.parse().ok()),
                since: Some(Time(entry.since)),
                paired_with: paired.and_then(|paired| paired.device.parse().ok()),
                exporter: paired.map(|paired| ByteString(paired.exporter.to_vec())),
                proof: paired.map(|paired| ByteString(paired.proof.0.to_vec())),
            }
        };
        self.entries.iter().map(pending).collect()
    }

    /// Takes up the list that an earlier process left in the status, so that a restart forgets nobody and a code that
    /// was used stays used. A proof that does not hold is left behind.
    pub(crate) fn restore(&mut self, pending: &[PendingKey], device: impl Fn(&str) -> Option<Known>, now: Instant) {
        for one in pending {
            let key = PublicKey(*one.public_key.as_bytes());
            let Ok(source) = one.source.parse::<IpAddr>() else {
                continue;
            };
            if self.entries.len() >= self.most {
                break;
            }
            if self.entries.contains_key(&key) {
                continue;
            }
            let paired = || {
                let name = one.paired_with.as_ref()?.to_string();
                let code = PublicKey(*device(&name)?.pairing?.public_key.as_bytes());
                let exporter = one.exporter.as_ref()?.0.as_slice().try_into().ok()?;
                let proof = Proof(one.proof.as_ref()?.0.as_slice().try_into().ok()?);
                proof.verify(&code, &exporter, &name, &key).then_some(Paired { device: name, code, exporter, proof })
            };
            let entry = Entry {
                source,
                board: one.board.clone().unwrap_or_default(),
                claims: one.device.as_ref().map(ToString::to_string),
                since: one.since.as_ref().map(|since| since.0).unwrap_or_default(),
                heard: now,
                paired: paired(),
            };
            *self.per_source.entry(source).or_default() += 1;
            self.entries.insert(key, entry);
        }
    }

    fn admit(&mut self, knock: &Knock<'_>, now: Now) -> Result<(), Verdict> {
        if self.entries.contains_key(&knock.key) {
            return Ok(());
        }
        let refused = |reason: &str, retry| Err(Verdict::Refused { reason: reason.to_owned(), retry });
        if let Err(retry) = self.knocks.count(knock.source, now.at) {
            return refused("too many unknown keys from this address at once", retry);
        }
        if self.per_source.get(&knock.source).is_some_and(|count| *count >= self.most_per_source) {
            return refused("too many unknown keys from this address; approve or remove some of them", LATER);
        }
        if self.entries.len() >= self.most {
            return refused("too many unknown keys at this gateway; approve or remove some of them", LATER);
        }
        Ok(())
    }

    /// Judges the proof of a one-time code. What is said about a wrong one does not depend on what is wrong with it.
    fn prove(
        &mut self,
        knock: &Knock<'_>,
        pairing: &Pairing,
        claimed: Option<&Known>,
        now: Now,
    ) -> Result<Paired, Verdict> {
        let refused = |reason: String, retry| Err(Verdict::Refused { reason, retry });
        let by_source = self.proofs_by_source.count(knock.source, now.at);
        let by_device = self.proofs_by_device.count(pairing.device.clone(), now.at);
        if let Err(retry) = by_source.and(by_device) {
            return refused("too many attempts to pair; wait before the next".into(), retry);
        }
        let declared = claimed.and_then(|known| known.pairing.as_ref());
        let proven = declared.filter(|declared| {
            let code = PublicKey(*declared.public_key.as_bytes());
            pairing.proof.verify(&code, &knock.exporter, &pairing.device, &knock.key)
        });
        let Some(declared) = proven else {
            return refused(format!("this is not the one-time code of a Device {:?}", pairing.device), LATER);
        };
        // From here on the code is right, so what is said helps only its owner.
        let unix = i64::try_from(now.unix_ms).unwrap_or(i64::MAX);
        if declared.until.as_ref().is_some_and(|until| until.0.as_millisecond() <= unix) {
            return refused("the one-time code has expired; declare a new one".into(), LATER);
        }
        if claimed.is_some_and(|known| known.key.is_some()) {
            return refused("the one-time code has been used: the Device has a key".into(), LATER);
        }
        let code = PublicKey(*declared.public_key.as_bytes());
        let used = self.entries.iter().any(|(key, entry)| {
            *key != knock.key
                && entry.paired.as_ref().is_some_and(|paired| paired.device == pairing.device && paired.code == code)
        });
        if used {
            return refused("the one-time code has been used by another key; declare a new one".into(), LATER);
        }
        Ok(Paired { device: pairing.device.clone(), code, exporter: knock.exporter, proof: pairing.proof })
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
