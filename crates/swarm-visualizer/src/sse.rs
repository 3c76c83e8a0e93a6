//! Server-sent events: how one is written, and where a client says it was.
//!
//! Source: the HTML standard, section 9.2. Data is JSON, which has no line ends of its own.

use bytes::{BufMut, Bytes, BytesMut};

/// Sent when there is nothing to say, so that the ends and whatever is between them know that the
/// stream lives.
pub const BEAT: Bytes = Bytes::from_static(b": \n\n");

/// A place in the feed: which feed, and its last change that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Another one each time the feed begins anew.
    pub epoch: u64,
    /// Counts changes.
    pub number: u64,
}

impl Place {
    /// Reads a `Last-Event-ID`; `None` for anything that is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.trim().split_once('-')?;
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        Some(Self { epoch, number: number.parse().ok()? })
    }

    /// As it is sent.
    pub fn text(self) -> String {
        format!("{:x}-{}", self.epoch, self.number)
    }
}

/// One event; `data` must be without line ends, as JSON is.
pub fn event(name: &str, place: Option<Place>, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 64);
    if let Some(place) = place {
        out.put_slice(b"id: ");
        out.put_slice(place.text().as_bytes());
        out.put_u8(b'\n');
    }
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    out.put_slice(data);
    out.put_slice(b"\n\n");
    out.freeze()
}

/// `value` as the data of an event.
pub fn json(name: &str, place: Option<Place>, value: &impl serde::Serialize) -> Bytes {
    // What is sent here has neither maps with other keys than text nor numbers JSON cannot hold.
    event(name, place, &serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_event_looks_as_the_standard_says() {
        let place = Place { epoch: 255, number: 7 };
        let sent = json("change", Some(place), &serde_json::json!({"a": "x\ny\r"}));
        assert_eq!(sent, "id: ff-7\nevent: change\ndata: {\"a\":\"x\\ny\\r\"}\n\n");
        assert_eq!(event("ready", None, b"{}"), "event: ready\ndata: {}\n\n");
    }

    proptest! {
        #[test]
        fn places_round_trip(epoch: u64, number: u64) {
            let place = Place { epoch, number };
            prop_assert_eq!(Place::parse(&place.text()), Some(place));
        }

        #[test]
        fn reading_a_place_is_total(text: String) {
            let _ = Place::parse(&text);
        }
    }
}
