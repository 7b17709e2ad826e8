//! The panel beside the film: the result in words, its probability and threshold, and the map's
//! legend.

use image::{Rgb, RgbImage};
use plumbline_shared::decision::Decision;
use plumbline_shared::text::Pen;

use super::caption::Caption;
use super::heat;

/// Width of the panel.
pub(super) const WIDTH: u32 = 380;
/// Least height that holds the panel.
pub(super) const HEIGHT: u32 = 780;

const BRIGHT: Rgb<u8> = Rgb([240, 242, 245]);
const DIM: Rgb<u8> = Rgb([150, 158, 170]);
const LINE: Rgb<u8> = Rgb([48, 54, 64]);
/// Amber and blue-green: told apart by colour-blind readers too, and never by colour alone.
const REFER: Rgb<u8> = Rgb([255, 182, 72]);
const NO_SIGN: Rgb<u8> = Rgb([94, 201, 190]);

const TITLE: f32 = 34.0;
const TEXT: f32 = 19.0;
const SMALL: f32 = 16.0;

/// The distance of a field's value from its name's beginning.
const INDENT: f32 = 90.0;
/// Height of a line of notes.
const NOTE_LINE: f32 = 22.0;
/// Most lines of doubts that are shown.
const MOST_DOUBT_LINES: usize = 8;
/// Most notes that are shown.
const MOST_NOTES: usize = 4;

/// Draws the panel into `height` rows from (`left`, `top`).
pub(super) fn draw(canvas: &mut RgbImage, left: u32, top: u32, height: u32, caption: &Caption) {
    let mut panel = Panel {
        canvas,
        pen: Pen::new(),
        left: left as f32,
        y: top as f32,
    };
    panel.result(caption.decision);
    panel.gauge(caption.decision);
    panel.legend();
    panel.field("Film", caption.film);
    panel.field("Model", caption.model);
    panel.field("Version", caption.model_version);
    panel.doubts(caption.doubts);
    panel.notes(caption.notes);
    panel.y = (top + height) as f32;
    panel.write("Screening aid, not a diagnosis", (0.0, -6.0), TEXT, BRIGHT);
}

struct Panel<'a> {
    canvas: &'a mut RgbImage,
    pen: Pen,
    left: f32,
    y: f32,
}

impl Panel<'_> {
    fn result(&mut self, decision: &Decision) {
        let (title, words, colour) = if decision.positive {
            ("Refer", "Signs of scoliosis: ask a specialist", REFER)
        } else {
            ("No sign", "No sign of scoliosis was found", NO_SIGN)
        };
        self.bar(0.0, 0.0, 6.0, 66.0, |_| colour);
        self.write(title, (22.0, 27.0), TITLE, colour);
        self.write(words, (22.0, 60.0), TEXT, BRIGHT);
        self.y += 106.0;
    }

    /// Draws the probability on a scale of 0 to 1, with a mark at the threshold.
    fn gauge(&mut self, decision: &Decision) {
        let colour = if decision.positive { REFER } else { NO_SIGN };
        let (probability, threshold) = (decision.probability as f32, decision.threshold as f32);
        self.write("Probability", (0.0, 0.0), SMALL, DIM);
        self.write_right(&percent(decision.probability), 0.0, TEXT, BRIGHT);
        let fill = |at| if at <= probability { colour } else { LINE };
        self.bar(0.0, 14.0, WIDTH as f32, 12.0, fill);
        let mark = (threshold * WIDTH as f32).clamp(1.0, WIDTH as f32 - 2.0);
        self.bar(mark - 1.0, 8.0, 3.0, 24.0, |_| BRIGHT);
        self.write("Referred from", (0.0, 52.0), SMALL, DIM);
        self.write_right(&percent(decision.threshold), 52.0, TEXT, BRIGHT);
        self.y += 112.0;
    }

    fn legend(&mut self) {
        self.write("Where the network looked", (0.0, 0.0), SMALL, DIM);
        self.bar(0.0, 14.0, WIDTH as f32, 18.0, heat::on_film);
        self.write("little", (0.0, 54.0), SMALL, DIM);
        self.write_right("most", 54.0, SMALL, DIM);
        self.y += 112.0;
    }

    /// Draws a name and a value in one line.
    fn field(&mut self, name: &str, value: &str) {
        let value = self.pen.fit(value, TEXT, WIDTH as f32 - INDENT);
        self.bar(0.0, -26.0, WIDTH as f32, 1.0, |_| LINE);
        self.write(name, (0.0, 0.0), SMALL, DIM);
        self.write(&value, (INDENT, 0.0), TEXT, BRIGHT);
        self.y += 42.0;
    }

    /// Draws what makes the result doubtful, in as many lines as there is room for.
    fn doubts(&mut self, doubts: &[String]) {
        if doubts.is_empty() {
            return;
        }
        self.bar(0.0, -26.0, WIDTH as f32, 1.0, |_| LINE);
        self.write("Doubtful", (0.0, 0.0), SMALL, REFER);
        let lines = doubts.iter().flat_map(|doubt| self.wrapped(doubt));
        let mut lines: Vec<String> = lines.collect();
        if lines.len() > MOST_DOUBT_LINES {
            lines.truncate(MOST_DOUBT_LINES - 1);
            lines.push("and more: see the results".into());
        }
        for line in lines {
            self.write(&line, (INDENT, 0.0), SMALL, BRIGHT);
            self.y += NOTE_LINE;
        }
        self.y += 42.0 - NOTE_LINE;
    }

    /// Breaks a text between words into lines that fit beside a field's name.
    fn wrapped(&self, text: &str) -> Vec<String> {
        let width = WIDTH as f32 - INDENT;
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let word = self.pen.fit(word, SMALL, width);
            match lines.last_mut() {
                Some(line) if self.pen.width(&format!("{line} {word}"), SMALL) <= width => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        lines
    }

    /// Draws what was done to the film, in as many lines as there is room for.
    fn notes(&mut self, notes: &[String]) {
        if notes.is_empty() {
            return;
        }
        self.bar(0.0, -26.0, WIDTH as f32, 1.0, |_| LINE);
        self.write("Shown", (0.0, 0.0), SMALL, DIM);
        let (last, first) = match notes.split_at_checked(MOST_NOTES) {
            Some((first, [_, ..])) => (
                Some(format!("and {} more", notes.len() - MOST_NOTES)),
                first,
            ),
            _ => (None, notes),
        };
        for note in first.iter().chain(&last) {
            let note = self.pen.fit(note, SMALL, WIDTH as f32 - INDENT);
            self.write(&note, (INDENT, 0.0), SMALL, BRIGHT);
            self.y += NOTE_LINE;
        }
    }

    fn write(&mut self, text: &str, (x, y): (f32, f32), size: f32, colour: Rgb<u8>) {
        let (x, y) = (self.left + x, self.y + y);
        self.pen.write(self.canvas, text, x, y, size, colour);
    }

    fn write_right(&mut self, text: &str, y: f32, size: f32, colour: Rgb<u8>) {
        let x = WIDTH as f32 - self.pen.width(text, size);
        self.write(text, (x, y), size, colour);
    }

    /// Draws a rectangle whose colour depends on the position along it, 0 to 1.
    fn bar(&mut self, x: f32, y: f32, width: f32, height: f32, colour: impl Fn(f32) -> Rgb<u8>) {
        let (x, y) = ((self.left + x) as u32, (self.y + y) as u32);
        for column in 0..width as u32 {
            let colour = colour((column as f32 + 0.5) / width);
            for row in 0..height as u32 {
                if let Some(pixel) = self.canvas.get_pixel_mut_checked(x + column, y + row) {
                    *pixel = colour;
                }
            }
        }
    }
}

/// Returns a share of 1 in per cent. A share close to 0 or 1 is never shown as 0 or 100 %.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        "< 0.1 %".to_string()
    } else if share > 0.9995 && share < 1.0 {
        "> 99.9 %".to_string()
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_cent_never_claims_certainty() {
        assert_eq!(percent(0.25), "25.0 %");
        assert_eq!(percent(1e-9), "< 0.1 %");
        assert_eq!(percent(1.0 - 1e-9), "> 99.9 %");
    }
}
