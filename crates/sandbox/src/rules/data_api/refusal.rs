//! What the Data API refuses, in AWS's codes and words. See docs/aws-behaviour.md#data-api-errors.

use http::StatusCode;
use serde_json::json;

use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::world::aurora::Unavailable;
use crate::world::postgres::{ClientError, SqlError};

/// A refusal of the Data API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    code: &'static str,
    status: StatusCode,
    message: String,
    /// The session whose statement timed out, by its process id at the server.
    session: Option<i64>,
}

impl Refusal {
    fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), session: None }
    }

    fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, StatusCode::BAD_REQUEST, message)
    }

    /// The request is not what the API takes.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::client("ValidationException", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::client("BadRequestException", message)
    }

    pub(super) fn database(message: impl Into<String>) -> Self {
        Self::client("DatabaseErrorException", message)
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", StatusCode::FORBIDDEN, message)
    }

    /// The secret cannot be read.
    pub(super) fn secrets_error(message: impl Into<String>) -> Self {
        Self::client("SecretsErrorException", message)
    }

    /// The secret is not one of a login.
    pub(super) fn invalid_secret(message: impl Into<String>) -> Self {
        Self::client("InvalidSecretException", message)
    }

    pub(super) fn unsupported_result(message: impl Into<String>) -> Self {
        Self::client("UnsupportedResultException", message)
    }

    pub(super) fn transaction_not_found(id: &str) -> Self {
        Self::new("TransactionNotFoundException", StatusCode::NOT_FOUND, format!("Transaction {id} is not found"))
    }

    /// The cluster's name is not one for which the Data API is on: also if there is no such cluster.
    pub(super) fn not_enabled(arn: &str) -> Self {
        let message = format!("HttpEndpoint is not enabled for resource {arn}");
        Self::client("HttpEndpointNotEnabledException", message)
    }

    /// What AWS answers with when it cannot put a value into words, such as an infinite date.
    pub(super) fn internal() -> Self {
        Self::new("InternalFailure", StatusCode::INTERNAL_SERVER_ERROR, "")
    }

    /// The caller is not made to wait for a statement any longer.
    pub(super) fn timed_out(session: i64) -> Self {
        Self { session: Some(session), ..Self::client("StatementTimeoutException", "Request timed out") }
    }

    fn unavailable() -> Self {
        let message = "The writer instance in the DB cluster isn't available.";
        Self::new("DatabaseUnavailableException", StatusCode::GATEWAY_TIMEOUT, message)
    }

    /// Why a cluster takes no SQL.
    pub(super) fn of_cluster(why: &Unavailable, arn: &str) -> Self {
        match why {
            Unavailable::NoSuchCluster | Unavailable::HttpEndpointDisabled => Self::not_enabled(arn),
            Unavailable::NoInstance => {
                let message = "The DB cluster doesn't have a DB instance.";
                Self::new("DatabaseNotFoundException", StatusCode::NOT_FOUND, message)
            }
            // A cluster that somebody has stopped, or that is not there yet, is not about to answer.
            Unavailable::NotAvailable(state)
                if ["creating", "deleting", "starting", "stopped", "stopping"].contains(&state.as_str()) =>
            {
                let message = format!("The resource {arn} is in an invalid state: {state}");
                Self::client("InvalidResourceStateException", message)
            }
            // See docs/aws-behaviour.md#data-api-on-the-writer-only.
            Unavailable::Reader | Unavailable::NotAvailable(_) => Self::unavailable(),
            Unavailable::Failed(why) => {
                tracing::error!(arn, why, "a cluster's PostgreSQL server does not run");
                let message = format!("The sandbox's PostgreSQL server for {arn} does not run: {why}");
                Self::new("ServiceUnavailableError", StatusCode::SERVICE_UNAVAILABLE, message)
            }
        }
    }

    pub(super) fn into_answer(self, call: &Call) -> Answer {
        let mut answer = Answer::refusal(call, self.status, self.code, &self.message);
        if let Some(session) = self.session {
            answer.set_body(json!({"message": self.message, "dbConnectionId": session}).to_string());
        }
        answer
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Sql(error) => of_sql(&error),
            ClientError::Unreachable { .. } | ClientError::Silent { .. } | ClientError::Closed => Self::unavailable(),
            ClientError::UnsupportedType { type_name, .. } => Self::unsupported_type(&type_name),
            ClientError::TooLarge { .. } => Self::unsupported_result("The result exceeds the size limit 1 MB."),
            ClientError::Protocol { source } => {
                tracing::warn!(error = %source, "the exchange with a PostgreSQL server failed");
                Self::new("InternalServerErrorException", StatusCode::INTERNAL_SERVER_ERROR, source.to_string())
            }
        }
    }
}

impl Refusal {
    /// The result has a value of this type, by PostgreSQL's name of it.
    pub(super) fn unsupported_type(type_name: &str) -> Self {
        let (base, brackets) = type_name.strip_prefix('_').map_or((type_name, ""), |base| (base, "[]"));
        // The names that AWS's own driver knows are written in capitals, those that it has to look up are not.
        let shown = match base {
            "char" => "\"CHAR\"".to_owned(),
            "point" | "lseg" | "path" | "box" | "polygon" | "line" | "circle" | "macaddr" | "macaddr8" | "interval"
            | "timetz" | "bit" | "varbit" | "record" | "int4range" | "numrange" | "tsrange" | "tstzrange"
            | "daterange" | "int8range" | "jsonpath" | "money" | "bytea" | "unknown" => base.to_uppercase(),
            _ => base.to_owned(),
        };
        Self::unsupported_result(format!("The result contains the unsupported data type {shown}{brackets}."))
    }
}

fn of_sql(error: &SqlError) -> Refusal {
    match error.state.as_str() {
        "57014" if error.message.contains("statement timeout") => {
            Refusal::client("StatementTimeoutException", &*error.message)
        }
        "42601" if error.message.starts_with("cannot insert multiple commands") => {
            Refusal::validation("Multistatements aren't supported.")
        }
        // The server is shutting down, has crashed, or is starting.
        "57P01" | "57P02" | "57P03" => Refusal::unavailable(),
        _ => Refusal::database(text_of(error)),
    }
}

/// A server's error as the Data API writes it. The detail, in which PostgreSQL quotes rows, is left out.
fn text_of(error: &SqlError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("; Hint: {hint}")).unwrap_or_default();
    let position = error.position.map(|position| format!("; Position: {position}")).unwrap_or_default();
    format!("ERROR: {}{hint}{position}; SQLState: {}", error.message, error.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:rds:us-east-1:111122223333:cluster:payments";

    fn sql(state: &str, message: &str) -> SqlError {
        SqlError {
            severity: "FATAL".into(),
            state: state.into(),
            message: message.into(),
            detail: Some("Key (id)=(1) already exists.".into()),
            hint: None,
            position: None,
            constraint: None,
        }
    }

    #[test]
    fn an_sql_error_is_one_line_without_its_detail() {
        let plain = Refusal::from(ClientError::Sql(sql("23505", "duplicate key")));
        assert_eq!(plain, Refusal::database("ERROR: duplicate key; SQLState: 23505"));
        let more = SqlError { hint: Some("Cast it.".into()), position: Some(36), ..sql("42883", "no operator") };
        assert_eq!(
            Refusal::from(ClientError::Sql(more)).message,
            "ERROR: no operator; Hint: Cast it.; Position: 36; SQLState: 42883"
        );
    }

    #[test]
    fn some_sql_errors_are_not_the_statements_own() {
        for (state, message, code) in [
            ("57014", "canceling statement due to statement timeout", "StatementTimeoutException"),
            ("57014", "canceling statement due to user request", "DatabaseErrorException"),
            ("42601", "cannot insert multiple commands into a prepared statement", "ValidationException"),
            ("42601", "syntax error at or near \"x\"", "DatabaseErrorException"),
            ("57P01", "terminating connection due to administrator command", "DatabaseUnavailableException"),
        ] {
            assert_eq!(Refusal::from(ClientError::Sql(sql(state, message))).code, code, "{message}");
        }
        assert_eq!(Refusal::from(ClientError::Closed).code, "DatabaseUnavailableException");
    }

    #[test]
    fn types_are_named_as_aws_names_them() {
        let shown = |name| Refusal::unsupported_type(name).message;
        assert!(shown("interval").ends_with(" INTERVAL."));
        assert!(shown("char").ends_with(" \"CHAR\"."));
        assert!(shown("_regtype").ends_with(" regtype[]."));
    }

    #[test]
    fn each_state_of_a_cluster_has_its_refusal() {
        let state = |state: &str| Unavailable::NotAvailable(state.to_owned());
        for (why, code, status) in [
            (Unavailable::NoSuchCluster, "HttpEndpointNotEnabledException", 400),
            (Unavailable::HttpEndpointDisabled, "HttpEndpointNotEnabledException", 400),
            (Unavailable::NoInstance, "DatabaseNotFoundException", 404),
            (Unavailable::Reader, "DatabaseUnavailableException", 504),
            (state("failing-over"), "DatabaseUnavailableException", 504),
            (state("stopped"), "InvalidResourceStateException", 400),
            (Unavailable::Failed("no space".into()), "ServiceUnavailableError", 503),
        ] {
            let refusal = Refusal::of_cluster(&why, ARN);
            assert_eq!((refusal.code, refusal.status.as_u16()), (code, status), "{why}");
            assert!(!refusal.message.is_empty());
        }
    }
}
