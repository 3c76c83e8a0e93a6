//! Which engine has which container: by id, id prefix, name and `node/name`, over the whole pool.
//!
//! Fed by the engines' workers with what they read, and by the API with what it just created.
//! Names are reserved here before anything is asked of an engine, so that two parallel creates
//! can never both get one. Locks are held for look-ups only, never across I/O.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use swarm_docker::ApiError;

use crate::engine::{Container, EngineKey};

/// A look-up's answer.
#[derive(Debug, Clone)]
pub struct Located {
    /// The engine that has it.
    pub engine: EngineKey,
    /// Its full id.
    pub id: Arc<str>,
    /// What is known of it; `None` between its creation here and its first reading.
    pub container: Option<Arc<Container>>,
}

#[derive(Debug, Default)]
struct Tables {
    ids: BTreeMap<Arc<str>, Located>,
    names: HashMap<Box<str>, Ids>,
    /// Names given through this manager and not read back yet, by id.
    announced: HashMap<Arc<str>, Vec<Box<str>>>,
    reserved: HashMap<String, u64>,
    tickets: u64,
}

/// The containers of one name: one, but for names made twice beside the manager.
#[derive(Debug)]
enum Ids {
    One(Arc<str>),
    Many(Vec<Arc<str>>),
}

impl std::ops::Deref for Ids {
    type Target = [Arc<str>];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

impl Ids {
    fn add(&mut self, id: &Arc<str>) {
        if !self.contains(id) {
            let mut ids = self.to_vec();
            ids.push(Arc::clone(id));
            *self = Self::Many(ids);
        }
    }

    /// Takes `id` out; false when nothing is left.
    fn keeps_after_removing(&mut self, id: &str) -> bool {
        let left: Vec<_> = self.iter().filter(|known| &***known != id).cloned().collect();
        match &left[..] {
            [] => return false,
            [one] => *self = Self::One(Arc::clone(one)),
            _ => *self = Self::Many(left),
        }
        true
    }
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    tables: RwLock<Tables>,
}

/// A name held for one create; dropping it gives the name back.
#[derive(Debug)]
pub struct NameGuard {
    index: Arc<Index>,
    name: String,
    ticket: u64,
}

impl Drop for NameGuard {
    fn drop(&mut self) {
        let mut tables = self.index.tables.write();
        if tables.reserved.get(&self.name) == Some(&self.ticket) {
            tables.reserved.remove(&self.name);
        }
    }
}

impl Index {
    /// An engine's reading: `gone` ids leave, `present` ones enter or are replaced.
    pub fn apply(&self, engine: EngineKey, gone: &[Arc<str>], present: &[Arc<Container>]) {
        let mut tables = self.tables.write();
        for id in gone {
            tables.remove(engine, id);
        }
        for container in present {
            tables.insert(engine, container);
        }
    }

    /// A container was just created here and not read back yet: it can be found at once.
    pub fn announce(&self, engine: EngineKey, id: &str, name: &str) {
        let mut tables = self.tables.write();
        if tables.ids.contains_key(id) {
            return;
        }
        let id: Arc<str> = id.into();
        tables.name(name, &id);
        tables.announced.insert(Arc::clone(&id), vec![name.into()]);
        tables.ids.insert(id.clone(), Located { engine, id, container: None });
    }

    /// A container was just removed here, or an announced one was found missing.
    pub fn forget(&self, engine: EngineKey, id: &str) {
        self.tables.write().remove(engine, id);
    }

    /// A container announced here has not shown up in the reading that had to show it.
    pub fn forget_unread(&self, engine: EngineKey, id: &str) {
        let mut tables = self.tables.write();
        if tables.ids.get(id).is_some_and(|known| known.container.is_none()) {
            tables.remove(engine, id);
        }
    }

    /// An engine left: everything on it goes, announced or read.
    pub fn leave(&self, engine: EngineKey) {
        let mut tables = self.tables.write();
        let here = tables.ids.values().filter(|located| located.engine == engine);
        let gone: Vec<Arc<str>> = here.map(|located| Arc::clone(&located.id)).collect();
        for id in gone {
            tables.remove(engine, &id);
        }
    }

    /// Holds `name` for a create or a rename. The error carries who has it.
    pub fn reserve(self: &Arc<Self>, name: &str) -> Result<NameGuard, NameTaken> {
        let mut tables = self.tables.write();
        if let Some(owner) = tables.names.get(name).and_then(|ids| ids.first()) {
            let owner = tables.ids.get(owner).cloned();
            return Err(NameTaken { name: name.to_owned(), owner });
        }
        if tables.reserved.contains_key(name) {
            return Err(NameTaken { name: name.to_owned(), owner: None });
        }
        tables.tickets += 1;
        let ticket = tables.tickets;
        tables.reserved.insert(name.to_owned(), ticket);
        drop(tables);
        Ok(NameGuard { index: Arc::clone(self), name: name.to_owned(), ticket })
    }

    /// Finds one container as Docker does: full id, then name, then unique id prefix; and
    /// `node/name`, where `engine_named` tells the engines of that name.
    pub fn find(
        &self,
        query: &str,
        engine_named: impl Fn(&str) -> Vec<EngineKey>,
    ) -> Result<Located, LookupError> {
        let query = query.strip_prefix('/').unwrap_or(query);
        let tables = self.tables.read();
        if let Some(located) = tables.ids.get(query) {
            return Ok(located.clone());
        }
        if let Some(ids) = tables.names.get(query) {
            return tables.only(query, ids);
        }
        if let Some((node, rest)) = query.split_once('/') {
            let engines = engine_named(node);
            if !engines.is_empty() {
                return tables.on_engines(query, rest, &engines);
            }
        }
        tables.by_prefix(query, |_| true)
    }

    /// How many containers are known.
    pub fn len(&self) -> usize {
        self.tables.read().ids.len()
    }

    /// The engines that have a container of exactly this id or name.
    pub fn engines_with(&self, id_or_name: &str) -> Vec<EngineKey> {
        let tables = self.tables.read();
        let named = tables.names.get(id_or_name).into_iter().flat_map(|ids| ids.iter());
        named
            .filter_map(|id| tables.ids.get(id))
            .chain(tables.ids.get(id_or_name))
            .map(|located| located.engine)
            .collect()
    }

    /// A container got one more name that has not been read back yet.
    pub fn alias(&self, id: &str, name: &str) {
        let mut tables = self.tables.write();
        if let Some((id, _)) = tables.ids.get_key_value(id) {
            let id = Arc::clone(id);
            tables.name(name, &id);
            tables.announced.entry(id).or_default().push(name.into());
        }
    }

    /// Calls `see` with every container whose reading is known.
    pub fn for_each(&self, mut see: impl FnMut(EngineKey, &Container)) {
        for located in self.tables.read().ids.values() {
            if let Some(container) = &located.container {
                see(located.engine, container);
            }
        }
    }
}

impl Tables {
    fn name(&mut self, name: &str, id: &Arc<str>) {
        match self.names.get_mut(name) {
            Some(ids) => ids.add(id),
            None => {
                self.names.insert(name.into(), Ids::One(Arc::clone(id)));
            }
        }
    }

    fn unname(&mut self, id: &str) {
        let mut names = self.announced.remove(id).unwrap_or_default();
        if let Some(container) = self.ids.get(id).and_then(|known| known.container.as_ref()) {
            names.extend(container.names().map(Into::into));
        }
        for name in names {
            let left = self.names.get_mut(&name).is_none_or(|ids| ids.keeps_after_removing(id));
            if !left {
                self.names.remove(&name);
            }
        }
    }

    fn insert(&mut self, engine: EngineKey, container: &Arc<Container>) {
        let same_names = !self.announced.contains_key(container.id())
            && self
                .ids
                .get(container.id())
                .and_then(|located| located.container.as_ref())
                .is_some_and(|known| known.names().eq(container.names()));
        let id: Arc<str> = match self.ids.get_key_value(container.id()) {
            Some((id, _)) => Arc::clone(id),
            None => container.shared_id(),
        };
        if !same_names {
            if self.ids.contains_key(&id) {
                self.unname(&id);
            }
            for name in container.names() {
                self.name(name, &id);
            }
        }
        let located =
            Located { engine, id: Arc::clone(&id), container: Some(Arc::clone(container)) };
        self.ids.insert(id, located);
    }

    fn remove(&mut self, engine: EngineKey, id: &str) {
        // The same id on two engines: only the one that is listed may take it out.
        if self.ids.get(id).is_some_and(|located| located.engine == engine) {
            self.unname(id);
            self.ids.remove(id);
        }
    }

    fn only(&self, query: &str, ids: &[Arc<str>]) -> Result<Located, LookupError> {
        match ids {
            [id] => self.ids.get(id).cloned().ok_or(LookupError::Missing),
            _ => Err(LookupError::Ambiguous { query: query.to_owned(), matches: ids.to_vec() }),
        }
    }

    fn on_engines(
        &self,
        query: &str,
        rest: &str,
        engines: &[EngineKey],
    ) -> Result<Located, LookupError> {
        let here = |located: &Located| engines.contains(&located.engine);
        if let Some(ids) = self.names.get(rest) {
            let ids: Vec<_> =
                ids.iter().filter(|id| self.ids.get(*id).is_some_and(here)).cloned().collect();
            if !ids.is_empty() {
                return self.only(query, &ids);
            }
        }
        self.by_prefix(rest, here)
    }

    fn by_prefix(
        &self,
        prefix: &str,
        accept: impl Fn(&Located) -> bool,
    ) -> Result<Located, LookupError> {
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if prefix.is_empty() || !is_hex(prefix) {
            return Err(LookupError::Missing);
        }
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let mut matches = self
            .ids
            .range::<str, _>(from)
            .take_while(|(id, _)| id.starts_with(prefix))
            .map(|(_, located)| located)
            .filter(|located| accept(located));
        let Some(first) = matches.next() else { return Err(LookupError::Missing) };
        let mut others: Vec<Arc<str>> = matches.take(3).map(|l| Arc::clone(&l.id)).collect();
        if others.is_empty() {
            return Ok(first.clone());
        }
        others.insert(0, Arc::clone(&first.id));
        Err(LookupError::Ambiguous { query: prefix.to_owned(), matches: others })
    }
}

/// The name belongs to somebody.
#[derive(Debug, Clone)]
pub struct NameTaken {
    /// The name.
    pub name: String,
    /// Its owner; `None` when it is held for a create that is under way.
    pub owner: Option<Located>,
}

impl From<NameTaken> for ApiError {
    fn from(taken: NameTaken) -> Self {
        // Docker's words for `POST /containers/create` with a name in use (409).
        let name = taken.name;
        Self::conflict(match taken.owner {
            Some(owner) => format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". \
                 You have to remove (or rename) that container to be able to reuse that name.",
                owner.id
            ),
            None => format!(
                "Conflict. The container name \"/{name}\" is already in use by a container that \
                 is being created. Wait for that to end, or use another name."
            ),
        })
    }
}

/// Why a look-up found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupError {
    /// Nothing of that name.
    Missing,
    /// More than one.
    Ambiguous {
        /// What was asked.
        query: String,
        /// Some of the ids that match.
        matches: Vec<Arc<str>>,
    },
}

impl LookupError {
    /// The API's words; `kind` is "container" and the like, `describe` names one match.
    pub fn into_api(self, asked: &str, describe: impl Fn(&str) -> String) -> ApiError {
        match self {
            // Docker's words for an unknown container (404).
            Self::Missing => ApiError::not_found(format!("No such container: {asked}")),
            Self::Ambiguous { query, matches } => {
                let matches: Vec<_> = matches.iter().map(|id| describe(id)).collect();
                ApiError::conflict(format!(
                    "{query} is ambiguous: it matches {}. Use more of the id, or node/name.",
                    matches.join(", ")
                ))
            }
        }
    }
}
