//! Why a connection ended, in words.
//!
//! rustls' own texts name what happened by the `Debug` of enumerations, which the images for boards leave out. What a person can act on
//! is said here without it; what only a developer can, has the name behind it where there is one.

use alloc::borrow::Cow;
use alloc::format;
use core::fmt::Debug;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What `error` means for the person who reads a device's log.
pub(super) fn reason(error: &Error) -> Cow<'static, str> {
    match error {
        Error::AlertReceived(alert) => {
            format!("the gateway ended it with alert {}{}", u8::from(*alert), meaning(*alert)).into()
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the gateway did not prove that it has the key it presents".into()
        }
        Error::InvalidCertificate(_) => "the gateway presented something else than one raw Ed25519 key".into(),
        Error::NoCertificatesPresented => "the gateway presented no key".into(),
        Error::NoApplicationProtocol => "the server does not speak this protocol".into(),
        Error::DecryptError => "a record does not decrypt".into(),
        Error::PeerSentOversizedRecord => "a record is larger than TLS allows".into(),
        Error::InappropriateMessage { got_type, .. } => {
            format!("a record of type {} came out of turn", u8::from(*got_type)).into()
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("a handshake message of type {} came out of turn", u8::from(*got_type)).into()
        }
        Error::InvalidMessage(
            InvalidMessage::MissingData(what)
            | InvalidMessage::TrailingData(what)
            | InvalidMessage::UnexpectedMessage(what)
            | InvalidMessage::IllegalEmptyList(what),
        ) => format!("a malformed message: {what}").into(),
        Error::InvalidMessage(name) => named("a malformed message", name),
        Error::PeerIncompatible(name) => named("the server has no TLS in common with this device", name),
        Error::PeerMisbehaved(name) => named("the server breaks the rules of TLS", name),
        Error::FailedToGetRandomBytes => "there is no randomness".into(),
        Error::General(text) => text.clone().into(),
        other => named("it failed", other),
    }
}

/// With the name behind it, where names are compiled in.
fn named(words: &'static str, name: &dyn Debug) -> Cow<'static, str> {
    let name = format!("{name:?}");
    if name.is_empty() { words.into() } else { format!("{words}: {name}").into() }
}

/// What the alerts mean that a gateway sends to a device.
fn meaning(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnexpectedMessage => " (message out of turn)",
        AlertDescription::BadRecordMac => " (a record did not decrypt)",
        AlertDescription::RecordOverflow => " (record too large)",
        AlertDescription::HandshakeFailure => " (nothing in common)",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => " (this device's key is not taken)",
        AlertDescription::IllegalParameter => " (illegal parameter)",
        AlertDescription::DecodeError => " (malformed message)",
        AlertDescription::DecryptError => " (a proof does not hold)",
        AlertDescription::ProtocolVersion => " (no TLS 1.3)",
        AlertDescription::InternalError => " (its own failure)",
        AlertDescription::CertificateRequired => " (no key presented)",
        AlertDescription::NoApplicationProtocol => " (it does not speak this protocol)",
        _ => "",
    }
}
