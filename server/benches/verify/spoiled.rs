//! Spoiled: differences made on purpose in an archive of all orders are found in their classes, and
//! nothing else is.

use anyhow::{Result, ensure};
use devkit::tamper::{self, Amounts};

use crate::{
    chaos::CLASSES,
    options::Size,
    support::{platform::Platform, process},
    verification::verify,
};

/// What is spoiled.
const AMOUNTS: Amounts = Amounts {
    missing: 10,
    altered: 5,
    doubled: 2,
    damaged: 1,
    amended: 4,
    ghosts: 3,
    copies: 2,
    of_the_script: 50,
};

/// Archives all orders, spoils some, and holds the verification to them.
pub(crate) async fn find(platform: &Platform, size: &Size) -> Result<()> {
    platform.empty_archive().await?;
    let batch = process::batch(platform).await?;
    ensure!(
        batch.archived == platform.delivered as u64,
        "{} archived",
        batch.archived
    );
    let spoiled = tamper::spoil(&platform.database, AMOUNTS, size.seed).await?;
    let verification = verify(platform, &[]).await?;
    ensure!(!verification.verified, "{}", verification.said);
    for class in CLASSES {
        let made = spoiled.get(class).map_or(0, Vec::len) as u64;
        let found = verification.count(class)?;
        println!("- {class}: {made} made, {found} found");
        ensure!(made == found, "{class}: {made} made, {found} found");
    }
    println!("- {}", verification.said["verdict_text"]);
    Ok(())
}
