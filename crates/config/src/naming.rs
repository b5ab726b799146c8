//! Whether AWS accepts the names that are made from stack and environment.

use super::error::Problem;
use super::regions::Regions;
use super::section::Origin;
use super::stack::Identity;

/// The longest name that drctl gives to a kind of resource, and what AWS allows.
struct Limit {
    what: &'static str,
    /// The whole name as shown to the operator, with `NAME` in place of the stack's name.
    form: String,
    /// How many characters AWS allows for the whole name.
    most: usize,
}

impl Limit {
    /// Characters left for `NAME`.
    fn room(&self) -> usize {
        self.most.saturating_sub(self.form.len().saturating_sub("NAME".len()))
    }
}

/// Sources: the naming rules in the service references of S3 (63 characters), IAM roles (64), Lambda functions (64), Aurora
/// clusters (63) and RFC 1035 for a label in DNS (63).
fn limits(regions: &Regions) -> Vec<Limit> {
    let mut limits = vec![
        Limit { what: "the name of an IAM role", form: "NAME-replication".to_owned(), most: 64 },
        Limit { what: "the name of a Lambda function", form: "NAME-processor".to_owned(), most: 64 },
        Limit { what: "the name of an Aurora cluster", form: "NAME-secondary".to_owned(), most: 63 },
        Limit { what: "a DNS label", form: "NAME".to_owned(), most: 63 },
    ];
    for region in [&regions.primary, &regions.secondary] {
        limits.push(Limit { what: "the name of an S3 bucket", form: format!("NAME-{region}-01234567"), most: 63 });
    }
    limits
}

/// Prefixes that AWS reserves, and for what: see the rules for S3 bucket names and for security group names.
const RESERVED: [(&str, &str); 3] =
    [("sthree-", "bucket names"), ("amzn-s3-demo-", "bucket names"), ("sg-", "security group names")];

/// The problem with the name as a whole, if there is one. A name with a part that was already refused is not checked.
pub(super) fn check(identity: &Identity, regions: &Regions) -> Option<Problem> {
    if !identity.stack.is_sound() || !identity.environment.is_sound() {
        return None;
    }
    let name = identity.name();
    let problem = reserved(&name).or_else(|| too_long(&name, regions))?;
    let problem = if identity.environment.origin == Origin::CommandLine {
        problem.noting("The environment comes from --environment or ENVIRONMENT_SUFFIX.")
    } else {
        problem
    };
    Some(identity.stack.blame(problem, &identity.environment, "the environment is part of the name"))
}

fn reserved(name: &str) -> Option<Problem> {
    let (beginning, kind) = RESERVED.iter().find(|(beginning, _)| name.starts_with(beginning))?;
    Some(Problem::new(
        format!("the stack would be called `{name}`, and AWS reserves {kind} that begin with `{beginning}`"),
        "Write another `name` in [stack], for example `name = \"payment-dr\"`.",
    ))
}

fn too_long(name: &str, regions: &Regions) -> Option<Problem> {
    let tightest = limits(regions).into_iter().min_by_key(Limit::room)?;
    let room = tightest.room();
    let excess = name.len().checked_sub(room).filter(|excess| *excess > 0)?;
    Some(Problem::new(
        format!(
            "the stack would be called `{name}`, which has {} characters, and at most {room} are possible: {} has at most \
             {}, and drctl uses `{}`",
            name.len(),
            tightest.what,
            tightest.most,
            tightest.form,
        ),
        format!("Shorten `name` or `environment` in [stack] by {excess} or more characters in total."),
    ))
}
