//! Steps about files and the unit.

use std::net::Ipv6Addr;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::take_part::answers;
use super::{Said, StepError, Work};
use crate::certs::{SERVER_LIFE, Use};
use crate::manifest::{Endpoint, Manifest};
use crate::plan::unit as unit_text;
use crate::program::{Program, digest};
use crate::script::{
    BINARY, CLEAN, ENDPOINT, ENDPOINT_FILES, MANIFEST, PUT, RUN, START, STOP, UNIT, UNIT_FILE,
};
use crate::ssh::Input;

/// For a small file.
const SHORT: Duration = Duration::from_secs(30);
/// The binary, at some 100 KB/s and more.
const LONG: Duration = Duration::from_mins(10);
/// To remove a store, on a slow disk.
const REMOVAL: Duration = Duration::from_mins(2);
/// The unit's own deadlines: 90 s to start, 30 s to stop.
pub const UNIT_PATIENCE: Duration = Duration::from_mins(2);

/// Notes what is put there.
pub async fn manifest(work: &Work<'_>, host: usize, manifest: &Manifest) -> Said {
    put(work, host, MANIFEST, "644", manifest.text()).await?;
    let mut noted = work.noted.lock().unwrap_or_else(PoisonError::into_inner);
    noted.insert(host, manifest.clone());
    Ok(None)
}

/// The daemon's settings for an endpoint on TCP.
fn settings(endpoint: &Endpoint) -> String {
    let port = endpoint.port;
    let is_six = |name: &String| name.parse::<Ipv6Addr>().is_ok();
    // The second one takes both kinds, and needs a machine that knows IPv6.
    let any = if endpoint.names.iter().any(is_six) { "[::]" } else { "0.0.0.0" };
    let [ca, cert, key] = ENDPOINT_FILES;
    format!(
        "# By swarm up --endpoint.\n\
         cluster-host = [\"unix://{RUN}/cluster.sock\", \"tcp://{any}:{port}\"]\n\
         tlsverify = true\ntlscacert = \"{ca}\"\ntlscert = \"{cert}\"\ntlskey = \"{key}\"\n"
    )
}

/// Puts what an endpoint on TCP needs.
pub async fn endpoint(work: &Work<'_>, host: usize, planned: &Endpoint) -> Said {
    let settings = (ENDPOINT, settings(planned));
    certified(work, host, planned, Use::Server, &[settings]).await
}

/// Puts a certificate, its key and its authority's, and other files. That these are there was noted before.
pub async fn certified(
    work: &Work<'_>,
    host: usize,
    planned: &Endpoint,
    to: Use,
    others: &[(&str, String)],
) -> Said {
    let none = || StepError::Words("there is nobody to sign its certificate".to_owned());
    let authority = work.goods.and_then(|goods| goods.authority.as_ref()).ok_or_else(none)?;
    let now = SystemTime::now();
    let issued = authority.machine(&planned.names, to, now)?;
    let ends = (now + SERVER_LIFE).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ends = i64::try_from(ends).unwrap_or(i64::MAX);
    let nothing = || StepError::Words("nothing is noted there".to_owned());
    let mut noted = work.manifest(host).ok_or_else(nothing)?;
    noted.endpoint = Some(Endpoint { authority: authority.sum(), ends, ..planned.clone() });
    let [ca, cert, key] = ENDPOINT_FILES;
    // The key is readable by root alone.
    put(work, host, key, "600", issued.key.reveal().to_owned()).await?;
    put(work, host, cert, "644", issued.certificate).await?;
    put(work, host, ca, "644", authority.certificate.clone()).await?;
    for (file, text) in others {
        put(work, host, file, "644", text.clone()).await?;
    }
    // Last: what was broken off is done again.
    manifest(work, host, &noted).await
}

/// Puts the unit.
pub async fn unit(work: &Work<'_>, host: usize) -> Said {
    let serves = work.manifest(host).is_some_and(|manifest| manifest.endpoint.is_some());
    put(work, host, UNIT_FILE, "644", unit_text(serves)).await
}

/// Puts a file that is no larger than a page or two.
pub async fn put(work: &Work<'_>, host: usize, file: &str, mode: &str, text: String) -> Said {
    let sum = digest(text.as_bytes());
    let input = Input::Bytes(text.into_bytes());
    let arguments = [file, mode, &sum, ""];
    work.seen(host)?.remote.script("write the file", PUT, &arguments, input, SHORT).await?;
    Ok(None)
}

/// Puts the binary, which has to run there before it takes its place.
pub async fn binary(work: &Work<'_>, host: usize) -> Said {
    let Some(Program { path, sum, .. }) = work.goods.map(|goods| &goods.program) else {
        return Err(StepError::Words("there is no binary to put there".to_owned()));
    };
    let arguments = [BINARY, "755", sum, "run"];
    let input = Input::File(path.clone());
    work.seen(host)?.remote.script("send the binary", PUT, &arguments, input, LONG).await?;
    Ok(None)
}

/// Starts the daemon, and waits until it answers.
pub async fn start(work: &Work<'_>, host: usize, how: &str) -> Said {
    let remote = &work.seen(host)?.remote;
    let what = "start the daemon";
    remote.script(what, START, &[UNIT, how], Input::Nothing, UNIT_PATIENCE).await?;
    answers(work, host).await
}

/// Stops the daemon.
pub async fn stop(work: &Work<'_>, host: usize) -> Said {
    let remote = &work.seen(host)?.remote;
    remote.script("stop the daemon", STOP, &[UNIT], Input::Nothing, UNIT_PATIENCE).await?;
    Ok(None)
}

/// Removes what is noted.
pub async fn clean(work: &Work<'_>, host: usize, manifest: &Manifest) -> Said {
    let count = manifest.folders.len().to_string();
    let mut arguments = vec![MANIFEST, RUN, count.as_str()];
    arguments.extend(manifest.folders.iter().map(String::as_str));
    arguments.extend(manifest.files.iter().map(String::as_str));
    let remote = &work.seen(host)?.remote;
    let said =
        remote.script("remove the files", CLEAN, &arguments, Input::Nothing, REMOVAL).await?;
    Ok(Some(said.trim().to_owned()).filter(|said| !said.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_listens_where_its_clients_come_from() {
        let with = |names: &[&str]| Endpoint {
            port: 3376,
            authority: String::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ends: 0,
        };
        let four = settings(&with(&["10.0.0.1", "h1", "127.0.0.1"]));
        assert!(four.contains("\"tcp://0.0.0.0:3376\""), "{four}");
        let six = settings(&with(&["fd00::1", "h1", "127.0.0.1"]));
        assert!(six.contains("\"tcp://[::]:3376\"") && !six.contains("0.0.0.0"), "{six}");
    }
}
