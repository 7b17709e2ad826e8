//! A film that a host sends: it comes in parts, is kept like any other film, and its result is told
//! once it is read.

use std::thread;
use std::time::{Duration, Instant};

use plumbline_shared::decode::Header;
use plumbline_wire::host::FromStation;
use plumbline_wire::object::{Chunk, Have, Object, ObjectError, Progress};

use super::session::{LinkError, Session};
use crate::intake::{ReceiveError, Way};
use crate::store::{Kept, Origin, Part, PartError, State, StoredFilm};

/// How often the store is asked whether a film was read.
const LOOK: Duration = Duration::from_millis(50);

/// How often a host that waits for a film's result is told so.
const WAITING: Duration = Duration::from_secs(1);

/// The most characters of a film's name.
const MOST_NAME: usize = 255;

/// The most bytes of a film as JSON; a message has room for more.
const MOST_LINE: usize = 60_000;

/// What a host sends.
pub(super) enum Sent<'s> {
    /// No film.
    Nothing,
    /// This film.
    Film {
        /// Its name for people.
        name: String,
        /// What has come of it.
        part: Box<Part<'s>>,
    },
    /// A film that was refused while it came. Its other bytes are on their way, and left out.
    Refused,
}

/// What became of bytes that came.
pub(super) enum Taken {
    /// They are kept, or left out, and more will come.
    More,
    /// They were the film's last.
    Whole,
    /// They cannot be kept.
    Failed(PartError),
    /// No film was announced.
    Unannounced,
}

/// A film that is not kept, and whether what has come of it is of use later.
struct NotKept {
    sentence: String,
    later: bool,
}

impl Sent<'_> {
    /// Keeps bytes of the film.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Taken {
        match self {
            Self::Nothing => Taken::Unannounced,
            Self::Refused => Taken::More,
            Self::Film { part, .. } => match part.write(chunk) {
                Ok(Progress::More) => Taken::More,
                Ok(Progress::Whole) => Taken::Whole,
                Err(error) => Taken::Failed(error),
            },
        }
    }
}

impl<'s> Session<'s> {
    /// Answers [`ToStation::Screen`](plumbline_wire::host::ToStation::Screen).
    pub(super) fn screen(&mut self, name: &str, film: Object) -> Result<(), LinkError> {
        // What was sent before is not gone on with.
        self.sent = Sent::Nothing;
        let store = &*self.station.receiver.store;
        let sha256 = film.sha256;
        let known = match store.film_of(&sha256) {
            Ok(known) => known,
            Err(error) => return self.refuse(&error.to_string()),
        };
        if let Some(known) = known {
            let offset = film.length;
            self.say(&FromStation::Have(Have { offset, sha256 }))?;
            return self.tell_when_read(known);
        }
        let part = match store.part(film) {
            Ok(part) => Box::new(part),
            Err(error) => return self.refuse(&error.to_string()),
        };
        self.say(&FromStation::Have(part.have()))?;
        let whole = part.is_whole();
        let name = name.chars().take(MOST_NAME).collect();
        self.sent = Sent::Film { name, part };
        match whole {
            true => self.keep(),
            false => Ok(()),
        }
    }

    /// Goes on after bytes of a film have come.
    pub(super) fn taken(&mut self, taken: Taken) -> Result<(), LinkError> {
        match taken {
            Taken::More => Ok(()),
            Taken::Whole => self.keep(),
            Taken::Unannounced => Err(LinkError::OutOfOrder("bytes of no film came")),
            Taken::Failed(PartError::TakenOver) => Err(LinkError::TakenOver),
            Taken::Failed(error @ PartError::Store(_)) => {
                tracing::warn!(%error, "a host's film cannot be received");
                self.sent = Sent::Refused;
                self.refuse(&error.to_string())
            }
            Taken::Failed(PartError::Object(ObjectError::Mismatch)) => {
                self.sent = Sent::Nothing;
                self.refuse(
                    "the bytes that came are not those that were announced: the film's file was \
                     changed meanwhile; send it again",
                )
            }
            Taken::Failed(_) => Err(LinkError::OutOfOrder(
                "bytes came that are not the next ones",
            )),
        }
    }

    /// Keeps the film, all of which has come, and tells its result.
    fn keep(&mut self) -> Result<(), LinkError> {
        let Sent::Film { name, mut part } = std::mem::replace(&mut self.sent, Sent::Nothing) else {
            return Ok(());
        };
        let kept = self.receive(&name, &mut part);
        if !matches!(kept, Err(NotKept { later: true, .. }))
            && let Err(error) = part.remove()
        {
            tracing::warn!(%error, "what has come of a film cannot be removed");
        }
        match kept {
            Ok(kept) => self.tell_when_read(kept.film()),
            Err(NotKept { sentence, .. }) => self.refuse(&sentence),
        }
    }

    fn receive(&self, name: &str, part: &mut Part) -> Result<Kept, NotKept> {
        let not_kept = |error: &dyn std::error::Error, later| NotKept {
            sentence: error.to_string(),
            later,
        };
        let incoming = part.incoming().map_err(|error| {
            // What the disk has not kept is sent again.
            let later = !matches!(error, PartError::Object(_));
            not_kept(&error, later)
        })?;
        let way = Way {
            origin: Origin::Host,
            sender: name,
            announced: None,
        };
        let received = self.station.receiver.receive(incoming, &way);
        received.map_err(|error| match error {
            ReceiveError::NotWhole(error) => NotKept {
                sentence: error.sentence(),
                later: error.may_pass(),
            },
            error => not_kept(&error, true),
        })
    }

    /// Waits until a film is read, refused or cannot be read, and tells its result.
    fn tell_when_read(&mut self, film: i64) -> Result<(), LinkError> {
        let store = &*self.station.receiver.store;
        let mut told = Instant::now();
        loop {
            match store.film(film) {
                Ok(film) if is_settled(&film) => {
                    return match store.result_number(film.film) {
                        Ok(number) => self.tell(number, film),
                        Err(error) => self.refuse(&error.to_string()),
                    };
                }
                Ok(_) => {}
                Err(error) => return self.refuse(&error.to_string()),
            }
            self.require_going_on()?;
            if told.elapsed() >= WAITING {
                self.say(&FromStation::Waiting)?;
                told = Instant::now();
            }
            thread::sleep(LOOK);
        }
    }

    /// Tells a film and what became of it.
    pub(super) fn tell(&mut self, number: u64, film: StoredFilm) -> Result<(), LinkError> {
        let line = line(film);
        let line = &line;
        self.say(&FromStation::Result { number, line })
    }
}

/// True if a film's result will not change by itself.
fn is_settled(film: &StoredFilm) -> bool {
    let waits = matches!(
        film.state,
        State::Received | State::Gated | State::Superseded
    );
    film.held.is_some() || !waits
}

/// A film as JSON. One whose texts are too long for a message is told without them.
fn line(mut film: StoredFilm) -> String {
    let json = |film: &StoredFilm| serde_json::to_string(film).unwrap_or_default();
    let line = json(&film);
    if line.len() <= MOST_LINE {
        return line;
    }
    film.header = Header::default();
    film.sender.clear();
    json(&film)
}
