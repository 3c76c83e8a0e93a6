//! What clients send to begin a swarm, to join one and to leave it (`POST /swarm/init` and `/join`,
//! API v1.24 and up), checked. What this version does not have is refused by name.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use swarm_backend::{ApiError, Body, Result, read_whole};
use swarm_model::{Availability, ClusterSpec, Secret};

/// More is no request for one of these.
const LARGEST: usize = 1 << 20;

/// With what Docker refuses an availability that there is not.
const AVAILABILITY: &str = "invalid Availability";

/// Docker's default of `--default-addr-pool`.
pub const DEFAULT_POOL: &str = "10.0.0.0/8";
/// Docker's default of `--default-addr-pool-mask-length`.
pub const DEFAULT_SUBNET: u32 = 24;
/// Docker's default of `--data-path-port`.
pub const DEFAULT_DATA_PORT: u32 = 4789;

/// `POST /swarm/init`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Init {
    /// `--listen-addr`.
    pub listen_addr: String,
    /// `--advertise-addr`.
    pub advertise_addr: String,
    /// `--data-path-addr`.
    pub data_path_addr: String,
    /// `--data-path-port`.
    pub data_path_port: u32,
    /// `--default-addr-pool`.
    pub default_addr_pool: Option<Vec<String>>,
    /// `--default-addr-pool-mask-length`.
    pub subnet_size: u32,
    /// `--force-new-cluster`.
    pub force_new_cluster: bool,
    /// The settings.
    pub spec: ClusterSpec,
    /// `--autolock`, in old versions.
    pub auto_lock_managers: bool,
    /// `--availability`; empty is active.
    #[serde(deserialize_with = "availability")]
    pub availability: Availability,
}

/// `POST /swarm/join`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Join {
    /// `--listen-addr`.
    pub listen_addr: String,
    /// `--advertise-addr`.
    pub advertise_addr: String,
    /// `--data-path-addr`.
    pub data_path_addr: String,
    /// Managers of the swarm.
    pub remote_addrs: Vec<String>,
    /// `--token`.
    pub join_token: Option<Secret>,
    /// `--availability`; empty is active.
    #[serde(deserialize_with = "availability")]
    pub availability: Availability,
}

/// `POST /swarm/unlock`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Unlock {
    /// The key as it is printed.
    pub unlock_key: Option<Secret>,
}

/// `POST /swarm/backup`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Backup {
    /// With what it is sealed.
    pub passphrase: Option<Secret>,
}

fn availability<'de, D>(from: D) -> std::result::Result<Availability, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    let known = [Availability::Active, Availability::Pause, Availability::Drain];
    match known.into_iter().find(|one| one.as_str() == text) {
        None if text.is_empty() => Ok(Availability::Active),
        found => found.ok_or_else(|| serde::de::Error::custom(format!("{AVAILABILITY}: {text:?}"))),
    }
}

/// Reads a request's document.
pub async fn read<T: DeserializeOwned>(body: Body) -> Result<T> {
    let whole = read_whole(body, LARGEST).await?;
    serde_json::from_slice(&whole).map_err(|error| {
        let word = error.to_string();
        // Docker's words, without the place in the text.
        let known = word.split(" at line ").next().filter(|word| word.starts_with(AVAILABILITY));
        ApiError::invalid(known.map_or_else(
            || format!("the request's body is not as expected: {word}"),
            str::to_owned,
        ))
    })
}

impl Init {
    /// Refuses what is wrong and what this version does not have; fills in defaults.
    pub fn checked(mut self) -> Result<Self> {
        refuse_data_path(&self.data_path_addr)?;
        if self.auto_lock_managers {
            self.spec.encryption_config.auto_lock_managers = true;
        }
        if self.data_path_port == 0 {
            self.data_path_port = DEFAULT_DATA_PORT;
        }
        if !(1024..=49151).contains(&self.data_path_port) {
            return Err(ApiError::invalid(format!(
                "--data-path-port {}: it has to be between 1024 and 49151",
                self.data_path_port
            )));
        }
        if self.subnet_size == 0 {
            self.subnet_size = DEFAULT_SUBNET;
        }
        let pools = self.default_addr_pool.take().filter(|pools| !pools.is_empty());
        let pools = pools.unwrap_or_else(|| vec![DEFAULT_POOL.to_owned()]);
        for pool in &pools {
            let net: ipnet::Ipv4Net = pool.parse().map_err(|_| {
                ApiError::invalid(format!(
                    "--default-addr-pool {pool}: expected an IPv4 network such as 10.20.0.0/16"
                ))
            })?;
            if self.subnet_size < u32::from(net.prefix_len()) || self.subnet_size > 29 {
                return Err(ApiError::invalid(format!(
                    "--default-addr-pool-mask-length {}: it has to be between the pool's own ({}) \
                     and 29",
                    self.subnet_size,
                    net.prefix_len()
                )));
            }
        }
        self.default_addr_pool = Some(pools);
        Ok(self)
    }
}

impl Join {
    /// Refuses what is wrong and what this version does not have.
    pub fn checked(self) -> Result<Self> {
        refuse_data_path(&self.data_path_addr)?;
        if self.remote_addrs.iter().all(String::is_empty) {
            return Err(ApiError::invalid("at least one remote address is needed to join a swarm"));
        }
        if self.join_token.is_none() {
            return Err(ApiError::invalid(
                "a join token is needed; a manager prints it: docker swarm join-token worker",
            ));
        }
        Ok(self)
    }
}

/// The data path is the cluster networks', which are not there yet.
fn refuse_data_path(address: &str) -> Result<()> {
    if address.is_empty() {
        return Ok(());
    }
    Err(ApiError::not_implemented(
        "--data-path-addr is for cluster networks, which this version does not have yet; leave it out",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docker swarm init` 28 sends.
    const SENT: &str = r#"{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"","DataPathAddr":"",
        "DataPathPort":0,"DefaultAddrPool":null,"SubnetSize":24,"ForceNewCluster":false,
        "Spec":{"Labels":null,"Orchestration":{},"Raft":{},"Dispatcher":{},
        "CAConfig":{"NodeCertExpiry":7776000000000000},"TaskDefaults":{},
        "EncryptionConfig":{"AutoLockManagers":false}},"AutoLockManagers":false,
        "Availability":""}"#;

    fn init(change: impl FnOnce(&mut Init)) -> Result<Init> {
        let mut init: Init = serde_json::from_str(SENT).unwrap();
        change(&mut init);
        init.checked()
    }

    #[test]
    fn what_the_client_sends_is_taken_with_docker_s_defaults() {
        let init = init(|_| {}).unwrap();
        assert_eq!(init.default_addr_pool, Some(vec![DEFAULT_POOL.to_owned()]));
        assert_eq!((init.subnet_size, init.data_path_port), (24, 4789));
        assert_eq!(init.availability, Availability::Active);
    }

    #[test]
    fn what_is_wrong_or_not_there_is_refused_in_words() {
        type Change = fn(&mut Init);
        let cases: [(Change, u16, &str); 5] = [
            (|init| init.data_path_addr = "eth1".to_owned(), 501, "cluster networks"),
            (|init| init.data_path_port = 80, 400, "between 1024 and 49151"),
            (|init| init.subnet_size = 4, 400, "between the pool's own (8) and 29"),
            (|init| init.subnet_size = 30, 400, "and 29"),
            (|init| init.default_addr_pool = Some(vec!["ten".to_owned()]), 400, "IPv4 network"),
        ];
        for (change, status, words) in cases {
            let error = init(change).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
            assert_eq!(error.status(), status);
        }
        let join = Join { remote_addrs: vec!["m1".to_owned()], ..Join::default() };
        assert!(join.checked().unwrap_err().message.contains("a join token is needed"));
        assert!(Join::default().checked().unwrap_err().message.contains("remote address"));
    }
}
