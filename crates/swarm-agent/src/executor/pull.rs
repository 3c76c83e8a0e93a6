//! Getting a task's image, as Docker's executor does: pulled each time, so that a tag that moved is
//! noticed, but for images that are named by their digest or id and are there. A pull that fails is no
//! end: the image may be there. If it is there, a registry that is silent holds the task up for a moment
//! only, and not again for a while: a node that takes over another's tasks may have lost its way to the
//! registry with it.
//!
//! Tasks that are given at once need one pull: who comes while another pulls the same waits for it, and
//! what was pulled a moment ago is not asked for again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderValue;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use swarm_docker::Reference;
use swarm_docker::jsonmessage::Message;
use swarm_engine::{EngineError, Outgoing, refusal};
use swarm_model::Secret;
use tokio::time::{Instant, timeout};

use super::engine::{Engine, encoded};

/// Until the engine has heard from the registry.
const FIRST_WORD: Duration = Duration::from_mins(2);
/// The same, where the image is there already.
const FIRST_WORD_OF_ANOTHER: Duration = Duration::from_secs(2);
/// A pull without any progress for so long is given up.
const SILENCE: Duration = Duration::from_mins(5);
/// How long a pull is as good as a new one.
const FRESH: Duration = Duration::from_secs(10);
/// How long a registry that was silent is not waited for again, where the image is there.
const STILL_SILENT: Duration = Duration::from_mins(1);
/// A line of progress has some hundred bytes.
const LONGEST_LINE: usize = 1 << 20;
/// Images pulled at once or a moment ago; beyond, they are forgotten.
const MOST: usize = 256;

/// How a pull ended.
#[derive(Debug)]
struct Outcome {
    at: Instant,
    /// The registry did not say a word.
    silent: bool,
    result: Result<(), String>,
}

impl Outcome {
    fn of(result: Result<(), EngineError>) -> Self {
        Self {
            at: Instant::now(),
            silent: matches!(result, Err(EngineError::Deadline { .. })),
            result: result.map_err(|error| error.to_string()),
        }
    }

    /// Whether another pull would tell nothing else.
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < FRESH
    }

    /// Whether the registry will hardly say a word now.
    fn is_silence(&self) -> bool {
        self.silent && self.at.elapsed() < STILL_SILENT
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Outcome>>>;

/// The pulls of a node.
#[derive(Debug, Default)]
pub struct Pulls {
    slots: Mutex<HashMap<String, Slot>>,
}

/// How far a pull is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Layer by layer, whether it is there.
    layers: HashMap<String, bool>,
}

impl Progress {
    fn note(&mut self, message: &Message) {
        let (Some(id), Some(status)) = (&message.id, &message.status) else { return };
        match status.as_str() {
            "Pull complete" | "Already exists" => self.layers.insert(id.clone(), true),
            "Pulling fs layer" | "Waiting" | "Downloading" => {
                self.layers.entry(id.clone()).or_insert(false);
                None
            }
            _ => None,
        };
    }

    fn words(&self, image: &str) -> String {
        let done = self.layers.values().filter(|done| **done).count();
        format!("preparing: pulling {image}, {done} of {} layers", self.layers.len())
    }
}

impl Pulls {
    /// Gets an image if it is to be pulled; `told` hears how far it is. The error is in words.
    pub async fn get(
        &self,
        engine: &Engine,
        image: &str,
        auth: Option<&Secret>,
        told: impl FnMut(String),
    ) -> Result<(), String> {
        if is_id(image) {
            return Ok(());
        }
        let slot = self.slot(image, auth);
        let mut outcome = slot.lock().await;
        if let Some(outcome) = outcome.as_ref().filter(|outcome| outcome.is_fresh()) {
            return outcome.result.clone();
        }
        let there = engine.has_image(image).await.is_ok_and(|there| there);
        if let Some(outcome) = outcome.as_ref().filter(|outcome| there && outcome.is_silence()) {
            return outcome.result.clone();
        }
        let by_digest = Reference::parse(image).is_ok_and(|reference| reference.digest.is_some());
        let result = if by_digest && there {
            Ok(())
        } else {
            let first_word = if there { FIRST_WORD_OF_ANOTHER } else { FIRST_WORD };
            pull(engine, image, auth, first_word, told).await
        };
        outcome.insert(Outcome::of(result)).result.clone()
    }

    fn slot(&self, image: &str, auth: Option<&Secret>) -> Slot {
        let mut slots = self.slots.lock();
        if slots.len() >= MOST {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        // What one may pull, another may not.
        let mut key = image.to_owned();
        if let Some(auth) = auth {
            let mut hasher = DefaultHasher::new();
            auth.reveal().hash(&mut hasher);
            key = format!("{key} {:x}", hasher.finish());
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

/// `sha256:…`: there or nowhere.
fn is_id(image: &str) -> bool {
    image.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64)
}

/// The query of `POST /images/create`; a digest stays with the name.
fn query(image: &str) -> String {
    match Reference::parse(image).map(Reference::or_latest) {
        Ok(Reference { digest: None, tag: Some(tag), domain, path }) => {
            let bare = Reference { domain, path, tag: None, digest: None };
            format!("fromImage={}&tag={}", encoded(&bare.familiar()), encoded(&tag))
        }
        _ => format!("fromImage={}", encoded(image)),
    }
}

async fn pull(
    engine: &Engine,
    image: &str,
    auth: Option<&Secret>,
    first_word: Duration,
    mut told: impl FnMut(String),
) -> Result<(), EngineError> {
    let mut request = Outgoing {
        method: Method::POST,
        ..Outgoing::get(format!("/images/create?{}", query(image)))
    };
    if let Some(auth) = auth {
        let mut value = HeaderValue::try_from(auth.reveal()).map_err(|_| {
            EngineError::Request("the registry's credentials are no header value".to_owned())
        })?;
        value.set_sensitive(true);
        request.headers.insert("x-registry-auth", value);
    }
    let mut reply = engine.client.send(request, Some(first_word)).await?;
    if !reply.status.is_success() {
        return Err(refusal(reply).await);
    }
    let mut progress = Progress::default();
    let mut line = Vec::new();
    let mut failure = None;
    loop {
        let frame = timeout(SILENCE, reply.body.frame()).await;
        let frame =
            frame.map_err(|_| EngineError::Deadline { what: "progress", after: SILENCE })?;
        let data = match frame {
            None => break,
            Some(frame) => frame
                .map_err(|error| EngineError::Body(error.to_string()))?
                .into_data()
                .unwrap_or_default(),
        };
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.len() > LONGEST_LINE {
                return Err(EngineError::TooLarge { what: "progress", limit: LONGEST_LINE });
            }
            if part.ends_with(b"\n") {
                if let Ok(message) = Message::parse(&line) {
                    failure = message.failure().map(str::to_owned).or(failure);
                    progress.note(&message);
                }
                line.clear();
            }
        }
        if !progress.layers.is_empty() {
            told(progress.words(image));
        }
    }
    match failure {
        // As the engine would have refused it, had it known before its answer began.
        Some(message) => Err(EngineError::Status { code: 500, message }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_asked_for_by_name_and_tag_or_by_digest() {
        let digest = "a".repeat(64);
        for (image, expected) in [
            ("busybox", "fromImage=busybox&tag=latest".to_owned()),
            ("reg:5000/a/b:1", "fromImage=reg%3A5000%2Fa%2Fb&tag=1".to_owned()),
            (&format!("a:1@sha256:{digest}"), format!("fromImage=a%3A1%40sha256%3A{digest}")),
        ] {
            assert_eq!(query(image), expected);
        }
        assert!(is_id(&format!("sha256:{digest}")));
        assert!(!is_id("sha256:abc"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_registry_is_not_waited_for_at_each_start() {
        let what = "an answer";
        let silent = Outcome::of(Err(EngineError::Deadline { what, after: FIRST_WORD }));
        let refused = Outcome::of(Err(EngineError::Status { code: 404, message: "no".to_owned() }));
        let pulled = Outcome::of(Ok(()));
        assert!(silent.is_fresh() && refused.is_fresh() && pulled.is_fresh());
        tokio::time::advance(FRESH).await;
        assert!(
            !silent.is_fresh() && !refused.is_fresh(),
            "an image that is not there is asked for"
        );
        assert!(!pulled.is_fresh(), "the tag may have moved");
        assert!(silent.is_silence(), "an image that is there is not waited for");
        assert!(!refused.is_silence() && !pulled.is_silence());
        tokio::time::advance(STILL_SILENT).await;
        assert!(!silent.is_silence(), "the registry may be back");
    }

    #[test]
    fn progress_counts_layers() {
        let mut progress = Progress::default();
        for (id, status) in [
            ("latest", "Pulling from library/a"),
            ("1", "Already exists"),
            ("2", "Pulling fs layer"),
            ("2", "Downloading"),
            ("3", "Waiting"),
            ("2", "Pull complete"),
        ] {
            progress.note(&Message::status(id, status));
        }
        assert_eq!(progress.words("a:1"), "preparing: pulling a:1, 2 of 3 layers");
    }
}
