//! Access: who may do what. Both edges ask here before a call reaches a part.

mod file;
pub mod identities;
pub(crate) mod identity;
pub mod right;
pub(crate) mod rules;

use std::{future::pending, path::Path, sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use self::file::BadFile;
use self::{
    identities::Identities,
    identity::{Credential, Schemes, Unidentified, Who, shown},
    right::Right,
    rules::Needed,
};
use crate::{domain::text::cut, files::Looks, log_limit::LogLimit, peer::Peer};

/// The target of the lines that tell who did what, and who was refused.
pub(crate) const AUDIT: &str = "archd::audit";

/// How many lines tell of refusals in such a time: anybody can be refused at any rate. As many tell
/// of those who are known, whom the crowd of the unknown does not hide.
const REFUSALS: (u32, Duration) = (20, Duration::from_secs(10));

/// The most that a line tells of what is asked for, in bytes: a caller may make up any path.
const LONGEST_CALL: usize = 256;

/// Who may do what. Clones go by the same file.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Those who are known; none where nobody is asked who they are.
    known: Option<watch::Receiver<Arc<Identities>>>,
    refusals: Arc<Refusals>,
}

/// How often the log tells of refusals.
#[derive(Debug)]
struct Refusals {
    of_unknown: LogLimit,
    of_known: LogLimit,
}

impl Refusals {
    fn new() -> Refusals {
        let limit = || LogLimit::new(REFUSALS.0, REFUSALS.1);
        Refusals {
            of_unknown: limit(),
            of_known: limit(),
        }
    }
}

/// A call, as far as it matters who makes it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// What is asked for, as the log tells of it.
    pub(crate) what: &'a str,
    pub(crate) needed: Needed,
    pub(crate) peer: Option<&'a Arc<Peer>>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) schemes: Schemes,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody is known by what it shows.
    Unidentified(Unidentified),
    /// Whoever makes it lacks this right.
    Lacks(Right),
}

/// A call that may be made.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    /// Who makes it; none where nobody is asked.
    pub(crate) who: Option<Arc<str>>,
    standing: Option<Standing>,
}

/// That somebody has a right, for as long as that is so.
#[derive(Clone, Debug)]
struct Standing {
    known: watch::Receiver<Arc<Identities>>,
    credential: Credential,
    needed: Right,
}

impl Access {
    /// Nobody is asked who they are, and everybody may do everything.
    pub(crate) fn open() -> Access {
        Access {
            known: None,
            refusals: Arc::new(Refusals::new()),
        }
    }

    /// By what a file says, which is read again when it changes until `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or has a fault.
    pub(crate) fn by_file(path: &Path, stop: CancellationToken) -> Result<Access, BadFile> {
        let looks = Looks::begin();
        let (bytes, identities) = file::read(path)?;
        file::tell(path, &identities);
        let (sender, known) = watch::channel(Arc::new(identities));
        tokio::spawn(file::follow(path.to_owned(), bytes, sender, looks, stop));
        Ok(Access {
            known: Some(known),
            ..Access::open()
        })
    }

    /// Lets a call in, or says why not, in the log too.
    pub(crate) fn admit(&self, asked: &Asked<'_>) -> Result<Admitted, Refusal> {
        let (Some(known), Some(needed)) = (&self.known, asked.needed) else {
            return Ok(Admitted {
                who: None,
                standing: None,
            });
        };
        let (who, credential) = match self.identified(known, asked) {
            Ok(identified) => identified,
            Err(fault) => {
                tell(&self.refusals.of_unknown, asked, "", &fault.to_string());
                return Err(Refusal::Unidentified(fault));
            }
        };
        if !who.rights.allow(needed) {
            let why = format!("the right {needed} is missing");
            tell(&self.refusals.of_known, asked, &who.name, &why);
            return Err(Refusal::Lacks(needed));
        }
        Ok(Admitted {
            who: Some(who.name),
            standing: Some(Standing {
                known: known.clone(),
                credential,
                needed,
            }),
        })
    }

    /// Whether whoever asks has the right to read, whatever is asked for.
    pub(crate) fn may_read(&self, asked: &Asked<'_>) -> bool {
        let Some(known) = &self.known else {
            return true;
        };
        let identified = self.identified(known, asked);
        identified.is_ok_and(|(who, _)| who.rights.allow(Right::Read))
    }

    fn identified(
        &self,
        known: &watch::Receiver<Arc<Identities>>,
        asked: &Asked<'_>,
    ) -> Result<(Who, Credential), Unidentified> {
        let credential = shown(asked.peer, asked.headers, asked.schemes)?;
        match known.borrow().who(&credential) {
            Some(who) => Ok((who, credential)),
            None => Err(credential.unknown()),
        }
    }
}

/// Tells of a refusal, as far as its limit lets it.
fn tell(limit: &LogLimit, asked: &Asked<'_>, who: &str, why: &str) {
    let Some(left_out) = limit.admit(Instant::now()) else {
        return;
    };
    let peer = asked.peer.map(|peer| peer.address.to_string());
    let peer = peer.unwrap_or_default();
    let call = cut(asked.what, LONGEST_CALL);
    warn!(target: AUDIT, who, peer, call, left_out, "refused: {why}");
}

impl Admitted {
    /// What whoever makes the call is known by; none where nobody is asked.
    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.standing.as_ref().map(|standing| &standing.credential)
    }

    /// Whether whoever makes the call may still make it.
    pub(crate) fn holds(&self) -> bool {
        self.standing.as_ref().is_none_or(Standing::holds)
    }

    /// Returns when whoever makes the call is no longer known, or has no longer the right to it.
    pub(crate) async fn removed(self) {
        let Some(mut standing) = self.standing else {
            return pending().await;
        };
        while standing.holds() {
            if standing.known.changed().await.is_err() {
                // The server stops, and reads its file no more.
                return pending().await;
            }
        }
    }
}

impl Standing {
    fn holds(&self) -> bool {
        let who = self.known.borrow().who(&self.credential);
        who.is_some_and(|who| who.rights.allow(self.needed))
    }
}
