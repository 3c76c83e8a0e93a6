//! `HostConfig` of the create body: what the container may use of its host.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use swarm_model::Task;
use swarm_model::service::{ContainerSpec, ResourceRequirements};

use super::config::port_key;
use super::fields::{Fields, Refusal, put};
use super::mounts::mounts;
use super::names::TaskNames;
use super::privileges::security;

/// The engine takes no soft limit below this (its `linuxMinMemory`).
const LEAST_RESERVATION: i64 = 6 << 20;

pub(super) fn host_config(
    task: &Task,
    container: &ContainerSpec,
    names: &TaskNames,
    fields: &mut Fields,
    template: &mut Fields,
) -> Result<Map<String, Value>, Refusal> {
    let mut host = Map::new();
    put(&mut host, "GroupAdd", fields.or_zero::<Vec<String>>("Groups")?);
    put(&mut host, "ReadonlyRootfs", fields.or_zero::<bool>("ReadOnly")?);
    put(&mut host, "Mounts", mounts(&container.mounts, names)?);
    put(&mut host, "ExtraHosts", hosts(fields.or_zero("Hosts")?)?);
    if let Some(mut dns) = fields.object("DNSConfig")? {
        put(&mut host, "Dns", dns.or_zero::<Vec<String>>("Nameservers")?);
        put(&mut host, "DnsSearch", dns.or_zero::<Vec<String>>("Search")?);
        put(&mut host, "DnsOptions", dns.or_zero::<Vec<String>>("Options")?);
        dns.finish()?;
    }
    put(&mut host, "SecurityOpt", security(fields)?);
    put(&mut host, "Isolation", fields.or_zero::<String>("Isolation")?);
    if let Some(init) = fields.get::<bool>("Init")? {
        // False says something too: no init, whatever the engine's default is.
        host.insert("Init".to_owned(), init.into());
    }
    let sysctls: BTreeMap<String, String> = fields.or_zero("Sysctls")?;
    put(&mut host, "Sysctls", json!(sysctls));
    put(&mut host, "CapAdd", fields.or_zero::<Vec<String>>("CapabilityAdd")?);
    put(&mut host, "CapDrop", fields.or_zero::<Vec<String>>("CapabilityDrop")?);
    let ulimits: Result<Vec<Value>, Refusal> = fields
        .objects("Ulimits")?
        .into_iter()
        .map(|mut limit| limit.passed(&["Name", "Soft", "Hard"]))
        .collect();
    put(&mut host, "Ulimits", ulimits?);
    put(&mut host, "OomScoreAdj", fields.or_zero::<i64>("OomScoreAdj")?);
    if let Some(resources) = &task.spec.resources {
        limits(resources, &mut host)?;
    }
    if let Some(mut driver) = template.object("LogDriver")? {
        let options: BTreeMap<String, String> = driver.or_zero("Options")?;
        let name: String = driver.or_zero("Name")?;
        driver.finish()?;
        put(&mut host, "LogConfig", json!({"Type": name, "Config": options}));
    }
    put(&mut host, "NetworkMode", network(template)?);
    let mut bindings = Map::new();
    for port in &task.host_ports {
        let published = match port.published_port {
            0 => String::new(),
            fixed => fixed.to_string(),
        };
        let key = port_key(port.target_port, port.protocol);
        if let Value::Array(all) = bindings.entry(key).or_insert_with(|| json!([])) {
            all.push(json!({"HostPort": published}));
        }
    }
    put(&mut host, "PortBindings", Value::Object(bindings));
    Ok(host)
}

/// `IP name [alias…]` as `name:IP`, once for each name.
fn hosts(lines: Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut hosts = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let address = words.next().unwrap_or_default();
        let before = hosts.len();
        hosts.extend(words.map(|name| format!("{name}:{address}")));
        if hosts.len() == before {
            return Err(Refusal(format!("ContainerSpec.Hosts: {line:?} is not \"IP name\"")));
        }
    }
    Ok(hosts)
}

fn limits(resources: &ResourceRequirements, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let mut rest = Fields::new("Resources", resources.rest.clone());
    let swap: Option<i64> = rest.get("SwapBytes")?;
    if let Some(swappiness) = rest.get::<i64>("MemorySwappiness")? {
        host.insert("MemorySwappiness".to_owned(), swappiness.into());
    }
    rest.finish()?;
    let mut memory = 0;
    if let Some(limits) = &resources.limits {
        let mut rest = Fields::new("Resources.Limits", limits.rest.clone());
        memory = limits.memory_bytes;
        put(host, "NanoCpus", limits.nano_cpus);
        put(host, "Memory", memory);
        put(host, "PidsLimit", rest.or_zero::<i64>("Pids")?);
        rest.finish()?;
    }
    match swap {
        None => {}
        Some(_) if memory == 0 => {
            return Err(Refusal::new("Resources.SwapBytes: it needs a memory limit beside it"));
        }
        Some(-1) => put(host, "MemorySwap", -1),
        // The engine takes memory and swap together.
        Some(bytes) if bytes >= 0 => put(host, "MemorySwap", memory.saturating_add(bytes)),
        Some(_) => return Err(Refusal::new("Resources.SwapBytes: it is negative")),
    }
    if let Some(reserved) = &resources.reservations {
        Fields::new("Resources.Reservations", reserved.rest.clone()).finish()?;
        let bytes = reserved.memory_bytes;
        // The engine refuses a soft limit over the hard one, Docker's swarm mode does not.
        if bytes >= LEAST_RESERVATION && (memory == 0 || bytes <= memory) {
            put(host, "MemoryReservation", bytes);
        }
    }
    Ok(())
}

/// One of the engine's own networks, or nothing for its default one.
fn network(template: &mut Fields) -> Result<String, Refusal> {
    let mut networks = template.objects("Networks")?;
    let Some(mut network) = networks.pop() else { return Ok(String::new()) };
    if !networks.is_empty() {
        return network
            .refuse("tasks on several networks need cluster networks, which are not here");
    }
    let target: String = network.or_zero("Target")?;
    // Aliases mean nothing on the engine's own networks, and clients send them with each stack.
    let _: Vec<String> = network.or_zero("Aliases")?;
    let options: BTreeMap<String, String> = network.or_zero("DriverOpts")?;
    network.finish()?;
    match target.as_str() {
        "host" | "none" | "bridge" if options.is_empty() => Ok(target),
        "host" | "none" | "bridge" => network.refuse("DriverOpts need a cluster network"),
        _ => network.refuse(&format!(
            "network {target} is none of this engine's own (bridge, host, none), and cluster networks \
             are not here"
        )),
    }
}
