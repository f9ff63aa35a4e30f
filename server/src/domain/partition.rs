//! A partition of the orders: those whose changes one reader of the history reads, where several
//! share it.

/// The most partitions that there may be.
pub const MOST_PARTITIONS: u32 = 64;

/// Which partition it is, of how many. An order belongs to one of them, by a hash of its `_id`, for
/// as long as their number stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which one, from 0 on.
    pub index: u32,
    /// Of how many, from 1 to [`MOST_PARTITIONS`].
    pub of: u32,
}

impl Partition {
    /// All orders, read by one.
    pub const WHOLE: Partition = Partition { index: 0, of: 1 };

    /// Whether it has all orders.
    pub fn is_whole(self) -> bool {
        self.of == 1
    }

    /// Whether it is the first one, which tells of what all of them meet.
    pub fn is_first(self) -> bool {
        self.index == 0
    }
}
