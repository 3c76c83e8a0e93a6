//! Steps about files and the unit.

use std::time::Duration;

use super::take_part::answers;
use super::{Said, StepError, Work};
use crate::manifest::Manifest;
use crate::plan::unit as unit_text;
use crate::program::{Program, digest};
use crate::script::{BINARY, CLEAN, MANIFEST, PUT, RUN, START, STOP, UNIT, UNIT_FILE};
use crate::ssh::Input;

/// For a small file.
const SHORT: Duration = Duration::from_secs(30);
/// The binary, at some 100 KB/s and more.
const LONG: Duration = Duration::from_mins(10);
/// The unit's own deadlines: 90 s to start, 30 s to stop.
const UNIT_PATIENCE: Duration = Duration::from_mins(2);

/// Notes what is put there.
pub async fn manifest(work: &Work<'_>, host: usize, manifest: &Manifest) -> Said {
    put(work, host, MANIFEST, manifest.text()).await
}

/// Puts the unit.
pub async fn unit(work: &Work<'_>, host: usize) -> Said {
    put(work, host, UNIT_FILE, unit_text()).await
}

async fn put(work: &Work<'_>, host: usize, file: &str, text: String) -> Said {
    let sum = digest(text.as_bytes());
    let input = Input::Bytes(text.into_bytes());
    let arguments = [file, "644", &sum, ""];
    work.seen(host)?.remote.script("write the file", PUT, &arguments, input, SHORT).await?;
    Ok(None)
}

/// Puts the binary, which has to run there before it takes its place.
pub async fn binary(work: &Work<'_>, host: usize) -> Said {
    let Some(Program { path, sum, .. }) = work.program else {
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
    let said = remote.script("remove the files", CLEAN, &arguments, Input::Nothing, SHORT).await?;
    Ok(Some(said.trim().to_owned()).filter(|said| !said.is_empty()))
}
