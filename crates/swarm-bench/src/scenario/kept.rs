//! Containers that are to move when their engine fails: what was wanted of each is in the manager's
//! own store, on disk, before its engine is asked. What that costs in time and memory, and how long
//! a manager takes that starts over all of them.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Bench, Pool};
use crate::cli::Options;
use crate::driver::Client;
use crate::fleet_child::FleetChild;
use crate::manager::Manager;
use crate::quantile::{Samples, millis};
use crate::report::{Row, Target};

/// Clients at once, so that commits of the store are shared as they are with many users.
const CLIENTS: usize = 16;
const PATIENCE: Duration = Duration::from_mins(3);

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let options = bench.options;
    let (engines, count) = (options.pick(100, 20), options.pick(10_000, 500));
    eprintln!("== {count} containers with a reschedule policy on {engines} engines");
    let state = tempfile::tempdir()?;
    let mut flags = options.manager_flags.clone();
    flags.extend(["--data-dir".to_owned(), state.path().display().to_string()]);
    let plan = bench.plan(engines, false);
    let there = engines * options.containers;
    let fleet = FleetChild::start(plan).await?;
    let mut manager = Manager::start(&bench.binary, &fleet.discovery_url(), &flags)?;
    manager.ready(engines, there, PATIENCE).await?;

    let mut client = manager.client();
    let plain = alone(&mut client, "plain", options, &body(None)).await?;
    let policy = body(Some("reschedule:on-node-failure"));
    let kept = alone(&mut client, "kept", options, &policy).await?;
    let added = millis(kept.p50()) - millis(plain.p50());
    bench.row(
        Row::new("create+start with a reschedule policy, added, p50", added, "ms", Target::None)
            .note(format!("{:.2} ms without one, {} pairs", millis(plain.p50()), plain.len())),
    );
    drop(client);

    let before = manager.memory()?.rss;
    many(&manager, count, &policy).await?;
    let each = manager.memory()?.rss.saturating_sub(before) / count as u64;
    bench.row(
        Row::new("memory of a container made through the manager", kib(each), "KiB", Target::None)
            .note(format!(
                "list entry, intent and the store's copy of it; the client sent {} bytes",
                policy.len()
            )),
    );
    manager.stop().await;

    let all = there + count + plain.len() + kept.len();
    let mut manager = Manager::start(&bench.binary, &fleet.discovery_url(), &flags)?;
    let ready = manager.ready(engines, all, PATIENCE).await?;
    bench.row(
        Row::new(
            format!(
                "start over {engines} engines with {} kept containers",
                count + 2 * plain.len()
            ),
            ready.listed.as_secs_f64(),
            "s",
            Target::Below(10.0),
        )
        .note(format!("RSS {:.0} MiB", super::idle::mib(manager.memory()?.rss))),
    );
    Pool { fleet, manager }.stop().await
}

async fn alone(
    client: &mut Client,
    mark: &str,
    options: &Options,
    body: &Bytes,
) -> Result<Samples> {
    let mut samples = Samples::default();
    for number in 0..options.pick(500, 50) {
        samples.push(client.run_as(&format!("{mark}-{number}"), body.clone()).await?);
    }
    Ok(samples)
}

async fn many(manager: &Manager, count: usize, body: &Bytes) -> Result<()> {
    let tasks = (0..CLIENTS).map(|number| {
        let (mut client, body) = (Client::new(manager.endpoint()), body.clone());
        tokio::spawn(async move {
            for turn in (number..count).step_by(CLIENTS) {
                client.run_as(&format!("many-{turn}"), body.clone()).await?;
            }
            anyhow::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

/// As long as the body that `docker run -p` of the CLI sends, which names every field there is.
fn body(expression: Option<&str>) -> Bytes {
    const TEXTS: &str = "ContainerIDFile VolumeDriver CgroupnsMode IpcMode Cgroup PidMode UTSMode \
        UsernsMode Isolation CgroupParent CpusetCpus CpusetMems";
    const NUMBERS: &str = "OomScoreAdj ShmSize CpuShares NanoCpus BlkioWeight CpuPeriod CpuQuota \
        CpuRealtimePeriod CpuRealtimeRuntime MemoryReservation MemorySwap MemorySwappiness PidsLimit \
        CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth";
    const LISTS: &str = "Binds VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts \
        GroupAdd Links SecurityOpt BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps \
        BlkioDeviceReadIOps BlkioDeviceWriteIOps Devices DeviceCgroupRules DeviceRequests Ulimits \
        MaskedPaths ReadonlyPaths";
    let mut host = Map::new();
    for (fields, value) in [(TEXTS, json!("")), (NUMBERS, json!(0)), (LISTS, Value::Null)] {
        host.extend(fields.split_whitespace().map(|field| (field.to_owned(), value.clone())));
    }
    host.insert("Memory".to_owned(), json!(16 << 20));
    host.insert("NetworkMode".to_owned(), json!("default"));
    host.insert("RestartPolicy".to_owned(), json!({"Name": "no", "MaximumRetryCount": 0}));
    json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": expression.into_iter().collect::<Vec<_>>(), "Cmd": ["sleep", "3600"],
        "Image": "busybox:latest", "WorkingDir": "", "Entrypoint": null, "OnBuild": null,
        "Labels": {"com.docker.compose.project": "bench", "com.docker.compose.service": "web"},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {"default": {
            "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null,
            "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
            "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0, "DNSNames": null}}},
    })
    .to_string()
    .into()
}
