//! `-c` counts CPUs in a pool, and shares on an engine.
//!
//! Classic Swarm reads `HostConfig.CpuShares` as a number of whole CPUs to reserve and sends the
//! engine `ceil(n * 1024 / engine CPUs)`; reading a container back it turns shares into CPUs again.

use serde_json::Value;

/// Shares that stand for the whole of an engine.
const WHOLE: i64 = 1024;

/// Shares for `cpus` CPUs on an engine that has `engine_cpus`.
pub fn shares_for(cpus: i64, engine_cpus: i64) -> i64 {
    if cpus <= 0 || engine_cpus <= 0 {
        return cpus.max(0);
    }
    let shares = (i128::from(cpus) * i128::from(WHOLE) + i128::from(engine_cpus) - 1)
        / i128::from(engine_cpus);
    i64::try_from(shares).unwrap_or(i64::MAX)
}

/// The CPUs that `shares` stand for on that engine: the inverse of [`shares_for`] on every engine
/// of up to 1024 CPUs. Shares set on the engine directly are rounded down.
pub fn cpus_from(shares: i64, engine_cpus: i64) -> i64 {
    if shares <= 0 || engine_cpus <= 0 {
        return shares.max(0);
    }
    let cpus = i128::from(shares) * i128::from(engine_cpus) / i128::from(WHOLE);
    i64::try_from(cpus).unwrap_or(i64::MAX)
}

/// Rewrites `HostConfig.CpuShares` of a create body from CPUs to this engine's shares; leaves a body
/// alone that has none, or one the engine will refuse anyway.
pub fn rewrite_for_engine(body: &mut Value, engine_cpus: i64) {
    let Some(shares) = body.pointer_mut("/HostConfig/CpuShares") else { return };
    if let Some(cpus) = shares.as_i64().filter(|cpus| *cpus > 0) {
        *shares = shares_for(cpus, engine_cpus).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_rounded_up_as_classic_does() {
        for (cpus, engine, shares) in
            [(1, 1, 1024), (2, 8, 256), (1, 3, 342), (3, 3, 1024), (0, 4, 0)]
        {
            assert_eq!(shares_for(cpus, engine), shares, "{cpus} of {engine}");
        }
    }

    #[test]
    fn a_body_is_rewritten_only_where_it_asks_for_cpus() {
        let mut body = serde_json::json!({"HostConfig": {"CpuShares": 2}});
        rewrite_for_engine(&mut body, 4);
        assert_eq!(body["HostConfig"]["CpuShares"], 512);
        for unchanged in [r#"{"HostConfig":{"CpuShares":0}}"#, r#"{"HostConfig":{}}"#, "[]"] {
            let mut body: Value = serde_json::from_str(unchanged).unwrap();
            rewrite_for_engine(&mut body, 4);
            assert_eq!(body.to_string(), unchanged);
        }
    }

    proptest! {
        #[test]
        fn cpus_survive_the_way_to_the_engine_and_back(cpus in 0i64..2000, engine in 1i64..=1024) {
            prop_assert_eq!(cpus_from(shares_for(cpus, engine), engine), cpus);
        }

        #[test]
        fn any_numbers_are_taken(cpus: i64, engine: i64) {
            prop_assert!(shares_for(cpus, engine) >= 0);
            prop_assert!(cpus_from(cpus, engine) >= 0);
        }
    }
}
