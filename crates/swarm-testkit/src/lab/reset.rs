//! Making used hosts like new ones, which is quicker than booting others.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::run::each;
use super::{Lab, host};

/// Deletes all that stands on an engine, but for its images.
const EMPTY: &str = r#"
containers=$(docker ps --all --quiet) || exit
[ -z "$containers" ] || docker rm --force --volumes $containers
volumes=$(docker volume ls --quiet) || exit
[ -z "$volumes" ] || docker volume rm --force $volumes
networks=$(docker network ls --quiet --filter type=custom) || exit
[ -z "$networks" ] || docker network rm $networks
exit 0 # A swarm's own network goes with the swarm.
"#;

/// Deletes its images, but for one.
const IMAGES: &str = r#"
docker image ls --all --format '{{.Repository}}:{{.Tag}} {{.ID}}' | while read -r name id; do
    case $name in
    "$1") ;;
    '<none>:<none>') docker rmi --force "$id" ;; # Gone with its child, perhaps.
    *) docker rmi --force "$name" ;;
    esac
done
exit 0
"#;

impl Lab {
    /// All hosts up and healed, their engines running and empty but for the image `keep`.
    pub fn reset(&self, keep: &str) -> Result<()> {
        self.heal_all()?;
        each(&self.hosts(), |i| self.reset_host(i, keep).with_context(|| format!("host {i}")))
    }

    /// Deletes the containers, volumes and networks of a host's engine, which runs; images stay.
    pub fn empty(&self, i: u8) -> Result<()> {
        super::run(self.command(i, "sh")?.args(["-c", EMPTY])).map(drop)
    }

    fn reset_host(&self, i: u8, keep: &str) -> Result<()> {
        if self.init(i).is_none() {
            self.start(i)?;
        }
        if !self.config().host(i).engine {
            return Ok(());
        }
        if !host::answers(&self.sock(i), Duration::from_secs(2)) {
            // Paused, or dead: a dead one cannot be told to go on.
            if self.resume_dockerd(i).is_err() || self.wait_up(i).is_err() {
                self.start_dockerd(i)?;
            }
        }
        self.empty(i)?;
        super::run(self.command(i, "sh")?.args(["-c", IMAGES, "images", keep])).map(drop)
    }
}
