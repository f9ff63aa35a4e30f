//! Features: what of archd takes privileges, and what is lost without them.

/// A part of what archd does, as far as it takes privileges of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Orders get into the archive.
    Archiving,
    /// The watcher reads the changes of the orders.
    Watching,
    /// Where the watcher stands, and who builds the archive's index, is kept.
    State,
    /// Orders that can't be archived are put in quarantine, and taken out.
    Quarantine,
    /// Batches run.
    Batches,
    /// Verifications run, and what they find is kept.
    Verifications,
    /// Differences are acknowledged.
    Acknowledgements,
    /// The figures are counted.
    Counters,
    /// The processes of archd tell each other that they live.
    Instances,
    /// What repairs have replaced can be read.
    Replaced,
    /// Repairs put one document in the place of another.
    Replacing,
    /// Who operated and destroyed what is noted.
    Audit,
    /// Events are told as they happen.
    Events,
    /// `archd watch` runs where ARCHD_WATCH is off.
    WatchAlone,
    /// Each secondary is looked at, and not only the majority.
    Members,
    /// It is known how far back the history reaches.
    Reach,
    /// It is known how far the build of an index is.
    BuildProgress,
    /// The live collections' indexes are known.
    LiveIndexes,
    /// A batch makes the indexes that are missing there.
    MakingIndexes,
    /// Made-up data are written.
    Seeding,
}

impl Feature {
    /// Whether a service of archd stands still without it; else it does a little less.
    pub(crate) fn is_essential(self) -> bool {
        use Feature::*;
        match self {
            Archiving | Watching | State | Quarantine | Batches | Verifications
            | Acknowledgements | Counters | Instances | Replaced | Audit => true,
            Replacing | Events | WatchAlone | Members | Reach | BuildProgress | LiveIndexes
            | MakingIndexes | Seeding => false,
        }
    }

    /// What is lost without a privilege that it takes.
    pub(crate) fn lost(self) -> &'static str {
        match self {
            Feature::Archiving => "nothing is archived",
            Feature::Watching => "orders are not archived as they are delivered",
            Feature::State => "the watcher can't keep its place, and no tail can begin",
            Feature::Quarantine => "an order that can't be archived holds up the others",
            Feature::Batches => "batches can't run",
            Feature::Verifications => "verifications can't run",
            Feature::Acknowledgements => "differences can't be acknowledged",
            Feature::Counters => "the figures are not kept",
            Feature::Instances => "this instance is missing from the list of instances",
            Feature::Replaced => "what repairs have replaced can't be looked up",
            Feature::Replacing => "RepairOrders can archive what is missing, and replace nothing",
            Feature::Audit => {
                "calls that need the right to destroy are refused, and those that need to operate are told of in the log alone"
            }
            Feature::Events => "TailEvents is refused",
            Feature::WatchAlone => "`archd watch` can't watch",
            Feature::Members => {
                "--max-lag looks at the majority instead of each secondary, and `archd check` can't count the members"
            }
            Feature::Reach => "nobody can tell how far back the history reaches",
            Feature::BuildProgress => "nobody can tell how far the build of the unique index is",
            Feature::LiveIndexes => {
                "batches can't use the index for their pages, nor tell which indexes are missing"
            }
            Feature::MakingIndexes => "--create-indexes fails",
            Feature::Seeding => "SeedData fails",
        }
    }
}
