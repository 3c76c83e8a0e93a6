//! What clients are told when this node is not what they need; in Docker's sense, and with its statuses
//! (`moby/daemon/cluster`: all of these are 503 but the last).

use swarm_backend::{ApiError, Part};

/// A manager whose keys on disk are locked.
pub const LOCKED: &str = "Swarm is encrypted and needs to be unlocked before it can be used. Please \
    use \"docker swarm unlock\" to unlock it.";

/// A request that needs a manager, on a node that is none.
pub fn no_manager(part: Part, why: Option<&str>) -> ApiError {
    ApiError::unavailable(match part {
        Part::Inactive => {
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
             connect this node to swarm and try again."
                .to_owned()
        }
        Part::Worker => {
            "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster \
             state. Please run this command on a manager node or promote the current node to a \
             manager."
                .to_owned()
        }
        Part::Error => format!(
            "This node is not a swarm manager: it could not go on as a member of its swarm: {}",
            why.unwrap_or("the daemon's log tells why")
        ),
        Part::Locked => LOCKED.to_owned(),
        Part::Pending | Part::Manager => match why {
            None => "This node is not a swarm manager. Manager is being prepared or has trouble \
                     connecting to the cluster."
                .to_owned(),
            Some(why) => format!(
                "This node is not a swarm manager. Manager is being prepared or has trouble \
                 connecting to the cluster: {why}"
            ),
        },
    })
}

/// A request to the cluster endpoint of a node that is no manager.
pub fn no_cluster(part: Part, why: Option<&str>) -> ApiError {
    let todo = match part {
        Part::Inactive => {
            "This node is in no swarm, and there is no cluster to answer for. Use \"docker swarm init\" \
             or \"docker swarm join\" on the node's own endpoint first."
        }
        Part::Worker => {
            "This node is a worker, and the cluster's engines are the managers' to reach. Ask the \
             cluster endpoint of a manager, or promote this node (docker node promote, on a manager). \
             This node's own containers are behind its node endpoint."
        }
        _ => return no_manager(part, why),
    };
    ApiError::unavailable(todo)
}

/// `init` or `join` on a node that is in a swarm.
pub fn already_in() -> ApiError {
    ApiError::unavailable(
        "This node is already part of a swarm. Use \"docker swarm leave\" to leave this swarm and \
         join another one.",
    )
}

/// `leave` on a locked manager, without force.
pub fn leaving_locked() -> ApiError {
    ApiError::unavailable(
        "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this \
         message.",
    )
}

/// `unlock` with a key that does not open what is here.
pub fn wrong_unlock_key() -> ApiError {
    ApiError::unauthorized("swarm could not be unlocked: invalid key provided")
}

/// `leave` on a node that is in none.
pub fn in_none() -> ApiError {
    ApiError::unavailable("This node is not part of a swarm")
}

/// `init` or `join` beside an engine that has its own swarm mode on.
pub fn engine_s_own(engine: &str) -> ApiError {
    ApiError::conflict(format!("{}, then try again", in_its_own(engine)))
}

/// What is wrong with an engine that is in its own swarm, and what helps.
pub fn in_its_own(engine: &str) -> String {
    format!(
        "this node's engine is in a swarm of its own; two cannot share it. To leave the engine's: \
         docker -H {engine} swarm leave --force (its services end, its containers stay)"
    )
}

/// `leave` on a manager, without force.
pub fn leaving_manager(answering: usize, all: usize) -> ApiError {
    let begin =
        "You are attempting to leave the swarm on a node that is participating as a manager. ";
    let left = answering.saturating_sub(1);
    let rest = if all <= 1 {
        "Removing the last manager erases all current state of the swarm. Use `--force` to ignore \
         this message."
            .to_owned()
    } else if left < (all - 1) / 2 + 1 {
        format!(
            "Removing this node leaves {left} managers out of {}. Without a Raft quorum your swarm \
             will be inaccessible. The only way to restore a swarm that has lost consensus is to \
             reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.",
            all - 1
        )
    } else {
        "Demote it to a worker first (docker node demote), or use `--force` to leave all the same."
            .to_owned()
    };
    ApiError::forbidden(format!("{begin}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_says_what_it_would_cost() {
        for (answering, all, words) in
            [(1, 1, "the last manager"), (2, 3, "leaves 1 managers out of 2"), (3, 3, "demote")]
        {
            let error = leaving_manager(answering, all);
            assert!(error.message.contains(words), "{}", error.message);
            assert_eq!(error.status(), 403);
        }
        for part in Part::ALL {
            assert_eq!(no_manager(part, None).status(), 503);
            assert_eq!(no_cluster(part, None).status(), 503);
        }
    }
}
