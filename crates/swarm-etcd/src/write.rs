//! Writing: one transaction per write, with its conditions, and what it means when they do not
//! hold.
//!
//! A call that was carried on at another endpoint may have been done by the first one after all.
//! Where the conditions then fail, it is looked up whether what stands there is ours: a lease's id
//! shows that for certain; without one it cannot be known, and that is what is told.

use bytes::Bytes;
use swarm_kv::{Expect, Guard, Item, Result, Revision, StoreError, Write};

use crate::client::Client;
use crate::fault::Fault;
use crate::lease;
use crate::proto::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::proto::request_op::Request;
use crate::proto::response_op::Response;
use crate::proto::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
};
use crate::read::revision;

impl Client {
    /// Writes a key.
    pub(crate) async fn write(&self, write: Write) -> Result<Revision> {
        let lease = match &write.lease {
            Some(lease) => lease::number(lease)?,
            None => 0,
        };
        let key = Bytes::from(write.key.clone());
        let put = PutRequest { key, value: write.value.clone(), lease };
        let guard = write.guard.as_ref();
        let request = transaction(&write.key, write.expect, guard, Request::RequestPut(put));
        let answer = self.call(&request).await.map_err(|fault| match (fault, &write.lease) {
            (Fault::LeaseLost, Some(lease)) => StoreError::LeaseLost { id: lease.id.clone() },
            (fault, _) => self.error(fault),
        })?;
        if answer.value.succeeded {
            return Ok(revision(answer.value.header.map_or(0, |header| header.revision)));
        }
        if !holds(&answer.value, guard) {
            return Err(fenced(guard));
        }
        if answer.doubt
            && let Some(found) = self.key_value(&write.key).await?
            && found.value == write.value
            && found.lease == lease
        {
            return if lease == 0 { Err(self.unclear()) } else { Ok(revision(found.mod_revision)) };
        }
        Err(StoreError::Conflict { key: write.key })
    }

    /// Deletes a key.
    pub(crate) async fn remove(
        &self,
        key: &str,
        expect: Expect,
        guard: Option<&Guard>,
    ) -> Result<()> {
        let delete = DeleteRangeRequest { key: Bytes::from(key.to_owned()) };
        let request = transaction(key, expect, guard, Request::RequestDeleteRange(delete));
        let answer = self.call(&request).await.map_err(|fault| self.error(fault))?;
        if answer.value.succeeded {
            return Ok(());
        }
        if !holds(&answer.value, guard) {
            return Err(fenced(guard));
        }
        if answer.doubt && self.key_value(key).await?.is_none() {
            return Err(self.unclear());
        }
        Err(StoreError::Conflict { key: key.to_owned() })
    }

    fn unclear(&self) -> StoreError {
        StoreError::Unreachable {
            store: self.store.clone(),
            reason:
                "an endpoint fell silent over a write, and whether it was done by this write or \
                     by somebody else's like it cannot be known; read the key again"
                    .to_owned(),
        }
    }
}

/// `change` under its conditions; where they fail, the guard is read in the same instant.
fn transaction(key: &str, expect: Expect, guard: Option<&Guard>, change: Request) -> TxnRequest {
    let own = match expect {
        Expect::Anything => None,
        Expect::Absent => Some(equal(key, CompareTarget::Create, TargetUnion::CreateRevision(0))),
        Expect::Revision(revision) => Some(unchanged(key, revision)),
    };
    let guarded = guard.map(|guard| unchanged(&guard.key, guard.revision));
    let look = guard.map(|guard| {
        let key = Bytes::from(guard.key.clone());
        Request::RequestRange(RangeRequest { key, keys_only: true, ..RangeRequest::default() })
    });
    let operation = |request| RequestOp { request: Some(request) };
    TxnRequest {
        compare: own.into_iter().chain(guarded).collect(),
        success: vec![operation(change)],
        failure: look.map(operation).into_iter().collect(),
    }
}

fn unchanged(key: &str, revision: Revision) -> Compare {
    // A revision that etcd cannot have is one that no key has.
    let revision = i64::try_from(revision.0).unwrap_or(i64::MAX);
    equal(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
}

fn equal(key: &str, target: CompareTarget, value: TargetUnion) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: Bytes::from(key.to_owned()),
        target_union: Some(value),
    }
}

/// Whether the guard held when the conditions failed.
fn holds(answer: &TxnResponse, guard: Option<&Guard>) -> bool {
    let Some(guard) = guard else { return true };
    let looked = answer.responses.first().and_then(|operation| operation.response.as_ref());
    match looked {
        Some(Response::ResponseRange(range)) => {
            range.kvs.first().is_some_and(|kv| revision(kv.mod_revision) == guard.revision)
        }
        _ => false,
    }
}

fn fenced(guard: Option<&Guard>) -> StoreError {
    StoreError::Fenced { key: guard.map(|guard| guard.key.clone()).unwrap_or_default() }
}

/// What the port calls an item.
pub(crate) fn found(kv: crate::proto::KeyValue, key: &str) -> Item {
    crate::read::item(key.to_owned(), kv.value, kv.mod_revision)
}
