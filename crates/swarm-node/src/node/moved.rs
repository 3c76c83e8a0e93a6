//! Where a member listens and is reached when its daemon starts again: as its flags say now, and without
//! them as it was. That the swarm hears of it is left to the store, the manager's record and the leader.
//!
//! Invariants: a flag is followed, or it is told why not; an address that was this machine's and is none
//! of its own any more is told. One that never was (behind a translation of addresses) is nobody's
//! mistake.

use std::net::IpAddr;

use swarm_backend::Result;

use super::{Node, UNSAID_LISTEN};
use crate::addresses::{self, Local};
use crate::info::Warning;
use crate::kept::Kept;
use crate::requests::Init;

/// `--listen-addr` and `--advertise-addr`, as they were written; empty where they were not.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub listen: String,
    pub advertise: String,
}

impl Node {
    /// What the daemon's flags say of where it is.
    pub(super) fn said(&self) -> Said {
        let (listen, advertise) = (self.options.listen.clone(), self.options.advertise.clone());
        Said { listen, advertise }
    }

    /// What a client said, and the daemon's flags where it said nothing; an error where that is nowhere.
    pub(super) fn said_by(&self, init: &Init, kept: &Kept) -> Result<Said> {
        let listen = if init.listen_addr == UNSAID_LISTEN { "" } else { &init.listen_addr };
        let flags = self.said();
        let or = |said: &str, flag: String| if said.is_empty() { flag } else { said.to_owned() };
        let said = Said {
            listen: or(listen, flags.listen),
            advertise: or(&init.advertise_addr, flags.advertise),
        };
        followed(&mut kept.clone(), &said, &addresses::observe()?)?;
        Ok(said)
    }

    /// Has `kept` as it was said, and what is to be told of it.
    pub(super) fn settle(&self, kept: &mut Kept, said: &Said) -> Vec<Warning> {
        let locals = match addresses::observe() {
            Ok(locals) => locals,
            Err(error) => return vec![unfollowed(kept, &error.message)],
        };
        let before = kept.clone();
        let mut told = Vec::new();
        if let Err(error) = followed(kept, said, &locals) {
            *kept = before.clone();
            told.push(unfollowed(kept, &error.message));
        }
        if kept.listen != before.listen || kept.advertise != before.advertise {
            let (from, to) = (before.advertise, kept.advertise);
            tracing::info!(%from, %to, listen = %kept.listen, "this node is at another address now");
        }
        if kept.is_own.is_none() || kept.advertise.ip() != before.advertise.ip() {
            kept.is_own = Some(has(&locals, kept.advertise.ip()));
        }
        if *kept != before
            && let Err(error) = kept.save(&self.options.folder)
        {
            let todo =
                "make room there, or mend it; until then it is as before after the next start";
            told.push(Warning::new(format!("this node's address is not kept: {error}"), todo));
        }
        told
    }
}

fn unfollowed(kept: &Kept, why: &str) -> Warning {
    let what = format!(
        "{why}: this node goes on where it was, listening on {} and reached at {}",
        kept.listen, kept.advertise
    );
    Warning::new(what, "start its daemon with an address or interface of this machine")
}

/// Follows what was said; `kept` is half changed where that is nowhere.
fn followed(kept: &mut Kept, said: &Said, locals: &[Local]) -> Result<()> {
    if !said.listen.is_empty() {
        let listen = addresses::listen(&said.listen, locals)?;
        if kept.advertise.port() == kept.listen.port() {
            kept.advertise.set_port(listen.port());
        }
        kept.listen = listen;
    }
    if !said.advertise.is_empty() {
        kept.advertise = addresses::advertise(&said.advertise, kept.listen, locals)?;
    }
    Ok(())
}

fn has(locals: &[Local], address: IpAddr) -> bool {
    locals.iter().any(|local| local.address == address)
}

/// What is to be told of where a member is, on a machine with these addresses.
pub(crate) fn away(kept: &Kept, locals: &[Local]) -> Vec<Warning> {
    let mut told = Vec::new();
    let address = kept.advertise.ip();
    if kept.is_own == Some(true) && !has(locals, address) {
        let what = format!(
            "{address}, where others reach this node, is none of this machine's addresses any more"
        );
        let todo =
            "start its daemon with --advertise-addr and the new one (an address or an interface)";
        told.push(Warning::new(what, todo));
    }
    let listens = kept.listen.ip();
    if !listens.is_unspecified() && !has(locals, listens) {
        let what = format!(
            "{listens}, where this node listens as a manager, is none of this machine's addresses"
        );
        told.push(Warning::new(what, "start its daemon with --listen-addr and one that is"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locals(addresses: &[&str]) -> Vec<Local> {
        let local = |address: &&str| Local {
            interface: "eth0".to_owned(),
            address: address.parse().unwrap(),
        };
        addresses.iter().map(local).collect()
    }

    fn kept(listen: &str, advertise: &str) -> Kept {
        Kept::new(listen.parse().unwrap(), advertise.parse().unwrap(), Vec::new())
    }

    #[test]
    fn what_is_said_is_followed_and_the_port_comes_along() {
        let here = locals(&["10.0.0.9"]);
        for (listen, advertise, then) in [
            ("", "", ("0.0.0.0:2377", "10.0.0.5:2377")),
            ("", "10.0.0.9", ("0.0.0.0:2377", "10.0.0.9:2377")),
            ("", "eth0:99", ("0.0.0.0:2377", "10.0.0.9:99")),
            ("0.0.0.0:4000", "", ("0.0.0.0:4000", "10.0.0.5:4000")),
            ("eth0:4000", "eth0", ("10.0.0.9:4000", "10.0.0.9:4000")),
        ] {
            let mut kept = kept("0.0.0.0:2377", "10.0.0.5:2377");
            let said = Said { listen: listen.to_owned(), advertise: advertise.to_owned() };
            followed(&mut kept, &said, &here).unwrap();
            assert_eq!((&*kept.listen.to_string(), &*kept.advertise.to_string()), then);
        }
        // A port that was chosen apart stays.
        let mut apart = kept("0.0.0.0:2377", "192.0.2.1:77");
        let said = Said { listen: "0.0.0.0:4000".to_owned(), ..Said::default() };
        followed(&mut apart, &said, &here).unwrap();
        assert_eq!(apart.advertise.to_string(), "192.0.2.1:77");
        let said = Said { advertise: "eth7".to_owned(), ..Said::default() };
        let error = followed(&mut apart, &said, &here).unwrap_err();
        assert!(error.message.contains("--advertise-addr eth7"), "{}", error.message);
    }

    #[test]
    fn an_address_that_was_this_machine_s_and_is_gone_is_told() {
        let mut moved = kept("0.0.0.0:2377", "10.0.0.5:2377");
        let told = |kept: &Kept, here: &[&str]| {
            let told = away(kept, &locals(here));
            told.into_iter().map(|one| one.words()).collect::<Vec<_>>().join(" | ")
        };
        assert_eq!(told(&moved, &["10.0.0.9"]), "", "whether it was is not known");
        moved.is_own = Some(false);
        assert_eq!(told(&moved, &["10.0.0.9"]), "", "behind a translation of addresses");
        moved.is_own = Some(true);
        assert_eq!(told(&moved, &["10.0.0.9", "10.0.0.5"]), "");
        let words = told(&moved, &["10.0.0.9"]);
        assert!(words.contains("10.0.0.5") && words.contains("--advertise-addr"), "{words}");
        let bound = kept("10.0.0.5:2377", "10.0.0.5:2377");
        let words = told(&bound, &["10.0.0.9"]);
        assert!(words.contains("listens") && words.contains("--listen-addr"), "{words}");
    }
}
