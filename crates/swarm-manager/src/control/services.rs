//! `POST /services/create`, `/services/{id}/update`, `DELETE /services/{id}` (API v1.24; swarmkit's
//! control API and `daemon/cluster/services.go`).

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value, json};
use swarm_backend::{Exchange, Reply, Result, Services};
use swarm_docker::{ApiError, ApiVersion};
use swarm_model::service::host::Asks;
use swarm_model::service::{JobStatus, Replicated, UpdateState, UpdateStatus, validate};
use swarm_model::{Id, Service, ServiceSpec, Time};

use super::answer::{body, done, version};
use super::lookup::find;
use super::names::new_name;
use super::write::guard;
use super::{Control, attach, auth, failed, new_id, now, out_of_sequence, refs, refuse, spec};
use crate::replica::{Batch, Object as _, Tables};

/// From this version on clients ask the registry for an image's digest themselves.
const CLIENTS_RESOLVE: ApiVersion = ApiVersion::new(1, 30);

#[async_trait]
impl Services for Control {
    async fn list_services(&self, exchange: Exchange) -> Result<Reply> {
        self.services(exchange).await
    }

    async fn create_service(&self, mut exchange: Exchange) -> Result<Reply> {
        let mut spec = spec::read(&body(&mut exchange).await?)?;
        if spec.name.is_empty() {
            let is_taken = |name: &str| {
                self.replica
                    .read(|tables| tables.services.values().any(|one| one.spec.name == name))
            };
            spec.name = new_name(&mut rand::rng(), is_taken);
        }
        check(&mut spec, auth::given(&exchange)?)?;
        let id = self.write(|tables, batch| create(&spec, tables, batch)).await?;
        let answer = json!({ "ID": id, "Warnings": warnings(&exchange, &spec) });
        Reply::encode(StatusCode::CREATED, &answer)
    }

    async fn inspect_service(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.service(name, exchange).await
    }

    async fn update_service(&self, name: &str, mut exchange: Exchange) -> Result<Reply> {
        let mut spec = spec::read(&body(&mut exchange).await?)?;
        let version = version(&exchange, "service")?;
        let given = auth::given(&exchange)?;
        let back = match exchange.query.get("rollback").unwrap_or_default() {
            "" | "none" => false,
            "previous" => true,
            other => {
                return Err(ApiError::invalid(format!("unrecognized rollback option {other}")));
            }
        };
        let from = exchange.query.get("registryAuthFrom").unwrap_or_default();
        check(&mut spec, None)?;
        self.write(|tables, batch| {
            let service = find::<Service>(tables, name)?;
            let auth = match &given {
                Some(given) => Some(given.clone()),
                None => auth::from_service(service, from)?,
            };
            let mut spec = spec.clone();
            auth::keep(Arc::make_mut(&mut spec.task_template), auth);
            update(service, spec, (version, back), tables, batch)
        })
        .await?;
        Reply::ok(&json!({ "Warnings": warnings(&exchange, &spec) }))
    }

    async fn remove_service(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        self.write(|tables, batch| {
            batch.delete(&**find::<Service>(tables, name)?);
            Ok(())
        })
        .await?;
        Ok(done())
    }
}

/// What can be said of a spec by itself; defaults that Docker writes into it.
fn check(spec: &mut ServiceSpec, auth: Option<Value>) -> Result<()> {
    validate::spec(spec)?;
    refuse::service(spec)?;
    if spec.mode.named() == 0 {
        spec.mode.replicated = Some(Replicated::default());
    }
    if let Some(replicated) = &mut spec.mode.replicated {
        replicated.replicas.get_or_insert(1);
    }
    if let Some(job) = &mut spec.mode.replicated_job {
        let concurrent = *job.max_concurrent.get_or_insert(1);
        job.total_completions.get_or_insert(concurrent);
    }
    let template = Arc::make_mut(&mut spec.task_template);
    "container".clone_into(&mut template.runtime);
    // The labels alone say it, whatever a client sends back.
    template.host = Asks::of(&spec.labels);
    auth::keep(template, auth);
    Ok(())
}

fn create(spec: &ServiceSpec, tables: &Tables, batch: &mut Batch) -> Result<Id> {
    let mut spec = spec.clone();
    attach::resolve(&mut spec, tables, batch)?;
    validate::port_conflicts(&spec, None, services(tables))?;
    refs::check(&spec, tables, batch)?;
    if services(tables).any(|service| service.spec.name == spec.name) {
        return Err(ApiError::conflict(format!(
            "name conflicts with an existing object: service {} already exists",
            spec.name
        )));
    }
    let now = now(tables);
    let is_job = spec.mode.decided().is_job();
    let job_status = is_job.then(|| JobStatus { last_execution: now, ..JobStatus::default() });
    let service = Service {
        id: new_id(),
        created_at: now,
        updated_at: now,
        spec,
        job_status,
        ..Service::default()
    };
    guard(tables, batch, Service::TABLE)?;
    batch.put(&service).map_err(failed)?;
    Ok(service.id)
}

fn update(
    old: &Service,
    mut spec: ServiceSpec,
    (version, back): (u64, bool),
    tables: &Tables,
    batch: &mut Batch,
) -> Result<()> {
    attach::resolve(&mut spec, tables, batch)?;
    if spec.endpoint_spec.is_some() && spec.endpoint_spec != old.spec.endpoint_spec {
        validate::port_conflicts(&spec, Some(&old.id), services(tables))?;
    }
    refs::check(&spec, tables, batch)?;
    validate::change(&old.spec, &spec)?;
    if old.version.index != version {
        return Err(out_of_sequence());
    }
    let now = now(tables);
    let mut service = old.clone();
    if let Some(job) = &mut service.job_status {
        job.job_iteration.index += 1;
        job.last_execution = now;
    }
    if back {
        let Some(previous) = service.previous_spec.take() else {
            return Err(ApiError::invalid(format!(
                "service {} does not have a previous spec",
                old.id
            )));
        };
        // What was there then has to be there now.
        refs::check(&previous, tables, batch)?;
        service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, *previous)));
        service.update_status = Some(UpdateStatus {
            state: UpdateState::RollbackStarted,
            started_at: now,
            completed_at: Time::NEVER,
            message: "manually requested rollback".to_owned(),
        });
    } else {
        service.previous_spec = Some(Box::new(std::mem::replace(&mut service.spec, spec)));
        service.update_status = None;
    }
    service.updated_at = now;
    guard(tables, batch, Service::TABLE)?;
    batch.put(&service).map_err(failed)
}

fn services(tables: &Tables) -> impl Iterator<Item = &Service> {
    tables.services.values().map(|service| &**service)
}

/// Older clients leave it to the manager to find out an image's digest. No registry is asked here,
/// and they are told what follows of that, in Docker's words.
fn warnings(exchange: &Exchange, spec: &ServiceSpec) -> Option<Vec<String>> {
    let is_old = exchange.version.is_some_and(|version| version < CLIENTS_RESOLVE);
    let container = spec.task_template.container_spec.as_ref()?;
    let image = &container.image;
    (is_old && !image.contains('@')).then(|| {
        vec![format!(
            "image {image} could not be accessed on a registry to record\nits digest. Each node will \
             access {image} independently,\npossibly leading to different nodes running different\n\
             versions of the image.\n"
        )]
    })
}
