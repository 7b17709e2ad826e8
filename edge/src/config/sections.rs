//! Reading each table of `station.toml`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use plumbline_shared::decode::Characters;
use plumbline_shared::tls::Tls;
use plumbline_wire::panel::Settings as BoardSettings;
use toml::de::DeValue;

use super::settings::{
    Address, After, Archive, Destination, Dicom, Entity, Folder, Http, Link, Panel, Peer,
    PeerService, Web, Worklist,
};
use super::table::{self, Table, set};
use crate::panel::{Pins, Place};
use crate::quality::IntendedUse;
use crate::stick::is_public_key;
use crate::store::Kind;

/// How long after an exposure its film counts as missing, in seconds: units take up to a minute to
/// make one.
const FILM_WITHIN: u64 = 180;

/// The most bytes of an AE title (PS3.5, 6.2).
const MOST_TITLE: usize = 16;

/// The fewest KiB a second that a destination may be limited to: with fewer a film would take hours.
const MOST_SLOW: u64 = 16;

/// How often the worklist is asked, in minutes, unless said otherwise.
const WORKLIST_MINUTES: u64 = 10;

/// The character set of answers of a worklist that name none, unless said otherwise: also that of ASCII.
const UTF_8: &str = "ISO_IR 192";

/// The most hosts at a time, unless said otherwise.
const HOSTS: usize = 4;

impl Dicom {
    pub(super) fn take(&mut self, mut table: Table) {
        const ADDRESS: &str = "an address and a port, such as \"0.0.0.0:11112\"";
        const NETWORK: &str =
            "an address such as \"10.0.0.7/32\" or a network such as \"10.0.0.0/24\"";
        set(
            &mut self.listen,
            table.take("listen", table::parsed(ADDRESS)),
        );
        set(&mut self.ae_title, table.take("ae_title", title));
        set(&mut self.callers, table.take("callers", table::list(title)));
        set(&mut self.senders, table.take("senders", table::list(title)));
        let networks = table.take("addresses", table::list(table::parsed(NETWORK)));
        set(&mut self.addresses, networks);
        set(
            &mut self.for_processing,
            table.take("for_processing", table::boolean),
        );
        let most = table.take("associations", table::whole(1..65));
        set(&mut self.associations, most.map(|most| most as usize));
        self.tls = take_tls(&mut table);
        table.finish();
    }
}

impl Folder {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        const WORDS: &[(&str, &str)] =
            &[("leave", "leave"), ("move", "move"), ("delete", "delete")];
        let path = table.take("path", table::path);
        let after = table.take("after", table::one_of(WORDS));
        let moved_to = table.take("moved_to", table::path);
        table.finish();
        let Some(path) = path else {
            return (None, Some("[folder] has no path: name the folder to watch"));
        };
        let after = match (after.unwrap_or("leave"), moved_to) {
            ("move", Some(folder)) => After::Move(folder),
            ("move", None) => {
                return (
                    None,
                    Some("after = \"move\" needs moved_to, the folder to move files to"),
                );
            }
            (_, Some(_)) => {
                return (
                    None,
                    Some("moved_to is of use only with after = \"move\": add it"),
                );
            }
            ("delete", None) => After::Delete,
            _ => After::Leave,
        };
        (Some(Self { path, after }), None)
    }
}

impl Panel {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        let device = table.take("device", table::path);
        let chip = table.take("gpio", table::path);
        let mut line = |key| {
            table
                .take(key, table::whole(0..1024))
                .map(|line| line as u32)
        };
        let (buzzer, button) = (line("gpio_buzzer"), line("gpio_button"));
        let exposure = line("gpio_exposure");
        let lamps = table.take("gpio_lamps", |value| {
            let lines = table::list(|line| table::whole(0..1024)(line))(value)?;
            let lines: Vec<_> = lines.into_iter().map(|line| line as u32).collect();
            <[u32; 6]>::try_from(lines).map_err(|_| "must be six numbers of lines".to_owned())
        });
        let seconds = table.take("film_within_seconds", table::whole(0..86_401));
        let firmware = table.take("firmware", table::path);
        let mut settings = BoardSettings::DEFAULT;
        let percent = |percent: Option<u64>| percent.map(|percent| percent as u8);
        let brightness = table.take("brightness", table::whole(1..101));
        set(&mut settings.brightness, percent(brightness));
        let volume = table.take("volume", table::whole(0..101));
        set(&mut settings.volume, percent(volume));
        set(
            &mut settings.exposure_active_low,
            table.take("exposure_active_low", table::boolean),
        );
        table.finish();
        let place = match (device, chip, lamps) {
            (Some(device), None, None) => Place::Board(device),
            (None, Some(chip), Some(lamps)) => Place::Pins(Pins {
                chip,
                lamps,
                buzzer,
                button,
                exposure,
            }),
            _ => {
                let fault = "[panel] needs device, the board's serial line, or else gpio and \
                             gpio_lamps, pins of this computer";
                return (None, Some(fault));
            }
        };
        let seconds = seconds.unwrap_or(FILM_WITHIN);
        let panel = Self {
            place,
            film_within: (seconds > 0).then(|| Duration::from_secs(seconds)),
            settings,
            firmware,
        };
        (Some(panel), None)
    }
}

impl Http {
    pub(super) fn take(&mut self, mut table: Table) {
        let listen = table.take("listen", |value| {
            let address: SocketAddr =
                table::parsed("an address and a port, such as \"127.0.0.1:8043\"")(value)?;
            match address.ip().is_loopback() {
                true => Ok(address),
                false => Err(format!(
                    "is {address}, which other computers can reach: write one of 127.0.0.1"
                )),
            }
        });
        set(&mut self.listen, listen);
        table.finish();
    }
}

impl Link {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        const ADDRESS: &str = "an address and a port, such as \"0.0.0.0:7114\"";
        let listen = table.take("listen", table::parsed(ADDRESS));
        let certificate = table.take("certificate", table::path);
        let key = table.take("key", table::path);
        let authorities = table.take("authorities", table::path);
        let connections = table.take("connections", table::whole(1..65));
        table.finish();
        let (Some(listen), Some(certificate), Some(key), Some(authorities)) =
            (listen, certificate, key, authorities)
        else {
            let fault = "[link] needs listen, certificate, key and authorities: films and results \
                         do not go over a network without TLS";
            return (None, Some(fault));
        };
        let link = Self {
            listen,
            tls: Tls {
                certificate,
                key,
                authorities,
            },
            connections: connections.map_or(HOSTS, |most| most as usize),
        };
        (Some(link), None)
    }
}

impl Destination {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        const KINDS: &[(&str, Kind)] = &[
            ("originals", Kind::Original),
            ("reports", Kind::Report),
            ("captures", Kind::Capture),
            ("pages", Kind::Page),
            ("deidentified", Kind::Deidentified),
        ];
        let name = table.take("name", table::text);
        let address = table.take("address", host_and_port);
        let ae_title = table.take("ae_title", title);
        let url = table.take("url", web_root);
        let token = table.take("token", table::path);
        let folder = table.take("folder", table::path);
        let stick = table.take("stick", table::path);
        let sends = table.take("sends", |value| {
            let mut kinds = table::list(table::one_of(KINDS))(value)?;
            kinds.sort_unstable();
            kinds.dedup();
            match kinds.is_empty() {
                true => Err("is empty: name what is sent, or leave the destination out".into()),
                false => Ok(kinds),
            }
        });
        let pace = table.take("kib_per_second", table::whole(MOST_SLOW..1 << 20));
        let trust = match url {
            Some(_) => Trust::Web(take_web_trust(&mut table)),
            None => Trust::Both(take_tls(&mut table)),
        };
        let commits = table.take("commitment", table::boolean);
        table.finish();
        let address = match (address, ae_title, url, (folder, stick), trust) {
            (None, None, ..) if commits == Some(true) => {
                let fault = "commitment is asked for by DICOM: leave it out where there is no \
                             ae_title";
                return (None, Some(fault));
            }
            (Some(address), Some(ae_title), None, (None, None), Trust::Both(tls))
                if token.is_none() =>
            {
                Address::Archive(Archive {
                    entity: Entity {
                        address,
                        ae_title,
                        tls,
                    },
                    commits: commits.unwrap_or(false),
                })
            }
            (None, None, Some(url), (None, None), Trust::Web((authorities, certificate))) => {
                let web = Web {
                    url,
                    token,
                    authorities,
                    certificate,
                };
                if let Some(fault) = insecure(&web) {
                    return (None, Some(fault));
                }
                Address::Web(web)
            }
            (None, None, None, (Some(folder), None), Trust::Both(None)) if token.is_none() => {
                Address::Folder(folder)
            }
            (None, None, None, (None, Some(root)), Trust::Both(None)) if token.is_none() => {
                Address::Stick(root)
            }
            _ => {
                let fault = "a [[destination]] needs address and ae_title, or else url, or else \
                             folder or stick, and token only with url";
                return (None, Some(fault));
            }
        };
        let Some(name) = name else {
            let fault = "a [[destination]] needs a name, which it keeps: by it the station knows \
                         what it has sent there";
            return (None, Some(fault));
        };
        let sends = sends.unwrap_or_else(|| vec![Kind::Report, Kind::Capture]);
        if sends.contains(&Kind::Deidentified) && sends.len() > 1 {
            let fault = "\"deidentified\" is sent alone: who also gets films or reports with names \
                         knows whose films the others are";
            return (None, Some(fault));
        }
        let destination = Self {
            name,
            address,
            sends,
            pace: pace.map(|kib| kib << 10),
        };
        (Some(destination), None)
    }
}

impl Worklist {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        let address = table.take("address", host_and_port);
        let ae_title = table.take("ae_title", title);
        let tls = take_tls(&mut table);
        let unit = table.take("unit", title);
        let characters = table.take("characters", |value| {
            let term = table::text(value)?;
            match Characters::of(&term).is_known() {
                true => Ok(term),
                false => Err(format!(
                    "is {term:?}, no character set of DICOM: write its defined term, such as \
                     \"ISO_IR 100\""
                )),
            }
        });
        let minutes = table.take("every_minutes", table::whole(1..1441));
        table.finish();
        let (Some(address), Some(ae_title)) = (address, ae_title) else {
            return (None, Some("[worklist] needs address and ae_title"));
        };
        let worklist = Self {
            entity: Entity {
                address,
                ae_title,
                tls,
            },
            unit: unit.unwrap_or_default(),
            characters: characters.unwrap_or_else(|| UTF_8.to_owned()),
            every: Duration::from_secs(60 * minutes.unwrap_or(WORKLIST_MINUTES)),
        };
        (Some(worklist), None)
    }
}

impl Peer {
    pub(super) fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        let services = &[
            ("storage", PeerService::Storage),
            ("worklist", PeerService::Worklist),
        ];
        let name = table.take("name", table::text);
        let address = table.take("address", host_and_port);
        let ae_title = table.take("ae_title", title);
        let service = table.take("service", table::one_of(services));
        table.finish();
        match (name, address, ae_title, service) {
            (Some(name), Some(address), Some(ae_title), Some(service)) => {
                let peer = Self {
                    name,
                    address,
                    ae_title,
                    service,
                };
                (Some(peer), None)
            }
            _ => (
                None,
                Some("a [[peer]] needs name, address, ae_title and service, each a text"),
            ),
        }
    }
}

pub(super) fn take_intended_use(intended: &mut IntendedUse, mut table: Table) {
    let years = |years: Option<u64>| years.map(|years| years as u32);
    let youngest = table.take("youngest", table::whole(0..121));
    set(&mut intended.youngest, years(youngest));
    let oldest = table.take("oldest", table::whole(1..121));
    set(&mut intended.oldest, years(oldest));
    set(
        &mut intended.modalities,
        table.take("modalities", table::list(table::text)),
    );
    set(
        &mut intended.body_parts,
        table.take("body_parts", table::list(table::text)),
    );
    set(
        &mut intended.other_views,
        table.take("other_views", table::list(table::text)),
    );
    table.finish();
}

/// Takes the settings of TLS: all three or none, so that nobody thinks that it is on when it is not.
fn take_tls(table: &mut Table) -> Option<Tls> {
    let certificate = table.take("tls_certificate", table::path);
    let key = table.take("tls_key", table::path);
    let authorities = table.take("tls_authorities", table::path);
    match (certificate, key, authorities) {
        (Some(certificate), Some(key), Some(authorities)) => Some(Tls {
            certificate,
            key,
            authorities,
        }),
        (None, None, None) => None,
        _ => {
            table.incomplete(
                &["tls_certificate", "tls_key", "tls_authorities"],
                "TLS needs tls_certificate, tls_key and tls_authorities: set all three",
            );
            None
        }
    }
}

/// How a destination is known to be the right one.
enum Trust {
    /// By certificates of both sides.
    Both(Option<Tls>),
    /// By its certificate; it may ask for the station's.
    Web(WebTrust),
}

/// The file of authorities, and those of the station's certificate and key.
type WebTrust = (Option<PathBuf>, Option<(PathBuf, PathBuf)>);

fn take_web_trust(table: &mut Table) -> WebTrust {
    let authorities = table.take("tls_authorities", table::path);
    let certificate = table.take("tls_certificate", table::path);
    let key = table.take("tls_key", table::path);
    if certificate.is_some() != key.is_some() {
        table.incomplete(
            &["tls_certificate", "tls_key"],
            "tls_certificate and tls_key go together: set both, or none",
        );
    }
    (authorities, certificate.zip(key))
}

/// What is wrong with how an archive on the web is trusted.
fn insecure(web: &Web) -> Option<&'static str> {
    let host = web.url.strip_prefix("http://");
    match (host, &web.authorities) {
        (None, None) => Some(
            "https needs tls_authorities, the PEM file of the authorities that are trusted, such as \
             /etc/ssl/certs/ca-certificates.crt",
        ),
        (Some(_), Some(_)) => Some("tls_authorities is of no use with http: write https"),
        (Some(_), None) if web.token.is_some() && !is_loopback(&web.url) => {
            Some("a token over http can be read by everybody on the way: write https")
        }
        _ => None,
    }
}

/// True if the host of this address is this computer's own address.
fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host);
    let address = host.and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback())
}

/// Reads the root of DICOMweb services.
fn web_root(value: &DeValue) -> Result<String, String> {
    let url = table::text(value)?;
    let parsed = url.parse::<Uri>();
    let right = parsed.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            // A password there would be told at every start.
            && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
    });
    match right {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(format!(
            "is {url:?}: write the root of its DICOMweb services, such as \
             \"https://pacs.example/dicom-web\""
        )),
    }
}

/// Reads a public key of minisign.
pub(super) fn public_key(value: &DeValue) -> Result<String, String> {
    let text = table::text(value)?.trim().to_owned();
    match is_public_key(&text) {
        true => Ok(text),
        false => Err(format!(
            "is {text:?}: write a public key as `plumbline-edge check` tells it on the station"
        )),
    }
}

/// Reads a host and a port.
fn host_and_port(value: &DeValue) -> Result<String, String> {
    let address = table::text(value)?;
    let port = address
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(1..)) => Ok(address),
        _ => Err(format!(
            "is {address:?}: write a host and a port, such as \"pacs:104\""
        )),
    }
}

/// Reads an AE title.
fn title(value: &DeValue) -> Result<String, String> {
    let text = table::text(value)?;
    let title = text.trim();
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
    match title.len() <= MOST_TITLE && title.bytes().all(plain) {
        true => Ok(title.to_owned()),
        false => Err(format!(
            "is {text:?}: an AE title has at most {MOST_TITLE} plain letters and digits"
        )),
    }
}
