//! Deleting much needs a word from a person: the commit trailer `Allow-Deletion: <hash of what would go>`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use super::{Kind, ObjectId};

/// The commit trailer that allows one particular deletion.
pub const TRAILER: &str = "Allow-Deletion";

/// One thing that would go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deletion {
    /// An object.
    Object(ObjectId),
    /// An application on one device; the application itself stays.
    Placement {
        /// The application.
        application: String,
        /// The device that loses it.
        device: String,
    },
}

impl Deletion {
    /// What it counts as.
    fn class(&self) -> Class {
        match self {
            Self::Object(id) => Class::Kind(id.kind),
            Self::Placement { .. } => Class::Placement,
        }
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((application, device)) = text.split_once('@') {
            return Some(Self::Placement { application: application.to_owned(), device: device.to_owned() });
        }
        let (kind, name) = text.split_once('/')?;
        let kind = Kind::ALL.into_iter().find(|k| k.name() == kind)?;
        Some(Self::Object(ObjectId::new(kind, name)))
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Placement { application, device } => write!(f, "{application}@{device}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Kind(Kind),
    Placement,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind}s"),
            Self::Placement => f.write_str("applications on devices"),
        }
    }
}

/// Everything that would go at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionSet(pub BTreeSet<Deletion>);

impl DeletionSet {
    /// The word for exactly this set: 16 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for deletion in &self.0 {
            hasher.update(deletion.to_string());
            hasher.update(b"\n");
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How many of `population` objects of one kind may go within a day without a word: three tenths of them, but always one, and never
/// more than 500.
#[must_use]
pub fn allowance(population: usize) -> usize {
    (population * 3 / 10).clamp(1, 500)
}

/// The same for applications on devices; few of them never matter.
fn placement_allowance(population: usize) -> usize {
    (population * 3 / 10).clamp(20, 5_000)
}

/// What the decision is made from.
pub struct DeletionGuard<'a> {
    /// What would go now.
    pub now: &'a DeletionSet,
    /// What went within the last day without a word, and has not come back.
    pub lately: &'a BTreeSet<Deletion>,
    /// How many objects of each kind the fleet has in the cluster, those that would go included.
    pub population: &'a BTreeMap<Kind, usize>,
    /// How many (application, device) pairs it has, those that would go included.
    pub placements: usize,
    /// How many objects the revision declares.
    pub declared: usize,
    /// The hashes that commits since the applied revision allow.
    pub allowed: &'a BTreeSet<String>,
}

/// Whether a deletion may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, or little, goes.
    Little,
    /// Much goes, and a person allowed it.
    Allowed,
    /// Much would go: held until a commit allows it.
    Held {
        /// For the trailer.
        hash: String,
        /// What is too much.
        why: String,
    },
}

impl DeletionGuard<'_> {
    /// Decides.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.now.0.is_empty() {
            return Verdict::Little;
        }
        let Some(why) = self.too_much() else {
            return Verdict::Little;
        };
        let hash = self.now.hash();
        if self.allowed.contains(&hash) { Verdict::Allowed } else { Verdict::Held { hash, why } }
    }

    fn too_much(&self) -> Option<String> {
        let objects_going = self.now.0.iter().filter(|d| matches!(d, Deletion::Object(_))).count();
        if self.declared == 0 && objects_going > 0 {
            return Some(format!(
                "the revision declares nothing, so all {objects_going} objects of the fleet would be deleted"
            ));
        }
        let mut going: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
        for deletion in &self.now.0 {
            going.entry(deletion.class()).or_default().0 += 1;
        }
        for deletion in self.lately.difference(&self.now.0) {
            if let Some(counts) = going.get_mut(&deletion.class()) {
                counts.1 += 1;
            }
        }
        let reasons: Vec<String> = going
            .into_iter()
            .filter_map(|(class, (now, lately))| {
                let (present, allowance): (usize, fn(usize) -> usize) = match class {
                    Class::Kind(kind) => (self.population.get(&kind).copied().unwrap_or(0), allowance),
                    Class::Placement => (self.placements, placement_allowance),
                };
                let population = present + lately;
                let most = allowance(population);
                (now + lately > most).then(|| {
                    let before =
                        if lately > 0 { format!(" after {lately} within the last day") } else { String::new() };
                    format!("{now} of {present} {class} would be deleted{before} (up to {most} a day need no word)")
                })
            })
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// The hashes that `Allow-Deletion:` trailers of these commit messages name.
#[must_use]
pub fn allowed_hashes<'a>(messages: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    messages
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(TRAILER).then(|| value.trim().to_ascii_lowercase())
        })
        .collect()
}
