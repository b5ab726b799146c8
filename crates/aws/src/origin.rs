//! Where credentials come from: the keys in the environment, the selected profile, or the machine. A profile that is selected and
//! cannot be used is an error. The SDK passes over some of these profiles and takes what the container or the instance offers:
//! the credentials of another account. See docs/aws-behaviour.md#unusable-profile-is-passed-over.

use aws_types::os_shim_internal::{Env, Fs};

use super::profiles::Profiles;
use super::settings::variable_of;
use drctl_engine::{Class, Failure};

const ROLE: &str = "role_arn";
const SOURCE_PROFILE: &str = "source_profile";
const CREDENTIAL_SOURCE: &str = "credential_source";
const TOKEN_FILE: &str = "web_identity_token_file";
const SSO_SESSION: &str = "sso_session";
const SSO_REGION: &str = "sso_region";
const SSO_START_URL: &str = "sso_start_url";
const SSO_ACCOUNT: &str = "sso_account_id";
const SSO_ROLE: &str = "sso_role_name";
const LOGIN: &str = "login_session";
const PROCESS: &str = "credential_process";
const KEY_ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const MFA: &str = "mfa_serial";

/// The settings by which a profile says that credentials come from it.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>
const MEANT: [&str; 13] = [
    ROLE,
    SOURCE_PROFILE,
    CREDENTIAL_SOURCE,
    TOKEN_FILE,
    SSO_SESSION,
    SSO_REGION,
    SSO_START_URL,
    SSO_ACCOUNT,
    SSO_ROLE,
    LOGIN,
    PROCESS,
    KEY_ID,
    SECRET,
];

const SSO: [&str; 5] = [SSO_SESSION, SSO_REGION, SSO_START_URL, SSO_ACCOUNT, SSO_ROLE];

/// Where credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, which come before any profile.
    /// See docs/aws-behaviour.md#environment-keys-before-profile.
    Keys {
        /// The profile whose credentials are not used because of them, and the variable that names it.
        over: Option<(String, &'static str)>,
    },
    /// A profile, and nothing else.
    Profile(Profile),
    /// The credentials that the SDK's chain finds: no profile is selected.
    #[default]
    Machine,
}

/// The profile that credentials come from. It can be used, as far as its settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    /// The variable that names it.
    variable: Option<&'static str>,
    kind: Kind,
    /// The profile that has the first credentials: itself, or the last one to which `source_profile` leads.
    base: String,
    /// The setting that the first credentials come from, with its place.
    place: String,
    /// The settings that name the roles that are assumed with them, with their places.
    roles: Vec<String>,
    /// The setting that asks for an MFA code, with its place.
    mfa: Option<String>,
}

/// How the first credentials are obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Keys,
    Process,
    Sso,
    WebIdentity,
    Machine,
}

/// What is wrong with a profile, and what to write instead.
struct Flaw {
    what: String,
    help: String,
}

fn flaw<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw { what: what.into(), help: help.into() })
}

impl Origin {
    /// Where the settings say that credentials come from. `named` is the profile that a variable names, and exists.
    ///
    /// # Errors
    /// [`Class::Denied`] when credentials are selected and cannot be used.
    pub(super) async fn find(
        profiles: &Profiles,
        named: Option<&(&'static str, String)>,
        env: &Env,
        fs: &Fs,
    ) -> Result<Self, Failure> {
        let set = |name: &str| variable_of(env, name).is_some();
        let name = named.map_or("default", |(_, name)| name);
        let is_meant = MEANT.into_iter().any(|key| profiles.get(name, key).is_some());
        if has_keys(env) {
            let over = named.filter(|_| is_meant).map(|(variable, name)| (name.clone(), *variable));
            return Ok(Self::Keys { over });
        }
        let is_nothing_selected = named.is_none() && !is_meant;
        for (half, missing, counts) in [
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", true),
            ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", true),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", is_nothing_selected),
        ] {
            if counts && set(half) && !set(missing) {
                return Err(Failure::new(Class::Denied, format!("{half} is set, and {missing} is not")).help(format!(
                    "Set both, or unset {half}. No other credentials were tried, and nothing was called."
                )));
            }
        }
        if is_nothing_selected {
            return Ok(Self::Machine);
        }
        let reader = Reader { profiles, env };
        let variable = named.map(|(variable, _)| *variable);
        let found = match reader.follow(name, variable) {
            Ok(profile) => reader.with_its_token(profile, fs).await,
            Err(flaw) => Err(flaw),
        };
        found.map(Self::Profile).map_err(|Flaw { what, help }| {
            let by = variable.map(|variable| format!(", which {variable} names,")).unwrap_or_default();
            Failure::new(Class::Denied, format!("the profile `{name}`{by} cannot be used: {what}"))
                .help(format!("{help} No other credentials were tried, and nothing was called."))
        })
    }

    /// What is worth saying before these credentials are used.
    pub(super) fn notice(&self) -> Option<String> {
        let Self::Keys { over: Some((profile, variable)) } = self else { return None };
        Some(format!(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set, and they take precedence over {variable}, as in \
             the AWS CLI: the credentials of the profile `{profile}` are not used. Unset the two to use the profile."
        ))
    }

    /// What to do if AWS does not accept these credentials.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Keys { over } => {
                let instead = match over {
                    Some((profile, variable)) => {
                        format!("unset them to use the profile `{profile}` that {variable} names")
                    }
                    None => "unset them and set AWS_PROFILE, or log in with `aws sso login`".to_owned(),
                };
                format!(
                    "The credentials are those in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, which \
                     belongs to them). Set valid ones, or {instead}; or try without an account: `--sandbox`."
                )
            }
            Self::Profile(profile) => {
                let other = match profile.variable {
                    Some(variable) => format!("name another profile in {variable}"),
                    None => "name another profile in AWS_PROFILE".to_owned(),
                };
                format!(
                    "The credentials are those of the profile `{}`: they come from {}. Correct that, or {other}; or \
                     try without an account: `--sandbox`.",
                    profile.name, profile.place
                )
            }
            Self::Machine => {
                "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`; or try \
                 without an account: `--sandbox`."
                    .to_owned()
            }
        }
    }

    /// The setting of the profile that the first credentials come from.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::Profile(profile) => Some(&profile.place),
            Self::Keys { .. } | Self::Machine => None,
        }
    }

    /// What to do when nothing comes from there.
    pub(super) fn silence(&self) -> &'static str {
        match self {
            Self::Profile(Profile { kind: Kind::Process, .. }) => {
                "Run the command of `credential_process` on its own: it may wait for input, or for a service that \
                 cannot be reached."
            }
            _ => {
                "The credentials may be valid: STS, SSO, or the service that provides them was throttled or cannot \
                 be reached. Run the same command again; if that does not help, check AWS's health dashboard."
            }
        }
    }

    /// How to renew these credentials, for brackets in a sentence.
    pub(super) fn renewal(&self) -> String {
        match self {
            Self::Keys { .. } => {
                "set new ones in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN, or unset these and use \
                 `aws sso login`"
                    .to_owned()
            }
            Self::Profile(profile) if profile.kind == Kind::Sso => {
                format!("`aws sso login --profile {}`", profile.base)
            }
            Self::Profile(profile) => format!("they come from {}", profile.place),
            Self::Machine => "e.g. `aws sso login`".to_owned(),
        }
    }
}

/// Whether the keys in the environment are complete, as the SDK reads them (`EnvironmentVariableCredentialsProvider`).
pub(super) fn has_keys(env: &Env) -> bool {
    let set = |name: &&str| variable_of(env, name).is_some();
    set(&"AWS_ACCESS_KEY_ID") && ["AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY"].iter().any(set)
}

impl Profile {
    /// That the profile gives no credentials, although its settings are in order. `code` is AWS's; `is_role` says that the first
    /// credentials were obtained, and a role was refused.
    pub(super) fn failure(&self, why: &str, code: Option<&str>, is_role: bool) -> Failure {
        // What a command has written may have lines, and colours.
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "");
        let message = format!("the profile `{}` gives no credentials: {why}", self.name);
        let help = match self.kind {
            _ if is_role => {
                let mfa = self.mfa.as_ref().map(|place| {
                    format!(" drctl does not ask for the MFA code of {place}: {}", export(&self.name, self.variable))
                });
                format!(
                    "The role is {}. Check its ARN, and that its trust policy allows the caller, whose credentials come from \
                     {}.{}",
                    self.roles.join(" or "),
                    self.place,
                    mfa.unwrap_or_default()
                )
            }
            Kind::Sso if code == Some("ForbiddenException") => format!(
                "Check `{SSO_ACCOUNT}` and `{SSO_ROLE}` next to {}: the user has no such role in that account.",
                self.place
            ),
            Kind::Sso => format!("Log in with `aws sso login --profile {}` and run the same command again.", self.base),
            Kind::Process => format!(
                "The command is {}. Run it on its own: it must exit with 0 and print JSON with `Version` 1, \
                 `AccessKeyId`, and `SecretAccessKey`.",
                self.place
            ),
            Kind::WebIdentity => format!("Check the role and the token: {}.", self.place),
            Kind::Machine => format!("Does this machine offer them? See {}.", self.place),
            Kind::Keys => format!("Check {}.", self.place),
        };
        Failure { code: code.map(str::to_owned), ..Failure::new(Class::Denied, message).help(help) }
    }
}

/// How the AWS CLI hands credentials over that only it can obtain.
fn export(profile: &str, variable: Option<&str>) -> String {
    let unset = variable.map(|variable| format!(" and unset {variable}")).unwrap_or_default();
    format!(
        "Let the AWS CLI export the credentials: `eval \"$(aws configure export-credentials --profile {profile} \
         --format env)\"`{unset}; or write another profile with `{PROCESS} = aws configure export-credentials \
         --profile {profile}`."
    )
}

/// Reads profiles in the SDK's order (aws-config, `src/profile/credentials/repr.rs`).
struct Reader<'a> {
    profiles: &'a Profiles,
    env: &'a Env,
}

impl<'a> Reader<'a> {
    fn get(&self, profile: &str, key: &str) -> Option<&'a str> {
        self.profiles.get(profile, key)
    }

    /// Follows `source_profile` to the first credentials.
    fn follow(&self, selected: &'a str, variable: Option<&'static str>) -> Result<Profile, Flaw> {
        let profiles = self.profiles;
        let (mut visited, mut roles): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut name = selected;
        let kind = loop {
            let has = |key| self.get(name, key);
            if let Some(key) = MEANT.into_iter().find(|key| has(key).is_some_and(|value| value.trim().is_empty())) {
                return flaw(format!("{} is empty", profiles.place(name, key)), "Write its value, or remove the line.");
            }
            let by = visited.last().copied();
            visited.push(name);
            // The keys of a source come before its role.
            if by.is_some() && has(KEY_ID).is_some() && has(SECRET).is_some() {
                break Kind::Keys;
            }
            // With web identity, a role is assumed with no other credentials.
            if has(ROLE).is_none() || has(TOKEN_FILE).is_some() {
                break self.base(name, by, variable)?;
            }
            roles.push(name);
            let source = self.source(name)?;
            if source == name {
                break self.base(name, Some(name), variable)?;
            }
            let place = || profiles.place(name, SOURCE_PROFILE);
            if !profiles.contains(source) {
                return flaw(
                    format!("{} is `{source}`, and there is no such profile", place()),
                    profiles.instead_of(source),
                );
            }
            if visited.contains(&source) {
                return flaw(
                    format!("{} leads back to the profile `{source}`", place()),
                    "Name a profile there that has credentials of its own.",
                );
            }
            name = source;
        };
        let mfa = roles.iter().find(|name| self.get(name, MFA).is_some());
        Ok(Profile {
            name: selected.to_owned(),
            variable,
            kind,
            base: name.to_owned(),
            place: profiles.place(name, self.first_setting(name, kind)),
            roles: roles.iter().map(|name| profiles.place(name, ROLE)).collect(),
            mfa: mfa.map(|name| profiles.place(name, MFA)),
        })
    }

    /// The profile whose credentials assume the role of this one: possibly itself.
    fn source(&self, name: &'a str) -> Result<&'a str, Flaw> {
        let section = || self.profiles.section(name, ROLE);
        match (self.get(name, SOURCE_PROFILE), self.get(name, CREDENTIAL_SOURCE)) {
            (Some(source), None) => Ok(source),
            (None, Some(_)) => Ok(name),
            (Some(_), Some(_)) => flaw(
                format!("{} has both `{SOURCE_PROFILE}` and `{CREDENTIAL_SOURCE}`", section()),
                "Remove one of them.",
            ),
            (None, None) => flaw(
                format!("{} has `{ROLE}`, but neither `{SOURCE_PROFILE}` nor `{CREDENTIAL_SOURCE}`", section()),
                format!(
                    "Write `{SOURCE_PROFILE} = NAME` with the profile that may assume the role, or `{CREDENTIAL_SOURCE} = \
                     Ec2InstanceMetadata` (or `EcsContainer`)."
                ),
            ),
        }
    }

    fn first_setting(&self, profile: &str, kind: Kind) -> &'static str {
        match kind {
            Kind::Keys => KEY_ID,
            Kind::Process => PROCESS,
            Kind::Sso if self.get(profile, SSO_SESSION).is_some() => SSO_SESSION,
            Kind::Sso => SSO_START_URL,
            Kind::WebIdentity => TOKEN_FILE,
            Kind::Machine => CREDENTIAL_SOURCE,
        }
    }

    /// The credentials that a profile has itself. `by` is the profile that names it as its source.
    fn base(&self, name: &str, by: Option<&str>, variable: Option<&str>) -> Result<Kind, Flaw> {
        let profiles = self.profiles;
        let has = |key| self.get(name, key);
        if let Some(source) = has(CREDENTIAL_SOURCE) {
            return self.machine(name, source);
        }
        if has(TOKEN_FILE).is_some() {
            return match has(ROLE) {
                Some(_) => Ok(Kind::WebIdentity),
                None => flaw(
                    format!("{} has `{TOKEN_FILE}`, but no `{ROLE}`", profiles.section(name, TOKEN_FILE)),
                    format!("Write `{ROLE} = arn:aws:iam::ACCOUNT:role/NAME` there."),
                ),
            };
        }
        if SSO.into_iter().any(|key| has(key).is_some()) {
            return self.sso(name);
        }
        if has(LOGIN).is_some() {
            return flaw(
                format!("{} logs in with `aws login`, which drctl cannot read", profiles.section(name, LOGIN)),
                export(name, variable),
            );
        }
        if has(PROCESS).is_some() {
            return Ok(Kind::Process);
        }
        match (has(KEY_ID), has(SECRET)) {
            (Some(_), Some(_)) => Ok(Kind::Keys),
            (Some(_), None) => self.lacks(name, KEY_ID, SECRET),
            (None, Some(_)) => self.lacks(name, SECRET, KEY_ID),
            (None, None) if has(SOURCE_PROFILE).is_some() && has(ROLE).is_none() => {
                self.lacks(name, SOURCE_PROFILE, ROLE)
            }
            (None, None) => {
                let section = profiles.section(name, ROLE);
                let keys = format!("`{KEY_ID}` and `{SECRET}`, `{PROCESS}`, `{SSO_SESSION}`, or `{ROLE}`");
                match by {
                    Some(by) => flaw(
                        format!("{} is `{name}`, and {section} has no credentials", profiles.place(by, SOURCE_PROFILE)),
                        format!("Write {keys} there, or name another profile in `{SOURCE_PROFILE}`."),
                    ),
                    None => flaw(
                        format!("{section} has no credentials"),
                        format!(
                            "Write {keys} there. To use the credentials of this machine (its container or instance), unset {}.",
                            variable.unwrap_or("AWS_PROFILE")
                        ),
                    ),
                }
            }
        }
    }

    fn lacks(&self, name: &str, has: &str, missing: &str) -> Result<Kind, Flaw> {
        flaw(
            format!("{} has `{has}`, but no `{missing}`", self.profiles.section(name, has)),
            format!("Write `{missing}` there, or remove `{has}`."),
        )
    }

    /// `credential_source`, and whether this machine has such a source.
    fn machine(&self, name: &str, source: &str) -> Result<Kind, Flaw> {
        let place = self.profiles.place(name, CREDENTIAL_SOURCE);
        let value = |name: &str| variable_of(self.env, name);
        let elsewhere =
            format!("Run drctl where these credentials are, or name a profile in `{SOURCE_PROFILE}` instead.");
        match source.to_ascii_lowercase().as_str() {
            // With these variables, no profile is asked.
            "environment" => flaw(
                format!("{place} is `{source}`, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"),
                format!(
                    "With them, drctl would use the keys as they are and assume no role. Write the keys into a profile, and name \
                     it in `{SOURCE_PROFILE}` instead."
                ),
            ),
            "ecscontainer" => {
                let offers = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
                if offers.into_iter().any(|name| value(name).is_some()) {
                    return Ok(Kind::Machine);
                }
                flaw(format!("{place} is `{source}`, and this is not a container that has a role"), elsewhere)
            }
            "ec2instancemetadata" => {
                let disabled = value("AWS_EC2_METADATA_DISABLED");
                if disabled.is_none_or(|value| !value.trim().eq_ignore_ascii_case("true")) {
                    return Ok(Kind::Machine);
                }
                flaw(format!("{place} is `{source}`, and AWS_EC2_METADATA_DISABLED is `true`"), elsewhere)
            }
            _ => flaw(
                format!("{place} is `{source}`, which does not exist"),
                "Write `EcsContainer` or `Ec2InstanceMetadata`.",
            ),
        }
    }

    fn sso(&self, name: &str) -> Result<Kind, Flaw> {
        let profiles = self.profiles;
        let has = |key| self.get(name, key);
        let session = has(SSO_SESSION);
        let own = [SSO_START_URL, SSO_REGION];
        if let Some(session) = session {
            let place = profiles.place(name, SSO_SESSION);
            let Some(section) = profiles.sections.sso_session(session) else {
                return flaw(
                    format!(
                        "{place} is `{session}`, and there is no [sso-session {session}] in {}",
                        profiles.config_path()
                    ),
                    profiles.instead_of_session(session),
                );
            };
            if let Some(key) = own.into_iter().find(|key| has(key).is_some()) {
                return flaw(
                    format!("{} has `{key}` as well as `{SSO_SESSION}`", profiles.section(name, key)),
                    format!("Remove `{key}` there: [sso-session {session}] has it."),
                );
            }
            let is_blank = |key: &&str| section.get(key).is_none_or(|value| value.trim().is_empty());
            if let Some(key) = own.into_iter().find(is_blank) {
                return flaw(
                    format!("[sso-session {session}] in {} has no `{key}`", profiles.config_path()),
                    format!("Write `{key}` there; `aws configure sso-session` asks for it."),
                );
            }
        }
        let needed = if session.is_some() { &[][..] } else { &own[..] };
        match [SSO_ACCOUNT, SSO_ROLE].iter().chain(needed).find(|key| has(key).is_none()) {
            None => Ok(Kind::Sso),
            Some(key) => {
                let present = SSO.into_iter().find(|key| has(key).is_some()).unwrap_or(SSO_SESSION);
                flaw(
                    format!("{} has `{present}`, but no `{key}`", profiles.section(name, present)),
                    format!("Write `{key}` there; `aws configure sso --profile {name}` asks for it."),
                )
            }
        }
    }

    /// The same profile, if the file of its token can be read.
    async fn with_its_token(&self, profile: Profile, fs: &Fs) -> Result<Profile, Flaw> {
        if profile.kind == Kind::WebIdentity
            && let Some(file) = self.get(&profile.base, TOKEN_FILE)
            && let Err(error) = fs.read_to_end(file).await
        {
            return flaw(
                format!("{} is {file}, which cannot be read: {error}", profile.place),
                "Write the full path of the token's file: `~` and variables are not expanded there.",
            );
        }
        Ok(profile)
    }
}

#[cfg(test)]
impl Origin {
    /// The origin when `AWS_PROFILE` names a profile of such a config file.
    pub(super) async fn of(profile: &str, config: &str) -> Result<Self, Failure> {
        tests::find(&[("AWS_PROFILE", profile)], &[("config", config)]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) async fn find(vars: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Origin, Failure> {
        let at = [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
        let vars: Vec<(&str, &str)> = at.iter().chain(vars).copied().collect();
        let (env, fs) = (Env::from_slice(&vars), Fs::from_slice(files));
        let named = variable_of(&env, "AWS_PROFILE").map(|profile| ("AWS_PROFILE", profile));
        let selected = named.as_ref().map_or("default", |(_, profile)| profile);
        let profiles = Profiles::load(&env, &fs, selected).await.expect("readable");
        Origin::find(&profiles, named.as_ref(), &env, &fs).await
    }

    async fn refused(vars: &[(&str, &str)], config: &str) -> String {
        let failure = find(vars, &[("config", config)]).await.expect_err("refused");
        assert_eq!(failure.class, Class::Denied);
        format!("{failure}. {}", failure.help.as_deref().unwrap_or_default())
    }

    const KEYS: &str = "aws_access_key_id = x\naws_secret_access_key = y\n";

    /// Where the first credentials of the profile `ops` come from, and how many roles are assumed with them.
    async fn first(config: &str, credentials: &str) -> (String, usize) {
        let files = [("config", config), ("credentials", credentials)];
        match find(&[("AWS_PROFILE", "ops")], &files).await {
            Ok(Origin::Profile(profile)) => (profile.place, profile.roles.len()),
            other => panic!("{config}{credentials}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_credentials_are_those_that_the_sdk_takes() {
        let role = "role_arn = r\nsource_profile =";
        let keys = |profile: &str| format!("[{profile}]\n{KEYS}");
        let process = "[profile ops]\ncredential_process = x\n";
        let (in_config, in_credentials) = ("[profile ops] in config", "[ops] in credentials");
        for (config, credentials, key, section, roles) in [
            (String::new(), keys("ops"), "aws_access_key_id", in_credentials, 0),
            (process.to_owned(), keys("ops"), "credential_process", in_config, 0),
            (format!("{process}{role} ops\n"), String::new(), "credential_process", in_config, 1),
            // The keys of a source come before what else it has.
            (
                format!("[profile ops]\n{role} base\n[profile base]\n{role} none\n"),
                keys("base"),
                "aws_access_key_id",
                "[base] in credentials",
                1,
            ),
            (
                format!("[profile ops]\n{role} mid\n[profile mid]\n{role} base\n[profile base]\n{KEYS}"),
                String::new(),
                "aws_access_key_id",
                "[profile base] in config",
                2,
            ),
            (
                "[profile ops]\nrole_arn = r\ncredential_source = ec2INSTANCEmetadata\n".to_owned(),
                String::new(),
                "credential_source",
                in_config,
                1,
            ),
        ] {
            let expected = (format!("`{key}` under {section}"), roles);
            assert_eq!(first(&config, &credentials).await, expected, "{config}{credentials}");
        }
    }

    #[tokio::test]
    async fn keys_in_the_environment_come_before_a_profile_and_half_of_them_is_nothing() {
        let (id, secret) = (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"));
        let profile = ("AWS_PROFILE", "ops");
        let broken = "[profile ops]\nrole_arn = r\nsource_profile = none\n";
        let origin = find(&[id, secret, profile], &[("config", broken)]).await.expect("the keys are used");
        let notice = origin.notice().expect("said");
        assert!(notice.contains("precedence over AWS_PROFILE") && notice.contains("`ops` are not used"), "{notice}");
        // A profile that has no credentials is named for its other settings.
        for config in ["[profile ops]\nregion = eu-west-1\n", ""] {
            let origin = find(&[id, secret, profile], &[("config", config)]).await.expect("the keys are used");
            assert_eq!((origin.notice(), &origin), (None, &Origin::Keys { over: None }));
        }
        for (half, missing) in [(id, secret), (secret, id)] {
            let said = refused(&[half, profile], broken).await;
            assert!(said.starts_with(&format!("{} is set, and {} is not", half.0, missing.0)), "{said}");
        }
        let said = refused(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "token")], "").await;
        assert!(said.starts_with("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not"), "{said}");
    }

    #[tokio::test]
    async fn only_a_default_profile_that_says_nothing_leaves_the_choice_to_the_machine() {
        for config in ["", "[default]\nregion = eu-west-1\n", "[profile ops]\nrole_arn = r\n"] {
            assert_eq!(find(&[], &[("config", config)]).await, Ok(Origin::Machine), "{config}");
        }
        for key in MEANT {
            let config = format!("[default]\n{key} = none\n");
            assert_ne!(find(&[], &[("config", &config)]).await, Ok(Origin::Machine), "{key}");
        }
    }

    #[tokio::test]
    async fn advice_and_renewal_fit_what_is_set() {
        let sso = "[profile ops]\nsso_start_url = u\nsso_region = r\nsso_account_id = 1\nsso_role_name = r\n";
        let keys = format!("[profile ops]\n{KEYS}");
        let process = "[profile ops]\ncredential_process = x\n";
        for (config, renewal) in [
            (sso, "`aws sso login --profile ops`"),
            (&keys, "they come from `aws_access_key_id` under [profile ops] in config"),
            (process, "they come from `credential_process` under [profile ops] in config"),
        ] {
            let origin = Origin::of("ops", config).await.expect("usable");
            assert_eq!(origin.renewal(), renewal);
            let advice = origin.advice();
            assert!(advice.contains("of the profile `ops`") && !advice.contains("Set AWS_PROFILE"), "{advice}");
        }
        assert!(Origin::Machine.advice().starts_with("Set AWS_PROFILE"));
        let over = Origin::Keys { over: Some(("ops".to_owned(), "AWS_PROFILE")) };
        assert!(over.advice().contains("unset them to use the profile `ops` that AWS_PROFILE names"));
    }
}
