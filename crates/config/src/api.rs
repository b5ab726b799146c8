//! `[api]`: who may pay, and how much the HTTP API lets through.

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
    /// Requests per second, in the long run. Default 500, which also the smaller Regions' quota (2500) allows.
    pub throttle_rate: u32,
    /// Requests at one moment. Default 1000, within the smaller Regions' quota (1250).
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
        /// The URL of the identity provider, exactly as its tokens have it in `iss`.
        issuer: String,
        /// What a token's `aud` (or `client_id`) may be; at least one.
        audience: Vec<String>,
    },
    /// Anybody who reaches the API may pay.
    None,
}

impl Auth {
    /// As it is written in the file.
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

/// More than any account has been granted: a slip of the keyboard. The default quota is 10 000 and can be raised, so it
/// is no bound.
const MOST_REQUESTS: u32 = 1_000_000;

/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const MOST_AUDIENCES: usize = 50;

/// `UriWithLengthBetween1And2048` of the API Gateway API.
const LONGEST_ISSUER: usize = 2048;

/// For messages.
const AN_ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example";

impl Api {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let auth = auth(section);
        let why = "with 0 the API would refuse every request, and no account has a quota of more than a million";
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
                "`auth = \"jwt\"` needs to know whose tokens are accepted, and for whom they are issued",
                format!(
                    "Write {}, as your identity provider has them in `iss` and `aud`; or `auth = \"iam\"`.",
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

/// A token setting beside another kind of authorization looks as if tokens were asked for.
fn refuse_without_effect(
    section: &mut Section<'_, '_>,
    kind: &Given<&str>,
    issuer: &Given<Option<String>>,
    audience: Option<&Given<String>>,
) {
    let problem = |key: &str| {
        Problem::new(
            format!("`{key}` has no effect with `auth = \"{}\"`, which asks for no token", kind.value),
            format!("Write `auth = \"jwt\"`, or take `{key}` out."),
        )
    };
    if issuer.value.is_some() {
        section.refuse(issuer.blame(problem("jwt_issuer"), kind, "the kind of authorization is chosen here"));
    }
    if let Some(audience) = audience {
        section.refuse(audience.blame(problem("jwt_audience"), kind, "the kind of authorization is chosen here"));
    }
}

/// What comes before `/.well-known/openid-configuration`, where API Gateway looks for the keys.
fn issuer(text: &str) -> Result<String, Problem> {
    let rest = text.strip_prefix("https://");
    let host = rest.map(|rest| rest.split(['/', ':']).next().unwrap_or_default()).unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}@".contains(&byte));
    if !host.is_empty() && is_plain && text.len() <= LONGEST_ISSUER {
        return Ok(text.to_owned());
    }
    let fault = match rest {
        None => "API Gateway fetches the keys of an issuer by HTTPS only".to_owned(),
        Some(_) if host.is_empty() => "it names no host".to_owned(),
        Some(_) if !is_plain => "an issuer is a URL without blanks, user name, query or fragment".to_owned(),
        Some(_) => format!("it has more than {LONGEST_ISSUER} characters"),
    };
    Err(Problem::new(
        format!("`{text}` is not an issuer: {fault}"),
        format!("Write the URL exactly as your tokens have it in `iss`, for example `jwt_issuer = \"{AN_ISSUER}\"`."),
    ))
}

fn audience(text: &str) -> Result<String, Problem> {
    if text.trim() == text && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not an audience: it is empty, or begins or ends with a blank"),
        "Write what your tokens have in `aud`, or in `client_id` where they have no `aud`.",
    ))
}

fn check_audience(section: &mut Section<'_, '_>, audience: &[Given<String>]) {
    let mut seen = HashSet::new();
    for given in audience {
        if let (false, Some(span)) = (seen.insert(&given.value), given.span()) {
            let message = format!("{} is in the list twice", given.value);
            section.refuse(Problem::new(message, "Remove one of the two.").at(span));
        }
    }
    if let Some(span) = audience.get(MOST_AUDIENCES).and_then(Given::span) {
        let message = format!("an authorizer takes {MOST_AUDIENCES} audiences, and here are {}", audience.len());
        section.refuse(Problem::new(message, "Leave out those that are no longer in use.").at(span));
    }
}
