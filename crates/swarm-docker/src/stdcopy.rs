//! The framing of attach and logs streams without a terminal: 8 bytes of header (stream, three
//! zeros, length as big-endian u32), then the payload.
//!
//! Source: `POST /containers/{id}/attach`, "Stream format". The pool passes frames through as bytes;
//! this is for the parts that must read or make one.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input (written to standard output by the engine).
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The engine's own error, in place of output.
    SystemError,
}

impl Stream {
    /// The number in the header.
    pub fn number(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::SystemError => 3,
        }
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its stream.
    pub stream: Stream,
    /// Its bytes.
    pub payload: Bytes,
}

/// The bytes are not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first byte names no stream (a terminal's raw output starts like this).
    #[error("{0} is not a stream number (expected 0 to 3)")]
    Stream(u8),
    /// The length is over the reader's limit.
    #[error("a frame of {0} bytes is over the limit of {1}")]
    TooLong(usize, usize),
}

/// The header of a frame of `length` bytes.
pub fn header(stream: Stream, length: u32) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream.number(), 0, 0, 0, a, b, c, d]
}

/// Appends `payload` as frames (more than one only above 4 GiB).
pub fn encode(out: &mut BytesMut, stream: Stream, payload: &[u8]) {
    for part in payload.chunks(u32::MAX as usize) {
        out.extend_from_slice(&header(stream, u32::try_from(part.len()).unwrap_or(u32::MAX)));
        out.extend_from_slice(part);
    }
}

/// Takes the next whole frame off `buffer`; `None` until it is there. A frame longer than `limit`
/// is an error, so that a reader's memory is bounded.
pub fn decode(buffer: &mut BytesMut, limit: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&[number, _, _, _, a, b, c, d]) = buffer.get(..HEADER) else { return Ok(None) };
    let stream = match number {
        0 => Stream::Stdin,
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        3 => Stream::SystemError,
        other => return Err(FrameError::Stream(other)),
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > limit {
        return Err(FrameError::TooLong(length, limit));
    }
    if buffer.len() < HEADER + length {
        return Ok(None);
    }
    buffer.advance(HEADER);
    Ok(Some(Frame { stream, payload: buffer.split_to(length).freeze() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_looks_as_documented() {
        let mut out = BytesMut::new();
        encode(&mut out, Stream::Stderr, b"hi\n");
        assert_eq!(&out[..], b"\x02\0\0\0\0\0\0\x03hi\n");
    }

    #[test]
    fn raw_output_and_giant_frames_are_refused() {
        let decode = |bytes: &[u8]| super::decode(&mut BytesMut::from(bytes), 16);
        assert_eq!(decode(b"hello world"), Err(FrameError::Stream(b'h')));
        assert_eq!(decode(b"\x01\0\0\0\x01\0\0\0"), Err(FrameError::TooLong(1 << 24, 16)));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec((1_u8..3, prop::collection::vec(any::<u8>(), 1..40)), 0..8),
            step in 1_usize..20,
        ) {
            let stream = |number| if number == 1 { Stream::Stdout } else { Stream::Stderr };
            let mut wire = BytesMut::new();
            for (number, payload) in &frames {
                encode(&mut wire, stream(*number), payload);
            }
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for part in wire.chunks(step) {
                buffer.extend_from_slice(part);
                while let Some(frame) = decode(&mut buffer, 1 << 20).unwrap() {
                    read.push((frame.stream, frame.payload.to_vec()));
                }
            }
            let sent: Vec<_> = frames.into_iter().map(|(number, payload)| (stream(number), payload)).collect();
            prop_assert_eq!(read, sent);
            prop_assert!(buffer.is_empty());
        }
    }
}
