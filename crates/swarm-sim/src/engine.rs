//! A stock engine, as far as moves are concerned: containers with names, labels and a state.
//!
//! Invariants: names are unique on one engine; while it is off nothing runs, and what ran starts by
//! itself when it is on again, for every container has the restart policy `unless-stopped`.

use std::collections::BTreeMap;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id of it, unique in the world.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `com.docker.swarm.id`.
    pub intent: String,
    /// `com.docker.swarm.generation`.
    pub generation: u64,
    /// Whether it runs.
    pub running: bool,
    /// Whether it ever did.
    pub ever_started: bool,
    /// Whether it starts when the engine does.
    pub restarts: bool,
}

/// Why an engine did not do what it was asked: its answer, and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 404.
    NoSuchContainer,
    /// 409.
    NameTaken,
}

/// An engine.
#[derive(Debug, Default)]
pub struct Engine {
    /// Whether it has power.
    pub on: bool,
    containers: BTreeMap<String, Container>,
    made: u64,
}

impl Engine {
    /// With power, and nothing on it.
    pub fn new() -> Self {
        Self { on: true, ..Self::default() }
    }

    /// All containers.
    pub fn list(&self) -> Vec<Container> {
        self.containers.values().cloned().collect()
    }

    /// All containers, where they are.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values()
    }

    /// One container.
    pub fn inspect(&self, id: &str) -> Option<Container> {
        self.containers.get(id).cloned()
    }

    /// Makes one; the answer is its id.
    pub fn create(
        &mut self,
        engine: usize,
        name: &str,
        intent: &str,
        generation: u64,
    ) -> Result<String, Refusal> {
        if self.containers.values().any(|one| one.name == name) {
            return Err(Refusal::NameTaken);
        }
        self.made += 1;
        let id = format!("e{engine}c{}", self.made);
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            intent: intent.to_owned(),
            generation,
            running: false,
            ever_started: false,
            restarts: true,
        };
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    fn of(&mut self, id: &str) -> Result<&mut Container, Refusal> {
        self.containers.get_mut(id).ok_or(Refusal::NoSuchContainer)
    }

    /// Starts one; one that runs is started already.
    pub fn start(&mut self, id: &str) -> Result<(), Refusal> {
        let container = self.of(id)?;
        (container.running, container.ever_started, container.restarts) = (true, true, true);
        Ok(())
    }

    /// Stops one.
    pub fn stop(&mut self, id: &str) -> Result<(), Refusal> {
        let container = self.of(id)?;
        (container.running, container.restarts) = (false, false);
        Ok(())
    }

    /// Removes one, running or not.
    pub fn remove(&mut self, id: &str) -> Result<(), Refusal> {
        self.containers.remove(id).map(|_| ()).ok_or(Refusal::NoSuchContainer)
    }

    /// Renames one.
    pub fn rename(&mut self, id: &str, name: &str) -> Result<(), Refusal> {
        if self.containers.values().any(|one| one.name == name && one.id != id) {
            return Err(Refusal::NameTaken);
        }
        name.clone_into(&mut self.of(id)?.name);
        Ok(())
    }

    /// The power fails.
    pub fn off(&mut self) {
        self.on = false;
    }

    /// The power is back.
    pub fn boot(&mut self) {
        self.on = true;
        for container in self.containers.values_mut() {
            container.running = container.ever_started && container.restarts;
        }
    }
}
