//! The endpoint on TCP that managers are given where one is asked for.

use super::UpWish;
use crate::look::Seen;
use crate::manifest::Endpoint;
use crate::plan::count;

/// Seconds.
const DAY: i64 = 24 * 3600;
/// Seconds before its end in which a certificate is replaced: 30 days.
const RENEWAL: i64 = 30 * DAY;

/// Why a manager cannot be given the one that is asked for.
pub fn refusal(seen: &Seen, wish: &UpWish) -> Option<String> {
    let asked = wish.endpoint.as_ref()?;
    if seen.facts.is_installed_otherwise() {
        return Some(
            "its daemon was installed by a package: set its cluster-host there (docs/cluster-endpoint.md)"
                .to_owned(),
        );
    }
    let there = seen.facts.manifest.as_ref()?.endpoint.as_ref()?;
    (asked.authority.as_ref() != Some(&there.authority)).then(|| {
        format!(
            "its endpoint has the certificate of another authority than the one in {}: name that folder \
             with --certs",
            asked.folder
        )
    })
}

/// The one that a machine lacks, good for these names.
pub fn lacking(seen: &Seen, port: u16, now: i64, names: Vec<String>) -> Option<Endpoint> {
    if let Some(there) = seen.facts.manifest.as_ref().and_then(|one| one.endpoint.as_ref())
        && there.port == port
        && there.ends > now + RENEWAL
        && names.iter().all(|name| there.names.contains(name))
    {
        return None;
    }
    Some(Endpoint { port, authority: String::new(), names, ends: 0 })
}

/// By what a machine is reached.
pub fn names(seen: &Seen, advertise: Option<&str>) -> Vec<String> {
    let own = [advertise, seen.address.as_deref(), Some(seen.target.host())];
    let own = own.into_iter().flatten().chain([seen.facts.hostname.as_str()]);
    let there = seen.facts.manifest.as_ref().and_then(|one| one.endpoint.as_ref());
    // Others may reach it by names and addresses that are not this person's way.
    let mut names = there.map(|there| there.names.clone()).unwrap_or_default();
    for name in own.chain(["localhost", "127.0.0.1"]) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        if !name.is_empty() && name.chars().all(plain) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// That a manager's certificate ends, where nobody asks for a new one; by the machine's own clock.
pub fn note(seen: &Seen, wish: &UpWish) -> Option<String> {
    let there = seen.facts.manifest.as_ref()?.endpoint.as_ref()?;
    let left = there.ends - seen.facts.clock?;
    if wish.endpoint.is_some() || left > RENEWAL {
        return None;
    }
    let ends = match left {
        ..=0 => "has ended".to_owned(),
        left => {
            format!("ends in {}", count(usize::try_from(left / DAY).unwrap_or_default(), "day"))
        }
    };
    Some(format!(
        "its endpoint's certificate {ends}: the same command with --endpoint {} makes a new one",
        there.port
    ))
}
