//! What somebody has said of differences: noted for good, never changed and never deleted.

mod add;
pub mod list;
pub mod record;
