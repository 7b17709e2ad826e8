//! Where a station is.

use std::fmt;
use std::str::FromStr;

/// A station's address, `tcp://HOST:PORT`.
///
/// ```
/// use plumbline_host::device::Address;
///
/// let address: Address = "tcp://station-7:7114".parse()?;
/// assert_eq!((address.host(), address.port()), ("station-7", 7114));
/// assert!("station-7".parse::<Address>().is_err());
/// # Ok::<(), plumbline_host::device::DeviceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The host's name or address; one of IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = super::DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix("tcp://").and_then(|rest| {
            let (host, port) = rest.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port > 0)?;
            let inner = (host.strip_prefix('[')).and_then(|host| host.strip_suffix(']'));
            let host = inner.unwrap_or(host);
            // Of IPv6 without brackets nobody knows where the port begins.
            let plain = !host.is_empty() && (inner.is_some() || !host.contains(':'));
            plain.then(|| (host.to_owned(), port))
        });
        match parts {
            Some((host, port)) => Ok(Self { host, port }),
            None => Err(super::DeviceError::Address(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_others_refused() {
        let shown = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        for text in ["station:7114", "10.0.0.7:1", "[::1]:65535"] {
            assert_eq!(shown(&format!("tcp://{text}")).unwrap(), text);
        }
        for text in [
            "",
            "station:7114",
            "serial:/dev/ttyACM0",
            "tcp://station",
            "tcp://:7114",
            "tcp://station:0",
            "tcp://station:70000",
            "tcp://::1:7114",
            "tcp://[]:7114",
        ] {
            let error = shown(text).unwrap_err().to_string();
            assert!(error.contains("tcp://HOST:PORT"), "{error}");
        }
    }
}
