//! What is said on a tunnel before the engine's bytes: which one it is, and whether it is open.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest reason, in bytes: a sentence or two.
const LONGEST: usize = 1 << 10;

/// The id of a tunnel: nobody can guess it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TunnelId(pub [u8; 32]);

impl std::fmt::Debug for TunnelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever knows it could open it, if he were that node.
        f.write_str("TunnelId")
    }
}

/// Writes it; the error in `opened` is why it is not open.
pub async fn write<S>(stream: &mut S, id: &TunnelId, opened: Result<(), &str>) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    let mut said = id.0.to_vec();
    match opened {
        Ok(()) => said.push(0),
        Err(words) => {
            let mut end = words.len().min(LONGEST);
            while !words.is_char_boundary(end) {
                end -= 1;
            }
            let words = words.get(..end).unwrap_or_default();
            said.push(1);
            said.extend(u16::try_from(words.len()).unwrap_or_default().to_be_bytes());
            said.extend(words.bytes());
        }
    }
    stream.write_all(&said).await?;
    stream.flush().await
}

/// Reads it, and not a byte more. The caller has a deadline.
pub async fn read<S>(stream: &mut S) -> io::Result<(TunnelId, Result<(), String>)>
where
    S: AsyncRead + Unpin,
{
    let mut id = [0; 32];
    stream.read_exact(&mut id).await?;
    let id = TunnelId(id);
    match stream.read_u8().await? {
        0 => Ok((id, Ok(()))),
        1 => {
            let length = usize::from(stream.read_u16().await?);
            if length > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reason without end"));
            }
            let mut words = vec![0; length];
            stream.read_exact(&mut words).await?;
            Ok((id, Err(String::from_utf8_lossy(&words).into_owned())))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "neither open nor refused")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_and_what_follows_is_left() {
        let long = "é".repeat(LONGEST);
        for opened in [Ok(()), Err("dockerd is not there"), Err(""), Err(long.as_str())] {
            let (id, mut wire) = (TunnelId([7; 32]), Vec::new());
            write(&mut wire, &id, opened).await.unwrap();
            wire.extend(b"rest");
            let mut wire = wire.as_slice();
            let (read_id, read_opened) = read(&mut wire).await.unwrap();
            assert_eq!((read_id, wire), (id, b"rest".as_slice()));
            match (opened, read_opened) {
                (Ok(()), Ok(())) => {}
                (Err(said), Err(heard)) => assert!(said.starts_with(&heard)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_preamble_is_an_error() {
        for odd in
            [vec![0; 31], [vec![0; 32], vec![2]].concat(), [vec![0; 32], vec![1, 9, 9]].concat()]
        {
            assert!(read(&mut odd.as_slice()).await.is_err());
        }
    }
}
