use core::fmt;

/// Why a device did not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The declaration does not grant it; add it to `capabilities`.
    NotGranted,
    /// The device has nothing of this name.
    NotFound,
    /// The topic or the message is too long.
    TooLarge,
    /// The device cannot take more now; try again later.
    Busy,
    /// There was no answer in time.
    TimedOut,
    /// Nothing listens there.
    Refused,
    /// Nothing can be reached there.
    Unreachable,
    /// What was asked makes no sense to the device.
    Invalid,
    /// This device cannot do it at all.
    NotSupported,
    /// Anything else, as WASI preview 1 numbers it.
    Other(u16),
}

impl Error {
    /// From a negative answer of the host.
    pub(crate) const fn from_host(answer: i64) -> Self {
        match -answer {
            76 | 63 => Self::NotGranted,
            44 | 43 => Self::NotFound,
            1 | 22 | 35 | 37 => Self::TooLarge,
            6 | 10 | 42 | 51 => Self::Busy,
            73 => Self::TimedOut,
            14 | 15 => Self::Refused,
            23 | 38 | 40 => Self::Unreachable,
            8 | 28 => Self::Invalid,
            52 | 58 => Self::NotSupported,
            other => Self::Other(other as u16),
        }
    }

    /// The host's answer as a result: the value, or the error.
    pub(crate) const fn check(answer: i32) -> Result<u32, Self> {
        if answer < 0 { Err(Self::from_host(answer as i64)) } else { Ok(answer as u32) }
    }
}

/// The variant's name. Written out, because what is derived brings the machinery of pretty printing into every program whose
/// `main` can fail.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted => "NotGranted",
            Self::NotFound => "NotFound",
            Self::TooLarge => "TooLarge",
            Self::Busy => "Busy",
            Self::TimedOut => "TimedOut",
            Self::Refused => "Refused",
            Self::Unreachable => "Unreachable",
            Self::Invalid => "Invalid",
            Self::NotSupported => "NotSupported",
            Self::Other(number) => return write!(f, "Other({number})"),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted => "not granted by the declaration",
            Self::NotFound => "the device has nothing of this name",
            Self::TooLarge => "too long",
            Self::Busy => "the device is busy",
            Self::TimedOut => "no answer in time",
            Self::Refused => "connection refused",
            Self::Unreachable => "cannot be reached",
            Self::Invalid => "invalid",
            Self::NotSupported => "not supported by this device",
            Self::Other(number) => return write!(f, "error {number}"),
        })
    }
}

impl core::error::Error for Error {}
