//! The services of one container, named as gliderlabs/registrator names them (`bridge/bridge.go`,
//! `newService`): the id is `<host>:<container>:<port>`, with `:udp` after it for UDP; the name is the
//! image's last part, with `-<port>` after it where the container has several ports.

use std::collections::BTreeMap;

use crate::facts::{Binding, Facts};
use crate::variables::{Said, tags};

/// What one host's services have in common.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The host's name: the first part of every id, and the mark of its entries.
    pub host: String,
    /// The address of every service, whatever it is published on.
    pub ip: Option<String>,
    /// The address of what is published on all of the host's addresses, where it is known.
    pub own_ip: Option<String>,
    /// Containers' own addresses and ports instead of the published ones.
    pub internal: bool,
    /// Only containers that say SERVICE_NAME.
    pub explicit: bool,
    /// Tags of every service.
    pub tags: Vec<String>,
}

/// One port of one container, as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Unique in the registry.
    pub id: String,
    /// What it is looked up by.
    pub name: String,
    /// Where it is.
    pub ip: String,
    /// On which port.
    pub port: u16,
    /// Its tags, each once.
    pub tags: Vec<String>,
    /// Everything else that SERVICE_* say.
    pub attributes: BTreeMap<String, String>,
    /// The container's id.
    pub container: String,
}

/// The services of a container, and for each port left out by mistake the reason. Ports that are not
/// published, ignored or not named where names are wanted are left out without a word.
pub fn services(facts: &Facts, settings: &Settings) -> (Vec<Service>, Vec<String>) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    if !facts.running {
        return (found, refused);
    }
    let eligible = |binding: &Option<Binding>| settings.internal || binding.is_some();
    let ports = facts.ports.iter().filter(|(_, binding)| eligible(binding));
    let several = ports.clone().count() > 1;
    for ((port, protocol), binding) in ports {
        match service(facts, settings, *port, protocol, binding.as_ref(), several) {
            Ok(Some(service)) => found.push(service),
            Ok(None) => {}
            Err(reason) => refused.push(format!("port {port}/{protocol}: {reason}")),
        }
    }
    (found, refused)
}

fn service(
    facts: &Facts,
    settings: &Settings,
    port: u16,
    protocol: &str,
    binding: Option<&Binding>,
    several: bool,
) -> Result<Option<Service>, String> {
    let said = Said::of(&facts.variables, port);
    if said.get("ignore").is_some() {
        return Ok(None);
    }
    let mut name = match said.get("name") {
        Some(name) => name.to_owned(),
        None if settings.explicit => return Ok(None),
        None => image_name(&facts.image)?.to_owned(),
    };
    if several && !said.own_name {
        name = format!("{name}-{port}");
    }
    let mut tags = tags(said.get("tags").unwrap_or_default());
    tags.extend(settings.tags.iter().cloned());
    let mut id = format!("{}:{}:{port}", settings.host, facts.name);
    if protocol != "tcp" {
        tags.push(protocol.to_owned());
        id = format!("{id}:{protocol}");
    }
    let mut seen = std::collections::BTreeSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    let id = said.get("id").map_or(id, str::to_owned);
    for (what, text) in [("name", &name), ("id", &id)] {
        if text.chars().any(char::is_control) || text.len() > LONGEST {
            return Err(format!("its {what} holds control characters or is too long"));
        }
    }
    let (ip, port) = place(facts, settings, port, binding)?;
    let container = facts.id.clone();
    Ok(Some(Service { id, name, ip, port, tags, attributes: said.attributes(), container }))
}

/// Bytes of a name or an id; an engine's own names are shorter.
const LONGEST: usize = 512;

fn place(
    facts: &Facts,
    settings: &Settings,
    port: u16,
    binding: Option<&Binding>,
) -> Result<(String, u16), String> {
    let own = || {
        let known = settings.ip.clone().or_else(|| settings.own_ip.clone());
        known.ok_or_else(|| "this host's own address is not known".to_owned())
    };
    if settings.internal {
        return match &facts.address {
            Some(address) => Ok((address.clone(), port)),
            None if facts.on_host => Ok((own()?, port)),
            None => Err("the container has no address of its own".to_owned()),
        };
    }
    let binding = binding.ok_or("it is not published")?;
    let published = binding.ip.clone().filter(|_| settings.ip.is_none());
    Ok((published.map_or_else(own, Ok)?, binding.port))
}

/// The last part of an image's name, without tag and digest.
fn image_name(image: &str) -> Result<&str, String> {
    let named = image.split('@').next().unwrap_or_default();
    let last = named.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    let only_id = image.starts_with("sha256:")
        || (image.len() >= 12 && image.bytes().all(|b| b.is_ascii_hexdigit()));
    if name.is_empty() || only_id {
        return Err(format!("the image {image:?} has no name; give SERVICE_NAME"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts(ports: &[(u16, &str, u16)], variables: &[(&str, &str)]) -> Facts {
        let port = |(port, protocol, host): &(u16, &str, u16)| {
            let binding = (*host != 0).then_some(Binding { ip: None, port: *host });
            ((*port, (*protocol).to_owned()), binding)
        };
        Facts {
            id: "c1".into(),
            name: "web.0".into(),
            image: "registry:5000/progrium/nginx:1.2@sha256:ab".into(),
            running: true,
            address: Some("172.17.0.2".into()),
            ports: ports.iter().map(port).collect(),
            variables: variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..Facts::default()
        }
    }

    fn settings() -> Settings {
        Settings { host: "h".into(), own_ip: Some("10.0.0.1".into()), ..Settings::default() }
    }

    fn shown(facts: &Facts, settings: &Settings) -> Vec<String> {
        let (services, refused) = services(facts, settings);
        let line =
            |s: &Service| format!("{} {} {}:{} {}", s.id, s.name, s.ip, s.port, s.tags.join("+"));
        services.iter().map(line).chain(refused).collect()
    }

    #[test]
    fn the_table_of_names() {
        let two = &[(80, "tcp", 8000), (443, "tcp", 4443)][..];
        let one = &[(80, "tcp", 8000)][..];
        for (ports, variables, expected) in [
            (one, &[][..], &["h:web.0:80 nginx 10.0.0.1:8000 "][..]),
            (
                two,
                &[],
                &["h:web.0:80 nginx-80 10.0.0.1:8000 ", "h:web.0:443 nginx-443 10.0.0.1:4443 "],
            ),
            (
                one,
                &[("SERVICE_NAME", "db"), ("SERVICE_TAGS", "a,b,a")],
                &["h:web.0:80 db 10.0.0.1:8000 a+b"],
            ),
            (
                two,
                &[("SERVICE_NAME", "db")],
                &["h:web.0:80 db-80 10.0.0.1:8000 ", "h:web.0:443 db-443 10.0.0.1:4443 "],
            ),
            (
                two,
                &[
                    ("SERVICE_443_NAME", "https"),
                    ("SERVICE_443_ID", "https.1"),
                    ("SERVICE_80_IGNORE", "yes"),
                ],
                &["https.1 https 10.0.0.1:4443 "],
            ),
            (&[(80, "tcp", 8000), (443, "tcp", 0)], &[], &["h:web.0:80 nginx 10.0.0.1:8000 "]),
            (
                &[(53, "tcp", 53), (53, "udp", 53)],
                &[("SERVICE_TAGS", "dns")],
                &[
                    "h:web.0:53 nginx-53 10.0.0.1:53 dns",
                    "h:web.0:53:udp nginx-53 10.0.0.1:53 dns+udp",
                ],
            ),
            (one, &[("SERVICE_IGNORE", "1")], &[]),
            (
                one,
                &[("SERVICE_NAME", "a\nb")],
                &["port 80/tcp: its name holds control characters or is too long"],
            ),
        ] {
            assert_eq!(shown(&facts(ports, variables), &settings()), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_table_of_addresses() {
        let mut published = facts(&[(80, "tcp", 8000)], &[]);
        published
            .ports
            .insert((80, "tcp".into()), Some(Binding { ip: Some("192.0.2.1".into()), port: 8000 }));
        let at = |settings: &Settings, facts: &Facts| shown(facts, settings).join(" ");
        assert!(at(&settings(), &published).contains(" 192.0.2.1:8000"));
        let forced = Settings { ip: Some("10.9.9.9".into()), ..settings() };
        assert!(at(&forced, &published).contains(" 10.9.9.9:8000"));
        let internal = Settings { internal: true, ..settings() };
        assert!(at(&internal, &facts(&[(80, "tcp", 0)], &[])).contains(" 172.17.0.2:80"));
        let homeless = Facts { address: None, ..published.clone() };
        assert!(at(&internal, &homeless).contains("has no address of its own"));
        assert!(at(&internal, &Facts { on_host: true, ..homeless }).contains(" 10.0.0.1:80"));
        let lost = Settings { own_ip: None, ..settings() };
        assert!(at(&lost, &facts(&[(80, "tcp", 1)], &[])).contains("own address is not known"));
        assert!(at(&lost, &published).contains(" 192.0.2.1:8000"));
        assert_eq!(at(&Settings { explicit: true, ..settings() }, &published), "");
        assert_eq!(at(&settings(), &Facts { running: false, ..published }), "");
    }

    #[test]
    fn images_without_a_name_need_one() {
        for (image, name) in [("redis", "redis"), ("a/b/c:1", "c"), ("h:5000/x@sha256:00", "x")] {
            assert_eq!(image_name(image).unwrap(), name);
        }
        for image in ["", "sha256:abcd", "0123456789ab"] {
            assert!(image_name(image).unwrap_err().contains("give SERVICE_NAME"), "{image}");
        }
    }

    proptest! {
        /// However a container is described, ids are its own, and each port is one service at most.
        #[test]
        fn ids_are_unique_within_a_container(
            ports in proptest::collection::btree_set((1..9_u16, prop_oneof!["tcp", "udp"], 0..3_u16), 0..8),
            name in "[a-z]{0,3}",
        ) {
            let ports: Vec<_> = ports.iter().map(|(p, proto, h)| (*p, proto.as_str(), *h)).collect();
            let facts = facts(&ports, &[("SERVICE_NAME", &name)]);
            let (found, refused) = services(&facts, &settings());
            let ids: std::collections::BTreeSet<_> = found.iter().map(|s| s.id.clone()).collect();
            prop_assert_eq!(ids.len(), found.len());
            prop_assert!(refused.is_empty());
            let published = facts.ports.values().filter(|binding| binding.is_some()).count();
            prop_assert_eq!(found.len(), published);
            prop_assert!(found.iter().all(|s| s.id.starts_with("h:web.0:")));
        }
    }
}
