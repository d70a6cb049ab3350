//! A whole document: its root, its size, and every change of it.
//!
//! Each change gives what undoes it, by location: undoing costs what the change cost, never a copy
//! of the document. Locations are positions, so inverses hold only in the exact reverse order of the
//! changes. Nothing is made deeper than [`DEPTH_MAX`](super::DEPTH_MAX).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::DEPTH_MAX;
use super::object::Object;
use super::path::Location;
use super::text::Text;
use super::value::{Json, Weight};

/// A document.
#[derive(Clone, Debug)]
pub struct Document {
    root: Json,
    weight: Weight,
}

/// A level of an address.
#[derive(Clone, Debug)]
pub enum Step {
    /// The member of this name.
    Name(Text),
    /// The element at this position.
    Position(usize),
}

/// What undoes a change.
#[derive(Debug)]
pub enum Change {
    /// There was this value.
    Put(Location, Json),
    /// A member was added at the end of the object.
    RemoveLast(Location),
    /// A member of the object stood there.
    RestoreMember(Location, usize, Text, Json),
    /// Elements of the array stood at these ascending positions.
    RestoreElements(Location, Vec<(usize, Json)>),
    /// So many elements were inserted into the array from there on.
    RemoveRange(Location, usize, usize),
    /// These elements stood before and after the others of the array.
    Join(Location, Vec<Json>, Vec<Json>),
}

impl Change {
    /// The values that it would put back.
    pub fn into_values(self) -> impl Iterator<Item = Json> {
        let (one, elements, front, back) = match self {
            Self::Put(_, value) | Self::RestoreMember(_, _, _, value) => {
                (Some(value), Vec::new(), Vec::new(), Vec::new())
            }
            Self::RestoreElements(_, elements) => (None, elements, Vec::new(), Vec::new()),
            Self::Join(_, front, back) => (None, Vec::new(), front, back),
            Self::RemoveLast(_) | Self::RemoveRange(..) => {
                (None, Vec::new(), Vec::new(), Vec::new())
            }
        };
        let elements = elements.into_iter().map(|(_, value)| value);
        one.into_iter().chain(elements).chain(front).chain(back)
    }
}

/// A change would nest values deeper than [`DEPTH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

impl Document {
    /// The document of this value.
    #[must_use]
    pub fn new(root: Json) -> Self {
        let weight = root.weight();
        Self { root, weight }
    }

    /// The whole value.
    #[must_use]
    pub const fn root(&self) -> &Json {
        &self.root
    }

    /// Bytes on the heap. O(1).
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.weight.bytes
    }

    /// How many allocations it consists of, about. O(1).
    #[must_use]
    pub const fn parts(&self) -> usize {
        self.weight.parts
    }

    /// The value at a location.
    #[must_use]
    pub fn at(&self, at: &[usize]) -> Option<&Json> {
        at.iter().try_fold(&self.root, |value, position| value.child(*position))
    }

    /// A location by names where it leads through objects.
    #[must_use]
    pub fn address(&self, at: &[usize]) -> Vec<Step> {
        let mut value = Some(&self.root);
        let step = |position: &usize| {
            let named = value.and_then(Json::as_object).and_then(|object| object.at(*position));
            value = value.and_then(|value| value.child(*position));
            named.map_or(Step::Position(*position), |(name, _)| Step::Name(name.clone()))
        };
        at.iter().map(step).collect()
    }

    /// Where an address leads now.
    #[must_use]
    pub fn resolve(&self, address: &[Step]) -> Option<Location> {
        let (mut value, mut location) = (&self.root, Vec::with_capacity(address.len()));
        for step in address {
            let position = match step {
                Step::Name(name) => value.as_object()?.position(name.as_bytes())?,
                Step::Position(position) => value.as_array().map(|_| *position)?,
            };
            value = value.child(position)?;
            location.push(position);
        }
        Some(location.into_boxed_slice())
    }

    fn at_mut(&mut self, at: &[usize]) -> Option<&mut Json> {
        at.iter().try_fold(&mut self.root, |value, position| value.child_mut(*position))
    }

    /// Puts a value in place of another. Nothing happens if there is none.
    pub fn set(&mut self, at: &[usize], value: Json) -> Result<Option<Change>, TooDeep> {
        if !at.is_empty() {
            check_depth(at.len(), [&value])?;
        }
        Ok(self.replace(at, value).map(|old| Change::Put(at.into(), old)))
    }

    fn replace(&mut self, at: &[usize], value: Json) -> Option<Json> {
        let new = value.weight();
        let place = self.at_mut(at)?;
        let old = core::mem::replace(place, value);
        self.gain(new);
        self.lose(old.weight());
        Some(old)
    }

    /// Adds a member at the end of an object, which has none of this name.
    pub fn add(
        &mut self,
        at: &[usize],
        name: Text,
        value: Json,
    ) -> Result<Option<Change>, TooDeep> {
        check_depth(at.len() + 1, [&value])?;
        let new = with_name(value.weight(), &name);
        let added = self.within_object(at, |object| object.push(name, value));
        Ok(added.map(|()| {
            self.gain(new);
            Change::RemoveLast(at.into())
        }))
    }

    /// Removes the value at a location, which is not the root. The last member of an object takes
    /// the place of a removed one.
    pub fn remove(&mut self, at: &[usize]) -> Option<Change> {
        let (position, parent) = at.split_last()?;
        match self.at(parent)? {
            Json::Array(_) => self.remove_elements(parent, &[*position]),
            Json::Object(object) if *position < object.len() => {
                let (name, value) =
                    self.within_object(parent, |object| object.remove(*position))?;
                self.lose(with_name(value.weight(), &name));
                Some(Change::RestoreMember(parent.into(), *position, name, value))
            }
            _ => None,
        }
    }

    /// Removes elements of an array, at ascending positions, in one pass over it.
    pub fn remove_elements(&mut self, at: &[usize], positions: &[usize]) -> Option<Change> {
        let removed = self.within_array(at, |values| {
            let (mut removed, mut next) = (Vec::with_capacity(positions.len()), 0);
            if let [only] = positions {
                if *only < values.len() {
                    removed.push((*only, values.remove(*only)));
                }
                return removed;
            }
            let mut kept = Vec::with_capacity(values.len().saturating_sub(positions.len()));
            for (position, value) in core::mem::take(values).into_iter().enumerate() {
                if positions.get(next) == Some(&position) {
                    removed.push((position, value));
                    next += 1;
                } else {
                    kept.push(value);
                }
            }
            *values = kept;
            removed
        })?;
        removed.iter().for_each(|(_, value)| self.lose(value.weight()));
        (!removed.is_empty()).then(|| Change::RestoreElements(at.into(), removed))
    }

    /// Inserts values into an array before the element at `position`.
    pub fn insert(
        &mut self,
        at: &[usize],
        position: usize,
        new: Vec<Json>,
    ) -> Result<Option<Change>, TooDeep> {
        check_depth(at.len() + 1, &new)?;
        let (count, weights) = (new.len(), new.iter().map(Json::weight).collect::<Vec<_>>());
        let inserted = self.within_array(at, |values| {
            let position = position.min(values.len());
            values.splice(position..position, new);
            position
        });
        let Some(position) = inserted else { return Ok(None) };
        weights.into_iter().for_each(|weight| self.gain(weight));
        Ok(Some(Change::RemoveRange(at.into(), position, count)))
    }

    /// Keeps the elements of an array from `start` up to `end` only.
    pub fn trim(&mut self, at: &[usize], start: usize, end: usize) -> Option<Change> {
        let (front, back) = self.within_array(at, |values| {
            let back = values.split_off(end.min(values.len()));
            let mut front = core::mem::take(values);
            *values = front.split_off(start.min(front.len()));
            values.shrink_to_fit();
            (front, back)
        })?;
        front.iter().chain(&back).for_each(|value| self.lose(value.weight()));
        Some(Change::Join(at.into(), front, back))
    }

    /// Merges a patch into the value at a location, by RFC 7386. Whether it can be; the changes go
    /// to `changed`.
    pub fn merge(
        &mut self,
        at: &[usize],
        patch: Json,
        changed: &mut dyn FnMut(Change),
    ) -> Result<(), TooDeep> {
        check_depth(at.len(), [&patch])?;
        self.merge_at(&mut at.to_vec(), patch, changed)
    }

    fn merge_at(
        &mut self,
        at: &mut Vec<usize>,
        patch: Json,
        changed: &mut dyn FnMut(Change),
    ) -> Result<(), TooDeep> {
        let Json::Object(patch) = patch else {
            self.set(at, patch)?.into_iter().for_each(changed);
            return Ok(());
        };
        if self.at(at).is_some_and(|value| value.as_object().is_none()) {
            let fresh = without_nulls(Json::Object(patch));
            self.set(at, fresh)?.into_iter().for_each(changed);
            return Ok(());
        }
        for (name, value) in patch.into_members() {
            let object = self.at(at).and_then(Json::as_object);
            match object.and_then(|object| object.position(name.as_bytes())) {
                Some(position) => {
                    at.push(position);
                    match value {
                        Json::Null => self.remove(at).into_iter().for_each(&mut *changed),
                        value => self.merge_at(at, value, changed)?,
                    }
                    at.pop();
                }
                None if matches!(value, Json::Null) => {}
                None => {
                    let added = self.add(at, name, without_nulls(value))?;
                    added.into_iter().for_each(&mut *changed);
                }
            }
        }
        Ok(())
    }

    /// Undoes the last change that was not undone.
    pub fn undo(&mut self, change: Change) {
        match change {
            Change::Put(at, value) => drop(self.replace(&at, value)),
            Change::RemoveLast(at) => {
                let last = |object: &mut Object| {
                    object.len().checked_sub(1).map(|last| object.remove(last))
                };
                if let Some((name, value)) = self.within_object(&at, last).flatten() {
                    self.lose(with_name(value.weight(), &name));
                }
            }
            Change::RestoreMember(at, position, name, value) => {
                self.gain(with_name(value.weight(), &name));
                self.within_object(&at, |object| object.restore(position, name, value));
            }
            Change::RestoreElements(at, removed) => {
                removed.iter().for_each(|(_, value)| self.gain(value.weight()));
                self.within_array(&at, |values| restore(values, removed));
            }
            Change::RemoveRange(at, start, count) => {
                let removed: Vec<Json> = self
                    .within_array(&at, |values| {
                        let end = (start + count).min(values.len());
                        values.drain(start.min(end)..end).collect()
                    })
                    .unwrap_or_default();
                removed.iter().for_each(|value| self.lose(value.weight()));
            }
            Change::Join(at, mut front, back) => {
                front.iter().chain(&back).for_each(|value| self.gain(value.weight()));
                self.within_array(&at, |values| {
                    front.append(values);
                    front.extend(back);
                    *values = front;
                });
            }
        }
    }

    /// Recounts; panics on a contradiction.
    pub fn check(&self) {
        assert_eq!(self.weight, self.root.weight(), "the size of a document is known");
        assert!(self.root.depth() <= DEPTH_MAX, "documents nest up to the limit");
        check_objects(&self.root);
    }

    fn within_object<R>(
        &mut self,
        at: &[usize],
        change: impl FnOnce(&mut Object) -> R,
    ) -> Option<R> {
        let value = self.at_mut(at)?;
        let before = value.frame_bytes();
        let Json::Object(object) = value else { return None };
        let result = change(object);
        let after = object.frame_bytes();
        self.weight.bytes = self.weight.bytes + after - before;
        Some(result)
    }

    fn within_array<R>(
        &mut self,
        at: &[usize],
        change: impl FnOnce(&mut Vec<Json>) -> R,
    ) -> Option<R> {
        let value = self.at_mut(at)?;
        let before = value.frame_bytes();
        let Json::Array(values) = value else { return None };
        let result = change(values);
        let after = value.frame_bytes();
        self.weight.bytes = self.weight.bytes + after - before;
        Some(result)
    }

    fn gain(&mut self, weight: Weight) {
        self.weight.bytes += weight.bytes;
        self.weight.parts += weight.parts;
    }

    fn lose(&mut self, weight: Weight) {
        self.weight.bytes -= weight.bytes;
        self.weight.parts -= weight.parts;
    }
}

/// Whether these values may lie within so many others.
fn check_depth<'v>(
    level: usize,
    values: impl IntoIterator<Item = &'v Json>,
) -> Result<(), TooDeep> {
    let depth = values.into_iter().map(Json::depth).max().unwrap_or(0);
    if level + depth > DEPTH_MAX { Err(TooDeep) } else { Ok(()) }
}

fn with_name(mut weight: Weight, name: &Text) -> Weight {
    weight.add_text(name);
    weight
}

/// A patch as a value of its own: members that it would remove are not there.
fn without_nulls(patch: Json) -> Json {
    let Json::Object(patch) = patch else { return patch };
    let mut object = Object::new();
    for (name, value) in patch.into_members() {
        if !matches!(value, Json::Null) {
            object.push(name, without_nulls(value));
        }
    }
    object.shrink();
    Json::Object(Box::new(object))
}

/// Puts elements back to where they stood, in one pass.
fn restore(values: &mut Vec<Json>, removed: Vec<(usize, Json)>) {
    if removed.len() == 1 {
        for (position, value) in removed {
            values.insert(position.min(values.len()), value);
        }
        return;
    }
    let mut all = Vec::with_capacity(values.len() + removed.len());
    let mut kept = core::mem::take(values).into_iter();
    for (position, value) in removed {
        let between = position.saturating_sub(all.len());
        all.extend(kept.by_ref().take(between));
        all.push(value);
    }
    all.extend(kept);
    *values = all;
}

fn check_objects(value: &Json) {
    if let Json::Object(object) = value {
        object.check();
    }
    value.children().for_each(check_objects);
}

#[cfg(test)]
mod tests;
