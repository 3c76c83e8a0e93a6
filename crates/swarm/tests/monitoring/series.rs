//! Made-up series in promtool's notation: a pool that is well, and what a fault makes of it.
//!
//! Everything has three parts: it is well, then something is wrong, then it is well again.

/// Minutes of each part; there is one sample a minute, as often as Prometheus reads by default.
pub const PARTS: [usize; 3] = [20, 40, 40];

/// How a series goes on.
#[derive(Debug, Clone, Copy)]
pub enum Course {
    /// A gauge's value.
    Is(f64),
    /// By how much a counter rises in a minute.
    Rises(f64),
    /// The counter begins again every four minutes.
    Restarts,
    /// A gauge that is 1 and 0 by turns.
    Swings,
    /// Nothing is told.
    Gone,
}

use Course::{Gone, Is, Restarts, Rises, Swings};

/// Two managers of a pool that does its work, the one of another pool, and the three of a swarm.
pub const WELL: [(&str, Course); 70] = [
    (r#"up{job="swarm",instance="a"}"#, Is(1.0)),
    (r#"up{job="swarm",instance="b"}"#, Is(1.0)),
    (r#"up{job="node",instance="c"}"#, Is(0.0)),
    (r#"swarm_build_info{job="swarm",instance="a",version="0.1.0",commit="x"}"#, Is(1.0)),
    (r#"swarm_build_info{job="swarm",instance="b",version="0.1.0",commit="x"}"#, Is(1.0)),
    (r#"swarm_build_info{job="swarm-lab",instance="c",version="0.2.0",commit="y"}"#, Is(1.0)),
    (r#"process_cpu_seconds_total{job="swarm",instance="a"}"#, Rises(3.0)),
    (r#"process_open_fds{job="swarm",instance="a"}"#, Is(60.0)),
    (r#"process_max_fds{job="swarm",instance="a"}"#, Is(1024.0)),
    (r#"process_open_fds{job="other",instance="a"}"#, Is(1000.0)),
    (r#"process_max_fds{job="other",instance="a"}"#, Is(1024.0)),
    (r#"swarm_primary{job="swarm",instance="a"}"#, Is(1.0)),
    (r#"swarm_primary{job="swarm",instance="b"}"#, Is(0.0)),
    (r#"swarm_primary{job="swarm-lab",instance="c"}"#, Is(1.0)),
    (r#"swarm_primary_changes_total{job="swarm",instance="a",change="gained"}"#, Rises(0.0)),
    (r#"swarm_engines{job="swarm",instance="a",state="healthy"}"#, Is(5.0)),
    (r#"swarm_engines{job="swarm",instance="b",state="healthy"}"#, Is(5.0)),
    (r#"swarm_engines{job="swarm",instance="a",state="unhealthy"}"#, Is(0.0)),
    (r#"swarm_engines{job="swarm",instance="a",state="pending"}"#, Is(0.0)),
    (r#"swarm_engines{job="swarm",instance="a",state="maintenance"}"#, Is(1.0)),
    (r#"swarm_engine_reconnects_total{job="swarm",instance="a"}"#, Rises(0.0)),
    (FAILURES, Rises(0.1)),
    (r#"swarm_containers{job="swarm",instance="a",state="running"}"#, Is(40.0)),
    (r#"swarm_containers{job="swarm",instance="a",state="host_down"}"#, Is(0.0)),
    (r#"swarm_moves_waiting{job="swarm",instance="a"}"#, Is(0.0)),
    (r#"swarm_moves_total{job="swarm",instance="a",cause="failure",result="moved"}"#, Rises(1.0)),
    (r#"swarm_moves_total{job="swarm",instance="a",cause="drain",result="failed"}"#, Rises(0.0)),
    (r#"swarm_scheduling_refusals_total{job="swarm",instance="a",filter="resources"}"#, Rises(0.1)),
    (r#"swarm_container_creates_total{job="swarm",instance="a",result="created"}"#, Rises(9.0)),
    (r#"swarm_container_creates_total{job="swarm",instance="a",result="failed"}"#, Rises(0.0)),
    (r#"swarm_scheduling_duration_seconds_bucket{job="swarm",instance="a",le="0.5"}"#, Rises(9.0)),
    (r#"swarm_scheduling_duration_seconds_bucket{job="swarm",instance="a",le="2.5"}"#, Rises(9.0)),
    (r#"swarm_scheduling_duration_seconds_bucket{job="swarm",instance="a",le="+Inf"}"#, Rises(9.0)),
    (r#"swarm_memory_reserved_bytes{job="swarm",instance="a"}"#, Is(5e9)),
    (r#"swarm_memory_capacity_bytes{job="swarm",instance="a"}"#, Is(1e10)),
    (r#"swarm_cpus_reserved{job="swarm",instance="a"}"#, Is(8.0)),
    (r#"swarm_cpus_capacity{job="swarm",instance="a"}"#, Is(16.0)),
    (r#"swarm_api_requests_total{job="swarm",instance="a",status="2xx"}"#, Rises(300.0)),
    (r#"swarm_api_requests_total{job="swarm",instance="a",status="5xx"}"#, Rises(3.0)),
    (READS_IN_TIME, Rises(99.0)),
    (
        r#"swarm_api_request_duration_seconds_bucket{job="swarm",instance="a",method="GET",route="/info",le="10"}"#,
        Rises(99.0),
    ),
    (
        r#"swarm_api_request_duration_seconds_bucket{job="swarm",instance="a",method="GET",route="/info",le="+Inf"}"#,
        Rises(99.0),
    ),
    // Figures of a container are made over a second or two, and images are pulled for minutes.
    (
        r#"swarm_api_request_duration_seconds_bucket{job="swarm",instance="a",method="GET",route="/containers/{name}/stats",le="+Inf"}"#,
        Rises(99.0),
    ),
    (r#"swarm_store_reachable{job="swarm",instance="a"}"#, Is(1.0)),
    (
        r#"swarm_store_operations_total{job="swarm",instance="a",operation="put",result="conflict"}"#,
        Rises(9.0),
    ),
    (
        r#"swarm_store_operations_total{job="swarm",instance="a",operation="put",result="unreachable"}"#,
        Rises(0.0),
    ),
    (CALLS_IN_TIME, Rises(50.0)),
    (
        r#"swarm_store_operation_duration_seconds_bucket{job="swarm",instance="a",operation="put",le="2.5"}"#,
        Rises(50.0),
    ),
    (
        r#"swarm_store_operation_duration_seconds_bucket{job="swarm",instance="a",operation="put",le="+Inf"}"#,
        Rises(50.0),
    ),
    (r#"swarm_store_changes_pending{job="swarm",instance="a",kind="intent"}"#, Is(0.0)),
    (r#"swarm_manager_leader{job="swarm-mode",instance="m"}"#, Is(1.0)),
    (r#"swarm_manager_leader{job="swarm-mode",instance="n"}"#, Is(0.0)),
    (r#"swarm_manager_managers_total{job="swarm-mode",instance="m"}"#, Is(3.0)),
    (r#"swarm_manager_managers_ready{job="swarm-mode",instance="m"}"#, Is(3.0)),
    (r#"swarm_manager_managers_total{job="swarm-alone",instance="l"}"#, Is(1.0)),
    (r#"swarm_manager_managers_ready{job="swarm-alone",instance="l"}"#, Is(1.0)),
    (r#"swarm_manager_store_revision{job="swarm-mode",instance="m"}"#, Is(900.0)),
    (r#"swarm_manager_store_revision{job="swarm-mode",instance="n"}"#, Is(900.0)),
    (r#"swarm_manager_nodes{job="swarm-mode",instance="m",state="ready"}"#, Is(5.0)),
    (r#"swarm_manager_nodes{job="swarm-mode",instance="m",state="down"}"#, Is(0.0)),
    (r#"swarm_manager_store_writable{job="swarm-mode",instance="m"}"#, Is(1.0)),
    (r#"swarm_manager_nodes_clock_off{job="swarm-mode",instance="m"}"#, Is(0.0)),
    (r#"swarm_manager_services_short{job="swarm-mode",instance="m"}"#, Is(0.0)),
    (r#"swarm_manager_task_failures_total{job="swarm-mode",instance="m"}"#, Rises(0.1)),
    (WRITES_IN_TIME, Rises(50.0)),
    (
        r#"swarm_raft_transaction_latency_seconds_bucket{job="swarm-mode",instance="m",le="1.0"}"#,
        Rises(50.0),
    ),
    (
        r#"swarm_raft_transaction_latency_seconds_bucket{job="swarm-mode",instance="m",le="+Inf"}"#,
        Rises(50.0),
    ),
    // Prometheus's test begins at 0: issued then, and good for far longer than it lasts.
    (r#"swarm_node_certificate_issued_timestamp_seconds{job="swarm-mode",instance="m"}"#, Is(0.0)),
    (
        r#"swarm_node_certificate_expiry_timestamp_seconds{job="swarm-mode",instance="m"}"#,
        Is(7_776_000.0),
    ),
    (r#"swarm_node_info{job="swarm-mode",instance="m"}"#, Is(1.0)),
];

pub const FAILURES: &str =
    r#"swarm_engine_failures_total{job="swarm",instance="a",purpose="request",reason="connect"}"#;
pub const READS_IN_TIME: &str = r#"swarm_api_request_duration_seconds_bucket{job="swarm",instance="a",method="GET",route="/info",le="2.5"}"#;
pub const CALLS_IN_TIME: &str = r#"swarm_store_operation_duration_seconds_bucket{job="swarm",instance="a",operation="put",le="0.5"}"#;

pub const WRITES_IN_TIME: &str =
    r#"swarm_raft_transaction_latency_seconds_bucket{job="swarm-mode",instance="m",le="0.5"}"#;

/// The samples of a series that is well, then takes this course, and is well again.
pub fn samples(well: Course, wrong: Course) -> String {
    let mut counted = 0.0;
    let parts = PARTS.iter().zip([well, wrong, well]);
    let told = parts.map(|(&minutes, course)| match course {
        Is(value) => format!("{value}+0x{}", minutes - 1),
        Gone => format!("_x{minutes}"),
        Rises(rate) => {
            let from = counted + rate;
            let steps = u32::try_from(minutes).unwrap();
            counted += rate * f64::from(steps);
            format!("{from}+{rate}x{}", minutes - 1)
        }
        Swings => vec!["1 0"; minutes / 2].join(" "),
        Restarts => {
            counted = 0.0;
            vec!["0+1x3"; minutes / 4].join(" ")
        }
    });
    told.collect::<Vec<_>>().join(" ")
}
