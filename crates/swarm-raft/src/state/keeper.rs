//! The state as the library asks for it: to be applied to, to be cut into a snapshot, to be replaced by one.

use std::io;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use swarm_store::{Loader, Machine};

use super::{Current, Inner, Parcel, Parceled, State, odd};
use crate::kinds::{Kinds, LogId, Membership, Meta};

/// The library's handle of the state.
#[derive(Debug, Clone)]
pub(crate) struct Keeper(pub Arc<State>);

impl Keeper {
    fn parcel(&self, generation: u64, chunks: u64) -> Parcel {
        Parcel { source: Arc::clone(&self.0), generation, chunks, machine: None }
    }

    /// Reads a snapshot that did not come in over the wire.
    async fn copy(&self, parcel: &Parcel) -> io::Result<(u64, Machine)> {
        let generation = self.0.next_generation();
        let mut loader = Loader::new(self.0.now());
        for number in 0..parcel.chunks {
            let chunk = parcel.source.chunk(parcel.generation, number).await?;
            loader.take(&chunk).map_err(|error| odd(&error))?;
            self.0.keep(generation, number, chunk).await?;
        }
        Ok((generation, loader.finish().map_err(|error| odd(&error))?))
    }
}

impl RaftStateMachine<Kinds> for Keeper {
    type SnapshotData = Parcel;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        let inner = self.0.inner.read();
        Ok((inner.applied, inner.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Kinds>>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let outcome = self.0.apply_one(entry);
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        self.0.news.send_replace(());
        if self.0.is_snapshot_due() {
            self.0.due.notify_one();
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &Meta, parcel: Parcel) -> io::Result<()> {
        let (generation, mut machine) = match parcel.machine {
            Some(machine) => (parcel.generation, *machine),
            None => self.copy(&parcel).await?,
        };
        let chunks = parcel.chunks;
        self.0.establish(Current { generation, chunks, meta: meta.clone() }).await?;
        machine.restart_leases(self.0.now());
        *self.0.inner.write() =
            Inner { machine, applied: meta.last_log_id, membership: meta.last_membership.clone() };
        self.0.news.send_replace(());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Parceled>> {
        let current = self.0.current.lock().clone();
        Ok(current.map(|Current { generation, chunks, meta }| Snapshot {
            meta,
            snapshot: self.parcel(generation, chunks),
        }))
    }
}

impl RaftSnapshotBuilder<Kinds> for Keeper {
    type SnapshotData = Parcel;

    async fn build_snapshot(&mut self) -> io::Result<Parceled> {
        let (snapshot, meta) = {
            let inner = self.0.inner.read();
            let meta =
                Meta { last_log_id: inner.applied, last_membership: inner.membership.clone() };
            (inner.machine.snapshot(), meta)
        };
        let generation = self.0.next_generation();
        let mut chunks = 0;
        for chunk in snapshot.chunks() {
            self.0.keep(generation, chunks, chunk).await?;
            chunks += 1;
        }
        self.0.establish(Current { generation, chunks, meta: meta.clone() }).await?;
        Ok(Snapshot { meta, snapshot: self.parcel(generation, chunks) })
    }
}
