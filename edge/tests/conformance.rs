//! The conformance statement says what the program's own tables say, and names tests that exist.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_dimse::service::{
    IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, LEAST_PDU, MOST_PDU, STORAGE, TRANSFER_SYNTAXES,
    VERIFICATION,
};
use plumbline_dimse::{COMMITMENT, Patience, Rejection, Status};
use plumbline_edge::config::Settings;
use plumbline_edge::deidentify::rows;
use plumbline_edge::outbox::{ANSWERS, Meaning, WEB_ANSWERS, WebMeaning};
use plumbline_edge::report::{CAPTURE_CLASS, PAGE_CLASS, REPORT_CLASS};

/// The tests of the rows.
const FILMS: &str = "films_that_are_sent_are_kept_once_and_read_as_screen_reads_them";
const STATUSES: &str = "what_cannot_be_stored_gets_its_status_and_costs_no_association";
const CALLERS: &str = "callers_are_told_why_they_are_rejected";
const SYNTAXES: &str = "dcmtk_stores_films_of_every_transfer_syntax_it_has";
const NEGOTIATED: &str = "services_are_given_that_the_station_has";
const RESERVE: &str = "below_the_reserve_a_film_is_told_to_come_later";
const SIZES: &str = "hostile_sizes_are_bounded";
const REASONS: &str = "a_rejection_says_why";
const SLOW: &str = "slow_peers_are_dropped_in_time";
const REGRESSIONS: &str = "faults_of_real_files_are_read_right_or_refused_by_name";
const DECODED: &str = "films_are_read_as_others_read_them";

fn statement() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md")
}

fn deidentified() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deidentified.md")
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    text
}

fn associations() -> String {
    let Patience {
        read,
        write,
        association,
        object,
        ..
    } = Patience::default();
    let most = Settings::default().dicom.associations;
    let row = |what: &str, value: String, test: &str| vec![what.into(), value, format!("`{test}`")];
    table(
        &["", "value", "tested by"],
        vec![
            row(
                "application context",
                "1.2.840.10008.3.1.1.1".into(),
                REASONS,
            ),
            row(
                "Implementation Class UID",
                IMPLEMENTATION_UID.into(),
                NEGOTIATED,
            ),
            row(
                "Implementation Version Name",
                IMPLEMENTATION_VERSION.into(),
                NEGOTIATED,
            ),
            row("greatest PDU received", format!("{MOST_PDU} bytes"), SIZES),
            row(
                "least maximum of the caller's",
                format!("{LEAST_PDU} bytes, or 0 for any"),
                SIZES,
            ),
            row(
                "associations at a time, by default",
                most.to_string(),
                CALLERS,
            ),
            row(
                "wait for one read or write",
                format!("{} s, {} s", read.as_secs(), write.as_secs()),
                SLOW,
            ),
            row("longest object", format!("{} s", object.as_secs()), SLOW),
            row(
                "longest association",
                format!("{} s", association.as_secs()),
                SLOW,
            ),
        ],
    )
}

fn classes() -> String {
    let verification = vec![
        VERIFICATION.into(),
        "Verification".into(),
        "always".into(),
        format!("`{FILMS}`"),
    ];
    let storage = STORAGE.iter().map(|class| {
        let taken = match class.on_request {
            true => "with `for_processing = true`",
            false => "always",
        };
        let cells = [class.uid, class.name, taken].map(String::from);
        [&cells[..], &[format!("`{NEGOTIATED}`")]].concat()
    });
    let commitment = vec![
        COMMITMENT.into(),
        "Storage Commitment Push Model".into(),
        "answers to what the station has asked".into(),
        "`what_an_archive_has_lost_is_sent_again`".into(),
    ];
    let rows = [verification]
        .into_iter()
        .chain(storage)
        .chain([commitment]);
    let rows = rows.collect();
    table(&["UID", "SOP Class", "taken", "tested by"], rows)
}

fn syntaxes() -> String {
    let rows = TRANSFER_SYNTAXES.iter().map(|syntax| {
        // dcmtk has no writer of these two.
        let test = match syntax.uid {
            "1.2.840.10008.1.2.4.57" => DECODED,
            "1.2.840.10008.1.2.8.1" => REGRESSIONS,
            _ => SYNTAXES,
        };
        vec![syntax.uid.into(), syntax.name.into(), format!("`{test}`")]
    });
    table(&["UID", "transfer syntax", "tested by"], rows.collect())
}

fn statuses() -> String {
    let rows = Status::ALL.map(|status| {
        let (when, then) = status.meaning();
        let test = match status {
            Status::Success => FILMS,
            Status::NotAuthorised => CALLERS,
            Status::OutOfResources => RESERVE,
            _ => STATUSES,
        };
        vec![
            format!("{:04X}", status.code()),
            when.into(),
            then.into(),
            format!("`{test}`"),
        ]
    });
    table(
        &["status", "when", "the sender should", "tested by"],
        rows.into(),
    )
}

fn rejections() -> String {
    let rows = Rejection::kinds().map(|(rejection, when)| {
        let (result, source, reason) = rejection.codes();
        let test = match rejection {
            Rejection::ShortPdu(_) => SIZES,
            Rejection::Busy | Rejection::Caller(_) | Rejection::Called { .. } => CALLERS,
            _ => REASONS,
        };
        vec![
            when.into(),
            result.to_string(),
            source.to_string(),
            reason.to_string(),
            format!("`{test}`"),
        ]
    });
    table(
        &["when", "result", "source", "reason", "tested by"],
        rows.into(),
    )
}

/// What is sent to archives.
fn sent() -> String {
    const FILED: &str = "what_is_filed_is_valid_and_means_what_it_says";
    const KEPT: &str = "archives_of_others_keep_all_of_it_in_the_films_study";
    const PAGES: &str = "archives_of_others_take_pages_and_give_them_back";
    let explicit = "Explicit VR Little Endian";
    let mut rows = vec![
        vec![
            REPORT_CLASS.into(),
            "Comprehensive 3D SR Storage".into(),
            "reports".into(),
            explicit.into(),
            format!("`{FILED}`"),
        ],
        vec![
            CAPTURE_CLASS.into(),
            "Secondary Capture Image Storage".into(),
            "captures".into(),
            explicit.into(),
            format!("`{FILED}`"),
        ],
        vec![
            PAGE_CLASS.into(),
            "Encapsulated PDF Storage".into(),
            "pages".into(),
            explicit.into(),
            format!("`{PAGES}`"),
        ],
    ];
    rows.extend(STORAGE.iter().map(|class| {
        let test = match class.uid {
            "1.2.840.10008.5.1.4.1.1.1.1" => KEPT,
            _ => "offers_fit_into_an_association_and_are_each_made_once",
        };
        vec![
            class.uid.into(),
            class.name.into(),
            "originals, deidentified".into(),
            "as it came".into(),
            format!("`{test}`"),
        ]
    }));
    table(
        &[
            "UID",
            "SOP Class",
            "sent as",
            "transfer syntax",
            "tested by",
        ],
        rows,
    )
}

/// What an archive's answers mean.
fn answers() -> String {
    let rows = ANSWERS.map(|(from, to, meaning)| {
        let statuses = match (from, to) {
            (0x0001, 0xFFFF) => "any other".to_owned(),
            _ if from == to => format!("{from:04X}"),
            _ => format!("{from:04X} to {to:04X}"),
        };
        let means = match meaning {
            Meaning::Delivered => "delivered",
            Meaning::DeliveredWithWarning => "delivered; the status and its comment are told",
            Meaning::Later => "sent again, after waits of 2 s up to 12.5 minutes",
            Meaning::Refused => {
                "kept with the status and its comment, until a person has it sent again"
            }
        };
        let test = match meaning {
            Meaning::Later => "`every_answer_means_what_the_standard_says`",
            _ => "`answers_of_every_kind_are_told`",
        };
        vec![statuses, means.into(), test.into()]
    });
    table(&["status", "means", "tested by"], rows.into())
}

/// What the answers of an archive on the web mean.
fn web_answers() -> String {
    let rows = WEB_ANSWERS.map(|(from, to, meaning)| {
        let statuses = match (from, to) {
            (100, 999) => "any other".to_owned(),
            (400, 499) => "400 to 499, any other".to_owned(),
            _ if from == to => format!("{from}"),
            _ => format!("{from} to {to}"),
        };
        let means = match meaning {
            WebMeaning::Delivered => {
                "delivered, with the Warning Reason if there is one; not if the Failed SOP Sequence \
                 names the object: reasons A700 to A7FF as 503, others as 400"
            }
            WebMeaning::Away => {
                "nothing is sent there for 2 s up to 12.5 minutes, or for Retry-After; then again, for \
                 ever"
            }
            WebMeaning::Refused => {
                "kept with the status and its words, until a person has it sent again"
            }
            WebMeaning::Failed => "sent again, at most twelve times, then kept as for 400",
        };
        let test = "`every_status_has_its_meaning`".to_owned();
        vec![statuses, means.into(), test]
    });
    table(&["status", "means", "tested by"], rows.into())
}

/// What is done with each attribute of a film that leaves de-identified.
fn attributes() -> String {
    let cells = rows().into_iter().map(|row| {
        let profile = row.profile.unwrap_or_default();
        vec![row.tag, row.name.into(), profile.into(), row.done]
    });
    let groups = [
        ("(gggg,xxxx), gggg odd", "private elements"),
        ("(50xx,xxxx)", "curves"),
        ("(60xx,xxxx)", "overlays"),
    ];
    let groups = groups.map(|(tag, name)| [tag, name, "X", "removed"].map(String::from).to_vec());
    let rows = cells.chain(groups).collect();
    table(&["tag", "attribute", "PS3.15", "here"], rows)
}

/// The statement with the tables that the program has now.
fn current(text: &str) -> String {
    let tables = [
        ("associations", associations()),
        ("classes", classes()),
        ("syntaxes", syntaxes()),
        ("statuses", statuses()),
        ("rejections", rejections()),
        ("sent", sent()),
        ("answers", answers()),
        ("web answers", web_answers()),
    ];
    with_tables(text, &tables)
}

fn with_tables(text: &str, tables: &[(&str, String)]) -> String {
    let mut text = text.to_owned();
    for (name, table) in tables {
        let mark = format!("<!-- table: {name} -->\n");
        let start = text.find(&mark).unwrap() + mark.len();
        let end = start + text[start..].find("<!-- end -->").unwrap();
        text.replace_range(start..end, &format!("\n{table}\n"));
    }
    text
}

#[test]
fn the_statement_is_that_of_the_program() {
    let text = fs::read_to_string(statement()).unwrap();
    assert!(
        text == current(&text),
        "edge/CONFORMANCE.md is not current: run `cargo test --workspace --test conformance -- \
         --ignored record`"
    );
}

#[test]
fn the_table_of_attributes_is_that_of_the_program() {
    let text = fs::read_to_string(deidentified()).unwrap();
    assert!(
        text == with_tables(&text, &[("attributes", attributes())]),
        "docs/deidentified.md is not current: run `cargo test --workspace --test conformance -- \
         --ignored record`"
    );
}

#[test]
fn every_test_that_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [
        "dimse/src/negotiation.rs",
        "src/outbox/archive.rs",
        "src/outbox/web.rs",
        "tests/hostile_peers.rs",
        "tests/serve.rs",
        "tests/peers.rs",
        "tests/filing.rs",
        "tests/page.rs",
        "tests/outbox.rs",
        "tests/web.rs",
        "tests/stick.rs",
        "../shared/tests/films.rs",
        "../tests/tests/regressions.rs",
    ];
    let sources = sources.map(|source| fs::read_to_string(root.join(source)).unwrap());
    let text = fs::read_to_string(statement()).unwrap();
    let tables = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let mut named = 0;
    for line in tables {
        let name = line.rsplit('`').nth(1).unwrap();
        let function = format!("fn {name}()");
        assert!(
            sources.iter().any(|source| source.contains(&function)),
            "{name}"
        );
        named += 1;
    }
    assert!(named >= 35, "{named}");
}

#[test]
#[ignore = "writes edge/CONFORMANCE.md and docs/deidentified.md"]
fn record() {
    let text = fs::read_to_string(statement()).unwrap();
    fs::write(statement(), current(&text)).unwrap();
    let text = fs::read_to_string(deidentified()).unwrap();
    let text = with_tables(&text, &[("attributes", attributes())]);
    fs::write(deidentified(), text).unwrap();
}
