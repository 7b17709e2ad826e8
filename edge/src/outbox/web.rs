//! Sending to an archive over the web by STOW-RS (PS3.18, 10.5), one object a request, and what its answers
//! mean.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plumbline_dimse::is_uid;
use plumbline_shared::printable::printable;
use plumbline_shared::tls::{TlsError, certificates, provider};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, SendBody};
use uuid::Uuid;

use super::letter::Letter;
use super::pace::Paced;
use super::{Tried, retry};
use crate::config::Web;
use crate::store::{Delivery, Sent};

const CONNECT: Duration = Duration::from_secs(10);

/// The longest wait for an answer once the object was sent, and for each read and write.
const ANSWER: Duration = Duration::from_secs(60);

/// The most bytes of an answer that are read.
const MOST_ANSWER: u64 = 1 << 20;

/// The longest rest that an archive may ask for, in seconds.
const MOST_REST: u64 = 3600;

/// The most characters of an answer that are kept.
const MOST_WORDS: usize = 200;

/// The kind of answer that is asked for.
const JSON: &str = "application/dicom+json";

/// What the status of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebMeaning {
    /// It is there, unless the answer names the object as failed.
    Delivered,
    /// The archive lets nothing in: it lets the station not in, or has no room or no time.
    Away,
    /// The archive will not take it.
    Refused,
    /// The archive has failed over this object, and may do so again.
    Failed,
}

/// The statuses from one to another, and what they mean. Of several, the first counts.
pub const WEB_ANSWERS: [(u16, u16, WebMeaning); 10] = [
    (200, 202, WebMeaning::Delivered),
    (401, 401, WebMeaning::Away),
    (403, 403, WebMeaning::Away),
    (408, 408, WebMeaning::Failed),
    // The server before the archive may be given a greater limit meanwhile.
    (413, 413, WebMeaning::Failed),
    (429, 429, WebMeaning::Away),
    (503, 503, WebMeaning::Away),
    (507, 507, WebMeaning::Away),
    (400, 499, WebMeaning::Refused),
    (100, 999, WebMeaning::Failed),
];

/// An archive that stores over the web.
pub struct WebArchive {
    agent: Agent,
    url: String,
    token: Option<PathBuf>,
}

impl WebArchive {
    /// The archive `web`.
    ///
    /// # Errors
    /// If a file of certificates or keys cannot be used.
    pub fn new(web: &Web) -> Result<Self, TlsError> {
        let read = |path| -> Result<Vec<_>, TlsError> {
            let read = certificates(path)?;
            let certificate = |der: &CertificateDer| Certificate::from_der(der).to_owned();
            Ok(read.iter().map(certificate).collect())
        };
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider());
        if let Some(authorities) = &web.authorities {
            tls = tls.root_certs(RootCerts::from(read(authorities)?));
        }
        if let Some((certificate, key)) = &web.certificate {
            let shown = ClientCert::new_with_certs(&read(certificate)?, private_key(key)?);
            tls = tls.client_cert(Some(shown));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // An object is sent where the configuration says, or nowhere.
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("plumbline/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_per_write(Some(ANSWER))
            .timeout_per_read(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .tls_config(tls.build())
            .build();
        Ok(Self {
            agent: config.into(),
            url: web.url.clone(),
            token: web.token.clone(),
        })
    }

    /// The header that lets the station in. The file is read each time: tokens are renewed.
    fn authorization(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.token else {
            return Ok(None);
        };
        let token = fs::read_to_string(path);
        let token = token
            .map_err(|error| format!("the token in {} cannot be read ({error})", path.display()))?;
        Ok(Some(format!("Bearer {}", token.trim())))
    }

    /// Looks whether the archive answers and lets the station in; nothing is stored. Returns what it said.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<String, String> {
        let mut request = self
            .agent
            .get(format!("{}/studies?limit=1", self.url))
            .header(header::ACCEPT, JSON);
        if let Some(authorization) = self.authorization()? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let answer = request.call().map_err(|error| words_of(&error))?;
        let status = answer.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
                "it lets the station not in (status {status}): correct token or tls_certificate"
            )),
            _ if status.is_success() => Ok("answers, and lets the station in".into()),
            // Archives need not offer a search.
            _ if status.is_client_error() => Ok(format!(
                "answers a search with status {status}: whether it stores is seen with the first result"
            )),
            _ => Err(format!("it answers with status {status}: see its log")),
        }
    }

    /// Sends one object.
    pub(super) fn send(&self, delivery: &Delivery, letter: &Letter, paced: Paced) -> Tried {
        // A film may say anything in its place, and it is a part of the address.
        if !is_uid(&letter.study) {
            let why = "its Study Instance UID is no UID: its unit should send it again";
            return Tried::Ended(Sent::Refused(why.into()));
        }
        let authorization = match self.authorization() {
            Ok(authorization) => authorization,
            Err(why) => return Tried::away(why),
        };
        let file = match letter.file() {
            Ok(file) => file,
            Err(error) => return Tried::Failed(error.to_string()),
        };
        let boundary = Uuid::new_v4().simple().to_string();
        let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
        let tail = format!("\r\n--{boundary}--\r\n");
        let bytes = head.len() as u64 + letter.bytes() + tail.len() as u64;
        let mut body = Cursor::new(&head)
            .chain(paced.of(file))
            .chain(Cursor::new(&tail));
        let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let mut request = self
            .agent
            .post(format!("{}/studies/{}", self.url, letter.study))
            .header(header::CONTENT_TYPE, kind)
            .header(header::CONTENT_LENGTH, bytes)
            .header(header::ACCEPT, JSON)
            .config()
            .timeout_global(Some(paced.longest(bytes)))
            .build();
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        match request.send(SendBody::from_reader(&mut body)) {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let text = read_answer(body);
                answered(
                    delivery,
                    &letter.instance,
                    parts.status,
                    &parts.headers,
                    &text,
                )
            }
            Err(
                error @ (Error::HostNotFound
                | Error::ConnectionFailed
                | Error::Tls(_)
                | Error::Rustls(_)),
            ) => Tried::away(words_of(&error)),
            Err(Error::Io(error)) if not_there(&error) => Tried::away(error.to_string()),
            Err(error) => Tried::Failed(words_of(&error)),
        }
    }
}

/// Reads a private key as the HTTP client takes it.
fn private_key(path: &Path) -> Result<PrivateKey<'static>, TlsError> {
    let failed = |why: String| TlsError::File {
        path: path.to_path_buf(),
        what: "private key",
        why,
    };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    PrivateKey::from_pem(&pem).map_err(|error| failed(error.to_string()))
}

/// True if there was no connection in which anything could have been sent.
fn not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            // What TLS has against the archive or the station.
            | io::ErrorKind::InvalidData
    )
}

fn words_of(error: &Error) -> String {
    format!(
        "it does not answer as it should ({error}): see that it runs, and that url and certificates are right"
    )
}

/// Reads what an archive says; one that breaks off there has said enough by its status.
fn read_answer(mut body: Body) -> String {
    let mut bytes = Vec::new();
    let reader = body.as_reader();
    reader.take(MOST_ANSWER).read_to_end(&mut bytes).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn meaning_of(status: StatusCode) -> WebMeaning {
    let status = status.as_u16();
    let answer = WEB_ANSWERS
        .iter()
        .find(|(from, to, _)| (*from..=*to).contains(&status));
    answer.map_or(WebMeaning::Failed, |(_, _, meaning)| *meaning)
}

/// What an answer means for a delivery of `instance`.
fn answered(
    delivery: &Delivery,
    instance: &str,
    status: StatusCode,
    headers: &HeaderMap,
    text: &str,
) -> Tried {
    let told: Option<Value> = serde_json::from_str(text).ok();
    let told = told.as_ref();
    let number = status.as_u16();
    let words = |reason: Option<u64>| match reason {
        Some(reason) => format!("status {number}, reason {reason:04X}"),
        None => match summary(headers, text) {
            summary if summary.is_empty() => format!("status {number}"),
            summary => format!("status {number}: {summary}"),
        },
    };
    let failure = told.and_then(|told| reason(told, FAILED, FAILURE_REASON, instance));
    match (meaning_of(status), failure) {
        // No room there just now (PS3.4, table B.2-1), whatever the request's status is.
        (WebMeaning::Delivered | WebMeaning::Refused, Some(code @ 0xA700..=0xA7FF)) => {
            Tried::Ended(Sent::Later {
                why: words(Some(code)),
                seconds: retry::wait(delivery.attempts + 1, delivery.id),
                failed: false,
            })
        }
        (WebMeaning::Delivered | WebMeaning::Refused, Some(code)) => {
            Tried::Ended(Sent::Refused(words(Some(code))))
        }
        (WebMeaning::Delivered, None) => {
            let warning = told.and_then(|told| reason(told, STORED, WARNING_REASON, instance));
            Tried::Ended(Sent::Delivered(warning.map(|code| words(Some(code)))))
        }
        (WebMeaning::Refused, None) => Tried::Ended(Sent::Refused(words(None))),
        (WebMeaning::Away, _) => Tried::Away {
            why: words(None),
            rest: rest(headers),
        },
        (WebMeaning::Failed, _) => Tried::Failed(words(failure)),
    }
}

/// Failed SOP Sequence and Failure Reason.
const FAILED: &str = "00081198";
const FAILURE_REASON: &str = "00081197";

/// Referenced SOP Sequence and Warning Reason.
const STORED: &str = "00081199";
const WARNING_REASON: &str = "00081196";

/// The reason that an answer (PS3.18, F.2) has for `instance` in one of its sequences.
fn reason(told: &Value, sequence: &str, reason: &str, instance: &str) -> Option<u64> {
    const REFERENCED_INSTANCE: &str = "00081155";
    // Some answer with an array of one.
    let told = told.get(0).unwrap_or(told);
    let items = told.get(sequence)?.get("Value")?.as_array()?;
    let first = |item: &Value, tag: &str| item.get(tag)?.get("Value")?.get(0).cloned();
    let item = items.iter().find(|item| {
        let named = first(item, REFERENCED_INSTANCE);
        // What failed may have been too damaged to be named.
        named.is_none_or(|named| named == instance)
    })?;
    match sequence {
        // It failed, whether it is told why or not.
        FAILED => Some(
            first(item, reason)
                .and_then(|code| code.as_u64())
                .unwrap_or(0x0110),
        ),
        _ => first(item, reason)?.as_u64(),
    }
}

/// The start of an answer that is text for people.
fn summary(headers: &HeaderMap, text: &str) -> String {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.contains("html") || kind.contains("json") || kind.contains("xml") {
        return String::new();
    }
    let text: String = text.trim().chars().take(MOST_WORDS).collect();
    printable(&text).to_string()
}

/// The seconds of rest that an archive asks for (RFC 9110, 10.2.3); a date counts as none.
fn rest(headers: &HeaderMap) -> u64 {
    let seconds = headers.get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.unwrap_or(0).min(MOST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        for (statuses, meaning) in [
            (&[200, 202][..], WebMeaning::Delivered),
            (&[401, 403, 429, 503, 507], WebMeaning::Away),
            (
                &[400, 404, 405, 406, 409, 411, 415, 422],
                WebMeaning::Refused,
            ),
            (
                &[301, 307, 408, 413, 500, 501, 502, 504, 505],
                WebMeaning::Failed,
            ),
        ] {
            for status in statuses {
                let status = StatusCode::from_u16(*status).unwrap();
                assert_eq!(meaning_of(status), meaning, "{status}");
            }
        }
        let asks = |seconds: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, seconds.parse().unwrap());
            rest(&headers)
        };
        assert_eq!(asks("120"), 120);
        assert_eq!(asks("999999"), MOST_REST);
        assert_eq!(asks("Fri, 27 Nov 2026 10:00:00 GMT"), 0);
    }

    #[test]
    fn reasons_are_those_of_the_instance() {
        let answer = r#"{"00081199": {"vr": "SQ", "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.2.3"]},
                 "00081196": {"vr": "US", "Value": [45056]}},
                {"00081155": {"vr": "UI", "Value": ["1.2.5"]}}]},
            "00081198": {"vr": "SQ", "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.2.4"]},
                 "00081197": {"vr": "US", "Value": [290]}},
                {"00081155": {"vr": "UI", "Value": ["1.2.6"]}}]}}"#;
        let answer: Value = serde_json::from_str(answer).unwrap();
        let failed = |instance| reason(&answer, FAILED, FAILURE_REASON, instance);
        assert_eq!(failed("1.2.3"), None);
        assert_eq!(failed("1.2.4"), Some(0x0122));
        assert_eq!(failed("1.2.6"), Some(0x0110));
        let warned = |instance| reason(&answer, STORED, WARNING_REASON, instance);
        assert_eq!(warned("1.2.3"), Some(0xB000));
        assert_eq!(warned("1.2.5"), None);
        for other in ["{}", "[]", "7", r#"{"00081198": {"Value": [{}]}}"#] {
            let other: Value = serde_json::from_str(other).unwrap();
            assert_eq!(reason(&other, STORED, WARNING_REASON, "1"), None);
        }
    }
}
