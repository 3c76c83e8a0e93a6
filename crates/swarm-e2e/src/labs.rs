//! Which lab a test gets.
//!
//! Booting costs seconds, so a test program has one lab of three hosts that its tests share:
//! either side by side ([`shared`]: use names of your own, do not count) or one at a time on
//! clean hosts ([`exclusive`]). A test of unusual hosts boots its own ([`Scratch`]).

use std::ops::Deref;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use swarm_testkit::lab::{Lab, LabConfig};

use crate::binaries;

/// The test image, which every host has: busybox with all its applets.
pub const IMAGE: &str = "busybox:latest";

/// Hosts of the test program's own lab.
const HOSTS: u8 = 3;

static TURN: RwLock<()> = RwLock::new(());

/// The test program's lab, beside other tests.
#[derive(Debug)]
pub struct Shared {
    lab: &'static Lab,
    _turn: RwLockReadGuard<'static, ()>,
}

/// The test program's lab, for this test alone until it is dropped.
#[derive(Debug)]
pub struct Exclusive {
    lab: &'static Lab,
    _turn: RwLockWriteGuard<'static, ()>,
}

/// The test program's lab of three hosts with the test image, while other tests use it too.
pub fn shared() -> Result<Shared> {
    let turn = TURN.read();
    Ok(Shared { lab: common()?, _turn: turn })
}

/// The test program's lab of three hosts: all up, healed, without containers, volumes and
/// networks, and with no image but the test image.
pub fn exclusive() -> Result<Exclusive> {
    let turn = TURN.write();
    let lab = common()?;
    lab.reset(IMAGE).context("clean the hosts after the test before")?;
    lab.image(IMAGE)?;
    Ok(Exclusive { lab, _turn: turn })
}

fn common() -> Result<&'static Lab> {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    let boot = || -> Result<Lab> {
        let lab = leashed(LabConfig::named(name()))?;
        lab.up(HOSTS)?;
        lab.image(IMAGE)?;
        Ok(lab)
    };
    let lab = LAB.get_or_init(|| boot().map_err(|error| format!("{error:#}")));
    lab.as_ref().map_err(|error| anyhow!("the lab did not boot: {error}"))
}

impl Deref for Shared {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        self.lab
    }
}

impl Deref for Exclusive {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        self.lab
    }
}

/// A lab of a test's own; it goes down when it is dropped.
#[derive(Debug)]
pub struct Scratch(Lab);

impl Scratch {
    /// Boots `hosts` hosts, after `change` had its say about them, and gives them the test image.
    pub fn boot(hosts: u8, change: impl FnOnce(&mut LabConfig)) -> Result<Self> {
        let lab = Self::open(change)?;
        lab.up(hosts)?;
        lab.image(IMAGE)?;
        Ok(lab)
    }

    /// The same as machines are before anything of ours is on them: with systemd, and engines that listen on no
    /// port.
    pub fn machines(hosts: u8) -> Result<Self> {
        Self::boot(hosts, |config| {
            config.default.systemd = true;
            config.default.listen.clear();
        })
    }

    /// An empty lab.
    pub fn open(change: impl FnOnce(&mut LabConfig)) -> Result<Self> {
        let mut config = LabConfig::named(name());
        change(&mut config);
        leashed(config).map(Self)
    }
}

impl Deref for Scratch {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.0.down() {
            eprintln!("lab {}: {error:#}", self.0.config().name);
        }
    }
}

fn leashed(config: LabConfig) -> Result<Lab> {
    let lab = Lab::open(config)?;
    let config = lab.config();
    let mut janitor = Command::new(binaries::janitor()?);
    janitor.arg(&config.base).arg(&config.name);
    lab.leash(janitor)?;
    Ok(lab)
}

/// A name that no other lab of this machine has.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
