//! Reading keys and directories through a session.
//!
//! Every reading begins with ZooKeeper's `sync`, which makes the server asked catch up with the
//! leader; the two are sent together. In the moments in which a leader that was cut off does not
//! know it yet, `sync` can be answered by that one (ZOOKEEPER-2136); writes are decided by the real
//! one always.

use futures_util::{StreamExt as _, stream};
use swarm_kv::{Item, Revision};
use tokio::try_join;
use zookeeper_client::{Client, Error, Stat};

use crate::path;
use crate::plan::Node;

/// How many keys are asked for at once.
const AT_ONCE: usize = 64;

/// A key.
pub(crate) async fn get(client: &Client, key: &str, znode: &str) -> Result<Option<Item>, Error> {
    let (sync, data) = (client.sync("/"), value(client, key, znode));
    let ((), item) = try_join!(sync, data)?;
    Ok(item)
}

/// A directory's keys, in order.
pub(crate) async fn list(
    client: &Client,
    directory: &str,
    znode: &str,
) -> Result<Vec<Item>, Error> {
    let (sync, names) = (client.sync("/"), client.list_children(znode));
    let names = match try_join!(sync, names) {
        Ok(((), names)) => names,
        Err(Error::NoNode) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let keys = names.into_iter().map(|name| path::child(directory, &name)).collect();
    let mut items: Vec<_> =
        values(client, keys).await?.into_iter().filter_map(|(_, item)| item).collect();
    items.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(items)
}

/// Several keys, some at once.
pub(crate) async fn values(
    client: &Client,
    keys: Vec<String>,
) -> Result<Vec<(String, Option<Item>)>, Error> {
    let readings = keys.into_iter().map(|key| async move {
        let item = value(client, &key, &format!("/{key}")).await?;
        Ok::<_, Error>((key, item))
    });
    let mut readings = stream::iter(readings).buffer_unordered(AT_ONCE);
    let mut items = Vec::new();
    while let Some(reading) = readings.next().await {
        items.push(reading?);
    }
    Ok(items)
}

/// Both of a key and of a guard's.
pub(crate) async fn nodes(
    client: &Client,
    znode: &str,
    guard: Option<&str>,
) -> Result<(Option<Node>, Option<Node>), Error> {
    let (sync, node) = (client.sync("/"), client.check_stat(znode));
    let guard = guard.map(|guard| client.check_stat(guard));
    let guard = async {
        match guard {
            Some(guard) => guard.await,
            None => Ok(None),
        }
    };
    let ((), node, guard) = try_join!(sync, node, guard)?;
    let as_node = |stat: Option<Stat>| stat.as_ref().map(Node::from);
    Ok((as_node(node), as_node(guard)))
}

async fn value(client: &Client, key: &str, znode: &str) -> Result<Option<Item>, Error> {
    let (data, stat) = match client.get_data(znode).await {
        Ok(found) => found,
        Err(Error::NoNode) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Node { revision: Revision(revision), bare, .. } = Node::from(&stat);
    let item = || Item { key: key.to_owned(), value: data.into(), revision: Revision(revision) };
    Ok((!bare).then(item))
}
