//! Diagnosis: why no server can be worked with, from what the driver's heartbeats heard of each.
//!
//! To the driver a server of another set, one that speaks no TLS and one that is down are all the
//! same: none that it can select. Somebody has to mend the first two, and the third comes back by
//! itself.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bson::doc;
use mongodb::{
    Client,
    event::{EventHandler, sdam::SdamEvent},
    options::{ClientOptions, Tls, TlsOptions},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::heard::{Failure, Heard, account, of_failure, of_reply};
use crate::store::Error;

/// How long a look at the other side of TLS may take, and how long its outcome holds.
const PROBE: Duration = Duration::from_secs(2);
const PROBED: Duration = Duration::from_secs(20);

/// What the heartbeats of a client heard. Clones share it.
#[derive(Clone)]
pub(in crate::store) struct Diagnosis {
    /// The client's options without its credentials.
    options: Arc<ClientOptions>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By the servers' addresses.
    heard: BTreeMap<String, Heard>,
    probed: Option<(Instant, bool)>,
}

impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Diagnosis")
    }
}

impl Diagnosis {
    /// Of a client that is made with these options, which has heard nothing yet.
    pub(in crate::store) fn new(options: &ClientOptions) -> Diagnosis {
        let mut bare = options.clone();
        bare.credential = None;
        bare.sdam_event_handler = None;
        Diagnosis {
            options: Arc::new(bare),
            state: Arc::default(),
        }
    }

    /// Takes note of what a heartbeat of the client heard.
    pub(super) fn hear(&self, event: &SdamEvent) {
        let (address, heard) = match event {
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                (&event.server_address, of_reply(&event.reply))
            }
            SdamEvent::ServerHeartbeatFailed(event) => {
                let failure = of_failure(event.failure.kind.as_ref());
                (&event.server_address, Heard::Failure(failure))
            }
            _ => return,
        };
        self.state.lock().heard.insert(address.to_string(), heard);
    }

    /// A better account of why the database can't be worked with, where there is one.
    pub(in crate::store) async fn explain(&self, error: Error) -> Error {
        if !matches!(error, Error::Unavailable(_) | Error::Timeout(_)) {
            return error;
        }
        let heard: Vec<Heard> = self.state.lock().heard.values().cloned().collect();
        let with_tls = matches!(self.options.tls, Some(Tls::Enabled(_)));
        let ended = Heard::Failure(Failure::Ended);
        if heard.contains(&ended)
            && heard.iter().all(|heard| matches!(heard, Heard::Failure(_)))
            && self.is_heard_otherwise().await
        {
            return Error::Unusable(match with_tls {
                true => "MONGODB_URI asks for TLS, and the server answers only without: where it speaks none, set tls=false there or have mongod speak TLS; where it only prefers TLS, it refuses the client certificate of tlsCertificateKeyFile".to_owned(),
                false => "the server speaks nothing but TLS and MONGODB_URI does not ask for it: add tls=true there, and tlsCAFile for an authority of your own".to_owned(),
            });
        }
        let asked = self.options.repl_set_name.as_deref();
        let direct = self.options.direct_connection == Some(true);
        account(&heard, asked, direct).unwrap_or(error)
    }

    /// Whether a server is heard with TLS where none was asked for, or without it where it was.
    async fn is_heard_otherwise(&self) -> bool {
        if let Some((at, heard)) = self.state.lock().probed
            && at.elapsed() < PROBED
        {
            return heard;
        }
        let mut options = (*self.options).clone();
        options.tls = Some(match options.tls {
            Some(Tls::Enabled(_)) => Tls::Disabled,
            // Whose certificate it is does not matter here: nothing is sent but a greeting.
            _ => Tls::Enabled(
                TlsOptions::builder()
                    .allow_invalid_certificates(true)
                    .build(),
            ),
        });
        options.server_selection_timeout = Some(PROBE);
        options.min_pool_size = None;
        let other = Diagnosis::new(&options);
        let hearing = other.clone();
        options.sdam_event_handler =
            Some(EventHandler::callback(move |event| hearing.hear(&event)));
        let heard = match Client::with_options(options) {
            Err(_) => false,
            Ok(client) => {
                let admin = client.database("admin");
                let greeting = admin.run_command(doc! { "hello": 1 });
                let answered = timeout(PROBE, greeting.into_future()).await;
                let heard = other.state.lock().heard.values().any(|heard| {
                    matches!(
                        heard,
                        Heard::Reply { .. } | Heard::Failure(Failure::OurCertificate)
                    )
                });
                client.shutdown().immediate(true).await;
                heard || matches!(answered, Ok(Ok(_)))
            }
        };
        self.state.lock().probed = Some((Instant::now(), heard));
        heard
    }
}
