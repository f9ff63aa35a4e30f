//! The config file: profiles in TOML. It is checked as a whole, and all its faults are told at
//! once.

use std::{
    collections::BTreeMap,
    env, fs,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::{
    exit::Exit,
    fault::{Fault, Report},
    format::Format,
    values::{self, Address},
    zone::Zone,
};

const DEFAULT_PROFILE: &str = "default_profile";
const PROFILES: &str = "profiles";
pub(super) const SETTINGS: &[&str] = &[
    "ca",
    "cert",
    "endpoint",
    "key",
    "output",
    "time_zone",
    "timeout",
    "token_file",
];

/// How many letters a name may differ by from the one that was meant.
const SLIPS: usize = 2;

/// What a config file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The profile to go by where none is named; it is there.
    pub(super) default_profile: Option<String>,
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// The settings of one profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    pub(super) endpoint: Option<Address>,
    pub(super) output: Option<Format>,
    pub(super) time_zone: Option<Zone>,
    pub(super) timeout: Option<Duration>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// Where the file is unless somebody says otherwise, by the rules of XDG; nowhere for a user
/// without a home.
pub(crate) fn usual_place() -> Option<PathBuf> {
    let told = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    // XDG wants a path that is not absolute to be ignored.
    let folder = told
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".config")))
        .filter(|folder| folder.is_absolute())?;
    Some(folder.join("archctl").join("config.toml"))
}

/// Reads a file; one that is not there has nothing to say, nor has one that nobody asked for and
/// that belongs to somebody else, as under sudo.
pub(super) fn read(path: &Path, is_named: bool) -> Result<Option<File>, Fault> {
    let faults = match fs::read_to_string(path) {
        Ok(text) => match parse(&text) {
            Ok(file) => return Ok(Some(file)),
            Err(faults) => faults,
        },
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => return Ok(None),
            ErrorKind::PermissionDenied if !is_named => return Ok(None),
            ErrorKind::InvalidData => vec!["it is not UTF-8, as TOML has to be".to_owned()],
            _ => vec![error.to_string()],
        },
    };
    Err(Fault::Told(Report {
        exit: Exit::Usage,
        what: format!("the config file {} can't be used", path.display()),
        why: faults,
        hint: Some("`archctl config --help` shows what one looks like".to_owned()),
    }))
}

/// Reads the text of a file, or tells every fault in it, each with its line.
fn parse(text: &str) -> Result<File, Vec<String>> {
    let mut reader = Reader {
        text,
        faults: Vec::new(),
    };
    let file = match DeTable::parse(text) {
        Ok(table) => reader.file(table.get_ref()),
        Err(error) => {
            let fault = format!("this is not TOML: {}", error.message());
            reader.fault(error.span().unwrap_or_default(), fault);
            File::default()
        }
    };
    let mut faults = reader.faults;
    if faults.is_empty() {
        return Ok(file);
    }
    faults.sort();
    let told = faults.into_iter();
    Err(told
        .map(|(line, fault)| format!("line {line}: {fault}"))
        .collect())
}

/// Walks through the tables of a file, and goes on after each fault.
struct Reader<'a> {
    text: &'a str,
    /// The faults, each with its line.
    faults: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn file(&mut self, table: &DeTable<'_>) -> File {
        let mut file = File::default();
        let mut default = None;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                DEFAULT_PROFILE => default = Some(value),
                PROFILES => file.profiles = self.profiles(value),
                other => self.fault(key.span(), misplaced(other, value.get_ref())),
            }
        }
        if let Some(value) = default
            && let Some(name) = self.string(DEFAULT_PROFILE, value)
        {
            match file.profiles.contains_key(name) {
                true => file.default_profile = Some(name.to_owned()),
                false => {
                    let mend = mend(name, file.profiles.keys());
                    let fault = format!("{DEFAULT_PROFILE}: there is no profile `{name}`; {mend}");
                    self.fault(value.span(), fault);
                }
            }
        }
        file
    }

    fn profiles(&mut self, value: &Spanned<DeValue<'_>>) -> BTreeMap<String, Profile> {
        let mut profiles = BTreeMap::new();
        for (name, value) in self.table(PROFILES, value).into_iter().flatten() {
            let path = format!("{PROFILES}.{}", name.get_ref());
            let mut profile = Profile::default();
            for (key, value) in self.table(&path, value).into_iter().flatten() {
                self.setting(&mut profile, &path, key, value);
            }
            profiles.insert(name.get_ref().to_string(), profile);
        }
        profiles
    }

    fn setting(
        &mut self,
        profile: &mut Profile,
        path: &str,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let name = key.get_ref().as_ref();
        let path = format!("{path}.{name}");
        if !SETTINGS.contains(&name) {
            let mend = mend(name, SETTINGS);
            self.fault(
                key.span(),
                format!("{path}: there is no such setting; {mend}"),
            );
            return;
        }
        let Some(text) = self.string(&path, value) else {
            return;
        };
        let taken = match name {
            "ca" => values::path(text).map(|it| profile.ca = Some(it)),
            "cert" => values::path(text).map(|it| profile.cert = Some(it)),
            "key" => values::path(text).map(|it| profile.key = Some(it)),
            "endpoint" => values::address(text).map(|it| profile.endpoint = Some(it)),
            "output" => format(text).map(|it| profile.output = Some(it)),
            "time_zone" => values::zone(text).map(|it| profile.time_zone = Some(it)),
            "token_file" => values::path(text).map(|it| profile.token_file = Some(it)),
            _ => values::duration(text).map(|it| profile.timeout = Some(it)),
        };
        if let Err(fault) = taken {
            self.fault(value.span(), format!("{path}: `{text}` won't do: {fault}"));
        }
    }

    fn table<'v, 'i>(
        &mut self,
        path: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let kind = value.get_ref().type_str();
            let fault = format!("{path}: give a table, [{path}], in the place of this {kind}");
            self.fault(value.span(), fault);
        }
        table
    }

    fn string<'v>(&mut self, path: &str, value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let kind = value.get_ref().type_str();
            let fault =
                format!("{path}: give a text in quotation marks in the place of this {kind}");
            self.fault(value.span(), fault);
        }
        text
    }

    fn fault(&mut self, place: Range<usize>, what: String) {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        self.faults.push((line, what));
    }
}

/// What is wrong with a key that is neither the default nor the profiles.
fn misplaced(key: &str, value: &DeValue<'_>) -> String {
    if SETTINGS.contains(&key) {
        return format!(
            "{key}: it belongs below the line of a profile, such as [{PROFILES}.production]"
        );
    }
    let known = [DEFAULT_PROFILE, PROFILES];
    if value.is_table() && nearest(key, known).is_none() {
        return format!("{key}: a profile begins with the line [{PROFILES}.{key}]");
    }
    format!("{key}: there is no such key; {}", mend(key, known))
}

fn format(text: &str) -> Result<Format, String> {
    Format::from_str(text, false).map_err(|_| {
        let formats = Format::value_variants().iter();
        let names: Vec<String> = formats.map(ToString::to_string).collect();
        format!("give one of {}", names.join(", "))
    })
}

/// The name that was most likely meant, or else all that there are.
pub(super) fn mend(
    name: &str,
    known: impl IntoIterator<Item = impl AsRef<str>, IntoIter: Clone>,
) -> String {
    let known = known.into_iter();
    if let Some(meant) = nearest(name, known.clone()) {
        return format!("is `{}` meant?", meant.as_ref());
    }
    let known: Vec<String> = known.map(|name| name.as_ref().to_owned()).collect();
    match known.as_slice() {
        [] => "there is none at all".to_owned(),
        known => format!("there are: {}", known.join(", ")),
    }
}

fn nearest<N: AsRef<str>>(name: &str, known: impl IntoIterator<Item = N>) -> Option<N> {
    let slips = |known: &N| strsim::levenshtein(name, known.as_ref());
    let nearest = known.into_iter().min_by_key(slips)?;
    (slips(&nearest) <= SLIPS).then_some(nearest)
}
