//! A batch that is to make indexes is not stopped by those that are there.

use devkit::ReplicaSet;
use order_archiver_api::v1::{BatchOptions, BatchState};

use super::cases::CASES;
use crate::check::furnish;

#[tokio::test]
async fn a_batch_that_is_to_make_indexes_is_not_stopped_by_those_that_are_there() {
    let set = ReplicaSet::shared().await.unwrap();
    for (name, left) in [
        ("no index for joins and pages", None),
        ("indexes that leave orders out", None),
        ("collated collections", None),
        ("indexes hidden", Some("unhideIndex(")),
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let server = furnish(set).await;
        (case.spoil)(server.database.clone()).await;
        let options = BatchOptions {
            create_indexes: true,
            ..BatchOptions::default()
        };
        let batch = server.run_batch_with(options).await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{name}: {batch:?}");
        assert_eq!(batch.warnings.is_empty(), left.is_none(), "{batch:?}");
        for warning in &batch.warnings {
            assert!(warning.contains(left.unwrap()), "{name}: {warning}");
        }
        server.shut_down().await;
    }
}
