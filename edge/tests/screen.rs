//! `plumbline-edge screen` as a script calls it, with the shipped CheXNet bundle.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{ImageBuffer, Luma};
use plumbline_shared::decode::decode;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_plumbline-edge");

/// The shipped bundle of the source tree.
fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/chexnet")
}

/// A sample film of the source tree.
fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/films")
        .join(name)
}

/// A folder for one test, and the program run in it.
struct Station(TempDir);

impl Station {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A 16-bit PNG of a chest, a sample film in the middle of a frame of this size.
    fn film(&self, name: &str, width: u32, height: u32) {
        let bytes = fs::read(sample("phantom-4.dcm")).unwrap();
        let chest = decode(&bytes).unwrap().film;
        let scale =
            (chest.width() as f32 / width as f32).max(chest.height() as f32 / height as f32);
        let place = |at: u32, side: u32, of: u32| {
            ((at as f32 + 0.5 - side as f32 / 2.0) * scale + of as f32 / 2.0).floor()
        };
        let frame = ImageBuffer::from_fn(width, height, |x, y| {
            let (x, y) = (
                place(x, width, chest.width()),
                place(y, height, chest.height()),
            );
            let inside = |at: f32, of: u32| at >= 0.0 && at < of as f32;
            Luma([
                match inside(x, chest.width()) && inside(y, chest.height()) {
                    true => chest.pixels()[(y as u32 * chest.width() + x as u32) as usize],
                    false => 0u16,
                },
            ])
        });
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        frame.save(path).unwrap();
    }

    fn screen(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(self.0.path())
            .env_remove("PLUMBLINE_MODELS")
            .arg("screen")
            .args(arguments);
        command.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn json_lines_are_what_scripts_depend_on() {
    let station = Station::new();
    station.film("high.png", 300, 400);
    station.film("wide.png", 550, 400);
    let output = station.screen(&["--json", "high.png", "wide.png"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let objects = objects(&output);
    let films: Vec<&Value> = objects.iter().map(|object| &object["film"]).collect();
    assert_eq!(films, ["high.png", "wide.png"]);
    for object in objects {
        let names: Vec<&String> = object.as_object().unwrap().keys().collect();
        let mut expected = [
            "film",
            "film_notes",
            "model",
            "model_version",
            "logit",
            "probability",
            "threshold",
            "positive",
            "quality",
            "cam",
            "milliseconds",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(object["model"], "chexnet");
        assert_eq!(object["quality"], "accepted");
        let notes = serde_json::json!(["no window: percentiles 0.5 to 99.5"]);
        assert_eq!(object["film_notes"], notes);
        let number = |name: &str| object[name].as_f64().unwrap();
        let probability = 1.0 / (1.0 + (-number("logit")).exp());
        assert!((number("probability") - probability).abs() < 1e-6);
        assert_eq!(
            object["positive"],
            number("probability") >= number("threshold")
        );
        let rows = object["cam"].as_array().unwrap();
        let cells = |row: &Value| {
            row.as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect()
        };
        let cam: Vec<Vec<f64>> = rows.iter().map(cells).collect();
        assert!(cam.len() == 8 && cam.iter().all(|row| row.len() == 8));
        let peak = cam.concat().into_iter().fold(0.0, f64::max);
        assert!(peak == 1.0 || peak == 0.0, "{peak}");
        let time = |step: &str| object["milliseconds"][step].as_f64().unwrap();
        let steps = ["decode", "prepare", "gate", "read", "overlay"].map(time);
        assert!(steps.iter().sum::<f64>() <= time("total") + 0.1);
        assert!(time("read") > 0.0);
    }
}

#[test]
fn the_table_is_aligned() {
    let station = Station::new();
    station.film("a.png", 256, 256);
    station.film("a longer name.png", 256, 256);
    let output = station.screen(&["a.png", "a longer name.png"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 4, "a title, a head and two films");
    assert!(lines[0].starts_with("chexnet "));
    assert!(lines[1].starts_with("film  "));
    assert!(
        lines[1..].iter().all(|line| line.len() == lines[1].len()),
        "{lines:?}"
    );
    let result = lines[1].find("result").unwrap();
    for line in &lines[2..] {
        assert!(line[result..].starts_with("refer") || line[result..].starts_with("no sign"));
    }
}

#[test]
fn pictures_are_whole_and_each_films_own() {
    let station = Station::new();
    station.film("one/film.png", 300, 400);
    station.film("two/film.png", 1400, 1000);
    let output = station.screen(&["one", "two", "--out", "out/deep"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut names: Vec<String> = fs::read_dir(station.path("out/deep"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["film-2.png", "film.png"]);
    let size = |name: &str| {
        let picture = image::open(station.path("out/deep").join(name)).unwrap();
        (picture.width(), picture.height())
    };
    let ((high, tall), (wide, low)) = (size("film.png"), size("film-2.png"));
    assert_eq!(
        (wide - high, tall > 1024, low < tall),
        (256, true, true),
        "only the film's width differs"
    );
}

#[test]
fn a_full_disk_costs_the_picture_and_not_the_decision() {
    let station = Station::new();
    station.film("film.png", 300, 400);
    // The kernel refuses to write more than 512 bytes to a file, as it does on a full disk.
    let script =
        format!("trap '' XFSZ; ulimit -f 1; exec '{PROGRAM}' screen --json film.png --out out");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(station.0.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let objects = objects(&output);
    assert_eq!(objects.len(), 1);
    assert!(objects[0]["probability"].is_number());
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("out/film.png cannot be written"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert_eq!(fs::read_dir(station.path("out")).unwrap().count(), 0);
}

/// A PNG that claims to be large, and has nothing to show for it.
fn claims_to_be(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        })
    };
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[16, 0, 0, 0, 0],
    ]
    .concat();
    for (name, data) in [(b"IHDR", &header[..]), (b"IDAT", &[]), (b"IEND", &[])] {
        png.extend((data.len() as u32).to_be_bytes());
        let body = [name, data].concat();
        png.extend(&body);
        png.extend(crc(&body).to_be_bytes());
    }
    png
}

#[test]
fn each_bad_film_costs_a_sentence_and_no_other_film() {
    let station = Station::new();
    station.film("good.png", 256, 300);
    let good = fs::read(station.path("good.png")).unwrap();
    station.file("empty.dcm", b"");
    station.file("ten.png", b"0123456789");
    station.file(
        "prose.png",
        "It was a dark and stormy night.\n".repeat(99).as_bytes(),
    );
    station.file("cut.png", &good[..good.len() / 2]);
    station.file("claims.png", &claims_to_be(20_000, 20_000));
    station.file("vast.png", &claims_to_be(u32::MAX >> 1, u32::MAX >> 1));
    station.film("dot.png", 1, 1);
    station.film("icon.png", 63, 300);
    image::RgbImage::from_pixel(90, 90, image::Rgb([9, 200, 9]))
        .save(station.path("colour.png"))
        .unwrap();
    let no_pixels =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films/refused_no_pixels.dcm");
    station.file("no pixels.dcm", &fs::read(no_pixels).unwrap());

    let bad = [
        ("empty.dcm", "empty"),
        ("ten.png", "not a film"),
        ("prose.png", "not a film"),
        ("cut.png", "damaged"),
        ("claims.png", "20000 x 20000"),
        ("vast.png", ""),
        ("dot.png", "1 x 1 pixels, too few"),
        ("icon.png", "63 x 300 pixels, too few"),
        ("colour.png", "colour"),
        ("no pixels.dcm", "no pixel data"),
        ("missing.dcm", "cannot be read"),
    ];
    // The good film before, among and after the bad ones.
    let mut arguments = vec!["--json", "--out", "out", "good.png"];
    for (name, _) in bad {
        arguments.push(name);
        arguments.push("good.png");
    }
    let output = station.screen(&arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (refused, read): (Vec<Value>, Vec<Value>) = objects(&output)
        .into_iter()
        .partition(|object| object.get("logit").is_none());
    assert!(
        refused
            .iter()
            .all(|o| o["quality"] == serde_json::json!(["too-small"]))
    );
    assert_eq!(refused.len(), 2);
    assert_eq!(read.len(), bad.len() + 1);
    assert!(
        read.iter()
            .all(|object| object["film"] == "good.png" && object["cam"] == read[0]["cam"])
    );
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), bad.len(), "{stderr}");
    for (name, part) in bad {
        let sentence = stderr.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(sentence.contains(part), "{sentence}");
    }
    assert_eq!(
        fs::read_dir(station.path("out")).unwrap().count(),
        bad.len() + 1
    );
}

#[test]
fn names_in_any_script_are_screened_and_reach_no_terminal_raw() {
    let station = Station::new();
    station.film("患者 Ωmega\u{1b}[31m🩻.png", 256, 256);
    station.file("bad\u{1b}[2J.png", b"x");
    let output = station.screen(&[".", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("患者 Ωmega"), "{output:?}");
    assert!(![output.stdout, output.stderr].concat().contains(&0x1b));
    assert_eq!(fs::read_dir(station.path("out")).unwrap().count(), 1);
}

#[test]
fn bundles_are_refused_in_a_sentence() {
    let station = Station::new();
    station.film("film.png", 256, 256);
    for entry in fs::read_dir(bundle()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        station.file(&format!("flipped/{name}"), &fs::read(&path).unwrap());
    }
    let model = station.path("flipped/model.onnx");
    let mut bytes = fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(model, bytes).unwrap();
    for (bundle, part) in [
        ("flipped", "model.onnx is damaged or was changed"),
        ("nowhere", "nowhere/manifest.json cannot be read"),
    ] {
        let output = station.screen(&["--bundle", bundle, "film.png"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(text(&output.stdout), "");
        let stderr = text(&output.stderr);
        assert!(
            stderr.lines().count() == 1 && stderr.contains(part),
            "{stderr}"
        );
    }
}

#[test]
fn bad_usage_is_told_apart() {
    let station = Station::new();
    for arguments in [&[][..], &["--bundle"], &["--loud", "film.png"]] {
        assert_eq!(
            station.screen(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    fs::create_dir(station.path("nothing")).unwrap();
    let output = station.screen(&["nothing"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stderr).contains("nothing holds no film"),
        "{output:?}"
    );
}

#[test]
fn results_that_nobody_reads_any_more_are_no_error() {
    let station = Station::new();
    station.film("film.png", 256, 256);
    for form in ["", "--json"] {
        let script = format!(
            "{{ '{PROGRAM}' screen {form} film.png film.png film.png film.png 2>errors; \
             echo $? >status; }} | head -n 1"
        );
        let output = Command::new("sh")
            .current_dir(station.0.path())
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(text(&output.stdout).lines().count(), 1, "{output:?}");
        let written = |name: &str| fs::read_to_string(station.path(name)).unwrap();
        assert_eq!((&*written("status"), &*written("errors")), ("0\n", ""));
    }
}

#[test]
fn a_closed_standard_error_is_no_crash() {
    let station = Station::new();
    station.film("film.png", 256, 256);
    for arguments in [&["--bundle", "nowhere", "film.png"][..], &["missing.png"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let status = Command::new(PROGRAM)
            .current_dir(station.0.path())
            .arg("screen")
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn bundles_of_the_current_folder_are_not_taken() {
    let station = Station::new();
    station.film("film.png", 256, 256);
    for folder in ["models/chexnet", "share/plumbline/models/chexnet"] {
        station.file(&format!("{folder}/manifest.json"), b"hostile");
    }
    let output = station.screen(&["film.png"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // The variable may name any folder, and is then the only one.
    let output = Command::new(PROGRAM)
        .current_dir(station.0.path())
        .env("PLUMBLINE_MODELS", "models")
        .args(["screen", "film.png"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stderr).contains("models/chexnet: manifest.json cannot be read"),
        "{output:?}"
    );
}

/// A sample film whose tags say something else, in texts of the same length.
fn retagged(changes: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = fs::read(sample("phantom-4.dcm")).unwrap();
    for (from, to) in changes {
        assert_eq!(from.len(), to.len());
        let place = bytes.windows(from.len()).position(|part| part == *from);
        let place = place.unwrap();
        bytes[place..place + from.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn the_gate_tells_every_rule_that_a_film_breaks() {
    let station = Station::new();
    let knee = retagged(&[(b"CHEST ", b"KNEE  "), (b"020Y", b"002Y")]);
    station.file("knee.dcm", &knee);
    let output = station.screen(&["--json", "knee.dcm"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let refused = &objects(&output)[0];
    assert_eq!(refused["film"], "knee.dcm");
    assert_eq!(
        refused["quality"],
        serde_json::json!(["wrong-body-part", "age"])
    );
    assert_eq!(refused.get("logit"), None);
    let finding = &refused["findings"][1];
    assert_eq!(finding["severity"], "refuse");
    assert_eq!(
        finding["sentence"],
        "is of a patient of 2 years; 5 to 90 are screened"
    );
    assert!(finding["advice"].as_str().unwrap().starts_with("correct"));
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in ["knee.dcm is of another part of the body (KNEE)", "2 years"] {
        assert!(stderr.contains(part), "{stderr}");
    }

    // A supervisor may have it read; what is wrong with it stays with the result.
    let output = station.screen(&["--json", "--read-refused", "knee.dcm"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let read = &objects(&output)[0];
    assert_eq!(read["quality"], refused["quality"]);
    assert!(read["logit"].is_number());
    assert_eq!(read["findings"][0], refused["findings"][0]);
}

#[test]
fn the_gate_sees_what_a_film_shows() {
    let station = Station::new();
    station.film("film.png", 512, 512);
    let film = image::open(station.path("film.png")).unwrap().into_luma16();
    let save = |name: &str, film: &ImageBuffer<Luma<u16>, Vec<u16>>| {
        film.save(station.path(name)).unwrap();
    };
    use image::imageops::{crop_imm, rotate90, rotate180, rotate270};
    save("turned-right.png", &rotate90(&film));
    save("upside-down.png", &rotate180(&film));
    save("turned-left.png", &rotate270(&film));
    let mut negative = film.clone();
    negative.pixels_mut().for_each(|p| p.0[0] = 65_535 - p.0[0]);
    save("inverted.png", &negative);
    save(
        "apices-missing.png",
        &crop_imm(&film, 0, 190, 512, 322).to_image(),
    );
    save(
        "bases-missing.png",
        &crop_imm(&film, 0, 0, 512, 322).to_image(),
    );
    let mut dark = film.clone();
    let white = f32::from(*film.iter().max().unwrap());
    let loses = |grey: u16| ((f32::from(grey) - 0.75 * white).max(0.0) * 4.0).min(65_535.0) as u16;
    dark.pixels_mut().for_each(|p| p.0[0] = loses(p.0[0]));
    save("over-exposed.png", &dark);
    let output = station.screen(&["--json", "."]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let objects = objects(&output);
    assert_eq!(objects.len(), 8);
    for object in objects {
        let name = Path::new(object["film"].as_str().unwrap())
            .file_stem()
            .unwrap();
        let expected = match name.to_str().unwrap() {
            "film" => serde_json::json!("accepted"),
            code => serde_json::json!([code]),
        };
        assert_eq!(object["quality"], expected, "{object}");
    }
}

#[test]
fn a_station_without_the_gates_network_says_so_and_keeps_the_rules() {
    let station = Station::new();
    station.film("film.png", 256, 256);
    station.film("long.png", 100, 400);
    for entry in fs::read_dir(bundle()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        station.file(&format!("models/chexnet/{name}"), &fs::read(&path).unwrap());
    }
    let output = Command::new(PROGRAM)
        .current_dir(station.0.path())
        .env("PLUMBLINE_MODELS", "models")
        .args(["screen", "--json", "film.png", "long.png"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let objects = objects(&output);
    assert!(objects[0]["logit"].is_number());
    assert_eq!(objects[1]["quality"], serde_json::json!(["not-a-chest"]));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("not checked before they are read"),
        "{stderr}"
    );
}
