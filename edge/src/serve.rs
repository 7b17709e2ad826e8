//! `plumbline-edge serve`: receives films and reads them until it is told to stop.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use plumbline_shared::durable::{Disk, replace_file};
use plumbline_shared::tls::Tls;
use plumbline_wire::hello::Version;
use plumbline_wire::host;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::clock::ClockWatch;
use crate::config::{Address, Destination, Settings};
use crate::http::Interface;
use crate::intake::{DicomListener, DicomOptions, Receiver, THIS_PROGRAM, Watcher};
use crate::link::{InstalledBundle, LinkListener, Station};
use crate::logs::KeptLog;
use crate::metrics::Metrics;
use crate::outbox::{Outbox, Way};
use crate::panel::{PanelLine, PanelStatus};
use crate::pulse::Pulse;
use crate::reading::{Bell, Pool};
use crate::self_test::SelfTester;
use crate::stick::SealKey;
use crate::store::{Action, Entry, Event, Outcome, Recipient, Store, TOKEN};
use crate::worklist::WorklistAsker;
use crate::{logs, models, report};
use plumbline_dimse::{Patience, Rules};

/// The version of this program.
const VERSION: Version = Version::of(env!("CARGO_PKG_VERSION"));

/// How often the clock and the disk are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// The longest time that making room takes, before the station is looked at again.
const ROOM: Duration = Duration::from_secs(5);

/// The age of its sign of life from which on a thread counts as stuck.
const STUCK: Duration = Duration::from_secs(60);

/// How often a thread looks whether the station is to stop.
const LOOK: Duration = Duration::from_millis(250);

/// Serves with `settings` until SIGTERM or SIGINT. Films that are being received are finished; those
/// that wait are read after the next start.
///
/// # Errors
/// If the station cannot be started; each message says what to do.
pub fn serve(settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.data, settings.limits, Arc::new(Disk))?;
    let store = Arc::new(store);
    // For hosts alone, and after the store: another station may be using the folder.
    let kept = match &settings.link {
        Some(_) => Some(Arc::new(KeptLog::open(&settings.data).with_context(
            || format!("the log in {} cannot be kept", settings.data.display()),
        )?)),
        None => None,
    };
    logs::start(settings.log, kept.clone());
    let metrics = Arc::new(Metrics::default());
    let clock = Arc::new(ClockWatch::default());
    let bell = Arc::new(Bell::default());
    let bundle = models::chosen(settings.bundle.as_deref())?;
    let installed = InstalledBundle::read(&bundle);
    let pool = Pool {
        store: Arc::clone(&store),
        program: PathBuf::from(THIS_PROGRAM),
        bundle,
        intended: settings.intended_use.clone(),
        bell: Arc::clone(&bell),
        metrics: Arc::clone(&metrics),
    };
    let model = pool.try_bundle().map_err(|why| anyhow!(why))?;
    let panel_status: Option<Arc<PanelStatus>> = settings.panel.is_some().then(Arc::default);
    let receiver = Receiver {
        store: Arc::clone(&store),
        program: PathBuf::from(THIS_PROGRAM),
        bell,
        metrics: Arc::clone(&metrics),
        clock: Arc::clone(&clock),
        panel: panel_status.clone(),
        self_test: Arc::default(),
    };
    let dicom = listen(settings, &receiver)?;
    let link = match (&settings.link, kept.clone()) {
        (Some(link), Some(log)) => {
            let station = Station {
                name: settings.dicom.ae_title.clone(),
                identity: host::identity(VERSION, Uuid::new_v4().as_u64_pair().0),
                bundle: installed,
                receiver: receiver.clone(),
                log,
            };
            let tls = link.tls.server().context("[link]")?;
            let listener = LinkListener::bind(link.listen, tls, link.connections, station);
            Some(
                listener
                    .with_context(|| format!("[link] listen: {} cannot be used", link.listen))?,
            )
        }
        _ => None,
    };
    let http = Interface::bind(settings.http.listen)
        .with_context(|| format!("[http] listen: {} cannot be used", settings.http.listen))?;
    let http_address = http.local_addr()?;
    let mut pulses = Vec::new();
    let mut pulse = || {
        let pulse = Arc::new(Pulse::default());
        pulses.push(Arc::clone(&pulse));
        pulse
    };
    let (dicom_pulse, http_pulse) = (pulse(), pulse());
    let watcher = match &settings.folder {
        Some(folder) => Some(
            Watcher::new(
                &folder.path,
                folder.after.clone(),
                receiver.clone(),
                pulse(),
            )
            .with_context(|| format!("[folder] {} cannot be used", folder.path.display()))?,
        ),
        None => None,
    };
    let link = link.map(|link| (link, pulse()));
    let token = token(&settings.data)?;
    let panel = settings.panel.as_ref().zip(panel_status);
    let panel = panel.map(|(panel, status)| PanelLine {
        place: panel.place.clone(),
        settings: panel.settings,
        film_within: panel.film_within,
        firmware: panel.firmware.clone(),
        log: kept,
        store: Arc::clone(&store),
        metrics: Arc::clone(&metrics),
        status,
        pulse: pulse(),
    });
    let recipients = settings.destinations.iter().map(|destination| Recipient {
        name: destination.name.clone(),
        kinds: destination.sends.clone(),
        commits: destination.committing().is_some(),
    });
    store.set_recipients(&recipients.collect::<Vec<_>>())?;
    let in_reports = report::Station {
        uid: store.station_uid()?,
        name: settings.dicom.ae_title.clone(),
    };
    // They give no sign of life: a network folder that hangs must not cost the station.
    let outbox_bell = Arc::new(Bell::default());
    let mut outboxes = Vec::new();
    for destination in &settings.destinations {
        let way = Way::to(&destination.address);
        outboxes.push(Outbox {
            store: Arc::clone(&store),
            destination: destination.clone(),
            station: in_reports.clone(),
            way: way.with_context(|| format!("[[destination]] {}", destination.name))?,
            program: PathBuf::from(THIS_PROGRAM),
            bell: Arc::clone(&outbox_bell),
        });
    }
    let worklist = match &settings.worklist {
        Some(worklist) => {
            let tls = worklist.entity.client();
            Some(WorklistAsker {
                store: Arc::clone(&store),
                worklist: worklist.clone(),
                own_title: settings.dicom.ae_title.clone(),
                tls: tls.context("[worklist]")?,
            })
        }
        None => None,
    };
    let tester = SelfTester {
        receiver: receiver.clone(),
        intended: settings.intended_use.clone(),
        hour: settings.self_test,
    };
    let interface = Interface::new(
        receiver,
        in_reports,
        token,
        settings.limits.film,
        outbox_bell,
    );
    begin(&store, &clock, &model)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before anybody is told that the station is there, and could tell it to stop.
    let (mut terminate, mut interrupt) = {
        let _within = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let link_address = link.as_ref().map(|(link, _)| link.address()).transpose()?;
    announce(settings, &dicom, http_address, link_address, &model)?;

    let stop = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let stopping = Arc::clone(&stop);
        let stop = &*stop;
        scope.spawn(|| or_end("the DICOM listener", || dicom.run(stop, &dicom_pulse)));
        if let Some(watcher) = watcher {
            scope.spawn(|| or_end("the folder's watcher", || watcher.run(stop)));
        }
        if let Some(panel) = &panel {
            scope.spawn(|| or_end("the panel's line", || panel.run(stop)));
        }
        if let Some((link, pulse)) = &link {
            scope.spawn(|| or_end("the host's listener", || link.run(stop, pulse)));
        }
        for _ in 0..settings.reading.readers {
            scope.spawn(|| or_end("a reader's parent", || pool.run(stop)));
        }
        for outbox in &outboxes {
            scope.spawn(|| or_end("the outbox", || outbox.run(stop)));
        }
        if let Some(worklist) = &worklist {
            scope.spawn(|| or_end("the worklist's asker", || worklist.run(stop)));
        }
        scope.spawn(|| or_end("the self-test", || tester.run(stop)));
        scope.spawn(|| or_end("housekeeping", || keep_house(&store, &clock, &pulses, stop)));
        let served = runtime.block_on(async {
            sd_notify::notify(&[NotifyState::Ready]).ok();
            let stopped = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("stopping: films that are being received are finished");
                sd_notify::notify(&[NotifyState::Stopping]).ok();
                stopping.store(true, Ordering::Relaxed);
            };
            tokio::select! {
                served = interface.run(http, stopped) => served,
                never = beat(&http_pulse) => never,
            }
        });
        stop.store(true, Ordering::Relaxed);
        served
    })?;
    store.log(&Entry {
        event: Event::Stopped,
        action: Action::Execute,
        outcome: Outcome::Success,
        who: "station",
        object: "plumbline-edge serve",
        detail: "stopped",
    })?;
    tracing::info!("stopped");
    Ok(())
}

/// Runs a thread's work. A panic there ends the process: half a station would look like a whole one,
/// and the store bears the end at any moment.
fn or_end(what: &str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("{what} has failed: the station ends, and should be started again");
        process::exit(1);
    }
}

fn listen(settings: &Settings, receiver: &Receiver) -> Result<DicomListener> {
    let dicom = &settings.dicom;
    let tls = dicom.tls.as_ref().map(Tls::server).transpose();
    let tls = tls.context("[dicom]")?;
    let options = DicomOptions {
        rules: Rules {
            ae_title: dicom.ae_title.clone(),
            callers: dicom.callers.clone(),
            senders: dicom.senders.clone(),
            for_processing: dicom.for_processing,
        },
        addresses: dicom.addresses.clone(),
        associations: dicom.associations,
        tls,
        patience: Patience::default(),
    };
    DicomListener::bind(dicom.listen, options, receiver.clone())
        .with_context(|| format!("[dicom] listen: {} cannot be used", dicom.listen))
}

/// Enters the start into the audit log.
fn begin(store: &Store, clock: &ClockWatch, model: &str) -> Result<()> {
    if let Some(newest) = store.newest_audit()? {
        clock.newest_entry(&newest.wall);
    }
    store.log(&Entry {
        event: Event::Started,
        action: Action::Execute,
        outcome: Outcome::Success,
        who: "station",
        object: "plumbline-edge serve",
        detail: &format!("version {}, reads with {model}", env!("CARGO_PKG_VERSION")),
    })?;
    Ok(())
}

/// Prints one line for each way in.
fn announce(
    settings: &Settings,
    dicom: &DicomListener,
    http: SocketAddr,
    link: Option<SocketAddr>,
    model: &str,
) -> Result<()> {
    let mut out = io::stdout().lock();
    let data = settings.data.display();
    let security = match settings.dicom.tls {
        Some(_) => "TLS",
        None => "no TLS",
    };
    let (title, address) = (&settings.dicom.ae_title, dicom.address()?);
    writeln!(out, "dicom: {title} at {address}, {security}")?;
    if let Some(folder) = &settings.folder {
        writeln!(out, "folder: {}", folder.path.display())?;
    }
    match &settings.panel {
        Some(panel) => writeln!(out, "panel: {}", panel.place)?,
        None => writeln!(out, "panel: none")?,
    }
    for Destination { name, address, .. } in &settings.destinations {
        writeln!(out, "destination: {name}, {address}")?;
    }
    let is_stick = |one: &Destination| matches!(one.address, Address::Stick(_));
    if settings.destinations.iter().any(is_stick) {
        let key = SealKey::made_in(&settings.data);
        let key = key.with_context(|| format!("the key of seals in {data} cannot be used"))?;
        writeln!(out, "sticks are sealed by key {}", key.public())?;
    }
    if let Some(worklist) = &settings.worklist {
        writeln!(out, "worklist: {}", worklist.entity)?;
    }
    writeln!(out, "http: http://{http}, token in {data}/{TOKEN}")?;
    if let Some(link) = link {
        writeln!(out, "link: tcp://{link}, TLS")?;
    }
    writeln!(out, "reading with {model}; films and results in {data}")?;
    Ok(out.flush()?)
}

/// Returns the token that uploads need; it is made at the first start, for the station's user alone.
fn token(data: &Path) -> Result<String> {
    let path = data.join(TOKEN);
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    }
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let written = replace_file(&path, format!("{token}\n").as_bytes())
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
    written.with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(token)
}

/// Gives the interface's sign of life, for ever.
async fn beat<T>(pulse: &Pulse) -> T {
    loop {
        pulse.beat();
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks at the clock and the disk from time to time, and tells systemd that the station lives: not
/// if the store or a way in is stuck.
fn keep_house(store: &Store, clock: &ClockWatch, pulses: &[Arc<Pulse>], stop: &AtomicBool) {
    let watchdog = sd_notify::watchdog_enabled().map(|period| period / 3);
    let mut kept: Option<Instant> = None;
    let mut told: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        if kept.is_none_or(|kept| kept.elapsed() >= HOUSEKEEPING) {
            keep_once(store, clock);
            kept = Some(Instant::now());
        }
        if let Some(period) = watchdog
            && told.is_none_or(|told| told.elapsed() >= period)
            && pulses.iter().all(|pulse| pulse.age() < STUCK)
            && store.newest_audit().is_ok()
        {
            sd_notify::notify(&[NotifyState::Watchdog]).ok();
            told = Some(Instant::now());
        }
        thread::sleep(LOOK);
    }
}

fn keep_once(store: &Store, clock: &ClockWatch) {
    match store.make_room(ROOM) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "delivered films have left to make room"),
        Err(error) => tracing::error!(%error, "no room can be made"),
    }
    if let Err(error) = store.trim_parts() {
        tracing::error!(%error, "old parts of films cannot be removed");
    }
    for doubt in clock.new_doubts(Timestamp::now()) {
        let doubt = doubt.to_string();
        tracing::warn!("{doubt}");
        let alert = Entry {
            event: Event::Alert,
            action: Action::Execute,
            outcome: Outcome::Serious,
            who: "station",
            object: "the station's clock",
            detail: &doubt,
        };
        if let Err(error) = store.log(&alert) {
            tracing::error!(%error, "the audit log cannot be written");
        }
    }
}
