//! What a line of 921,600 baud carries, in simulated time: 92,160 bytes a second each way.

use plumbline_wire::frame::{BODY, FRAME};
use plumbline_wire::hello::Version;
use plumbline_wire::link::{Link, Timing};
use plumbline_wire::panel;

const BYTES_A_SECOND: u64 = 92_160;
const SECOND: u64 = 1_000_000;

/// One direction: bytes arrive one by one, `delay` microseconds behind their time on the line.
struct Line {
    delay: u64,
    /// Bytes and when the last one of each frame arrives.
    under_way: std::collections::VecDeque<(u64, Vec<u8>)>,
    /// When the line has sent what it was given, in nanoseconds.
    free_at: u64,
    /// One frame of so many is lost.
    loses_every: Option<u64>,
    frames: u64,
}

impl Line {
    fn new(delay: u64) -> Self {
        Self {
            delay,
            under_way: std::collections::VecDeque::new(),
            free_at: 0,
            loses_every: None,
            frames: 0,
        }
    }

    /// Lets `from` send while fewer than `ahead` microseconds wait in the port's buffer, and `to`
    /// receive.
    fn carry<const A: usize, const B: usize, const C: usize, const D: usize>(
        &mut self,
        now: u64,
        ahead: u64,
        from: &mut Link<A, B>,
        to: &mut Link<C, D>,
    ) {
        let mut out = [0; FRAME];
        while self.free_at / 1000 <= now + ahead {
            let Some(bytes) = from.transmit(now, &mut out) else {
                break;
            };
            let time = bytes.len() as u64 * 1_000_000_000 / BYTES_A_SECOND;
            self.free_at = self.free_at.max(now * 1000) + time;
            let arrival = self.free_at / 1000 + self.delay;
            self.frames += 1;
            let is_lost = |every| self.frames.is_multiple_of(every);
            if !self.loses_every.is_some_and(is_lost) {
                self.under_way.push_back((arrival, bytes.to_vec()));
            }
        }
        while let Some((arrival, bytes)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            assert!(arrival <= now);
            let mut bytes = &bytes[..];
            while to.receive(now, &mut bytes).is_some() {}
        }
    }
}

/// Bytes of bodies a second that come to the other side while both ends send all they can.
fn goodput<const SEND: usize, const RECEIVE: usize>(
    both: bool,
    delay: u64,
    ahead: u64,
    loses_every: Option<u64>,
) -> [u64; 2] {
    let version = Version::of("1.0.0");
    let mut station = Link::<16, 16>::new(panel::identity(version, 1), Timing::DEFAULT);
    let mut board = Link::<SEND, RECEIVE>::new(panel::identity(version, 2), Timing::DEFAULT);
    let (mut to_board, mut to_station) = (Line::new(delay), Line::new(delay));
    // With the length before them these bytes fill a body.
    let filler = [0xa5_u8; BODY - 2];
    let (warm, end) = (SECOND, 11 * SECOND);
    to_station.loses_every = loses_every;
    let mut came = [0; 2];
    let mut now = 0;
    while now < end {
        while board.send(&&filler[..]).is_ok() {}
        while both && station.send(&&filler[..]).is_ok() {}
        to_station.carry(now, ahead, &mut board, &mut station);
        to_board.carry(now, ahead, &mut station, &mut board);
        for (came, body) in came.iter_mut().zip([station.message(), board.message()]) {
            if let (Some(body), true) = (body, now > warm) {
                *came += body.len() as u64;
            }
        }
        now += 50;
    }
    if loses_every.is_none() {
        // At most once each place, before it is known how late acknowledgements come.
        let resent = [board.counts().resent, station.counts().resent];
        assert!(resent.iter().all(|&resent| resent <= 16), "{resent:?}");
    }
    let came = came.map(|bytes| bytes * SECOND / (end - warm));
    println!(
        "board's places {SEND}, {delay} us late, {ahead} us of buffer, loses one of {loses_every:?}: \
         {came:?} bytes a second"
    );
    came
}

/// The share of the line in percent.
fn percent(bytes_a_second: u64) -> u64 {
    bytes_a_second * 100 / BYTES_A_SECOND
}

#[test]
fn bodies_take_nine_tenths_of_the_line() {
    // A USB adapter keeps what it receives for a millisecond or so.
    let [up, _] = goodput::<8, 8>(false, 1_000, 0, None);
    assert!(percent(up) >= 90, "{up} bytes a second");
    let [up, _] = goodput::<4, 4>(false, 1_000, 0, None);
    assert!(percent(up) >= 90, "{up} bytes a second with a window of 4");
    let both = goodput::<8, 8>(true, 1_000, 0, None);
    assert!(
        both.map(percent).iter().all(|&percent| percent >= 90),
        "{both:?}"
    );
    // Some keep it for 16 ms.
    let [up, _] = goodput::<16, 8>(false, 16_000, 4_000, None);
    assert!(
        percent(up) >= 90,
        "{up} bytes a second behind a slow adapter"
    );
}

#[test]
fn messages_are_not_sent_twice_because_a_port_buffers_them() {
    // A computer's port has 4 KiB, behind which an acknowledgement comes late.
    let [up, _] = goodput::<8, 8>(false, 1_000, 44_000, None);
    assert!(percent(up) >= 90, "{up} bytes a second");
    let both = goodput::<16, 16>(true, 1_000, 44_000, None);
    assert!(
        both.map(percent).iter().all(|&percent| percent >= 85),
        "{both:?}"
    );
}

#[test]
fn a_lost_frame_is_sent_again_without_waiting_for_its_time() {
    let [up, _] = goodput::<16, 8>(false, 1_000, 0, Some(50));
    assert!(percent(up) >= 85, "{up} bytes a second");
}

#[test]
fn a_receiver_that_had_no_time_gets_more_as_soon_as_it_has() {
    let version = Version::of("1.0.0");
    let mut station = Link::<16, 16>::new(panel::identity(version, 1), Timing::DEFAULT);
    let mut board = Link::<4, 4>::new(panel::identity(version, 2), Timing::DEFAULT);
    let (mut to_board, mut to_station) = (Line::new(500), Line::new(500));
    let (mut now, mut came) = (0, 0);
    while now < 5 * SECOND {
        while station.send(&[1u8; 32]).is_ok() {}
        to_station.carry(now, 0, &mut board, &mut station);
        to_board.carry(now, 0, &mut station, &mut board);
        // Takes everything every 20 ms, and nothing in between.
        if now % 20_000 == 0 {
            while board.message().is_some() {
                came += 1;
            }
        }
        now += 100;
    }
    // Four each time, but for the first.
    assert!(came >= 4 * (5 * 50 - 3), "{came} messages");
    assert_eq!(station.counts().resent, 0);
}
