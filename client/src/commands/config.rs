//! `archctl config`: which settings are in force, and where each comes from.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{
    config::usual_place,
    exit::Exit,
    fault::Fault,
    globals::{Globals, Origin},
    output::{Output, say},
    render::config::{Setting, table},
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
A flag wins over its variable, that over the profile, and that over the default. A config file looks like this:

  default_profile = \"production\"       # may be left out

  [profiles.production]
  endpoint = \"https://archive.internal\"  # what --endpoint takes
  ca = \"ca.pem\"                       # what --ca takes, beside this file
  token_file = \"token\"                # for this endpoint alone, beside this file
  time_zone = \"Europe/Paris\"           # what --time-zone takes

  [profiles.scripts]
  output = \"json\"                      # what --output takes
  timeout = \"1m\"                       # what --timeout takes

Examples:
  archctl config
  archctl --profile production config
  archctl config --output json | jq -r .endpoint.value";

pub(crate) fn run(output: Output, globals: &Globals) -> Result<Exit, Fault> {
    let settings = in_force(globals);
    if !output.is_table() {
        output.value(&as_json(&settings))?;
        return Ok(Exit::Done);
    }
    output.text(&table(&settings, globals.profile.as_deref()))?;
    if let (None, Some(place)) = (&globals.config, usual_place()) {
        say(&format!("There is no config file at {}.", place.display()));
    }
    Ok(Exit::Done)
}

fn in_force(globals: &Globals) -> [Setting; 10] {
    let Globals {
        config,
        profile,
        endpoint,
        timeout,
        output,
        time_zone,
        token_file,
        ca,
        cert,
        key,
        origins,
    } = globals;
    let setting = |name, value, origin| Setting {
        name,
        value,
        origin,
    };
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let timeout = humantime::format_duration(*timeout).to_string();
    [
        setting("config", file(config), origins.config),
        setting("profile", profile.clone(), origins.profile),
        setting("endpoint", Some(endpoint.to_string()), origins.endpoint),
        setting("timeout", Some(timeout), origins.timeout),
        setting("output", Some(output.to_string()), origins.output),
        setting("time_zone", Some(time_zone.to_string()), origins.time_zone),
        setting("token_file", file(token_file), origins.token_file),
        setting("ca", file(ca), origins.ca),
        setting("cert", file(cert), origins.cert),
        setting("key", file(key), origins.key),
    ]
}

fn as_json(settings: &[Setting]) -> Value {
    let settings = settings.iter().map(|setting| {
        let from = match setting.origin {
            Origin::Flag => "flag",
            Origin::Variable => "variable",
            Origin::File => "file",
            Origin::Default => "default",
        };
        let json = json!({ "value": setting.value, "from": from });
        (setting.name.to_owned(), json)
    });
    Value::Object(settings.collect::<Map<_, _>>())
}
