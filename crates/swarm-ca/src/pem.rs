//! PEM: certificates, requests and keys as text.
//!
//! Written in one form (64 letters a line, line feeds, a line feed at the end), because a join token
//! pins the SHA-256 of exactly this text, as Docker's does.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

/// The label of a certificate.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a signing request.
pub(crate) const REQUEST: &str = "CERTIFICATE REQUEST";
/// Letters in a line.
const LINE: usize = 64;
/// More than any chain or bundle of roots takes; what is longer is not looked at.
pub(crate) const MOST_BYTES: usize = 64 * 1024;

/// The text of one section.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The text of certificates, in their order.
pub(crate) fn write_certificates(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| write(CERTIFICATE, certificate)).collect()
}

/// A section: its label and its content, which may be a key.
pub(crate) type Section = (String, Zeroizing<Vec<u8>>);

/// All sections. `Err` says in words what is wrong.
pub(crate) fn read(text: &str) -> Result<Vec<Section>, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_BYTES} bytes"));
    }
    let mut sections = Vec::new();
    for section in Pem::iter_from_reader(Cursor::new(text.as_bytes())) {
        let section = section.map_err(|error| format!("it is no PEM ({error})"))?;
        sections.push((section.label, Zeroizing::new(section.contents)));
    }
    if sections.is_empty() {
        return Err("it holds no PEM section (-----BEGIN …)".to_owned());
    }
    Ok(sections)
}

/// Certificates alone, at least one.
pub(crate) fn read_certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let sections = read(text)?;
    let mut certificates = Vec::with_capacity(sections.len());
    for (label, content) in sections {
        if label != CERTIFICATE {
            // A label is what a person wrote; nothing after the dashes can be a key.
            return Err("it holds something else than certificates".to_owned());
        }
        certificates.push(CertificateDer::from(content.to_vec()));
    }
    Ok(certificates)
}

/// The content of the only section, which has this label.
pub(crate) fn read_one(label: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut sections = read(text)?;
    match (sections.pop(), sections.is_empty()) {
        (Some((found, content)), true) if found == label => Ok(content),
        _ => Err(format!("it has to be one section of {label} and nothing else")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(contents in prop::collection::vec(
            prop::collection::vec(any::<u8>(), 1..300), 1..4))
        {
            let certificates: Vec<_> = contents.into_iter().map(CertificateDer::from).collect();
            let text = write_certificates(&certificates);
            prop_assert!(text.lines().all(|line| line.len() <= LINE));
            prop_assert_eq!(read_certificates(&text), Ok(certificates));
        }

        #[test]
        fn reading_never_panics(text in "(-----(BEGIN|END) [A-Z ]{0,12}-----\n|[A-Za-z0-9+/=:\n ]{0,70}\n){0,8}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn what_is_not_asked_for_is_refused() {
        let key = write("PRIVATE KEY", b"secret");
        let words = read_certificates(&key).unwrap_err();
        assert!(words.contains("something else") && !words.contains("c2VjcmV0"), "{words}");
        assert!(read_one(REQUEST, &key).is_err());
        assert!(read_one(REQUEST, &write(REQUEST, b"a").repeat(2)).is_err());
        assert!(read("").unwrap_err().contains("no PEM section"));
        assert!(read(&"x".repeat(MOST_BYTES + 1)).unwrap_err().contains("longer"));
    }
}
