//! Faults of a configuration, and the documented one.

use std::fs;
use std::path::Path;
use std::process::Command;

use plumbline_edge::config::Settings;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_plumbline-edge");

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.toml");
    let told = |text: &str, faults: &[(usize, &str)]| {
        fs::write(&path, text).unwrap();
        let output = Command::new(PROGRAM)
            .args(["serve", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        for (line, word) in faults {
            let place = format!("station.toml:{line}: ");
            let found = said
                .lines()
                .any(|said| said.contains(&place) && said.contains(word));
            assert!(found, "line {line}: {word} is not in\n{said}");
        }
        assert_eq!(said.lines().count(), faults.len(), "{said}");
    };
    told(
        "data = 7\n[dicom]\nlisten = \"here\"\nae_tittle = \"A\"\nassociations = 1000\n\
         tls_key = \"/k\"\ntls_certificate = \"c\"\n[http]\nlisten = \"0.0.0.0:80\"\n[folder]\n\
         after = \"burn\"\n[[peer]]\nname = \"x\"\n[store]\nreserve_mib = 900\n\
         low_water_mib = 800\n[link]\nlisten = \"0.0.0.0:7114\"\nkey = \"k\"\n\
         connections = 0\n[[destination]]\nname = \"a\"\nfolder = \"/f\"\n\
         [[destination]]\nname = \"a\"\nfolder = \"/g\"\nsends = [\"all\"]\n\
         [[destination]]\nfolder = \"/h\"\n[[destination]]\nname = \"b\"\nfolder = \"/i\"\n\
         commitment = true\nsends = []\n[[destination]]\nname = \"c\"\nfolder = \"/j\"\n\
         sends = [\"deidentified\", \"reports\"]\n[stick]\nkeys = [\"RWQ\"]\n\
         [[destination]]\nname = \"d\"\nfolder = \"/f\"\nstick = \"/s\"\n",
        &[
            (1, "data must be a text"),
            (3, "listen is \"here\""),
            (4, "there is no setting \"ae_tittle\""),
            (5, "associations must be a whole number from 1 to 64"),
            (7, "set all three"),
            (7, "tls_certificate is \"c\": write the whole path"),
            (9, "other computers can reach"),
            (10, "[folder] has no path"),
            (11, "after is \"burn\""),
            (12, "a [[peer]] needs"),
            (16, "low_water_mib is less than reserve_mib"),
            (17, "[link] needs listen, certificate, key and authorities"),
            (19, "key is \"k\": write the whole path"),
            (20, "connections must be a whole number from 1 to 64"),
            (24, "another [[destination]] has this name"),
            (
                27,
                "sends has an entry that is \"all\": write \"originals\" or",
            ),
            (28, "a [[destination]] needs a name"),
            (30, "commitment is asked for by DICOM"),
            (34, "sends is empty"),
            (35, "\"deidentified\" is sent alone"),
            (40, "keys has an entry that is \"RWQ\": write a public key"),
            (41, "a [[destination]] needs address and ae_title"),
        ],
    );
    told(
        "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\ncharacters = \"KLINGON\"\n\
         every_minutes = 0\n[self_test]\nhour = 24\n[[destination]]\nname = \"a\"\n\
         url = \"ftp://pacs\"\n[[destination]]\nname = \"b\"\nurl = \"https://pacs/dicom-web\"\n\
         kib_per_second = 1\n[[destination]]\nname = \"c\"\nurl = \"http://127.0.0.1.pacs/dicom-web\"\n\
         token = \"/t\"\n[[destination]]\nname = \"d\"\nurl = \"https://pacs\"\n\
         tls_authorities = \"/a\"\ntls_key = \"/k\"\n[[destination]]\nname = \"e\"\n\
         folder = \"/f\"\ntoken = \"/t\"\n",
        &[
            (4, "characters is \"KLINGON\""),
            (5, "every_minutes must be a whole number from 1"),
            (7, "hour must be a whole number from 0 to 23"),
            (8, "needs address and ae_title, or else url"),
            (10, "url is \"ftp://pacs\""),
            (11, "https needs tls_authorities"),
            (14, "kib_per_second must be a whole number from 16"),
            (15, "a token over http can be read"),
            (23, "tls_certificate and tls_key go together"),
            (24, "token only with url"),
        ],
    );
    // Each of these is right by itself.
    told(
        "data = \"/d\"\n[dicom]\nlisten = \"0.0.0.0:8043\"\n[folder]\npath = \"/d/films\"\n\
         after = \"move\"\nmoved_to = \"/d/films\"\n[intended_use]\nyoungest = 91\n\
         [link]\nlisten = \"10.0.0.7:8043\"\ncertificate = \"/c\"\nkey = \"/k\"\n\
         authorities = \"/a\"\n",
        &[
            (3, "listen is the port of [http], too"),
            (5, "path lies in data"),
            (7, "moved_to lies in data"),
            (7, "moved_to is the watched folder itself"),
            (9, "youngest is more than oldest"),
            (11, "listen is the port of [dicom] or [http], too"),
        ],
    );
}

#[test]
fn the_documented_configuration_has_every_setting_at_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("station.toml");
    assert_eq!(Settings::read(&path).unwrap(), Settings::default());
    // Settings that have no default are examples behind a comment sign.
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(example) if !example.starts_with(' ') => example,
        _ => line,
    });
    let text: Vec<_> = lines.collect();
    let settings = Settings::parse(&path, &text.join("\n"));
    // Of the folder's three only one can be right at a time, of a panel's two places, and of a
    // destination's.
    let faults = settings.unwrap_err().faults;
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[2]
            .what
            .starts_with("a [[destination]] needs address and ae_title"),
        "{faults:?}"
    );
    assert!(
        faults[1].what.starts_with("[panel] needs device"),
        "{faults:?}"
    );
    assert!(
        faults[0].what.contains("only with after = \"move\""),
        "{faults:?}"
    );
}
