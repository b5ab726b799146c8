//! `[api]`: who may pay, and how many requests the HTTP API lets through.

use std::cell::Cell;
use std::collections::HashSet;

use serde::Serialize;

use super::error::Problem;
use super::section::{Given, Section};

/// The HTTP API in each Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Api {
    /// Who may pay and read payments. Default [`Auth::Iam`].
    pub auth: Auth,
    /// Sustained requests per second. Default 500, which is within the quota of the smaller Regions, too (2500).
    pub throttle_rate: u32,
    /// Requests in a burst. Default 1000, which is within the quota of the smaller Regions, too (1250).
    pub throttle_burst: u32,
}

/// How API Gateway authorizes requests to the payment routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// The request is signed with AWS credentials that are allowed `execute-api:Invoke`.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html>
    Iam,
    /// The request carries a JSON Web Token.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>
    Jwt {
        /// The URL of the identity provider, exactly as in the `iss` claim of its tokens.
        issuer: String,
        /// The accepted values of a token's `aud` claim (or `client_id`); at least one.
        audience: Vec<String>,
    },
    /// Anyone who reaches the API may pay.
    None,
}

impl Auth {
    /// The setting as it is written in the file.
    #[must_use]
    pub fn as_text(&self) -> &'static str {
        match self {
            Self::Iam => IAM,
            Self::Jwt { .. } => JWT,
            Self::None => NONE,
        }
    }
}

const IAM: &str = "iam";
const JWT: &str = "jwt";
const NONE: &str = "none";

/// More than any account has been granted, so a larger number is a typing error. The default quota of 10 000 is not the limit
/// here, because it can be raised.
const MOST_REQUESTS: u32 = 1_000_000;

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const MOST_AUDIENCES: usize = 50;

/// `UriWithLengthBetween1And2048` of the API Gateway API.
const LONGEST_ISSUER: usize = 2048;

/// An example for messages.
const AN_ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example";

impl Api {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let auth = auth(section);
        let why = "with 0, the API would refuse every request, and no account has a quota above a million";
        Self {
            auth,
            throttle_rate: section.integer("throttle_rate", 500, 1..=MOST_REQUESTS, why).value,
            throttle_burst: section.integer("throttle_burst", 1000, 1..=MOST_REQUESTS, why).value,
        }
    }
}

fn auth(section: &mut Section<'_, '_>) -> Auth {
    let kind = section.choice("auth", IAM, &[(IAM, IAM), (JWT, JWT), (NONE, NONE)]);
    let issuer = section
        .text("jwt_issuer", None, AN_ISSUER, |text| if text.is_empty() { Ok(None) } else { issuer(text).map(Some) });
    let has_refused = Cell::new(false);
    let audience =
        section.list("jwt_audience", "payments", |text| audience(text).inspect_err(|_| has_refused.set(true)));
    check_audience(section, &audience);
    if kind.value != JWT {
        if kind.is_sound() {
            refuse_without_effect(section, &kind, &issuer, audience.first());
        }
        return if kind.value == NONE { Auth::None } else { Auth::Iam };
    }
    let mut missing = Vec::new();
    if issuer.is_sound() && issuer.value.is_none() {
        missing.push(format!("`jwt_issuer = \"{AN_ISSUER}\"`"));
    }
    if audience.is_empty() && !has_refused.get() {
        missing.push("`jwt_audience = [\"payments\"]`".to_owned());
    }
    if let (Some(span), false) = (kind.span(), missing.is_empty()) {
        section.refuse(
            Problem::new(
                "`auth = \"jwt\"` needs an issuer and an audience: whose tokens are accepted, and for whom they are issued",
                format!(
                    "Write {}, as in the `iss` and `aud` claims of your tokens; or `auth = \"iam\"`.",
                    missing.join(" and ")
                ),
            )
            .at(span),
        );
    }
    Auth::Jwt {
        issuer: issuer.value.unwrap_or_default(),
        audience: audience.into_iter().map(|given| given.value).collect(),
    }
}

/// A token setting next to another kind of authorization would suggest that tokens are checked.
fn refuse_without_effect(
    section: &mut Section<'_, '_>,
    kind: &Given<&str>,
    issuer: &Given<Option<String>>,
    audience: Option<&Given<String>>,
) {
    let problem = |key: &str| {
        Problem::new(
            format!("`{key}` has no effect with `auth = \"{}\"`, which does not use tokens", kind.value),
            format!("Write `auth = \"jwt\"`, or remove `{key}`."),
        )
    };
    if issuer.value.is_some() {
        section.refuse(issuer.blame(problem("jwt_issuer"), kind, "the kind of authorization is set here"));
    }
    if let Some(audience) = audience {
        section.refuse(audience.blame(problem("jwt_audience"), kind, "the kind of authorization is set here"));
    }
}

/// The URL in front of `/.well-known/openid-configuration`, where API Gateway looks for the keys.
fn issuer(text: &str) -> Result<String, Problem> {
    let rest = text.strip_prefix("https://");
    let host = rest.map(|rest| rest.split(['/', ':']).next().unwrap_or_default()).unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}@".contains(&byte));
    if !host.is_empty() && is_plain && text.len() <= LONGEST_ISSUER {
        return Ok(text.to_owned());
    }
    let fault = match rest {
        None => "API Gateway fetches the keys of an issuer over HTTPS only".to_owned(),
        Some(_) if host.is_empty() => "it has no host name".to_owned(),
        Some(_) if !is_plain => "an issuer is a URL without spaces, user name, query or fragment".to_owned(),
        Some(_) => format!("it is longer than {LONGEST_ISSUER} characters"),
    };
    Err(Problem::new(
        format!("`{text}` is not an issuer: {fault}"),
        format!(
            "Write the URL exactly as in the `iss` claim of your tokens, for example `jwt_issuer = \"{AN_ISSUER}\"`."
        ),
    ))
}

fn audience(text: &str) -> Result<String, Problem> {
    if text.trim() == text && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not an audience: it is empty, or it begins or ends with a space"),
        "Write the `aud` claim of your tokens, or their `client_id` if they have no `aud`.",
    ))
}

fn check_audience(section: &mut Section<'_, '_>, audience: &[Given<String>]) {
    let mut seen = HashSet::new();
    for given in audience {
        if let (false, Some(span)) = (seen.insert(&given.value), given.span()) {
            let message = format!("{} is listed twice", given.value);
            section.refuse(Problem::new(message, "Remove one of the two.").at(span));
        }
    }
    if let Some(span) = audience.get(MOST_AUDIENCES).and_then(Given::span) {
        let message =
            format!("an authorizer takes at most {MOST_AUDIENCES} audiences, and the list has {}", audience.len());
        section.refuse(Problem::new(message, "Remove those that are no longer in use.").at(span));
    }
}
