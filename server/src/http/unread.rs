//! A stream that knows since when its peer has read nothing of what lies ready for it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Since when a peer has read nothing; none while it reads, or nothing lies ready. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<Mutex<Option<Instant>>>);

impl Unread {
    pub(super) fn since(&self) -> Option<Instant> {
        *self.0.lock()
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        let mut since = self.0.lock();
        match written {
            Poll::Ready(_) => *since = None,
            Poll::Pending => drop(since.get_or_insert_with(Instant::now)),
        }
        written
    }
}

/// A stream, with what is known of its peer's reading.
#[derive(Debug)]
pub(super) struct Noted<S> {
    stream: S,
    unread: Unread,
}

impl<S> Noted<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Noted<S> {
        Noted { stream, unread }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unread.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.unread.note(written)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_noted_until_it_reads() {
        let (mut peer, ours) = tokio::io::duplex(4);
        let unread = Unread::default();
        let mut noted = Noted::new(ours, unread.clone());
        noted.write_all(b"full").await.unwrap();
        assert_eq!(unread.since(), None);
        let writing = tokio::spawn(async move { noted.write_all(b"more").await });
        while unread.since().is_none() {
            tokio::task::yield_now().await;
        }
        let mut read = [0; 8];
        peer.read_exact(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(unread.since(), None);
    }
}
