//! Privileges: looks now and then at what the database user may do, and tells what of archd's work
//! stands still because a privilege is missing, until it is there again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{
    config::Config,
    privileges::{
        Need, losses, missing,
        needs::{listed, needs},
    },
    store::{Error, Store},
};

/// How often the privileges are looked at.
const POLL: Duration = Duration::from_secs(5);
/// How often it is told again that something stands still.
const REMINDER: Duration = Duration::from_secs(10 * 60);

/// What the database user lacks. Clones share what they know.
#[derive(Clone, Debug)]
pub(crate) struct Privileges {
    store: Store,
    config: Arc<Config>,
    lacking: watch::Sender<Vec<Need>>,
}

impl Privileges {
    /// Begins to look, until `stop` is cancelled.
    pub(crate) fn start(
        store: Store,
        config: &Config,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Privileges {
        let privileges = Privileges {
            store,
            config: Arc::new(config.clone()),
            lacking: watch::Sender::default(),
        };
        let own = privileges.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = own.look_after() => {}
            }
        });
        privileges
    }

    /// What the user lacked a moment ago.
    pub(crate) fn lacking(&self) -> Vec<Need> {
        self.lacking.borrow().clone()
    }

    /// How many privileges the user lacked a moment ago without which a service stands still.
    pub(crate) fn essential(&self) -> usize {
        let lacking = self.lacking.borrow();
        let essential = lacking.iter().filter(|need| need.feature.is_essential());
        essential.map(|need| need.actions.len()).sum()
    }

    /// Where to hear that something else is lacking than before.
    pub(crate) fn changes(&self) -> watch::Receiver<Vec<Need>> {
        self.lacking.subscribe()
    }

    /// What the user lacks now; what it lacked before while the database can't be asked.
    pub(crate) async fn look(&self) -> Vec<Need> {
        match self.ask().await {
            Ok(lacking) => self.note(lacking),
            // The monitor tells of a database that is away.
            Err(error) => debug!(%error, "the privileges can't be looked at"),
        }
        self.lacking()
    }

    async fn ask(&self) -> Result<Vec<Need>, Error> {
        let (user, deployment) = futures::try_join!(self.store.user(), self.store.hello())?;
        // Which indexes are missing is the concern of whoever asks for them.
        let needs = needs(&self.config, &deployment.kind, []);
        Ok(user.map_or_else(Vec::new, |user| missing(&user, &needs)))
    }

    /// Keeps what is lacking, and tells where that is news.
    fn note(&self, lacking: Vec<Need>) {
        self.lacking.send_if_modified(|known| {
            let news = *known != lacking;
            if news {
                tell(known, &lacking);
                *known = lacking;
            }
            news
        });
    }

    async fn look_after(self) {
        let mut told = Instant::now();
        loop {
            let before = self.lacking();
            let lacking = self.look().await;
            if lacking != before {
                told = Instant::now();
            } else if told.elapsed() > REMINDER {
                told = Instant::now();
                tell_lost(&of_kind(&lacking, true), true);
            }
            sleep(POLL).await;
        }
    }
}

/// Says what is lacking that was not before, and what is there now that was not.
fn tell(before: &[Need], now: &[Need]) {
    let (before, now) = (one_by_one(before), one_by_one(now));
    let beyond = |these: &[Need], others: &[Need]| -> Vec<Need> {
        let beyond = these.iter().filter(|need| !others.contains(need));
        beyond.cloned().collect()
    };
    let lost = beyond(&now, &before);
    for essential in [true, false] {
        tell_lost(&of_kind(&lost, essential), essential);
    }
    let gained = beyond(&before, &now);
    if !gained.is_empty() {
        info!("the database user is granted {} by now", listed(&gained));
    }
}

fn tell_lost(lost: &[Need], essential: bool) {
    if lost.is_empty() {
        return;
    }
    let text = format!(
        "the database user lacks {}: {}; `archd check` prints what grants it",
        listed(lost),
        losses(lost).join("; ")
    );
    match essential {
        true => error!("{text}"),
        false => warn!("{text}"),
    }
}

fn of_kind(needs: &[Need], essential: bool) -> Vec<Need> {
    let alike = needs
        .iter()
        .filter(|need| need.feature.is_essential() == essential);
    alike.cloned().collect()
}

/// The same needs, each of one action.
fn one_by_one(needs: &[Need]) -> Vec<Need> {
    let split = |need: &Need| {
        let need = need.clone();
        let actions = need.actions.clone().into_iter();
        actions.map(move |action| Need {
            actions: vec![action],
            ..need.clone()
        })
    };
    needs.iter().flat_map(split).collect()
}
