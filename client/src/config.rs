//! Settings: what a flag says, else a variable, else a profile of the config file, else the
//! default.

mod file;

use std::path::{Path, PathBuf};

use self::file::{File, Profile};
use crate::{
    exit::Exit,
    fault::{Fault, Report},
    globals::{Globals, Origin},
};

pub(crate) use self::file::usual_place;

/// Takes from the config file what neither a flag nor a variable says. Afterwards the settings name
/// the file and the profile that they go by, if there are such.
pub(crate) fn complete(globals: &mut Globals) -> Result<(), Fault> {
    let named = globals.config.take();
    let path = named.clone().or_else(usual_place);
    let file = match &path {
        Some(path) => file::read(path, named.is_some())?,
        None => None,
    };
    if let (None, Some(named)) = (&file, named) {
        return Err(Fault::told(
            Exit::Usage,
            format!("the config file {} is not there", named.display()),
            "name one that is with --config or ARCHCTL_CONFIG, or leave both out",
        ));
    }
    if let Some(file) = &file {
        globals.config.clone_from(&path);
        if globals.profile.is_none() && file.default_profile.is_some() {
            globals.profile.clone_from(&file.default_profile);
            globals.origins.profile = Origin::File;
        }
    }
    let Some(name) = &globals.profile else {
        return Ok(());
    };
    let place = path.map_or_else(
        || "no home folder, where a config file could be".to_owned(),
        |path| path.display().to_string(),
    );
    let profile = match &file {
        Some(file) => {
            let profile = file.profiles.get(name);
            profile.ok_or_else(|| unknown(name, &place, file))
        }
        None => Err(no_file(name, &place)),
    }?;
    let profile = profile.clone();
    // What a file names lies beside it, wherever archctl was started.
    let folder = globals.config.as_deref().and_then(Path::parent);
    let folder = folder.unwrap_or(Path::new("")).to_owned();
    fill(globals, profile, &folder);
    Ok(())
}

fn fill(globals: &mut Globals, profile: Profile, folder: &Path) {
    let origins = &mut globals.origins;
    let own_endpoint = profile.endpoint.clone();
    take(
        &mut globals.endpoint,
        &mut origins.endpoint,
        profile.endpoint,
    );
    take(&mut globals.timeout, &mut origins.timeout, profile.timeout);
    take(&mut globals.output, &mut origins.output, profile.output);
    take(
        &mut globals.time_zone,
        &mut origins.time_zone,
        profile.time_zone,
    );
    let beside = |path: Option<PathBuf>| path.map(|path| Some(folder.join(path)));
    // A token is for the one that it was given for: whoever names another address names a token.
    let is_for_another = own_endpoint.is_some_and(|own| own != globals.endpoint);
    let token_file = match is_for_another {
        true => None,
        false => beside(profile.token_file),
    };
    take(&mut globals.token_file, &mut origins.token_file, token_file);
    take(&mut globals.ca, &mut origins.ca, beside(profile.ca));
    take(&mut globals.cert, &mut origins.cert, beside(profile.cert));
    take(&mut globals.key, &mut origins.key, beside(profile.key));
}

fn take<T>(setting: &mut T, origin: &mut Origin, told: Option<T>) {
    if let (Origin::Default, Some(told)) = (*origin, told) {
        *setting = told;
        *origin = Origin::File;
    }
}

fn unknown(name: &str, place: &str, file: &File) -> Fault {
    Fault::told(
        Exit::Usage,
        format!("there is no profile `{name}` in {place}"),
        file::mend(name, file.profiles.keys()),
    )
}

fn no_file(name: &str, place: &str) -> Fault {
    Fault::Told(Report {
        exit: Exit::Usage,
        what: format!("there is no profile `{name}`, because there is no config file"),
        why: vec![format!("looked for: {place}")],
        hint: Some("`archctl config --help` shows what one looks like".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;

    #[test]
    fn every_setting_has_a_flag_a_variable_and_a_key_of_one_name() {
        let command = Globals::augment_args(Command::new("archctl"));
        let mut keys = Vec::new();
        for arg in command.get_arguments() {
            let key = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(key.replace('_', "-").as_str()));
            let variable = format!("ARCHCTL_{}", key.to_uppercase());
            assert_eq!(arg.get_env(), Some(variable.as_ref()));
            keys.push(key);
        }
        keys.retain(|key| !["config", "profile"].contains(key));
        keys.sort_unstable();
        assert_eq!(keys, file::SETTINGS);
    }
}
