//! `plumbline-edge check`: looks at everything that a station needs, and says in words what is wrong.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use plumbline_reader::Bundle;
use plumbline_shared::decode::Characters;
use plumbline_shared::printable::printable;

use crate::config::{Address, Destination, Folder, PeerService, Settings, Worklist};
use crate::intake::{THIS_PROGRAM, WAIT, inspect_with};
use crate::outbox::WebArchive;
use crate::stick::{self, SealKey};
use crate::store::{Kind, Store, StoreError};
use crate::{models, outbox, worklist};
use plumbline_dimse::service::{EXPLICIT, IMPLICIT, STORAGE};
use plumbline_dimse::{COMMITMENT, ClientError, Peer, Question};

/// Checks a station with `settings`, which may run meanwhile, and prints a line for each thing.
/// Returns true if nothing is wrong.
///
/// # Errors
/// If nothing can be printed.
pub fn check(settings: &Settings) -> Result<bool> {
    let mut report = Report { whole: true };
    report.line("configuration", Ok("every setting can be used".into()))?;
    report.line("bundle", bundle(settings))?;
    for (subject, result) in store(settings) {
        report.line(subject, result)?;
    }
    let link = settings.link.as_ref().map(|link| &link.tls);
    for (subject, tls) in [
        ("TLS", settings.dicom.tls.as_ref()),
        ("TLS of the link", link),
    ] {
        if let Some(tls) = tls {
            let usable = tls
                .server()
                .map(|_| "certificates and key can be used".into());
            report.line(subject, usable.map_err(|error| error.to_string()))?;
        }
    }
    if let Some(folder) = &settings.folder {
        report.line("folder", watched(folder))?;
    }
    for destination in &settings.destinations {
        let subject = format!("destination {}", printable(&destination.name));
        report.line(&subject, reach(settings, destination))?;
    }
    if let Some(worklist) = &settings.worklist {
        report.line("worklist", planned_there(settings, worklist))?;
    }
    for peer in &settings.peers {
        let asked = ask(settings, peer);
        report.line(&format!("peer {}", printable(&peer.name)), asked)?;
    }
    Ok(report.whole)
}

/// Prints what was found.
struct Report {
    whole: bool,
}

impl Report {
    fn line(&mut self, subject: &str, result: Result<String, String>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match result {
            Ok(what) => writeln!(out, "ok     {subject}: {what}"),
            Err(what) => {
                self.whole = false;
                writeln!(out, "WRONG  {subject}: {what}")
            }
        }
    }
}

fn bundle(settings: &Settings) -> Result<String, String> {
    let folder = models::chosen(settings.bundle.as_deref()).map_err(|error| error.to_string())?;
    let bundle = Bundle::open(&folder).map_err(|error| error.to_string())?;
    let manifest = bundle.manifest();
    Ok(format!(
        "{} {}, threshold {}",
        manifest.model, manifest.model_version, manifest.threshold
    ))
}

/// What was looked at, and what was found.
type Found = (&'static str, Result<String, String>);

fn store(settings: &Settings) -> Vec<Found> {
    let folder = &settings.data;
    let store = match Store::beside(folder, settings.limits) {
        Ok(store) => store,
        Err(StoreError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return vec![("store", new_store(folder))];
        }
        Err(error) => return vec![("store", Err(error.to_string()))],
    };
    let words = |error: StoreError| error.to_string();
    let database = store.require_sound().map_err(words);
    let database = database.map(|()| format!("the database in {} is sound", folder.display()));
    let films = store
        .damaged_films()
        .map_err(words)
        .and_then(|damaged| match &damaged[..] {
            [] => Ok("every film's file has the bytes that it had".into()),
            damaged => Err(format!(
                "the files of films {damaged:?} are missing or were changed: restore a backup"
            )),
        });
    let audit = store
        .verify_audit()
        .map_err(words)
        .and_then(|newest| match newest {
            Some(newest) => Ok(format!(
                "chain whole up to entry {}, {}",
                newest.sequence, newest.hash
            )),
            None => Err("empty, and every start is entered: restore a backup".into()),
        });
    let room = store.has_room().map_err(words).and_then(|room| match room {
        true => Ok("there is more than the reserve".into()),
        false => Err("less than the reserve is free: no film is received".into()),
    });
    vec![
        ("database", database),
        ("films", films),
        ("audit log", audit),
        ("disk", room),
    ]
}

/// A store that is not there yet must be possible.
fn new_store(folder: &Path) -> Result<String, String> {
    let made = fs::create_dir_all(folder).and_then(|()| write_probe(folder));
    match made {
        Ok(()) => Ok(format!(
            "none yet; the first start makes one in {}",
            folder.display()
        )),
        Err(error) => Err(format!(
            "{} cannot be written ({error}): correct data, or its owner",
            folder.display()
        )),
    }
}

/// Writes a file into a folder, and removes it.
fn write_probe(folder: &Path) -> io::Result<()> {
    let probe = folder.join(".check.unfinished");
    File::create(&probe)?.sync_all()?;
    fs::remove_file(&probe)
}

/// Looks at every file in the watched folder.
fn watched(folder: &Folder) -> Result<String, String> {
    let path = &folder.path;
    let unreadable = |error: io::Error| format!("{} cannot be read ({error})", path.display());
    let mut wrong = Vec::new();
    let mut whole = 0;
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if !file.is_file() {
            continue;
        }
        match inspect_with(Path::new(THIS_PROGRAM), &file, WAIT) {
            Ok(_) => whole += 1,
            Err(error) => wrong.push(printable(&error.to_string())),
        }
    }
    match wrong.is_empty() {
        true => Ok(format!("{} holds {whole} whole films", path.display())),
        false => Err(format!(
            "{} of its files are no whole films: {}",
            wrong.len(),
            wrong.join("; ")
        )),
    }
}

/// Looks whether what is sent to a destination would be taken there.
fn reach(settings: &Settings, destination: &Destination) -> Result<String, String> {
    match &destination.address {
        Address::Archive(archive) => {
            let commits = archive.commits;
            let tls = archive.entity.client();
            let tls = tls.map_err(|error| error.to_string())?;
            let archive = archive.entity.peer(&settings.dicom.ae_title, tls.as_ref());
            archive.echo().map_err(|error| error.to_string())?;
            // Films in the commonest of their transfer syntaxes: no archive has all.
            let mut services = outbox::offers(&destination.sends);
            let on_request = |class| STORAGE.iter().any(|s| s.uid == class && s.on_request);
            services.retain(|(class, syntax)| *syntax == EXPLICIT && !on_request(*class));
            if commits {
                services.push((COMMITMENT, IMPLICIT));
            }
            let offers = archive.offers(&services);
            offers.map_err(|error| format!("it answers an echo, but {error}"))?;
            Ok("answers, and takes what is sent".into())
        }
        Address::Web(web) => {
            let web = WebArchive::new(web).map_err(|error| error.to_string())?;
            web.check()
        }
        Address::Folder(folder) => {
            let unwritten = |error| {
                let folder = folder.display();
                format!("{folder} cannot be written ({error}): make it, or give it to the station")
            };
            write_probe(folder).map_err(unwritten)?;
            Ok(format!("{} can be written", folder.display()))
        }
        Address::Stick(root) => usable_stick(settings, root),
    }
}

/// Looks whether a stick is there and can be written.
fn usable_stick(settings: &Settings, root: &Path) -> Result<String, String> {
    let key = SealKey::made_in(&settings.data);
    let key = key.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "its key is made at the first start".to_owned(),
        _ => error.to_string(),
    })?;
    let told = format!("sealed by key {}", key.public());
    let wrong = |what: String| format!("{what}; {told}");
    stick::require_usable(root, &key).map_err(|error| wrong(error.to_string()))?;
    let place = root.display();
    let written = write_probe(root);
    written.map_err(|error| wrong(format!("{place} cannot be written ({error})")))?;
    let device = |path: &Path| fs::metadata(path).map(|told| told.dev()).ok();
    let own = match device(root) == device(&settings.data) {
        true => ", and is on the station's own disk",
        false => "",
    };
    Ok(format!("{place} can be written{own}; {told}"))
}

/// Asks the worklist.
fn planned_there(settings: &Settings, worklist: &Worklist) -> Result<String, String> {
    let tls = worklist.entity.client();
    let tls = tls.map_err(|error| error.to_string())?;
    let peer = worklist.entity.peer(&settings.dicom.ae_title, tls.as_ref());
    let characters = Characters::of(&worklist.characters);
    let planned = planned(&peer, &worklist.unit, &characters);
    let planned = planned.map_err(|error| error.to_string())?;
    Ok(format!("answers, and {planned}"))
}

/// Asks a worklist for today's examinations, and says how many there are.
fn planned(peer: &Peer, unit: &str, characters: &Characters) -> Result<String, ClientError> {
    let today = worklist::day(0);
    let question = worklist::MODALITIES.map(|modality| Question {
        date: today.clone(),
        modality: modality.to_owned(),
        unit: unit.to_owned(),
    });
    let count = peer.query_worklist(&question, characters)?.planned.len();
    Ok(format!(
        "expects {count} patients for {} today",
        worklist::MODALITIES.join(" and ")
    ))
}

/// Asks a peer for an association, an echo and the service that the station wants of it.
fn ask(settings: &Settings, peer: &crate::config::Peer) -> Result<String, String> {
    let asked = Peer {
        address: &peer.address,
        ae_title: &peer.ae_title,
        own_title: &settings.dicom.ae_title,
        tls: None,
    };
    asked.echo().map_err(|error| error.to_string())?;
    let service = match peer.service {
        PeerService::Storage => asked
            .offers(&outbox::offers(&[Kind::Report, Kind::Capture]))
            .map(|()| "takes reports and pictures".to_owned()),
        PeerService::Worklist => planned(&asked, "", &Characters::of("")),
    };
    let service = service.map_err(|error| format!("it answers an echo, but {error}"))?;
    Ok(format!("answers, and {service}"))
}
