//! The owner's password, which is read from the secret for the call that sets it. RDS does not manage it for a global database:
//! docs/aws-behaviour.md#managed-password-unsupported.

use serde::Deserialize;
use zeroize::Zeroize as _;

use super::DbCluster;
use crate::resources::secretsmanager::arn_in;
use crate::resources::{Class, Context, Failure};

/// The part of the secret's value that is needed. It is wiped when dropped (the SDK's own copies are out of reach), and has no
/// `Debug`, so that it cannot be printed.
#[derive(Deserialize)]
pub(super) struct Login {
    pub(super) password: String,
}

impl Login {
    /// Reads the very version that is noted on the cluster afterwards, in the cluster's own Region, where the secret or its
    /// replica is: the other Region may be down.
    pub(super) async fn of(cluster: &DbCluster, cx: &Context) -> Result<Self, Failure> {
        let secrets = &cx.clients().secrets;
        let secret = cluster.master_secret.value();
        let here = arn_in(secret, &cx.region);
        let arn = here.as_deref().unwrap_or(secret);
        let version = cluster.secret_version.value();
        let answer = cx
            .read("secretsmanager", "GetSecretValue", || {
                let version = (!version.is_empty()).then(|| version.to_owned());
                secrets.get_secret_value().secret_id(arn).set_version_id(version).send()
            })
            .await
            .map_err(|failure| match failure.class {
                // It was created a moment ago.
                Class::NotFound => Failure { class: Class::Transient, ..failure },
                _ => failure,
            })?;
        Self::parse(answer.secret_string.unwrap_or_default()).ok_or_else(|| {
            Failure::new(Class::Refused, format!("the secret {arn} is not JSON with a `password`"))
                .help("Correct its value, or delete it by hand; then run `drctl up` again.")
        })
    }

    /// `None` instead of an error, because serde's errors quote what they have read.
    fn parse(mut text: String) -> Option<Self> {
        let login = serde_json::from_str(&text).ok();
        text.zeroize();
        login
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_where_the_cluster_is() {
        let arn =
            |region: &str| format!("arn:aws:secretsmanager:{region}:111122223333:secret:pay-prod-database-AbCdEf");
        assert_eq!(arn_in(&arn("us-east-1"), "us-east-2"), Some(arn("us-east-2")));
        assert_eq!(arn_in(&arn("us-east-1"), "us-east-1"), Some(arn("us-east-1")));
    }

    #[test]
    fn a_password_is_read_and_anything_else_is_not_quoted() {
        let login = Login::parse(r#"{"username":"owner","password":"abc"}"#.to_owned()).expect("a login");
        assert_eq!(login.password, "abc");
        for text in ["", "plain", r#""plain""#, r#"{"username":"owner"}"#, r#"{"password":7}"#] {
            assert!(Login::parse(text.to_owned()).is_none(), "{text}");
        }
    }
}
