//! The names that labels and grants know, after `docker run`'s flags, and what each is in the create
//! body's `HostConfig` (`POST /containers/create`).

/// How a label's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number from here to there.
    Number(i64, i64),
    /// An amount of memory: `64m`.
    Bytes,
    /// One word.
    Word,
    /// A path, of which an owner may allow what lies below another.
    Path,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Items, parted by commas.
    List,
    /// `HOST[:CONTAINER[:rwm]]`, parted by commas.
    Devices,
    /// `all`, a number, or `device=ID,…`.
    Gpus,
    /// The name goes on: `storage-opt.size`.
    Below,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// In labels and grants.
    pub name: &'static str,
    /// In `HostConfig`.
    pub field: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// What a node that lacks the grant does not allow.
    pub words: &'static str,
}

const fn setting(
    name: &'static str,
    field: &'static str,
    kind: Kind,
    words: &'static str,
) -> Setting {
    Setting { name, field, kind, words }
}

/// All.
pub(super) const SETTINGS: [Setting; 22] = [
    setting("privileged", "Privileged", Kind::Flag, "privileged containers"),
    setting("devices", "Devices", Kind::Devices, "the devices"),
    setting("device-cgroup-rules", "DeviceCgroupRules", Kind::List, "the device cgroup rules"),
    setting("gpus", "DeviceRequests", Kind::Gpus, "the gpus"),
    setting("cgroup-parent", "CgroupParent", Kind::Path, "the cgroup parent"),
    setting("cgroupns", "CgroupnsMode", Kind::OneOf(&["host", "private"]), "the cgroup namespace"),
    setting(
        "ipc",
        "IpcMode",
        Kind::OneOf(&["host", "private", "shareable", "none"]),
        "the ipc mode",
    ),
    setting("pid", "PidMode", Kind::OneOf(&["host"]), "the pid mode"),
    setting("uts", "UTSMode", Kind::OneOf(&["host"]), "the uts mode"),
    setting("userns", "UsernsMode", Kind::OneOf(&["host"]), "the user namespace"),
    setting("runtime", "Runtime", Kind::Word, "the runtime"),
    setting("security-opt", "SecurityOpt", Kind::List, "the security options"),
    setting("storage-opt", "StorageOpt", Kind::Below, "the storage options"),
    setting("shm-size", "ShmSize", Kind::Bytes, "the size of /dev/shm"),
    setting("oom-score-adj", "OomScoreAdj", Kind::Number(-1000, 1000), "the oom score"),
    setting("oom-kill-disable", "OomKillDisable", Kind::Flag, "disabling the oom killer"),
    setting("cpu-shares", "CpuShares", Kind::Number(2, 262_144), "the cpu shares"),
    setting("cpu-rt-period", "CpuRealtimePeriod", Kind::Number(1, 1_000_000), "real-time cpu"),
    setting("cpu-rt-runtime", "CpuRealtimeRuntime", Kind::Number(1, 1_000_000), "real-time cpu"),
    setting("cpuset-cpus", "CpusetCpus", Kind::Word, "the set of cpus"),
    setting("cpuset-mems", "CpusetMems", Kind::Word, "the set of memory nodes"),
    setting("blkio-weight", "BlkioWeight", Kind::Number(10, 1000), "the block i/o weight"),
];

impl Setting {
    /// As a person writes it.
    pub(super) fn shown(&self) -> String {
        if self.kind == Kind::Below { format!("{}.KEY", self.name) } else { self.name.to_owned() }
    }
}

/// The setting of a label's name, and what comes below it.
pub(super) fn find(name: &str) -> Option<(&'static Setting, &str)> {
    SETTINGS.iter().find_map(|setting| {
        let below = name.strip_prefix(setting.name)?;
        match (setting.kind, below.strip_prefix('.')) {
            (Kind::Below, Some(below)) if !below.is_empty() => Some((setting, below)),
            (Kind::Below, _) => None,
            (_, None) if below.is_empty() => Some((setting, "")),
            _ => None,
        }
    })
}

/// The setting of a grant's name; `device` is short for one of the `devices`.
pub(super) fn granted(name: &str) -> Option<&'static Setting> {
    let name = if name == "device" { "devices" } else { name };
    SETTINGS.iter().find(|setting| setting.name == name)
}
