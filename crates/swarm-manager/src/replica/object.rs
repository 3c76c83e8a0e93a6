//! How objects are kept: one key each, as JSON; the key's revision is the object's version.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use swarm_kv::{Item, StoreError};
use swarm_model::{Cluster, Data, Id, Network, Node, Service, Task, Time, Version};

/// With what all keys of swarm mode begin.
pub const PREFIX: &str = "swarm/";

/// What the store keeps.
pub trait Object: Serialize + DeserializeOwned {
    /// The directory of its keys, below [`PREFIX`].
    const TABLE: &'static str;

    /// Its id.
    fn id(&self) -> &Id;
    /// Its version, 0 for one that is not in the store yet.
    fn version(&self) -> Version;
    /// Takes over the version that the store gave it.
    fn set_version(&mut self, version: Version);
    /// When it was last changed.
    fn updated_at(&self) -> Time;

    /// Its key.
    fn key(&self) -> String {
        key_of::<Self>(self.id())
    }
}

/// The key of an object.
pub fn key_of<O: Object>(id: &str) -> String {
    format!("{PREFIX}{}/{id}", O::TABLE)
}

/// As it is kept.
pub fn encode<O: Object>(object: &O) -> Result<Bytes, StoreError> {
    let bytes = serde_json::to_vec(object).map_err(|error| StoreError::Refused {
        store: "the swarm's store".to_owned(),
        reason: format!("{} cannot be written: {error}", object.key()),
    })?;
    Ok(bytes.into())
}

/// As it was kept.
pub fn decode<O: Object>(item: &Item) -> Result<O, String> {
    let object: Result<O, _> = serde_json::from_slice(&item.value);
    let mut object = object.map_err(|error| format!("{}: {error}", item.key))?;
    object.set_version(Version { index: item.revision.0 });
    Ok(object)
}

macro_rules! object {
    ($kind:ty, $table:literal) => {
        impl Object for $kind {
            const TABLE: &'static str = $table;

            fn id(&self) -> &Id {
                &self.id
            }
            fn version(&self) -> Version {
                self.version
            }
            fn set_version(&mut self, version: Version) {
                self.version = version;
            }
            fn updated_at(&self) -> Time {
                self.updated_at
            }
        }
    };
}

object!(Cluster, "cluster");
object!(Service, "services");
object!(Task, "tasks");
object!(Node, "nodes");
object!(Secret, "secrets");
object!(Config, "configs");
object!(Network, "networks");
object!(Guard, "guards");

/// What a change writes that had to look at several objects of a kind: of two such changes at once, on
/// whatever managers, the second is refused, and looks again. A name is unique by it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Guard {
    /// What is looked at: the table's name.
    pub id: Id,
    /// Guards it.
    pub version: Version,
    /// When it was last written.
    pub updated_at: Time,
}

/// Secrets and configs have one form and two tables.
macro_rules! data {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, PartialEq, Default, Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Data);

        impl std::ops::Deref for $name {
            type Target = Data;
            fn deref(&self) -> &Data {
                &self.0
            }
        }

        impl std::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Data {
                &mut self.0
            }
        }
    };
}

data!(Secret, "A secret.");
data!(Config, "A config.");
