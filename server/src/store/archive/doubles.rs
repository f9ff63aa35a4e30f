//! Doubles: numbers that were archived twice while the unique index was gone, looked for and named.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::error;

use crate::{bytes::raw::Value, store::Store};

/// How long it may take to find out which numbers are double: without its index the archive is read
/// as a whole.
const SEARCH_LIMIT: Duration = Duration::from_secs(60 * 60);
/// How many doubled numbers are remembered for people to ask; the log names all.
const REMEMBERED: usize = 1_000;
/// How many numbers are named in one line of the log.
pub(super) const IN_A_LINE: usize = 100;

impl Store {
    /// Says which of these numbers the archive holds twice. They were written while the unique
    /// index may have been gone.
    pub(super) async fn search(self, numbers: Vec<Value>) {
        let doubled = self.name_doubles(&numbers).await;
        let mut mind = self.looks.mind();
        mind.searches -= 1;
        mind.doubled.extend(doubled);
        while mind.doubled.len() > REMEMBERED {
            mind.doubled.pop_last();
        }
    }

    async fn name_doubles(&self, numbers: &[Value]) -> Vec<String> {
        let since = Instant::now();
        let doubled = loop {
            match self.doubled(numbers, SEARCH_LIMIT).await {
                Ok(doubled) => break doubled,
                Err(error) if error.is_transient() && since.elapsed() < SEARCH_LIMIT => {
                    sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    error!(%error, orders = numbers.len(), "orders were archived while the unique index was gone, and whether their numbers are in the archive twice could not be found out; the server says so when it makes the index anew");
                    return Vec::new();
                }
            }
        };
        for named in doubled.chunks(IN_A_LINE) {
            error!(
                numbers = named.join(", "),
                "these numbers were archived twice while the unique index was gone"
            );
        }
        doubled
    }
}
