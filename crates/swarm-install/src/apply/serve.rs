//! Steps about the services of a pool: their certificates, tokens and units, and whether they work.
//!
//! Invariant: a token goes from the file of one machine into the file of another, readable by root alone; it is in
//! no argument and no text.

use std::time::Duration;

use super::place::{UNIT_PATIENCE, certified, put};
use super::take_part::until;
use super::{Said, StepError, Work};
use crate::asked::Asked;
use crate::certs::Use;
use crate::manifest::Endpoint;
use crate::plan::{Service, part};
use crate::script::{LEAVE_STORE, POOL_DATA, POOL_SOCKET, START, STOP, TOKEN};
use crate::ssh::Input;

/// For a small file.
const SHORT: Duration = Duration::from_secs(30);
/// For a manager to leave: the others have to agree.
const LEAVE: Duration = Duration::from_mins(2);

/// A machine's certificate: a manager reaches others with it too.
pub async fn certificate(work: &Work<'_>, host: usize, planned: &Endpoint) -> Said {
    let noted = work.manifest(host).and_then(|manifest| manifest.pool);
    let manages = noted.is_some_and(|part| part.manages());
    certified(work, host, planned, if manages { Use::Both } else { Use::Server }, &[]).await
}

/// The token of a service, from a manager.
pub async fn token(work: &Work<'_>, host: usize, by: usize, service: Service) -> Said {
    let name = match service {
        Service::Join => "join-token.node",
        Service::Manage => "join-token.manager",
    };
    let file = format!("{POOL_DATA}/{name}");
    let keeper = &work.seen(by)?.remote;
    let token = keeper.script("read the token", TOKEN, &[&file], Input::Nothing, SHORT).await?;
    put(work, host, service.token(), "600", token).await
}

/// A service's unit.
pub async fn unit(work: &Work<'_>, host: usize, service: Service, text: &str) -> Said {
    put(work, host, &service.file(), "644", text.to_owned()).await
}

/// Starts a service, which says itself when it is ready; a manager only has its part among the others when it
/// knows who is primary.
pub async fn start(work: &Work<'_>, host: usize, service: Service, again: bool) -> Said {
    let how = if again { "restart" } else { "start" };
    let what = match service {
        Service::Join => "start the agent",
        Service::Manage => "start the manager",
    };
    let remote = &work.seen(host)?.remote;
    remote.script(what, START, &[service.unit(), how], Input::Nothing, UNIT_PATIENCE).await?;
    if service == Service::Manage {
        let asked = Asked::at(remote, POOL_SOCKET);
        // The next one is restarted after this: two that are away at once may be too many.
        until("the manager serves, and votes with the others", || async {
            asked.is_led().await.map_err(|error| error.to_string())?
        })
        .await?;
    }
    Ok(None)
}

/// Waits until a manager has these engines, and each answers it.
pub async fn engines(work: &Work<'_>, by: usize, wanted: &[String]) -> Said {
    let asked = Asked::at(&work.seen(by)?.remote, POOL_SOCKET);
    until("the engines are in the pool", || async {
        let there = asked.engines().await.map_err(|error| error.to_string())?;
        for address in wanted {
            let Some(engine) = there.iter().find(|engine| engine.address == *address) else {
                return Err(format!("the engine at {address} has not registered"));
            };
            if !engine.healthy {
                return Err(format!("the engine at {address}: {}", engine.error));
            }
        }
        Ok(())
    })
    .await?;
    Ok(None)
}

/// Stops a service.
pub async fn halt(work: &Work<'_>, host: usize, service: Service) -> Said {
    let remote = &work.seen(host)?.remote;
    let what = match service {
        Service::Join => "stop the agent",
        Service::Manage => "stop the manager",
    };
    remote.script(what, STOP, &[service.unit()], Input::Nothing, UNIT_PATIENCE).await?;
    Ok(None)
}

/// A manager leaves those that stay.
pub async fn leave(work: &Work<'_>, host: usize, line: &[String]) -> Said {
    let mut arguments = vec![Service::Manage.unit()];
    arguments.extend(line.iter().map(String::as_str));
    arguments.push("--store-leave");
    let seen = work.seen(host)?;
    if part(seen).is_none() {
        return Err(StepError::Words("it is in no pool".to_owned()));
    }
    seen.remote.script("leave the store", LEAVE_STORE, &arguments, Input::Nothing, LEAVE).await?;
    Ok(None)
}
