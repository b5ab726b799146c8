//! The profiles that the AWS CLI and the SDKs share, and where in their two files each setting is.

use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::section::EnvConfigSections;
use aws_runtime::env_config::source;
use aws_runtime::fs_util::{Os, home_dir};
use aws_types::os_shim_internal::{Env, Fs};
use drctl_config::nearest;

/// How many profiles are listed at most when one does not exist: with single sign-on, there can be hundreds.
const LISTED: usize = 12;

/// The profiles of a user.
pub(super) struct Profiles {
    /// Both files in one, as the SDK reads them.
    pub(super) sections: EnvConfigSections,
    config: File,
    credentials: File,
}

struct File {
    /// As it is set, or AWS's default.
    path: String,
    /// The prefix of a profile's name in a heading, except for `default`.
    prefix: &'static str,
    sections: EnvConfigSections,
    text: String,
    /// Why it cannot be read, although it exists. The SDK takes it for an empty one.
    unreadable: Option<String>,
}

impl Profiles {
    /// Reads both files. A file that does not exist is empty.
    ///
    /// # Errors
    /// What is wrong with a file, and in which line.
    pub(super) async fn load(env: &Env, fs: &Fs, selected: &str) -> Result<Self, String> {
        Ok(Self {
            sections: sections(env, fs, &EnvConfigFiles::default(), selected).await?,
            config: File::load(env, fs, ("AWS_CONFIG_FILE", "~/.aws/config"), "profile ").await?,
            credentials: File::load(env, fs, ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), "").await?,
        })
    }

    /// Whether there is a profile of that name.
    pub(super) fn contains(&self, profile: &str) -> bool {
        self.sections.get_profile(profile).is_some()
    }

    /// A setting of a profile.
    pub(super) fn get(&self, profile: &str, key: &str) -> Option<&str> {
        self.sections.get_profile(profile)?.get(key)
    }

    /// The file that exists and cannot be read, and why.
    pub(super) fn unreadable(&self) -> Option<String> {
        [&self.config, &self.credentials]
            .into_iter()
            .find_map(|file| file.unreadable.as_ref().map(|why| format!("{}: {why}", file.path)))
    }

    /// The section in which a setting of a profile is, or would be: `[profile ops] in ~/.aws/config`.
    pub(super) fn section(&self, profile: &str, key: &str) -> String {
        // What the credentials file says comes first.
        let in_credentials = self.credentials.sections.get_profile(profile).is_some_and(|it| it.get(key).is_some());
        let is_in_config = self.config.sections.get_profile(profile).is_some();
        if in_credentials || !is_in_config { self.credentials.section(profile) } else { self.config.section(profile) }
    }

    /// A setting of a profile with its place: `` `role_arn` under [profile ops] in ~/.aws/config ``.
    pub(super) fn place(&self, profile: &str, key: &str) -> String {
        format!("`{key}` under {}", self.section(profile, key))
    }

    /// The file in which sections other than profiles are.
    pub(super) fn config_path(&self) -> &str {
        &self.config.path
    }

    /// What the user may have meant by a profile that does not exist.
    pub(super) fn instead_of(&self, missing: &str) -> String {
        for (file, ignored) in [(&self.config, missing.to_owned()), (&self.credentials, format!("profile {missing}"))] {
            if file.has_heading(&ignored) {
                return format!(
                    "[{ignored}] in {} is not read as a profile: write [{}{missing}].",
                    file.path, file.prefix
                );
            }
        }
        Self::known(missing, self.sections.profiles().collect(), || {
            format!("There are no profiles in {} and {}.", self.config.path, self.credentials.path)
        })
    }

    /// The same of an `[sso-session]`.
    pub(super) fn instead_of_session(&self, missing: &str) -> String {
        let heading = format!("sso-session {missing}");
        if self.credentials.has_heading(&heading) {
            return format!(
                "[{heading}] in {} is not read there: it belongs in {}.",
                self.credentials.path, self.config.path
            );
        }
        Self::known(missing, self.sections.sso_sessions().collect(), || {
            "`aws configure sso-session` writes one.".to_owned()
        })
    }

    fn known(missing: &str, mut known: Vec<&str>, without: impl Fn() -> String) -> String {
        if known.is_empty() {
            return without();
        }
        known.sort_unstable();
        let meant = nearest(missing, known.iter().copied()).map(|near| format!("Did you mean `{near}`? "));
        let more = match known.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        known.truncate(LISTED);
        format!("{}There are: {}{more}.", meant.unwrap_or_default(), known.join(", "))
    }
}

impl File {
    async fn load(env: &Env, fs: &Fs, (variable, default): (&str, &str), prefix: &'static str) -> Result<Self, String> {
        let path = env.get(variable).unwrap_or_else(|_| default.to_owned());
        let is_config = !prefix.is_empty();
        let file = EnvConfigFiles::builder()
            .include_default_config_file(is_config)
            .include_default_credentials_file(!is_config)
            .build();
        let sections = sections(env, fs, &file, "default").await?;
        let (text, unreadable) = match fs.read_to_end(at_home(env, &path)).await.map(String::from_utf8) {
            Ok(Ok(text)) => (text, None),
            Ok(Err(_)) => (String::new(), Some("it is not text in UTF-8".to_owned())),
            Err(error) if is_absent(&error) => (String::new(), None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        Ok(Self { path, prefix, sections, text, unreadable })
    }

    fn section(&self, profile: &str) -> String {
        let prefix = if profile == "default" { "" } else { self.prefix };
        format!("[{prefix}{profile}] in {}", self.path)
    }

    fn has_heading(&self, heading: &str) -> bool {
        let headings = self.text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next());
        headings.map(str::split_whitespace).any(|words| words.eq(heading.split_whitespace()))
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

async fn sections(env: &Env, fs: &Fs, files: &EnvConfigFiles, selected: &str) -> Result<EnvConfigSections, String> {
    let mut source = source::load(env, fs, files).await.map_err(|error| error.to_string())?;
    source.profile = selected.to_owned().into();
    EnvConfigSections::parse(source).map_err(|error| error.to_string())
}

/// A path with the home folder in place of `~`.
pub(super) fn at_home(env: &Env, path: &str) -> String {
    match (path.strip_prefix("~/"), home_dir(env, Os::real())) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}
