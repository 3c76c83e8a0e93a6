//! What a fleet holds at the start: images and containers made from a few templates.

use std::sync::Arc;

use serde_json::json;

use super::container::State;
use super::id::Id;
use super::images::Image;
use super::spec::Spec;
use super::state::Books;
use super::{FleetConfig, networks};

/// Shared by all engines of a fleet.
#[derive(Debug)]
pub(super) struct Catalog {
    pub images: Vec<Arc<Image>>,
    specs: Vec<Arc<Spec>>,
    /// When the fleet came up, nanoseconds since 1970.
    born: i64,
}

/// Projects the seeded containers claim to belong to.
const PROJECTS: [&str; 4] = ["shop", "billing", "search", "intranet"];

impl Catalog {
    pub fn new(config: &FleetConfig) -> Self {
        let images: Vec<Arc<Image>> =
            config.images.iter().map(|name| Arc::new(Image::seeded(name))).collect();
        let mut specs = Vec::new();
        for image in &images {
            let reference = image.tags.first().map_or("", |tag| &**tag);
            for (number, project) in PROJECTS.iter().enumerate() {
                let body = json!({
                    "Cmd": ["serve", "--listen", "0.0.0.0:8080", "--workers", "4"],
                    "ExposedPorts": {"8080/tcp": {}},
                    "Env": [
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                        format!("PROJECT={project}"), "LOG_LEVEL=info", "TZ=UTC"
                    ],
                    "Labels": {
                        "com.docker.compose.project": project,
                        "com.docker.compose.service": format!("web{number}"),
                        "com.docker.compose.container-number": "1",
                        "com.docker.compose.oneoff": "False"
                    },
                    "HostConfig": {"Memory": 134_217_728, "CpuShares": 0,
                        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}
                });
                if let Ok(spec) = Spec::from_body(&body, reference, image.id) {
                    specs.push(Arc::new(spec));
                }
            }
        }
        Self { images, specs, born: super::engine::system_nanos() }
    }

    /// The books of engine `index` as the fleet starts.
    pub fn books(&self, index: usize, config: &FleetConfig) -> Books {
        let mut books = Books::new(
            config.event_history,
            self.images.clone(),
            networks::standard(&format!("{}{index}", config.name_prefix)),
        );
        if self.specs.is_empty() {
            return books;
        }
        let total = config.engines * config.containers_per_engine;
        let running = config.running.min(total);
        let salt = self.born;
        for number in 0..config.containers_per_engine {
            // Position in a walk over all engines, so that those that do not run are
            // spread evenly.
            let place = number * config.engines + (index - config.first);
            let id = Id::of(&format!("{salt}/{index}/{number}"));
            let spec = Arc::clone(&self.specs[place % self.specs.len()]);
            let age = i64::try_from(total - place).unwrap_or(0) * 1_000_000_000;
            let created = self.born - 3_600_000_000_000 - age;
            let name = format!("{}-{index}-{number}", PROJECTS[place % PROJECTS.len()]);
            let Ok(at) = books.insert(id, &name, spec, created) else { continue };
            if let Some(container) = books.containers.get_mut(&at) {
                container.manager_label = config.manager_labels;
                container.started = created + 500_000_000;
                if place < running {
                    container.state = State::Running;
                } else {
                    container.state = State::Exited;
                    container.finished = created + 60_000_000_000;
                }
            }
        }
        books
    }
}
