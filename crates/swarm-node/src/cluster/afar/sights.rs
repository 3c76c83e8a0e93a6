//! What is on the engines, kept up as the leader tells it.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::known::Known;
use super::{Lines, SILENCE, with_each_leader};
use crate::cluster::forward::Forwarder;
use crate::node::Node;

/// See the module.
#[derive(Debug, Default)]
pub struct Afar {
    /// Who keeps it up. One forgets it all before the next one begins.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
    news: watch::Sender<u64>,
}

/// Forgets all of it when nobody looks any more: it would be old when somebody does.
struct WhileLookedAt(Arc<Afar>);

impl Drop for WhileLookedAt {
    fn drop(&mut self) {
        *self.0.known.lock() = Known::default();
    }
}

impl Afar {
    /// What is known. The lock is to be held for a look only.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// Another number after each change.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Keeps it up for as long as it is polled.
    pub async fn run(self: Arc<Self>, node: Arc<Node>, forwarder: Forwarder) {
        let following = with_each_leader(&node, |leader| {
            let (afar, forwarder) = (&self, &forwarder);
            async move {
                let Err(why) = afar.follow(forwarder, &leader).await;
                tracing::debug!(leader, why, "the leader does not tell of the engines");
                afar.changed(|known| known.fail(why));
            }
        });
        self.while_looked_at(following).await;
    }

    /// Does this in turn with others, and forgets all then.
    async fn while_looked_at(self: &Arc<Self>, following: impl Future<Output = ()>) {
        let _turn = self.turn.lock().await;
        let _looked_at = WhileLookedAt(Arc::clone(self));
        following.await;
    }

    async fn follow(
        &self,
        forwarder: &Forwarder,
        leader: &str,
    ) -> Result<std::convert::Infallible, String> {
        let mut lines = Lines::ask(&forwarder.client(leader), "/pool/sights").await?;
        self.known.lock().begin();
        loop {
            let line = lines.next(Some(SILENCE)).await?;
            if line.is_empty() {
                continue;
            }
            let line = serde_json::from_slice(&line);
            let line = line.map_err(|error| format!("it told what is not understood: {error}"))?;
            self.changed(|known| known.take(line));
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock());
        self.news.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use swarm_backend::{NodeSight, SightLine};
    use tokio::sync::oneshot;

    use super::*;

    /// Looks, and hears of one node.
    fn look(
        afar: &Arc<Afar>,
        key: &'static str,
    ) -> (tokio::task::JoinHandle<()>, oneshot::Receiver<()>) {
        let (tells, told) = oneshot::channel();
        let afar = Arc::clone(afar);
        let looking = async move {
            let following = async {
                let node = NodeSight { key: key.to_owned(), ..NodeSight::default() };
                afar.known.lock().begin();
                afar.changed(|known| known.take(SightLine::Node(Box::new(node), Vec::new())));
                afar.changed(|known| known.take(SightLine::Ready));
                tells.send(()).unwrap();
                pending::<()>().await;
            };
            afar.while_looked_at(following).await;
        };
        (tokio::spawn(looking), told)
    }

    #[tokio::test]
    async fn who_leaves_takes_nothing_from_who_comes() {
        let afar = Arc::<Afar>::default();
        let (first, told) = look(&afar, "a");
        told.await.unwrap();
        assert!(afar.known().has("a"));
        // The page is opened anew before the one that was closed is done with.
        let (second, mut told) = look(&afar, "b");
        tokio::task::yield_now().await;
        assert!(told.try_recv().is_err(), "they are not mixed");
        first.abort();
        told.await.unwrap();
        assert!(!afar.known().has("a") && afar.known().has("b"));
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(!afar.known().has("b"), "it would be old when somebody looks again");
    }
}
