//! `archctl version`: which archctl this is, and which archd answers it.

use order_archiver_api::v1::{GetInstanceRequest, GetInstanceResponse};
use serde_json::{Value, json};

use crate::{connect::Session, exit::Exit, fault::Fault, render, values::Address};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only the version of archctl; no server is asked
    #[arg(long)]
    client: bool,
}

const EXAMPLES: &str = "\
The version of archctl is printed also when the server can't be asked, which is then told on standard error, with exit \
code 4; in JSON `server` is null.

Examples:
  archctl version
  archctl version --client
  archctl version --output json | jq -r .server.version";

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) async fn run(session: &Session, endpoint: &Address, args: &Args) -> Result<Exit, Fault> {
    let asked = match args.client {
        true => Ok(None),
        false => ask(session).await.map(Some),
    };
    let server = asked.as_ref().ok().and_then(Option::as_ref);
    if session.output.is_table() {
        let card = render::version::card(VERSION, endpoint, server);
        session.output.text(&card)?;
    } else {
        let mut json = json!({ "client": { "name": "archctl", "version": VERSION } });
        if !args.client {
            json["server"] = server.map_or(Value::Null, |server| as_json(endpoint, server));
        }
        session.output.value(&json)?;
    }
    asked?;
    Ok(Exit::Done)
}

async fn ask(session: &Session) -> Result<GetInstanceResponse, Fault> {
    let request = session.unary(GetInstanceRequest {});
    let answer = session.instance().get_instance(request).await?;
    Ok(answer.into_inner())
}

fn as_json(endpoint: &Address, server: &GetInstanceResponse) -> Value {
    json!({
        "name": "archd",
        "version": server.version,
        "endpoint": endpoint.to_string(),
        "instance": server.name,
        "host": server.host,
        "id": server.id,
    })
}
