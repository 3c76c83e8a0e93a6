//! A place for a container or a build, counted and told to its trace: which filters removed how many
//! engines, which one was chosen and why, or why none.

use std::time::Instant;

use swarm_backend::Result;
use swarm_core::placement::request::Request;
use swarm_trace::Traced;

use crate::Pool;
use crate::scheduler::{NotPlaced, Placed};

/// How often a place is looked for while what was removed is being read back.
const PLACEMENTS: usize = 5;

impl Pool {
    /// A place, and its reservation. A refusal counts only when everything that was written
    /// through here had been read back before: what is in the way may have been removed an
    /// instant ago.
    pub(crate) async fn place(&self, request: &Request) -> Result<Placed> {
        let (begun, span) = (Instant::now(), Traced::within(PLACEMENT));
        let decided = span.run(self.place_settled(request)).await;
        self.placed(request, begun, &span, decided)
    }

    /// A place at once, by what is known now.
    pub(super) fn place_now(&self, request: &Request) -> Result<Placed> {
        let (begun, span) = (Instant::now(), Traced::within(PLACEMENT));
        let decided = self.shared.scheduler.place(&self.shared.index, request);
        self.placed(request, begun, &span, decided)
    }

    async fn place_settled(&self, request: &Request) -> std::result::Result<Placed, NotPlaced> {
        let mut settled = false;
        for _ in 1..PLACEMENTS {
            match self.shared.scheduler.place(&self.shared.index, request) {
                Err(_) if !settled => {}
                decided => return decided,
            }
            self.settle_all().await;
            // Other clients go on writing meanwhile.
            settled = self.is_settled();
        }
        self.shared.scheduler.place(&self.shared.index, request)
    }

    fn placed(
        &self,
        request: &Request,
        begun: Instant,
        span: &Traced,
        decided: std::result::Result<Placed, NotPlaced>,
    ) -> Result<Placed> {
        self.shared.metrics.placed(begun.elapsed(), decided.as_ref().err());
        if span.is_heard() {
            let engines = i64::try_from(self.shared.scheduler.size()).unwrap_or(i64::MAX);
            span.set("swarm.placement.engines", engines);
            span.set("swarm.placement.strategy", self.shared.scheduler.strategy());
            span.set("swarm.placement.for", request.subject().to_owned());
            let removed = match &decided {
                Ok(placed) => &placed.removed,
                Err(refused) => &refused.removed,
            };
            span.list(
                "swarm.placement.removed",
                removed.iter().map(|(filter, count)| format!("{filter} removed {count}")),
            );
            match &decided {
                Ok(placed) => {
                    span.set("swarm.engine", placed.name.to_string());
                    span.set("swarm.placement.reason", placed.reason.clone());
                }
                Err(refused) => span.fail("refused", refused.error.message.as_str()),
            }
        }
        decided.map_err(|refused| refused.error)
    }
}

/// What these spans are called.
const PLACEMENT: &str = "placement";
