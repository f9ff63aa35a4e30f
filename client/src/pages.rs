//! Lists: following page tokens until the end or the wanted number of items.

use prost::{Message, Name};
use tonic::Status;

use crate::{
    fault::Fault,
    output::{Output, say},
    reconnect::Reconnect,
};

/// The most items that the server puts on any page.
const LARGEST_PAGE: usize = 1_000;

/// Hands over one page after another until the last, so that a list of any length takes no more
/// memory than a page. One that a lost connection cuts off is asked for again: its token names the
/// place in the list, on whichever instance answers.
///
/// `fetch` takes a page's size and token, and gives its items and the next token.
pub(crate) async fn each<T>(
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
    mut hand: impl FnMut(Vec<T>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let size = i32::try_from(LARGEST_PAGE).unwrap_or(i32::MAX);
    let mut connection = Reconnect::bounded();
    let mut token = String::new();
    loop {
        let (items, next) = match fetch(size, token.clone()).await {
            Ok(page) => page,
            Err(status) => {
                connection.lost(status).await?;
                continue;
            }
        };
        connection.opened("");
        hand(items)?;
        if next.is_empty() {
            return Ok(());
        }
        token = next;
    }
}

/// Prints at most `limit` items, and says so when there are more.
///
/// `fetch` takes a page's size and token, and gives its items and the next token.
pub(crate) async fn print<M: Message + Name>(
    output: Output,
    limit: u32,
    render: impl FnOnce(&[M]) -> String,
    fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<M>, String), Status>,
) -> Result<(), Fault> {
    let (items, more) = gather(limit as usize, fetch).await?;
    output.all(&items, render)?;
    if more {
        say(&format!(
            "Only the first {limit} are shown; --limit shows more."
        ));
    }
    Ok(())
}

/// Gathers at most `limit` items, and whether there are more.
async fn gather<T>(
    limit: usize,
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<(Vec<T>, bool), Status> {
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let size = (limit - items.len()).min(LARGEST_PAGE);
        let (page, next) = fetch(i32::try_from(size).unwrap_or(i32::MAX), token).await?;
        items.extend(page);
        // A server that answers with more than it was asked for must not make the list longer.
        let more = !next.is_empty() || items.len() > limit;
        items.truncate(limit);
        if items.len() == limit || next.is_empty() {
            return Ok((items, more));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers from a server whose pages hold `page` numbers, out of `total`.
    async fn gathered(limit: usize, page: usize, total: usize) -> (usize, bool, Vec<i32>) {
        let mut sizes = Vec::new();
        let (items, more) = gather(limit, async |size, token| {
            sizes.push(size);
            let from: usize = token.parse().unwrap_or(0);
            let to = (from + page).min(total);
            let next = if to < total {
                to.to_string()
            } else {
                String::new()
            };
            Ok(((from..to).collect::<Vec<usize>>(), next))
        })
        .await
        .unwrap();
        assert!(
            items.iter().copied().eq(0..items.len()),
            "in order, none twice"
        );
        (items.len(), more, sizes)
    }

    #[tokio::test]
    async fn pages_are_followed_until_the_end_or_the_limit() {
        assert_eq!(gathered(50, 20, 30).await, (30, false, vec![50, 30]));
        assert_eq!(gathered(50, 20, 100).await, (50, true, vec![50, 30, 10]));
        assert_eq!(gathered(40, 20, 40).await, (40, false, vec![40, 20]));
        assert_eq!(
            gathered(5_000, 1_000, 1_500).await,
            (1_500, false, vec![1_000, 1_000])
        );
        assert_eq!(gathered(50, 0, 0).await, (0, false, vec![50]));
    }
}
