//! What the signing server needs of the tests it is in.

use std::time::SystemTime;

use swarm_ca::RootCa;

pub fn now() -> SystemTime {
    SystemTime::now()
}

pub fn root() -> RootCa {
    RootCa::create(now()).unwrap()
}
