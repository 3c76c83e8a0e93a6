//! `/secrets` (API v1.25) and `/configs` (v1.30), which differ in their bounds and in who sees the
//! bytes (swarmkit `controlapi/secret.go`, `config.go`).

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use swarm_backend::{Configs, Exchange, Reply, Result, Secrets};
use swarm_docker::{ApiError, Filters};
use swarm_model::{Data, DataSpec, Service};
use zeroize::Zeroizing;

use super::answer::{body, done, list, parse, version};
use super::lookup::{Named, find};
use super::write::{guard, unless_guarded};
use super::{Control, failed, filters, new_id, now, out_of_sequence, refs};
use crate::replica::{Batch, Config, Object, Secret, Tables};

const ACCEPTED: [&str; 4] = ["name", "names", "id", "label"];

/// The longest name.
const LONGEST_NAME: usize = 64;

/// What differs.
trait Kind: Object + Named + Serialize + Send + Sync + 'static {
    /// Bytes that are too many.
    const LIMIT: usize;
    /// Whether a driver may have the bytes.
    const DRIVERS: bool;

    fn new(data: Data) -> Self;
    fn data(&self) -> &Data;
    /// As clients see it.
    fn show(&self) -> Data;
    /// Names of the services that use it.
    fn users<'t>(&self, tables: &'t Tables) -> Vec<&'t str>;
}

impl Kind for Secret {
    const LIMIT: usize = 500 * 1024;
    const DRIVERS: bool = true;

    fn new(data: Data) -> Self {
        Self(data)
    }
    fn data(&self) -> &Data {
        &self.0
    }
    fn show(&self) -> Data {
        let mut shown = self.0.clone();
        shown.spec.data = None;
        shown
    }
    fn users<'t>(&self, tables: &'t Tables) -> Vec<&'t str> {
        refs::users_of_secret(tables, &self.id)
    }
}

impl Kind for Config {
    const LIMIT: usize = 1000 * 1024;
    const DRIVERS: bool = false;

    fn new(data: Data) -> Self {
        Self(data)
    }
    fn data(&self) -> &Data {
        &self.0
    }
    fn show(&self) -> Data {
        self.0.clone()
    }
    fn users<'t>(&self, tables: &'t Tables) -> Vec<&'t str> {
        refs::users_of_config(tables, &self.id)
    }
}

impl Control {
    async fn list_data<K: Kind>(&self, exchange: Exchange) -> Result<Reply> {
        let filters = filters::read(&exchange, &ACCEPTED)?;
        let found: Vec<Arc<K>> = self
            .look(|tables| {
                let all = K::table(tables).values();
                all.filter(|one| matches(one.data(), &filters)).cloned().collect()
            })
            .await;
        Ok(list(found, |one: &Arc<K>| one.show()))
    }

    async fn inspect_data<K: Kind>(&self, name: &str) -> Result<Reply> {
        let found = self.look(|tables| find::<K>(tables, name).cloned()).await?;
        Reply::ok(&found.show())
    }

    async fn create_data<K: Kind>(&self, mut exchange: Exchange) -> Result<Reply> {
        let body = Zeroizing::new(body(&mut exchange).await?.to_vec());
        let spec: DataSpec = parse(&body)?;
        check::<K>(&spec)?;
        let id = self
            .write(|tables, batch| {
                if K::table(tables).values().any(|one| one.data().spec.name == spec.name) {
                    let (kind, name) = (K::KIND, &spec.name);
                    return Err(ApiError::conflict(format!("{kind} {name} already exists")));
                }
                let (id, now, spec) = (new_id(), now(tables), spec.clone());
                let data = Data { id, created_at: now, updated_at: now, spec, ..Data::default() };
                guard(tables, batch, K::TABLE)?;
                let new = K::new(data);
                batch.put(&new).map_err(failed)?;
                Ok(new.id().clone())
            })
            .await?;
        Reply::encode(StatusCode::CREATED, &json!({ "ID": id }))
    }

    async fn update_data<K: Kind>(&self, name: &str, mut exchange: Exchange) -> Result<Reply> {
        let body = Zeroizing::new(body(&mut exchange).await?.to_vec());
        let spec: DataSpec = parse(&body)?;
        let version = version(&exchange, K::KIND)?;
        self.write(|tables, batch| {
            let old = find::<K>(tables, name)?;
            let driver = |spec: &DataSpec| spec.rest.get("Driver").cloned().unwrap_or_default();
            let has_other = (spec.data.is_some() && spec.data != old.data().spec.data)
                || (spec.rest.contains_key("Driver") && driver(&spec) != driver(&old.data().spec));
            if spec.name != old.data().spec.name || has_other {
                return Err(ApiError::invalid("only updates to Labels are allowed"));
            }
            if old.version().index != version {
                return Err(out_of_sequence());
            }
            let mut data = old.data().clone();
            data.spec.labels = spec.labels.clone();
            data.updated_at = now(tables);
            batch.put(&K::new(data)).map_err(failed)
        })
        .await?;
        Ok(done())
    }

    async fn remove_data<K: Kind>(&self, name: &str) -> Result<Reply> {
        self.write(|tables, batch| remove::<K>(name, tables, batch)).await?;
        Ok(Reply::no_content())
    }
}

fn remove<K: Kind>(name: &str, tables: &Tables, batch: &mut Batch) -> Result<()> {
    let found = find::<K>(tables, name)?;
    let users = found.users(tables);
    if !users.is_empty() {
        let (kind, name) = (K::KIND, &found.data().spec.name);
        let services = if users.len() == 1 { "service" } else { "services" };
        return Err(ApiError::invalid(format!(
            "{kind} '{name}' is in use by the following {services}: {}",
            users.join(", ")
        )));
    }
    unless_guarded(tables, batch, Service::TABLE);
    batch.delete(&**found);
    Ok(())
}

/// Names, beginnings of names and of ids are alternatives here, as in Docker.
fn matches(data: &Data, filters: &Filters) -> bool {
    let (names, name, id) = (filters.get("names"), filters.get("name"), filters.get("id"));
    let is_any = names.is_empty() && name.is_empty() && id.is_empty();
    (is_any
        || names.contains(&data.spec.name)
        || name.iter().any(|begin| data.spec.name.starts_with(begin.as_str()))
        || id.iter().any(|begin| data.id.starts_with(begin.as_str())))
        && filters::labelled(filters, "label", &data.spec.labels)
}

/// A driver has the value: none is given with it. Whether it is there is seen when a task needs it.
fn check_driver<K: Kind>(spec: &DataSpec, driver: &Value) -> Result<()> {
    let (kind, name) = (K::KIND, spec.name.as_str());
    if !K::DRIVERS {
        return Err(ApiError::invalid(format!("{kind} {name}: only secrets have drivers")));
    }
    if driver.get("Name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(ApiError::invalid("secret driver must have a name"));
    }
    if spec.data.as_ref().is_some_and(|data| !data.reveal().is_empty()) {
        return Err(ApiError::invalid(format!(
            "{kind} {name}: when using a secret driver, the secret data must be empty"
        )));
    }
    Ok(())
}

fn check<K: Kind>(spec: &DataSpec) -> Result<()> {
    let (kind, name) = (K::KIND, spec.name.as_str());
    if name.is_empty() {
        return Err(ApiError::invalid("name must be provided"));
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() > LONGEST_NAME
        || !ends(name.chars().next())
        || !ends(name.chars().last())
        || !name.chars().all(inside)
    {
        return Err(ApiError::invalid(
            "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character \
             must be [a-zA-Z0-9]",
        ));
    }
    if let Some(driver) = spec.rest.get("Driver").filter(|driver| !driver.is_null()) {
        return check_driver::<K>(spec, driver);
    }
    let text = spec.data.as_ref().map_or("", |data| data.reveal());
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| {
        ApiError::invalid(format!("invalid JSON: the data of {kind} {name} is not base64"))
    })?);
    if bytes.is_empty() || bytes.len() >= K::LIMIT {
        return Err(ApiError::invalid(format!(
            "{kind} data must be larger than 0 and less than {} bytes",
            K::LIMIT
        )));
    }
    Ok(())
}

#[async_trait]
impl Secrets for Control {
    async fn list_secrets(&self, exchange: Exchange) -> Result<Reply> {
        self.list_data::<Secret>(exchange).await
    }
    async fn create_secret(&self, exchange: Exchange) -> Result<Reply> {
        self.create_data::<Secret>(exchange).await
    }
    async fn inspect_secret(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        self.inspect_data::<Secret>(name).await
    }
    async fn update_secret(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.update_data::<Secret>(name, exchange).await
    }
    async fn remove_secret(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        self.remove_data::<Secret>(name).await
    }
}

#[async_trait]
impl Configs for Control {
    async fn list_configs(&self, exchange: Exchange) -> Result<Reply> {
        self.list_data::<Config>(exchange).await
    }
    async fn create_config(&self, exchange: Exchange) -> Result<Reply> {
        self.create_data::<Config>(exchange).await
    }
    async fn inspect_config(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        self.inspect_data::<Config>(name).await
    }
    async fn update_config(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.update_data::<Config>(name, exchange).await
    }
    async fn remove_config(&self, name: &str, _exchange: Exchange) -> Result<Reply> {
        self.remove_data::<Config>(name).await
    }
}
