//! Server-side apply, and keeping account of other writes.

use serde_json::{Map, Value};

use super::compare::{Comparison, compare};
use super::field_set::FieldSet;
use super::last_applied::{inherited, keep_true};
use super::managers::{Manager, Managers};
use super::merge::merge;
use super::remove::remove;
use super::shape::field_set;
use crate::schema::Schema;
use crate::status::Cause;

/// What a write may touch and under which name it is accounted.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'a> {
    pub(crate) schema: &'a Schema,
    /// `v1`, `wasmbed.io/v1`.
    pub(crate) api_version: &'a str,
    /// `""` or `status`.
    pub(crate) subresource: &'a str,
    pub(crate) manager: &'a str,
    /// Fields a write through this door never changes, and so never owns.
    pub(crate) ignored: FieldSet,
    /// RFC 3339, in seconds.
    pub(crate) now: String,
}

/// Why a configuration was not applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApplyError {
    /// Others own some of the fields: the message, and a cause for each field.
    Conflict(String, Vec<Cause>),
    /// The configuration contradicts the schema's lists.
    Malformed(String),
}

impl<'a> Scope<'a> {
    /// A scope for the object itself (`subresource` empty) or its status.
    pub(crate) fn new(
        schema: &'a Schema,
        api_version: &'a str,
        subresource: &'a str,
        manager: &'a str,
        has_status: bool,
        now: String,
    ) -> Self {
        let ignored = match subresource {
            "status" => FieldSet::of_fields(&[&["metadata"], &["spec"]]),
            _ if has_status => FieldSet::of_fields(&[&["status"]]),
            _ => FieldSet::default(),
        };
        Self { schema, api_version, subresource, manager, ignored, now }
    }

    fn manager(&self, applies: bool) -> Manager {
        Manager {
            applies,
            name: self.manager.to_owned(),
            subresource: self.subresource.to_owned(),
            api_version: self.api_version.to_owned(),
        }
    }

    fn compare(&self, old: &Value, new: &Value) -> Comparison {
        compare(Some(self.schema), old, new).without(&self.ignored)
    }
}

/// Fields every object has and nobody owns.
fn unowned() -> FieldSet {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

/// Applies a configuration to the live object (`{}` with name and kind where there is none yet).
///
/// `Ok(None)` means that nothing at all changes, ownership included.
pub(crate) fn apply(live: &Value, config: &Value, scope: &Scope<'_>, force: bool) -> Result<Option<Value>, ApplyError> {
    let mut managers = live_managers(live);
    let before = managers.clone();
    if managers.0.is_empty() && exists(live) {
        managers = managers_before_first_apply(live, scope);
    }
    let live_bare = without_managed_fields(live);
    let schema = Some(scope.schema);
    let merged = merge(schema, &live_bare, config)
        .map_err(|error| ApplyError::Malformed(format!("{}: {}", error.path, error.why)))?;
    let applier = scope.manager(true);
    let last = managers.find(&applier).map(|owned| owned.fields.clone());
    let last_time = managers.find(&applier).and_then(|owned| owned.time.clone());
    let set = field_set(schema, config).recursive_difference(&scope.ignored);
    managers.set(applier.clone(), set, last_time);
    let mut new = match last {
        Some(last) if !last.is_empty() => prune(schema, &merged, &managers, &last),
        _ => merged,
    };
    let comparison = scope.compare(&live_bare, &new);
    settle(&mut managers, &comparison, &applier, || match force {
        true => None,
        false => Some(inherited(scope.schema, scope.api_version, scope.manager, &live_bare)),
    })?;
    keep_true(&mut new, scope.manager, config);
    if let Some(owned) = managers.0.iter_mut().find(|owned| owned.manager.is(&applier)) {
        owned.fields = owned.fields.difference(&unowned());
        if new != live_bare {
            owned.time = Some(scope.now.clone());
        }
    }
    managers.drop_empty();
    let (mut old_list, mut new_list) = (before.0, managers.0.clone());
    old_list.sort_by(|left, right| left.manager.cmp(&right.manager));
    new_list.sort_by(|left, right| left.manager.cmp(&right.manager));
    if new == live_bare && old_list == new_list {
        return Ok(None);
    }
    Ok(Some(with_managed_fields(new, managers)))
}

/// Accounts for a create or an update: `new` is the object as it will be stored, with the `managedFields` of the request.
pub(crate) fn track_update(live: &Value, new: Value, scope: &Scope<'_>) -> Value {
    let mut managers = managers_of_request(live, &new, scope.subresource);
    // Nobody keeps account of an object whose managers were reset, until it is applied to.
    if managers.0.is_empty() && exists(live) {
        return without_managed_fields(&new);
    }
    let (live, new) = (without_managed_fields(live), without_managed_fields(&new));
    let comparison = scope.compare(&live, &new);
    let updater = scope.manager(false);
    for owned in &mut managers.0 {
        let taken = owned.fields.intersection(&comparison.modified.union(&comparison.added));
        owned.fields = owned.fields.difference(&taken).difference(&comparison.removed);
    }
    let changed =
        comparison.modified.union(&comparison.added).recursive_difference(&scope.ignored).difference(&unowned());
    if !changed.is_empty() {
        let fields = match managers.find(&updater) {
            Some(owned) => owned.fields.union(&changed),
            None => changed,
        };
        managers.set(updater, fields, Some(scope.now.clone()));
    }
    managers.drop_empty();
    managers.cap();
    with_managed_fields(new, managers)
}

/// Whether an object is stored already.
fn exists(live: &Value) -> bool {
    live.pointer("/metadata/uid").is_some()
}

/// The managers of an object nobody kept account of: all it holds was there before the first apply.
fn managers_before_first_apply(live: &Value, scope: &Scope<'_>) -> Managers {
    let scope = Scope { manager: "before-first-apply", ..scope.clone() };
    live_managers(&track_update(&Value::Object(Map::new()), without_managed_fields(live), &scope))
}

/// What the applier owned and no longer names goes, unless another manager owns it.
fn prune(schema: Option<&Schema>, merged: &Value, managers: &Managers, last: &FieldSet) -> Value {
    let named = |set: &FieldSet| set.with_named_parents(schema);
    let last = named(last);
    let merged_set = named(&field_set(schema, merged));
    let pruned = remove(schema, merged, &last);

    // Back comes what anybody owns, the new configuration included ...
    let owned = managers.0.iter().fold(FieldSet::default(), |all, owner| all.union(&owner.fields));
    let kept = named(&field_set(schema, &pruned)).union(&named(&owned));
    let pruned = remove(schema, merged, &merged_set.difference(&kept));

    // ... and what lay below a removed field without ever having been this applier's.
    let pruned_set = named(&field_set(schema, &pruned));
    remove(schema, merged, &merged_set.difference(&pruned_set).intersection(&last))
}

/// Takes from the other managers what this apply changes, or refuses.
///
/// `free` says what may be taken without a conflict; `None` is everything.
fn settle(
    managers: &mut Managers,
    comparison: &Comparison,
    applier: &Manager,
    free: impl FnOnce() -> Option<FieldSet>,
) -> Result<(), ApplyError> {
    let changed = comparison.modified.union(&comparison.added);
    let mut taken: Vec<(Manager, FieldSet)> = Vec::new();
    for owned in &managers.0 {
        let fields = owned.fields.intersection(&changed);
        if !owned.manager.is(applier) && !fields.is_empty() {
            taken.push((owned.manager.clone(), fields));
        }
    }
    if !taken.is_empty()
        && let Some(free) = free()
    {
        let held = taken.iter().map(|(manager, fields)| (manager.clone(), fields.difference(&free)));
        let conflicts: Vec<_> = held.filter(|(_, fields)| !fields.is_empty()).collect();
        if !conflicts.is_empty() {
            return Err(conflict_error(conflicts));
        }
    }
    for owned in &mut managers.0 {
        if owned.manager.is(applier) {
            continue;
        }
        if let Some((_, fields)) = taken.iter().find(|(manager, _)| manager.is(&owned.manager)) {
            owned.fields = owned.fields.difference(fields);
        }
        owned.fields = owned.fields.difference(&comparison.removed);
    }
    Ok(())
}

fn conflict_error(mut conflicts: Vec<(Manager, FieldSet)>) -> ApplyError {
    conflicts.sort_by(|left, right| left.0.cmp(&right.0));
    let mut causes = Vec::new();
    let mut messages = Vec::new();
    for (manager, fields) in &conflicts {
        let mut shown = format!("{:?}", manager.name);
        if !manager.subresource.is_empty() {
            shown = format!("{shown} with subresource {:?}", manager.subresource);
        }
        if !manager.applies {
            shown = format!("{shown} using {}", manager.api_version);
        }
        messages.push(format!("conflicts with {shown}:"));
        for path in fields.paths() {
            messages.push(format!("- {path}"));
            causes.push(Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {shown}"),
                field: path,
            });
        }
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), messages.join("\n")),
    };
    ApplyError::Conflict(message, causes)
}

fn live_managers(live: &Value) -> Managers {
    live.pointer("/metadata/managedFields").and_then(Managers::read).unwrap_or_default()
}

/// The managers an update starts from: those it brings, else the live ones. An empty list resets them.
fn managers_of_request(live: &Value, new: &Value, subresource: &str) -> Managers {
    if !subresource.is_empty() {
        return live_managers(live);
    }
    let Some(list) = new.pointer("/metadata/managedFields").filter(|list| !list.is_null()) else {
        return live_managers(live);
    };
    let reset = list.as_array().is_some_and(|list| match list.as_slice() {
        [] => true,
        [only] => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    });
    if reset {
        return Managers::default();
    }
    match Managers::read(list) {
        Some(managers) if !managers.0.is_empty() => managers,
        _ => live_managers(live),
    }
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

fn with_managed_fields(mut object: Value, managers: Managers) -> Value {
    let list = managers.write();
    if let Some(map) = object.as_object_mut() {
        let metadata = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let (Some(metadata), Some(list)) = (metadata.as_object_mut(), list) {
            metadata.insert("managedFields".to_owned(), list);
        }
    }
    object
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
