//! Moments of this machine's clock and those in objects.

use std::time::{Duration, SystemTime};

use swarm_model::Time;

use crate::Tables;

/// As objects carry it.
pub(super) fn written(moment: SystemTime) -> Time {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// As certificates are judged by.
pub(super) fn read(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(time.0).unwrap_or(0))
}

/// Now, and later than anything that was written: time never goes back.
pub(super) fn now(tables: &Tables) -> Time {
    written(SystemTime::now()).max(tables.newest.plus(1))
}
