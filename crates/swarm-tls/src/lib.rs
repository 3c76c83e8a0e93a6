//! A failed TLS handshake in the words of who must mend it: which side's certificate is wrong, and
//! where to look. rustls's own name of the failure stays in the text, for searching.
//!
//! It leaves to the callers who the other side is, what the files are called that a person gives,
//! and what a failure means for a request.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The two sides, as a person knows them. The texts stand in the middle of sentences.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    /// The other side: `it`, `the engine`.
    pub peer: &'static str,
    /// The same as an owner: `its`, `the engine's`.
    pub peers: &'static str,
    /// Our certificate: `our certificate`, `this manager's certificate`.
    pub ours: &'static str,
    /// Where the authorities are that we trust: `kv.cacertfile`, `this manager's CA file`.
    pub trusted: &'static str,
    /// Where those are that the other side trusts: `the engine's --tlscacert`.
    pub trusted_there: &'static str,
    /// By what we are given our certificate: `kv.certfile and kv.keyfile`.
    pub given_by: &'static str,
    /// What makes us do without TLS, as the end of the sentence.
    pub without: &'static str,
}

/// The failure in words.
pub fn explain(error: &Error, sides: &Sides) -> String {
    let Sides { peer, peers, ours, trusted, trusted_there, given_by, without } = sides;
    match error {
        // A signature that does not verify is an authority of the same name with another key.
        Error::InvalidCertificate(
            kind @ (CertificateError::UnknownIssuer | CertificateError::BadSignature),
        ) => format!("{peers} certificate is not from an authority of {trusted} ({kind:?})"),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("{peers} certificate has expired; it needs a new one ({error})"),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => format!(
            "{peers} certificate is not valid yet; do both machines' clocks tell the same time? \
             ({error})"
        ),
        Error::InvalidCertificate(_) => {
            format!("{peers} certificate is not for this address or not in order: {error}")
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{peer} asks for a client certificate (CertificateRequired); give {given_by}")
        }
        Error::AlertReceived(alert) if blames_certificate(*alert) => format!(
            "{peer} does not accept {ours} (alert {alert:?}); by {given_by} give one that is from \
             an authority of {trusted_there}, for client authentication, and in date"
        ),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{peer} does not speak TLS at this port (InvalidContentType); {without}")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// The words for a connection that ended within the handshake. One that does not speak TLS ends it
/// so, whenever its answer is lost with the connection.
pub fn broken_off(error: &std::io::Error, sides: &Sides) -> String {
    let Sides { peer, without, .. } = sides;
    format!(
        "{peer} broke off the TLS handshake ({error}); if {peer} does not speak TLS at this port, \
         {without}"
    )
}

fn blames_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: Sides = Sides {
        peer: "the store",
        peers: "the store's",
        ours: "our certificate",
        trusted: "ca.pem",
        trusted_there: "the store's ca.pem",
        given_by: "--cert and --key",
        without: "leave --ca away",
    };

    #[test]
    fn each_failure_names_the_side_that_is_wrong() {
        use CertificateError::{
            BadSignature, Expired, NotValidForName, NotValidYet, UnknownIssuer,
        };
        let ours = "the store does not accept our certificate (alert BadCertificate); by --cert \
                    and --key give one that is from an authority of the store's ca.pem";
        for (error, words) in [
            (
                Error::InvalidCertificate(UnknownIssuer),
                "the store's certificate is not from an authority of ca.pem (UnknownIssuer)",
            ),
            (Error::InvalidCertificate(BadSignature), "not from an authority of ca.pem"),
            (Error::InvalidCertificate(Expired), "the store's certificate has expired; it needs"),
            (Error::InvalidCertificate(NotValidYet), "do both machines' clocks"),
            (Error::InvalidCertificate(NotValidForName), "is not for this address"),
            (Error::AlertReceived(AlertDescription::BadCertificate), ours),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "the store asks for a client certificate (CertificateRequired); give --cert and",
            ),
            (
                InvalidMessage::InvalidContentType.into(),
                "does not speak TLS at this port (InvalidContentType); leave --ca away",
            ),
            (Error::AlertReceived(AlertDescription::InternalError), "failed: received fatal alert"),
        ] {
            let text = explain(&error, &SIDES);
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_handshake_that_is_broken_off_may_be_none() {
        for kind in [std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::ConnectionReset] {
            let text = broken_off(&kind.into(), &SIDES);
            assert!(text.starts_with("the store broke off the TLS handshake ("), "{text}");
            let words = "if the store does not speak TLS at this port, leave --ca away";
            assert!(text.ends_with(words), "{text}");
        }
    }
}
