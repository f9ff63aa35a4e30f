//! What the stream has brought and no chunk holds yet: chunks are small while the watcher keeps up,
//! and large while it is behind.
//!
//! What a chunk costs depends little on its size, so many small ones at once are what makes a
//! watcher fall behind. A change that comes while little is under way is served at once; the more
//! chunks there are, the more changes have to wait before another one is begun beside them.

use std::collections::VecDeque;

use bson::{DateTime, RawDocumentBuf};

use crate::{
    bytes::raw::{self, ValueRef},
    store::wire::changes::Reply,
};

/// Chunks under way at most.
const CHUNKS: usize = 4;
/// How many times as many changes have to wait for each further chunk.
const STEP: usize = 4;
/// Changes in one chunk at most.
const CHUNK: usize = 1_000;
/// Changes that wait at most, and one reply: as many as the chunks under way hold.
const MOST: usize = CHUNKS * CHUNK;
/// Bytes of changes that wait at most, and one reply.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Replies of the stream that wait for a chunk.
#[derive(Default)]
pub(super) struct Backlog {
    replies: VecDeque<Reply>,
    changes: usize,
    bytes: usize,
}

impl Backlog {
    /// Whether another reply is to be read.
    pub(super) fn has_room(&self) -> bool {
        self.changes < MOST && self.bytes < MOST_BYTES
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// When the first change that waits was made, by the database's clock.
    pub(super) fn oldest(&self) -> Option<DateTime> {
        let first = self.replies.iter().find_map(|reply| reply.changes.first());
        first.and_then(made)
    }

    /// Puts a reply behind those that wait.
    pub(super) fn push(&mut self, reply: Reply) {
        self.changes += reply.changes.len();
        self.bytes += bytes(&reply);
        self.replies.push_back(reply);
    }

    /// What waits, as far as it makes one chunk, if it is worth one beside so many under way. A
    /// reply without a change has nothing but a place, and waits for nobody.
    pub(super) fn next_chunk(&mut self, under_way: usize) -> Option<Reply> {
        if self.changes > 0 && self.changes < least(under_way) {
            return None;
        }
        let mut chunk = self.pop()?;
        while let Some(next) = self.replies.front()
            && chunk.changes.len() + next.changes.len() <= CHUNK
            && let Some(next) = self.pop()
        {
            chunk.changes.extend(next.changes);
            chunk.position = next.position;
            chunk.time = next.time;
        }
        Some(chunk)
    }

    fn pop(&mut self) -> Option<Reply> {
        let reply = self.replies.pop_front()?;
        self.changes -= reply.changes.len();
        self.bytes -= bytes(&reply);
        Some(reply)
    }
}

/// How many changes have to wait for another chunk beside so many.
fn least(under_way: usize) -> usize {
    match u32::try_from(under_way) {
        _ if under_way >= CHUNKS => usize::MAX,
        Ok(0) | Err(_) => 0,
        Ok(under_way) => STEP.pow(under_way - 1),
    }
}

/// When a change was made, by the database's clock.
pub(super) fn made(change: &RawDocumentBuf) -> Option<DateTime> {
    raw::find(change, "wallTime").and_then(ValueRef::as_date)
}

fn bytes(reply: &Reply) -> usize {
    reply
        .changes
        .iter()
        .map(|change| change.as_bytes().len())
        .sum()
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn reply(place: i32, changes: usize) -> Reply {
        let change = |at| rawdoc! { "wallTime": DateTime::from_millis(i64::from(place) * 10_000 + at as i64) };
        Reply {
            changes: (0..changes).map(change).collect(),
            position: rawdoc! { "_data": place },
            time: None,
        }
    }

    /// The sizes of the chunks that are begun, and the place behind the last of them, when replies
    /// of these sizes wait and so many chunks are under way.
    fn begun(replies: &[usize], mut under_way: usize) -> (Vec<usize>, Option<i32>) {
        let mut backlog = Backlog::default();
        for (place, changes) in (0..).zip(replies) {
            backlog.push(reply(place, *changes));
        }
        let (mut sizes, mut place) = (Vec::new(), None);
        while let Some(chunk) = backlog.next_chunk(under_way) {
            under_way += 1;
            sizes.push(chunk.changes.len());
            place = chunk.position.get_i32("_data").ok();
        }
        (sizes, place)
    }

    #[test]
    fn chunks_are_small_while_little_is_under_way_and_large_while_much_is() {
        for (replies, under_way, sizes, place) in [
            (&[1][..], 0, &[1][..], Some(0)),
            (&[1], 1, &[1], Some(0)),
            // The third waits for four changes, the fourth for sixteen.
            (&[1, 2], 2, &[], None),
            (&[1, 2, 1], 2, &[4], Some(2)),
            (&[10, 5], 3, &[], None),
            (&[10, 6], 3, &[16], Some(1)),
            (&[4_000], 4, &[], None),
            // One reply is one chunk at least, and several are one up to a thousand changes.
            (&[1_000; 6], 0, &[1_000; 4], Some(3)),
            (&[2_000, 600, 400, 4], 0, &[2_000, 1_000, 4], Some(3)),
            (&[300; 4], 0, &[900, 300], Some(3)),
            // A place alone waits for nobody but those before it.
            (&[0], 3, &[0], Some(0)),
            (&[1, 0], 2, &[], None),
            (&[0, 1, 0], 1, &[1], Some(2)),
            (&[], 0, &[], None),
        ] {
            assert_eq!(
                begun(replies, under_way),
                (sizes.to_vec(), place),
                "{replies:?}"
            );
        }
    }

    #[test]
    fn no_more_waits_than_the_chunks_under_way_can_hold() {
        let mut backlog = Backlog::default();
        assert!(backlog.is_empty() && backlog.oldest().is_none());
        backlog.push(reply(0, 0));
        for place in 1..=4 {
            assert!(backlog.has_room());
            backlog.push(reply(place, CHUNK));
        }
        assert!(!backlog.has_room());
        assert_eq!(backlog.oldest(), Some(DateTime::from_millis(10_000)));
        while backlog.next_chunk(0).is_some() {}
        assert!(backlog.is_empty() && backlog.has_room());
        let large = rawdoc! { "_id": "x".repeat(MOST_BYTES) };
        backlog.push(Reply {
            changes: vec![large],
            ..reply(5, 0)
        });
        assert!(!backlog.has_room());
    }
}
