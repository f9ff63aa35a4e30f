//! Pool: how busy the connections to the database are.

use crate::store::Store;

/// How busy the connections to the database are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// How many there may be to one server.
    pub size: u32,
    /// Calls under way.
    pub in_use: usize,
    /// Calls that wait for one.
    pub waiting: usize,
}

impl Store {
    /// How busy they are now.
    pub fn pool(&self) -> Pool {
        let size = self.connection.size();
        match self.connection.current() {
            Some(link) => Pool {
                size,
                in_use: link.permits.in_use(),
                waiting: link.permits.waiting(),
            },
            None => Pool {
                size,
                ..Pool::default()
            },
        }
    }
}
