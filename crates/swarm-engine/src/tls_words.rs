//! A failed handshake in the words of who must mend it: which side's certificate is wrong, and
//! where to look. rustls's own name of the failure stays in the text, for searching.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The failure as `docker info` shows it.
pub fn explain(error: &Error) -> String {
    match error {
        // A signature that does not verify is an authority of the same name with another key.
        Error::InvalidCertificate(
            kind @ (CertificateError::UnknownIssuer | CertificateError::BadSignature),
        ) => format!(
            "the engine's certificate is not from an authority of this manager's CA file \
             ({kind:?})"
        ),
        Error::InvalidCertificate(_) => format!("the engine's certificate is refused: {error}"),
        Error::AlertReceived(alert) if blames_certificate(*alert) => format!(
            "the engine does not accept this manager's certificate (alert {alert:?}); it must be \
             from an authority of the engine's --tlscacert, for client authentication, and in date"
        ),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the engine does not speak TLS at this port (InvalidContentType)".to_owned()
        }
        other => other.to_string(),
    }
}

fn blames_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_names_the_side_that_is_wrong() {
        for (error, words) in [
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "CA file (UnknownIssuer)"),
            (Error::InvalidCertificate(CertificateError::BadSignature), "manager's CA file"),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                "engine's certificate is refused",
            ),
            (Error::AlertReceived(AlertDescription::BadCertificate), "this manager's certificate"),
            (InvalidMessage::InvalidContentType.into(), "does not speak TLS"),
            (Error::AlertReceived(AlertDescription::InternalError), "InternalError"),
        ] {
            let text = explain(&error);
            assert!(text.contains(words), "{text}");
        }
    }
}
