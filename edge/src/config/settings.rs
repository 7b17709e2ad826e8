//! The settings of a station.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use plumbline_shared::tls::Tls;
use plumbline_wire::panel::Settings as BoardSettings;
use toml::de::{DeTable, DeValue};

use super::table::{self, Faults, Gathered, Table};
use crate::panel::{Pins, Place};
use crate::quality::IntendedUse;
use crate::store::Limits;

/// How long after an exposure its film counts as missing, in seconds: units take up to a minute to
/// make one.
const FILM_WITHIN: u64 = 180;

/// The most bytes of an AE title (PS3.5, 6.2).
const MOST_TITLE: usize = 16;

/// The most hosts at a time, unless said otherwise.
const HOSTS: usize = 4;

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
    /// The films that are read.
    pub intended_use: IntendedUse,
    /// What films may take of the disk.
    pub limits: Limits,
    /// The log.
    pub log: Log,
    /// The panel.
    pub panel: Option<Panel>,
    /// Other systems, for `plumbline-edge check`.
    pub peers: Vec<Peer>,
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
            peers: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// [`Faults`], all of them; also if there is no such file.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        let text = fs::read_to_string(path).map_err(|error| Faults {
            path: path.to_path_buf(),
            faults: vec![super::Fault {
                line: 1,
                what: match error.kind() {
                    io::ErrorKind::NotFound => {
                        "there is no such file: correct --config, or leave it out".into()
                    }
                    _ => format!("it cannot be read ({error})"),
                },
            }],
        })?;
        Self::parse(path, &text)
    }

    /// Reads the configuration `text` of the file `path`.
    ///
    /// # Errors
    /// [`Faults`], all of them.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Faults> {
        let mut gathered = Gathered::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let what = format!("it is no TOML here: {}", error.message());
            gathered.add(error.span().unwrap_or(0..0), what);
        }
        let mut settings = Self::default();
        settings.take(root.get_ref(), &mut gathered);
        gathered.finish(path, settings)
    }

    fn take(&mut self, root: &DeTable, gathered: &mut Gathered) {
        let mut table = Table::new(Some(root), gathered);
        set(&mut self.data, table.take("data", table::path));
        self.bundle = table.take("bundle", table::path);
        let [
            dicom,
            folder,
            http,
            link,
            reading,
            intended_use,
            store,
            panel,
            log,
        ] = [
            "dicom",
            "folder",
            "http",
            "link",
            "reading",
            "intended_use",
            "store",
            "panel",
            "log",
        ]
        .map(|key| table.table(key));
        let peers = table.tables("peer");
        table.finish();
        let entries = |table: Option<(_, _)>| table.map(|(table, _)| table);
        self.dicom.take(Table::new(entries(dicom), gathered));
        self.folder = optional(folder, gathered, Folder::take);
        self.http.take(Table::new(entries(http), gathered));
        self.link = optional(link, gathered, Link::take);
        let mut table = Table::new(entries(reading), gathered);
        let readers = table.take("readers", table::whole(1..65));
        set(
            &mut self.reading.readers,
            readers.map(|readers| readers as usize),
        );
        table.finish();
        let entries_of_use = entries(intended_use);
        take_intended_use(&mut self.intended_use, Table::new(entries_of_use, gathered));
        let mut table = Table::new(entries(store), gathered);
        let mib = |value: Option<u64>| value.map(|mib| mib << 20);
        let most = table.take("film_mib", table::whole(1..257));
        set(&mut self.limits.film, mib(most));
        let reserve = table.take("reserve_mib", table::whole(16..1 << 30));
        set(&mut self.limits.reserve, mib(reserve));
        let low_water = table.take("low_water_mib", table::whole(16..1 << 30));
        set(&mut self.limits.low_water, mib(low_water));
        table.finish();
        self.panel = optional(panel, gathered, Panel::take);
        let mut table = Table::new(entries(log), gathered);
        let formats = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        set(
            &mut self.log.format,
            table.take("format", table::one_of(formats)),
        );
        set(&mut self.log.verbose, table.take("verbose", table::boolean));
        table.finish();
        for peer in peers {
            self.peers
                .extend(optional(Some(peer), gathered, Peer::take));
        }
        self.compare(root, gathered);
    }

    /// Notes settings that do not go together.
    fn compare(&self, root: &DeTable, gathered: &mut Gathered) {
        let mut unless = |fine: bool, place: [&str; 2], what: &str| {
            if !fine {
                gathered.add(table::span(root, place), what);
            }
        };
        // Whether both can be listened on.
        let apart = |one: SocketAddr, other: SocketAddr| {
            let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() != other.port() || one.port() == 0 || (one.ip() != other.ip() && !everywhere)
        };
        unless(
            apart(self.dicom.listen, self.http.listen),
            ["dicom", "listen"],
            "listen is the port of [http], too: choose another one for one of them",
        );
        if let Some(link) = &self.link {
            unless(
                apart(link.listen, self.dicom.listen) && apart(link.listen, self.http.listen),
                ["link", "listen"],
                "listen is the port of [dicom] or [http], too: choose another one",
            );
        }
        unless(
            self.intended_use.youngest <= self.intended_use.oldest,
            ["intended_use", "youngest"],
            "youngest is more than oldest: no film would be read; correct one of them",
        );
        unless(
            self.limits.reserve <= self.limits.low_water,
            ["store", "low_water_mib"],
            "low_water_mib is less than reserve_mib: films must leave before the reserve is \
             reached; raise it",
        );
        if let Some(folder) = &self.folder {
            let apart = |path: &Path| !path.starts_with(&self.data);
            unless(
                apart(&folder.path),
                ["folder", "path"],
                "path lies in data, the station's own folder: choose another one",
            );
            if let After::Move(target) = &folder.after {
                unless(
                    apart(target),
                    ["folder", "moved_to"],
                    "moved_to lies in data, the station's own folder: choose another one",
                );
                unless(
                    *target != folder.path,
                    ["folder", "moved_to"],
                    "moved_to is the watched folder itself: name another one",
                );
            }
        }
    }
}

impl Dicom {
    fn take(&mut self, mut table: Table) {
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
        // All three together, so that nobody thinks that TLS is on when it is not.
        let certificate = table.take("tls_certificate", table::path);
        let key = table.take("tls_key", table::path);
        let authorities = table.take("tls_authorities", table::path);
        self.tls = match (certificate, key, authorities) {
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
        };
        table.finish();
    }
}

impl Folder {
    fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
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
    fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
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
        };
        (Some(panel), None)
    }
}

impl Http {
    fn take(&mut self, mut table: Table) {
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
    fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
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

impl Peer {
    fn take(mut table: Table) -> (Option<Self>, Option<&'static str>) {
        let services = &[
            ("storage", PeerService::Storage),
            ("worklist", PeerService::Worklist),
        ];
        let name = table.take("name", table::text);
        let address = table.take("address", |value| {
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
        });
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

fn take_intended_use(intended: &mut IntendedUse, mut table: Table) {
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

/// Takes a table that may be missing by `take`, which also says what makes the whole of it unusable.
fn optional<T>(
    found: Option<(&DeTable, Range<usize>)>,
    gathered: &mut Gathered,
    take: impl FnOnce(Table) -> (Option<T>, Option<&'static str>),
) -> Option<T> {
    let (entries, span) = found?;
    let (taken, fault) = take(Table::new(Some(entries), gathered));
    if let Some(fault) = fault {
        gathered.add(span, fault);
    }
    taken
}

/// Replaces a default by a setting that was given.
fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
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
