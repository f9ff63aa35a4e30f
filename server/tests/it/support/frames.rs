//! HTTP/2 by hand: frames as bytes, and floods of them, for peers that say what no client says.
//! Shared with `benches/abuse`.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What every HTTP/2 connection begins with, and a frame of settings that leaves all as it is.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The types of frames (RFC 9113, section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// Why a stream is reset (section 7).
pub(crate) const CANCEL: u32 = 8;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field of a head whose name stands in the table of HPACK (RFC 7541, appendix A) before place
/// 15.
fn field(name: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![name, u8::try_from(value.len()).expect("a value is short")];
    field.extend(value);
    field
}

/// The head of a call: POST, http, and the path.
pub(crate) fn head(path: &str) -> Vec<u8> {
    let mut head = vec![0x83, 0x86];
    head.extend(field(1, b"localhost"));
    head.extend(field(4, path.as_bytes()));
    head
}

/// A frame as it was read.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The next frame; none once the connection has ended.
pub(crate) async fn next(connection: &mut (impl AsyncReadExt + Unpin)) -> Option<Heard> {
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, _, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    connection.read_exact(&mut payload).await.ok()?;
    Some(Heard {
        kind,
        stream: u32::from_be_bytes(stream),
        payload,
    })
}

/// What a peer says over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// Calls that are withdrawn as soon as they are made ("rapid reset", CVE-2023-44487).
    Resets,
    /// A head that never ends.
    Continuations,
    /// The same, in parts that hold nothing.
    EmptyContinuations,
    Settings,
    Pings,
    Priorities,
    WindowUpdates,
    /// Parts of a request that hold nothing.
    EmptyData,
    /// Frames of no known type.
    Unknown,
    /// Heads that name a large field over and over, by one byte each time.
    Heads,
    /// Bytes by chance, after a preface.
    Garbage,
    /// Bytes by chance, from the start.
    Noise,
}

/// All of them.
pub(crate) const FLOODS: [Flood; 12] = [
    Flood::Resets,
    Flood::Continuations,
    Flood::EmptyContinuations,
    Flood::Settings,
    Flood::Pings,
    Flood::Priorities,
    Flood::WindowUpdates,
    Flood::EmptyData,
    Flood::Unknown,
    Flood::Heads,
    Flood::Garbage,
    Flood::Noise,
];

/// How many frames a part of a flood has.
const TOGETHER: u32 = 64;

impl Flood {
    /// What is said first.
    pub(crate) fn opening(self) -> Vec<u8> {
        let call = |flags, path: &str| frame(kind::HEADERS, flags, 1, &head(path));
        let begins = match self {
            Flood::Noise => return Vec::new(),
            Flood::Continuations | Flood::EmptyContinuations => {
                call(0, "/orderarchiver.v1.StatsService/GetStats")
            }
            Flood::EmptyData => call(
                END_HEADERS,
                "/orderarchiver.v1.ArchiveService/ArchiveOrders",
            ),
            _ => Vec::new(),
        };
        [PREFACE, &begins].concat()
    }

    /// The part of this number of what follows.
    pub(crate) fn part(self, number: u32) -> Vec<u8> {
        let all = (number * TOGETHER..(number + 1) * TOGETHER).map(|at| self.one(at));
        all.collect::<Vec<_>>().concat()
    }

    fn one(self, at: u32) -> Vec<u8> {
        let stream = 2 * at + 3;
        match self {
            Flood::Resets => [
                frame(
                    kind::HEADERS,
                    END_HEADERS,
                    stream,
                    &head("/orderarchiver.v1.EventService/TailEvents"),
                ),
                frame(kind::RST_STREAM, 0, stream, &CANCEL.to_be_bytes()),
            ]
            .concat(),
            Flood::Continuations => {
                // A literal field that is not kept: its name `x`, and 200 bytes.
                let mut field = vec![0, 1, b'x', 0x7f, 200 - 0x7f];
                field.extend([b'y'; 200]);
                frame(kind::CONTINUATION, 0, 1, &field)
            }
            Flood::EmptyContinuations => frame(kind::CONTINUATION, 0, 1, &[]),
            // The largest frame that it takes, now this and now that.
            Flood::Settings => {
                let size = 16_384 + at % 2;
                let setting = [&5_u16.to_be_bytes()[..], &size.to_be_bytes()].concat();
                frame(kind::SETTINGS, 0, 0, &setting)
            }
            Flood::Pings => frame(kind::PING, 0, 0, &[b'p'; 8]),
            Flood::Priorities => frame(kind::PRIORITY, 0, stream, &[0, 0, 0, 1, 16]),
            Flood::WindowUpdates => frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
            Flood::EmptyData => frame(kind::DATA, 0, 1, &[]),
            Flood::Unknown => frame(0xee, 0xff, 0, &[b'u'; 64]),
            Flood::Heads => {
                // A field of 3,000 bytes that is kept, and then named by its place 4,000 times.
                let mut head = head("/orderarchiver.v1.StatsService/GetStats");
                head.extend([0x40, 1, b'x', 0x7f]);
                let (mut rest, most) = (3_000 - 0x7f, 0x80);
                while rest >= most {
                    head.push((rest % most) as u8 | 0x80);
                    rest /= most;
                }
                head.push(rest as u8);
                head.extend([b'y'; 3_000]);
                head.extend([0xbe; 4_000]);
                frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &head)
            }
            Flood::Garbage | Flood::Noise => {
                // xorshift: the same at each run, and no two parts alike.
                let mut bytes = Vec::with_capacity(128);
                let mut state = u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                for _ in 0..16 {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    bytes.extend(state.to_le_bytes());
                }
                bytes
            }
        }
    }

    /// Connects and says its parts, up to so many, until the server has had enough; whether it has.
    /// Nothing is read meanwhile if `deaf`.
    pub(crate) async fn until_cut(self, address: SocketAddr, parts: u32, deaf: bool) -> bool {
        let Ok(stream) = TcpStream::connect(address).await else {
            return true;
        };
        let (mut reading, mut writing) = stream.into_split();
        let saying = async {
            if writing.write_all(&self.opening()).await.is_err() {
                return true;
            }
            for number in 0..parts {
                if writing.write_all(&self.part(number)).await.is_err() {
                    return true;
                }
            }
            false
        };
        let hearing = async {
            if deaf {
                std::future::pending::<()>().await;
            }
            let mut heard = [0; 16 * 1024];
            while reading.read(&mut heard).await.is_ok_and(|read| read > 0) {}
        };
        tokio::select! {
            cut = saying => cut,
            () = hearing => true,
        }
    }
}
