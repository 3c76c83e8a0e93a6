//! Why a manager was not reached, or did not take this node, in words that a person can act on.

use std::io::ErrorKind;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use swarm_ca::tls::refusal;
use swarm_rpc::{ConnectError, tls_cause};

use super::clocks::{Clocks, with_clocks};

/// The failure in words, with the address.
pub fn explain(error: &ConnectError) -> String {
    let address = match error {
        ConnectError::Unreachable { address, source } => {
            let asks = match source.kind() {
                ErrorKind::ConnectionRefused => "; does a manager listen there?",
                _ => "",
            };
            return format!("{address}: {source}{asks}");
        }
        ConnectError::Late { .. } => {
            return format!("{error}; is the port open in every firewall between?");
        }
        ConnectError::Handshake { address, .. } | ConnectError::Calls { address, .. } => address,
    };
    match tls_cause(error) {
        Some(cause) => format!("{address}: {}", of_tls(cause)),
        None => format!("{error}; is it a manager of a swarm?"),
    }
}

/// As [`explain`]; where dates are the reason, the manager is asked for its clock.
pub async fn explain_asking(error: &ConnectError) -> String {
    let words = explain(error);
    match (error, tls_cause(error)) {
        (ConnectError::Handshake { address, .. }, Some(cause)) if is_of_dates(cause) => {
            // Rare, and large: whoever waits for it need not be.
            with_clocks(words, Box::pin(Clocks::ask(address)).await)
        }
        _ => words,
    }
}

fn is_of_dates(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
        ) | Error::AlertReceived(AlertDescription::CertificateExpired)
    )
}

fn of_tls(error: &Error) -> String {
    if let Some(refusal) = refusal(error) {
        return format!("what answers there is not let pass: {refusal}");
    }
    match error {
        // Roots have the same name: that the key is another one shows in the signature.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => format!("it belongs to another swarm: its certificate is not of our root ({error})"),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => format!("its certificate is not valid yet; is this machine's clock behind? ({error})"),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("its certificate has expired; is this machine's clock ahead? ({error})"),
        Error::AlertReceived(AlertDescription::CertificateExpired) => format!(
            "it says that this node's certificate has expired or is not valid yet; do both \
             machines' clocks tell the same time? ({error})"
        ),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            format!("it is no manager of a swarm, or one of another version ({error})")
        }
        Error::AlertReceived(_) => format!(
            "it does not accept this node's certificate: the node was removed from the swarm, or \
             is of another one ({error})"
        ),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("it does not speak TLS; is that the managers' port (2377)? ({error})")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_what_to_look_at() {
        use CertificateError::{BadSignature, Expired, NotValidYet};
        for (error, words) in [
            (Error::InvalidCertificate(BadSignature), "another swarm"),
            (Error::InvalidCertificate(NotValidYet), "is this machine's clock behind?"),
            (Error::InvalidCertificate(Expired), "is this machine's clock ahead?"),
            (Error::AlertReceived(AlertDescription::CertificateExpired), "clocks tell the same"),
            (Error::AlertReceived(AlertDescription::CertificateUnknown), "was removed"),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "is no manager"),
            (InvalidMessage::InvalidContentType.into(), "does not speak TLS"),
        ] {
            let source = std::io::Error::other(error);
            let error = ConnectError::Handshake { address: "m:2377".to_owned(), source };
            let text = explain(&error);
            assert!(text.starts_with("m:2377: ") && text.contains(words), "{text}");
        }
        let source = std::io::Error::from(ErrorKind::ConnectionRefused);
        let error = ConnectError::Unreachable { address: "m:2377".to_owned(), source };
        assert!(explain(&error).ends_with("does a manager listen there?"));
    }
}
