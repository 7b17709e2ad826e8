//! The settings of a station.

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use plumbline_dimse::PeerTls;
use plumbline_shared::tls::{Tls, TlsError};
use plumbline_wire::panel::Settings as BoardSettings;
use rustls::ClientConfig;

use crate::panel::Place;
use crate::quality::IntendedUse;
use crate::store::{Kind, Limits};

/// The hour of the day from which on the station tests itself, unless said otherwise: before the first patients.
const SELF_TEST_HOUR: i8 = 5;

/// The settings of a station.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The folder of films and database.
    pub data: PathBuf,
    /// The bundle's folder; the shipped CheXNet if there is none.
    pub bundle: Option<PathBuf>,
    /// Receiving films by DICOM.
    pub dicom: Dicom,
    /// Receiving films from a folder.
    pub folder: Option<Folder>,
    /// Uploads, metrics and health.
    pub http: Http,
    /// The link to the host.
    pub link: Option<Link>,
    /// Reading films.
    pub reading: Reading,
    /// The hour of the day from which on the station tests itself; none if it does not.
    pub self_test: Option<i8>,
    /// The films that are read.
    pub intended_use: IntendedUse,
    /// What films may take of the disk.
    pub limits: Limits,
    /// The log.
    pub log: Log,
    /// The panel.
    pub panel: Option<Panel>,
    /// Other systems that results are sent to.
    pub destinations: Vec<Destination>,
    /// The public keys of stations whose sticks are taken in.
    pub stick_keys: Vec<String>,
    /// The hospital's worklist.
    pub worklist: Option<Worklist>,
    /// Other systems, for `plumbline-edge check`.
    pub peers: Vec<Peer>,
}

/// A system that results are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name, by which the store knows what it has.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// What it gets.
    pub sends: Vec<Kind>,
    /// The most bytes a second that it is sent, if there is a limit.
    pub pace: Option<u64>,
}

impl Destination {
    /// The archive that it is, if it is one.
    fn archive(&self) -> Option<&Archive> {
        match &self.address {
            Address::Archive(archive) => Some(archive),
            Address::Web(_) | Address::Folder(_) | Address::Stick(_) => None,
        }
    }

    /// The archive that it is, if that is asked whether it keeps what it has got.
    pub fn committing(&self) -> Option<&Archive> {
        self.archive().filter(|archive| archive.commits)
    }
}

/// Where a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An archive that stores by DICOM.
    Archive(Archive),
    /// An archive that stores over the web (STOW-RS).
    Web(Web),
    /// A folder.
    Folder(PathBuf),
    /// A stick, by the folder of its file-set.
    Stick(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(archive) => archive.entity.fmt(f),
            Self::Web(web) => f.write_str(&web.url),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Stick(root) => write!(f, "stick {}", root.display()),
        }
    }
}

/// An archive that stores over the web (STOW-RS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The root of its DICOMweb services, without a slash at the end.
    pub url: String,
    /// The file of the bearer token that it lets the station in with.
    pub token: Option<PathBuf>,
    /// The PEM file of the authorities of whom one must have signed its certificate.
    pub authorities: Option<PathBuf>,
    /// The PEM files of the station's certificate and key, if it is to show one.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// An archive that stores by DICOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub entity: Entity,
    /// True if it is asked whether it keeps what it has got (storage commitment).
    pub commits: bool,
}

/// The hospital's worklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worklist {
    /// Where it is.
    pub entity: Entity,
    /// The AE title of the unit whose examinations are asked for; empty for every unit.
    pub unit: String,
    /// The character set of answers that name none, a defined term of DICOM.
    pub characters: String,
    /// How often it is asked.
    pub every: Duration,
}

/// Another system that speaks DICOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its host and port.
    pub address: String,
    /// Its AE title.
    pub ae_title: String,
    /// TLS with certificates of both sides.
    pub tls: Option<Tls>,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = if self.tls.is_some() { "TLS" } else { "no TLS" };
        write!(f, "{} at {}, {security}", self.ae_title, self.address)
    }
}

impl Entity {
    /// TLS with it, if it is spoken.
    ///
    /// # Errors
    /// If a file of certificates or keys cannot be used.
    pub fn client(&self) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        self.tls.as_ref().map(Tls::client).transpose()
    }

    /// The system as the station, whose AE title is `own_title`, calls it.
    pub fn peer<'a>(
        &'a self,
        own_title: &'a str,
        tls: Option<&'a Arc<ClientConfig>>,
    ) -> plumbline_dimse::Peer<'a> {
        plumbline_dimse::Peer {
            address: &self.address,
            ae_title: &self.ae_title,
            own_title,
            tls: tls.map(|config| PeerTls {
                config,
                name: self.host(),
            }),
        }
    }

    /// The name that its certificate must have: its host's.
    fn host(&self) -> &str {
        let host = self
            .address
            .rsplit_once(':')
            .map_or(&*self.address, |(host, _)| host);
        host.trim_matches(['[', ']'])
    }
}

/// The panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Where it is.
    pub place: Place,
    /// How long after an exposure its film counts as missing; none if never.
    pub film_within: Option<Duration>,
    /// What it is to keep.
    pub settings: BoardSettings,
    /// The folder of a board's programs, by whose ELF files its log is decoded.
    pub firmware: Option<PathBuf>,
}

/// Receiving films by DICOM.
#[derive(Clone, Debug, PartialEq)]
pub struct Dicom {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// The station's AE title.
    pub ae_title: String,
    /// The AE titles that may call; any if there are none.
    pub callers: Vec<String>,
    /// The AE titles that may store; all callers if there are none.
    pub senders: Vec<String>,
    /// The addresses that may connect; any if there are none.
    pub addresses: Vec<IpNet>,
    /// True if films that are not processed for display are taken.
    pub for_processing: bool,
    /// The most associations at a time.
    pub associations: usize,
    /// TLS with certificates of both sides.
    pub tls: Option<Tls>,
}

/// Receiving films from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// What becomes of a file after it was stored.
    pub after: After,
}

/// What becomes of a file after it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays.
    Leave,
    /// It is moved into this folder.
    Move(PathBuf),
    /// It is deleted.
    Delete,
}

/// Uploads, metrics and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The loopback address and port to listen on.
    pub listen: SocketAddr,
}

/// The link to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// The certificates; without them nobody is answered.
    pub tls: Tls,
    /// The most hosts at a time.
    pub connections: usize,
}

/// Reading films.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Films that are read at a time.
    pub readers: usize,
}

/// The log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// True if each step is told.
    pub verbose: bool,
}

/// The log's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Another system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, for messages.
    pub name: String,
    /// Its host and port.
    pub address: String,
    /// Its AE title.
    pub ae_title: String,
    /// What the station wants of it.
    pub service: PeerService,
}

/// What the station wants of another system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerService {
    /// To store results.
    Storage,
    /// To answer which patients are expected.
    Worklist,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: state_folder(),
            bundle: None,
            dicom: Dicom {
                listen: ([127, 0, 0, 1], 11112).into(),
                ae_title: "PLUMBLINE".into(),
                callers: Vec::new(),
                senders: Vec::new(),
                addresses: Vec::new(),
                for_processing: false,
                associations: 8,
                tls: None,
            },
            folder: None,
            http: Http {
                listen: ([127, 0, 0, 1], 8043).into(),
            },
            link: None,
            reading: Reading { readers: 1 },
            intended_use: IntendedUse::default(),
            limits: Limits {
                film: 256 << 20,
                reserve: 512 << 20,
                low_water: 2048 << 20,
            },
            log: Log {
                format: LogFormat::Text,
                verbose: false,
            },
            panel: None,
            destinations: Vec::new(),
            stick_keys: Vec::new(),
            worklist: None,
            self_test: Some(SELF_TEST_HOUR),
            peers: Vec::new(),
        }
    }
}

/// `plumbline` in the user's state directory (XDG Base Directory Specification).
fn state_folder() -> PathBuf {
    let named = |variable: &str| {
        let path = PathBuf::from(env::var_os(variable)?);
        path.is_absolute().then_some(path)
    };
    let state = named("XDG_STATE_HOME")
        .or_else(|| Some(named("HOME")?.join(".local/state")))
        .unwrap_or_else(|| "/var/lib".into());
    state.join("plumbline")
}
