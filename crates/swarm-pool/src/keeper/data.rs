//! Where in a container data is that stays with its engine.

use std::sync::Arc;

use swarm_docker::container::ListEntry;
use swarm_docker::volume::VolumeEntry;

/// Where in a container volumes of its engine are, those that its image asks for too. A volume
/// counts until it is known to be a plugin's: its engine may fall silent before its volumes are read.
pub(super) fn data<'c>(
    container: &'c ListEntry,
    known: &'c [Arc<VolumeEntry>],
) -> impl Iterator<Item = &'c str> {
    let is_plugins =
        |name: &str| known.iter().any(|volume| *volume.name == *name && !volume.is_local());
    // The other mounts are named by their path on the host.
    let here = move |(name, _): &(&str, &str)| !name.starts_with('/') && !is_plugins(name);
    container.mounts().iter().filter(here).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_data_until_it_is_known_to_be_a_plugins() {
        let listed = br#"{"Id":"c","Names":["/c"],"Image":"i","ImageID":"sha256:i","Command":"",
            "Created":1,"Ports":[],"Labels":{},"State":"running","Status":"Up","HostConfig":{},
            "NetworkSettings":{"Networks":{}},"Mounts":[
            {"Type":"volume","Name":"0f","Source":"","Destination":"/data","Driver":"local"},
            {"Type":"volume","Name":"nfs","Source":"","Destination":"/shared","Driver":"nfs"},
            {"Type":"bind","Source":"/srv","Destination":"/srv"}]}"#;
        let entry = ListEntry::parse(listed, "node", "192.0.2.1", None).unwrap();
        assert_eq!(data(&entry, &[]).collect::<Vec<_>>(), ["/data", "/shared"]);
        let list =
            br#"{"Volumes":[{"Name":"nfs","Driver":"nfs","Mountpoint":"","Scope":"global"}]}"#;
        let known: Vec<_> =
            VolumeEntry::parse_list(list).unwrap().0.into_iter().map(Arc::new).collect();
        assert_eq!(data(&entry, &known).collect::<Vec<_>>(), ["/data"]);
    }
}
