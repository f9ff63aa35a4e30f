//! A connection whose peer is heard at a pace: frames that ask for nothing are read no faster than
//! anybody needs to send them.
//!
//! Each frame of HTTP/2 costs the server about what it costs the peer to send, or more, and h2
//! limits only some kinds of them. Here none is refused: what comes too fast stays in the system's
//! buffers until its time, and soon the peer can't send any more.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::limits::{
    CALLS_OF_A_CONNECTION, IDLE_FRAMES, IDLE_FRAMES_A_SECOND, IDLE_FRAMES_FOR_A_RESET,
    IDLE_FRAMES_FOR_AN_ANSWER,
};

/// How many bytes there are before the first frame of a peer.
const PREFACE: usize = 24;
/// How many bytes a frame has before what it carries (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// The most that a peer may keep of what time and answers allow it.
const CREDIT: i64 = (CALLS_OF_A_CONNECTION * IDLE_FRAMES_FOR_A_RESET) as i64;
/// How long the reading waits once it is too far ahead.
const PAUSE: Duration = Duration::from_millis(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// The frames that go by on one side of a connection.
#[derive(Debug)]
struct Frames {
    /// What has come of the next frame's head.
    head: [u8; HEAD],
    known: usize,
    /// Bytes that go by until the next head begins.
    rest: usize,
}

impl Frames {
    /// Those behind so many bytes.
    fn behind(rest: usize) -> Frames {
        Frames {
            head: [0; HEAD],
            known: 0,
            rest,
        }
    }

    /// Goes on over these bytes, and adds up what the frames weigh whose heads are in them, each by
    /// its type, its flags and whether it is empty.
    fn weigh(&mut self, mut bytes: &[u8], weight: impl Fn(u8, u8, bool) -> u32) -> u32 {
        let mut sum = 0;
        while !bytes.is_empty() {
            let passed = self.rest.min(bytes.len());
            self.rest -= passed;
            bytes = &bytes[passed..];
            let more = (HEAD - self.known).min(bytes.len());
            self.head[self.known..self.known + more].copy_from_slice(&bytes[..more]);
            self.known += more;
            bytes = &bytes[more..];
            if self.known == HEAD {
                let [a, b, c, kind, flags, ..] = self.head;
                self.known = 0;
                self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
                sum += weight(kind, flags, self.rest == 0);
            }
        }
        sum
    }
}

/// What a frame of the peer weighs. One that begins a call, brings something of a request or ends it
/// weighs nothing; others ask for nothing, and one that withdraws a call has it made in vain.
fn weight(kind: u8, flags: u8, is_empty: bool) -> u32 {
    match kind {
        HEADERS => 0,
        DATA => u32::from(is_empty && flags & END_STREAM == 0),
        RST_STREAM => IDLE_FRAMES_FOR_A_RESET,
        _ => 1,
    }
}

/// A stream whose peer is heard at a pace.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    heard: Frames,
    said: Frames,
    /// How many frames that ask for nothing have been read beyond what time and answers allow; less
    /// than none after a quiet time.
    ahead: i64,
    since: Instant,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S) -> Paced<S> {
        Paced {
            stream,
            heard: Frames::behind(PREFACE),
            said: Frames::behind(0),
            ahead: 0,
            since: Instant::now(),
            pause: None,
        }
    }

    /// Notes what has been read.
    fn hear(&mut self, bytes: &[u8]) {
        self.ahead += i64::from(self.heard.weigh(bytes, weight));
    }

    /// Notes what has been sent: a peer acknowledges answers.
    fn say(&mut self, bytes: &[u8]) {
        let answers = self.said.weigh(bytes, |kind, _, _| match kind {
            HEADERS | DATA => IDLE_FRAMES_FOR_AN_ANSWER,
            _ => 0,
        });
        self.earn(i64::from(answers));
    }

    /// Whether it is time to read on.
    fn is_in_time(&mut self, now: Instant) -> bool {
        if self.ahead <= i64::from(IDLE_FRAMES) {
            return true;
        }
        let allowed = (now - self.since).as_secs_f64() * f64::from(IDLE_FRAMES_A_SECOND);
        self.earn(allowed as i64);
        self.since = now;
        self.ahead <= i64::from(IDLE_FRAMES)
    }

    /// Lets the peer say so much more. It keeps enough to withdraw all its calls at once, as a client
    /// does whose deadlines end together.
    fn earn(&mut self, frames: i64) {
        self.ahead = (self.ahead - frames).max(-CREDIT);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            if this.is_in_time(Instant::now()) {
                break;
            }
            this.pause = Some(Box::pin(sleep_until(Instant::now() + PAUSE)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.hear(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.say(&bytes[..sent]);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        let mut rest = sent;
        for part in parts {
            let of_this = rest.min(part.len());
            self.say(&part[..of_this]);
            rest -= of_this;
        }
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEAD + u32::from_be_bytes(length) as usize, 0xee);
        frame
    }

    #[test]
    fn frames_are_weighed_however_their_bytes_arrive() {
        let said = [
            vec![b'P'; PREFACE],
            frame(PING, 0, 8),
            frame(HEADERS, 4, 40),
            frame(DATA, 0, 300),
            frame(DATA, 0, 0),
            frame(DATA, END_STREAM, 0),
            frame(PING, 1, 8),
            frame(RST_STREAM, 0, 4),
            frame(0xee, 0xff, 70_000),
        ]
        .concat();
        for size in [1, 2, 7, 9, 64, said.len()] {
            let mut frames = Frames::behind(PREFACE);
            let weighed = said.chunks(size).map(|part| frames.weigh(part, weight));
            let expected = 4 + IDLE_FRAMES_FOR_A_RESET;
            assert_eq!(weighed.sum::<u32>(), expected, "in parts of {size}");
        }
    }

    #[tokio::test]
    async fn after_a_quiet_time_all_calls_may_be_withdrawn_at_once() {
        let mut paced = Paced::new(tokio::io::empty());
        let later = paced.since + Duration::from_secs(10);
        paced.hear(&[0; PREFACE]);
        for at in 0..CALLS_OF_A_CONNECTION {
            paced.hear(&frame(RST_STREAM, 0, 4));
            assert!(paced.is_in_time(later), "{at}");
        }
        for _ in 0..IDLE_FRAMES {
            paced.hear(&frame(RST_STREAM, 0, 4));
        }
        assert!(!paced.is_in_time(later), "and then no more");
    }

    #[tokio::test]
    async fn whoever_says_too_much_that_asks_for_nothing_is_heard_later() {
        let start = Instant::now();
        let mut paced = Paced::new(tokio::io::empty());
        paced.since = start;
        paced.hear(&[0; PREFACE]);
        let second = Duration::from_secs(1);
        for _ in 0..IDLE_FRAMES {
            paced.hear(&frame(PING, 0, 8));
        }
        assert!(paced.is_in_time(start));
        // As a client does whose calls end all at once.
        for _ in 0..IDLE_FRAMES_A_SECOND * 2 {
            paced.hear(&frame(PING, 0, 8));
        }
        assert!(!paced.is_in_time(start));
        assert!(!paced.is_in_time(start + second));
        assert!(paced.is_in_time(start + second * 2));
        paced.hear(&frame(PING, 0, 8));
        assert!(!paced.is_in_time(start + second * 2));
        paced.say(&frame(DATA, 0, 5));
        assert!(paced.is_in_time(start + second * 2));
        for _ in 0..IDLE_FRAMES_A_SECOND {
            paced.hear(&frame(DATA, 0, 5));
            paced.hear(&frame(HEADERS, 5, 5));
        }
        assert!(
            paced.is_in_time(start + second * 2),
            "calls are no idle frames"
        );
    }
}
