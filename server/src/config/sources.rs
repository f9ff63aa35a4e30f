//! Where settings come from, and which source wins.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use super::{
    problem::{BadValue, Problem},
    setting::{OFF, Setting, address},
    table::{INSTANCE, MONGODB_DATABASE, SETTINGS},
};
use crate::{domain::schedule::Schedule, files};

/// What one source gives: values by the name of their setting.
pub type Values = BTreeMap<String, String>;

/// The places where settings are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    pub(super) flags: &'a Values,
    pub(super) environment: &'a Values,
    pub(super) dotenv: &'a Values,
}

/// Every setting, as in a `.env` file on one line; of a secret the name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Those that were given.
    pub given: String,
    /// Those that have their default.
    pub defaults: String,
}

/// A value, and where it was given.
struct Given<'a> {
    value: &'a str,
    origin: String,
}

impl<'a> Sources<'a> {
    /// The value of every setting that was given and is good, and the problems of the others.
    pub(super) fn choose(&self) -> (Chosen, Vec<Problem>) {
        let mut chosen = Chosen::default();
        let mut problems = Vec::new();
        for setting in SETTINGS {
            match self.value(setting) {
                Ok(Some((value, origin))) => {
                    chosen.0.insert(setting.name, (value, origin));
                }
                Ok(None) => {}
                Err(found) => problems.extend(found),
            }
        }
        (chosen, problems)
    }

    fn value(&self, setting: &Setting) -> Result<Option<(String, String)>, Vec<Problem>> {
        let direct = self.given(setting.name, setting.flag);
        let file_name = setting.file_name();
        let file = file_name.as_deref().and_then(|name| self.given(name, None));
        let problem = |origin: &str, value: &str, wrong: &str| Problem {
            name: setting.name.to_owned(),
            origin: origin.to_owned(),
            value: (!setting.secret).then(|| Problem::shown(value)).flatten(),
            wrong: wrong.to_owned(),
            mend: format!("give {}", setting.form),
        };

        let (value, origin) = match (direct, file) {
            (None, None) => return Ok(None),
            (Some(direct), None) => (direct.value.to_owned(), direct.origin),
            (None, Some(file)) => {
                let origin = format!("{}_FILE, {}", setting.name, file.origin);
                let value = files::read_text(Path::new(file.value)).map_err(|error| {
                    vec![Problem {
                        name: format!("{}_FILE", setting.name),
                        origin: file.origin,
                        value: Problem::shown(file.value),
                        wrong: format!("cannot be read: {error}"),
                        mend: format!("give the path of a file that holds {}", setting.form),
                    }]
                })?;
                let value = value.trim_end_matches(['\n', '\r']).to_owned();
                // An empty value counts as none, but an empty file is a secret that failed to
                // arrive.
                if value.is_empty() {
                    return Err(vec![problem(&origin, "", "is an empty file")]);
                }
                (value, origin)
            }
            (Some(direct), Some(file)) => {
                return Err(vec![Problem {
                    mend: "give only one of them".to_owned(),
                    ..problem(
                        &direct.origin,
                        direct.value,
                        &format!(
                            "is given twice, also as {}_FILE ({})",
                            setting.name, file.origin
                        ),
                    )
                }]);
            }
        };
        // What is not UTF-8 was replaced by this character on its way here.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(vec![problem(&origin, &value, "is not UTF-8")]);
        }
        let faults = setting.form.faults(&value);
        if faults.is_empty() {
            return Ok(Some((value, origin)));
        }
        let of = |fault: BadValue| Problem {
            mend: fault.mend,
            ..problem(&origin, &value, &fault.wrong)
        };
        Err(faults.into_iter().map(of).collect())
    }

    /// The file that gives a setting, if one does.
    pub(super) fn file_of(&self, setting: &Setting) -> Option<PathBuf> {
        let file = self.given(&setting.file_name()?, None)?;
        Some(PathBuf::from(file.value))
    }

    /// The first source that has a value of this name. An empty one counts as none: `NAME=` is how
    /// many tools unset a variable.
    fn given(&self, name: &str, flag: Option<&str>) -> Option<Given<'a>> {
        let flag = flag.map(|flag| format!("--{flag}")).unwrap_or_default();
        [
            (self.flags, flag.as_str()),
            (self.environment, "environment"),
            (self.dotenv, ".env file"),
        ]
        .into_iter()
        .find_map(|(values, origin)| {
            let value = values.get(name).filter(|value| !value.is_empty())?;
            Some(Given {
                value,
                origin: origin.to_owned(),
            })
        })
    }
}

/// The settings that were given, each checked against its form, with where it was given.
#[derive(Default)]
pub(super) struct Chosen(BTreeMap<&'static str, (String, String)>);

impl Chosen {
    pub(super) fn is_given(&self, setting: &Setting) -> bool {
        self.0.contains_key(setting.name)
    }

    pub(super) fn text(&self, setting: &Setting) -> String {
        match self.0.get(setting.name) {
            Some((value, _)) => value.clone(),
            None => setting.default.to_owned(),
        }
    }

    pub(super) fn parsed<T: FromStr<Err: Debug>>(&self, setting: &Setting) -> T {
        self.text(setting)
            .parse()
            .expect("the form was checked when the value was chosen")
    }

    pub(super) fn time(&self, setting: &Setting) -> Duration {
        humantime::parse_duration(&self.text(setting))
            .expect("the form was checked when the value was chosen")
    }

    /// None when the setting is off.
    pub(super) fn text_unless_off(&self, setting: &Setting) -> Option<String> {
        Some(self.text(setting)).filter(|text| text != OFF)
    }

    /// None when the setting is off.
    pub(super) fn time_unless_off(&self, setting: &Setting) -> Option<Duration> {
        (self.text(setting) != OFF).then(|| self.time(setting))
    }

    /// None when the setting is off.
    pub(super) fn address_unless_off(&self, setting: &Setting) -> Option<SocketAddr> {
        address(&self.text(setting))
    }

    /// None when the setting is off.
    pub(super) fn schedule_unless_off(
        &self,
        expression: &Setting,
        zone: &Setting,
    ) -> Option<Schedule> {
        let expression = self.text(expression);
        (expression != OFF).then(|| {
            Schedule::new(&expression, &self.text(zone))
                .expect("the forms were checked when the values were chosen")
        })
    }

    /// Every setting, with the two that other settings or this process have a say in.
    pub(super) fn in_force(&self, database: &str, instance: &str) -> InForce {
        let shown = |setting: &Setting| {
            let value = match setting.name {
                name if name == MONGODB_DATABASE.name => database.to_owned(),
                name if name == INSTANCE.name => instance.to_owned(),
                _ => self.text(setting),
            };
            // A URI may have strayed into any setting.
            let hides = setting.secret || Problem::shown(&value).is_none();
            let value = if hides {
                "(hidden)".to_owned()
            } else {
                quoted(&value)
            };
            format!("{}={value}", setting.name)
        };
        let (given, defaults): (Vec<&Setting>, Vec<&Setting>) =
            SETTINGS.iter().partition(|setting| self.is_given(setting));
        let listed = |settings: Vec<&Setting>| {
            let settings: Vec<String> = settings.into_iter().map(shown).collect();
            settings.join(" ")
        };
        InForce {
            given: listed(given),
            defaults: listed(defaults),
        }
    }

    /// A problem with a value that is good by itself, but not beside the others.
    pub(super) fn problem(&self, setting: &Setting, wrong: String, mend: &str) -> Problem {
        let origin = match self.0.get(setting.name) {
            Some((_, origin)) => origin,
            None => "default",
        };
        Problem {
            name: setting.name.to_owned(),
            origin: origin.to_owned(),
            value: Problem::shown(&self.text(setting)),
            wrong,
            mend: mend.to_owned(),
        }
    }
}

/// A value as it stands in a `.env` file.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !"#$'\"\\".contains(c);
    match value.chars().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{value}'"),
    }
}
