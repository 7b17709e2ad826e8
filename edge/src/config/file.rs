//! Reading `station.toml` as a whole.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use super::sections::{public_key, take_intended_use};
use super::settings::{
    After, Destination, Folder, Link, LogFormat, Panel, Peer, Settings, Worklist,
};
use super::table::{self, Fault, Faults, Gathered, Table, optional, set};

impl Settings {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// [`Faults`], all of them; also if there is no such file.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        let text = fs::read_to_string(path).map_err(|error| Faults {
            path: path.to_path_buf(),
            faults: vec![Fault {
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
            worklist,
            self_test,
            stick,
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
            "worklist",
            "self_test",
            "stick",
            "log",
        ]
        .map(|key| table.table(key));
        let destinations = table.tables("destination");
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
        let mut table = Table::new(entries(self_test), gathered);
        let hour = table.take("hour", table::whole(0..24));
        set(&mut self.self_test, hour.map(|hour| Some(hour as i8)));
        if table.take("daily", table::boolean) == Some(false) {
            self.self_test = None;
        }
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
        self.worklist = optional(worklist, gathered, Worklist::take);
        let mut table = Table::new(entries(stick), gathered);
        let keys = table.take("keys", table::list(public_key));
        set(&mut self.stick_keys, keys);
        table.finish();
        let mut table = Table::new(entries(log), gathered);
        let formats = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        set(
            &mut self.log.format,
            table.take("format", table::one_of(formats)),
        );
        set(&mut self.log.verbose, table.take("verbose", table::boolean));
        table.finish();
        for destination in destinations {
            let span = destination.1.clone();
            let taken = optional(Some(destination), gathered, Destination::take);
            let named =
                |one: &Destination| self.destinations.iter().any(|other| other.name == one.name);
            if taken.as_ref().is_some_and(named) {
                gathered.add(
                    span,
                    "another [[destination]] has this name: give it another one",
                );
            }
            self.destinations.extend(taken);
        }
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
