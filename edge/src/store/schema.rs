//! The tables, version by version. `PRAGMA user_version` holds the version of a database.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// What brings a database from version i to i + 1. A version that was released is never changed.
pub(super) const VERSIONS: [&str; 7] = [
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7,
];

const VERSION_1: &str = "
CREATE TABLE station (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- A film that was received: its file, who sent it, and what its header says.
CREATE TABLE films (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    origin TEXT NOT NULL,
    sender TEXT NOT NULL,
    transfer_syntax TEXT,
    header TEXT,
    sop_instance_uid TEXT,
    state TEXT NOT NULL,
    held TEXT,
    read_anyway TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    delivered INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX films_by_instance ON films (sop_instance_uid);
CREATE INDEX films_by_state ON films (state, id);

-- Each state that a film went through; the audit log has the time.
CREATE TABLE states (
    film INTEGER NOT NULL REFERENCES films (id),
    state TEXT NOT NULL,
    reason TEXT,
    audit INTEGER NOT NULL REFERENCES audit (sequence)
) STRICT;
CREATE INDEX states_by_film ON states (film);

-- What the gate found wrong with a film.
CREATE TABLE findings (
    film INTEGER NOT NULL REFERENCES films (id),
    code TEXT NOT NULL,
    refuses INTEGER NOT NULL,
    sentence TEXT NOT NULL,
    audit INTEGER NOT NULL REFERENCES audit (sequence)
) STRICT;
CREATE INDEX findings_by_film ON findings (film);

-- Each reading of a film. The newest of a film counts; none is ever changed.
CREATE TABLE readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    film INTEGER NOT NULL REFERENCES films (id),
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    bundle TEXT NOT NULL,
    threshold REAL NOT NULL,
    logit REAL NOT NULL,
    probability REAL NOT NULL,
    positive INTEGER NOT NULL,
    cam TEXT NOT NULL,
    notes TEXT NOT NULL,
    milliseconds TEXT NOT NULL,
    audit INTEGER NOT NULL REFERENCES audit (sequence)
) STRICT;
CREATE INDEX readings_by_film ON readings (film);

-- The audit log: each row's hash covers the row and the hash before it.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    wall TEXT NOT NULL,
    since_boot INTEGER NOT NULL,
    boot TEXT NOT NULL,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    who TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";

const VERSION_2: &str = "
-- Files of the watched folder that were stored and stay there.
CREATE TABLE folder_files (
    path BLOB PRIMARY KEY,
    number INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    written INTEGER NOT NULL
) STRICT;
";

const VERSION_3: &str = "
-- What happened at the panel and was kept: each event has a name of its own.
CREATE TABLE panel_events (
    boot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (boot, number)
) STRICT, WITHOUT ROWID;

-- Each exposure of the X-ray unit and its film.
CREATE TABLE exposures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL,
    since_boot INTEGER NOT NULL,
    film INTEGER REFERENCES films (id),
    missing INTEGER NOT NULL DEFAULT 0,
    seen INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX exposures_without_film ON exposures (missing, seen) WHERE film IS NULL;
";

const VERSION_4: &str = "
-- Hosts ask for what has changed since an entry of the audit log.
CREATE INDEX states_by_audit ON states (audit);
";

const VERSION_5: &str = "
-- What each other system gets of the results that are entered from now on.
CREATE TABLE recipients (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    commits INTEGER NOT NULL,
    PRIMARY KEY (name, kind)
) STRICT;

-- A question whether a destination keeps what it has got, by its Transaction UID.
CREATE TABLE commitments (
    uid TEXT PRIMARY KEY,
    destination TEXT NOT NULL,
    asked_boot TEXT NOT NULL,
    asked INTEGER NOT NULL,
    put INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What is to be sent: the film itself, or what is filed of one of its results. Of one study, what has a
-- smaller number goes first. It is due at a time since the system's start `due_boot`, or at any later start.
-- If the destination commits itself, it is asked whether it keeps what it has got; `lost` counts how often
-- it had lost it. `failures` counts the tries that failed though the destination was there.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    film INTEGER NOT NULL REFERENCES films (id),
    result INTEGER NOT NULL REFERENCES audit (sequence),
    kind TEXT NOT NULL,
    destination TEXT NOT NULL,
    study TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    due_boot TEXT NOT NULL DEFAULT '',
    due INTEGER NOT NULL DEFAULT 0,
    lease TEXT,
    words TEXT,
    class TEXT,
    instance TEXT,
    commits INTEGER NOT NULL,
    question TEXT REFERENCES commitments (uid),
    kept INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    UNIQUE (result, kind, destination)
) STRICT;
CREATE INDEX deliveries_by_film ON deliveries (film);
CREATE INDEX deliveries_by_question ON deliveries (question);
-- Queries must repeat their conditions word by word to be answered from these.
CREATE INDEX deliveries_that_wait ON deliveries (destination, id) WHERE state = 'waiting';
CREATE INDEX deliveries_in_study ON deliveries (destination, study, id) WHERE state <> 'delivered';
CREATE INDEX deliveries_not_kept ON deliveries (destination, id) WHERE commits AND NOT kept;
";

const VERSION_6: &str = "
-- The examinations that the worklist tells of, each by what tells it from the others, and in JSON.
CREATE TABLE examinations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    day TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    planned TEXT NOT NULL
) STRICT;
CREATE INDEX examinations_by_day ON examinations (day);

-- The examination that a film is of, as the worklist told it, since an entry of the audit log. The newest
-- counts.
CREATE TABLE orders (
    film INTEGER NOT NULL REFERENCES films (id),
    planned TEXT NOT NULL,
    audit INTEGER NOT NULL REFERENCES audit (sequence)
) STRICT;
CREATE INDEX orders_by_film ON orders (film);
";

const VERSION_7: &str = "
-- The self-tests: each one's film and day, what was found wrong (sentences in JSON) once it has ended, and what
-- others of the same basis (bundle, film and preprocessing) are compared with.
CREATE TABLE self_tests (
    film INTEGER PRIMARY KEY REFERENCES films (id),
    day TEXT NOT NULL,
    wrong TEXT,
    basis TEXT,
    logit REAL,
    milliseconds REAL
) STRICT;
";

/// The version of a database.
///
/// # Errors
/// [`StoreError::Newer`] if it was written by a later version of this program.
pub(super) fn version(database: &Connection) -> Result<usize, StoreError> {
    let version: usize = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let newest = VERSIONS.len();
    match version > newest {
        true => Err(StoreError::Newer { version, newest }),
        false => Ok(version),
    }
}

/// Brings a database to the newest version, each step whole or not at all.
///
/// # Errors
/// [`StoreError::Newer`] if it was written by a later version of this program.
pub(super) fn migrate(database: &mut Connection) -> Result<(), StoreError> {
    while let Some(step) = VERSIONS.get(version(database)?) {
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        let next = version(&transaction)? + 1;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}
