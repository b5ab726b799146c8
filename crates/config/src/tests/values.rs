//! Values and refusals of the sections from the database on.

use std::path::PathBuf;

use super::{accepts, refuses};
use crate::{Auth, InstanceClass, Ledger, Package};

#[test]
fn instance_classes() {
    for class in ["db.t4g.medium", "db.t3.large", "db.t2.micro"] {
        refuses(
            &format!("[database]\ninstance_class = §\"{class}\"\n"),
            "burstable classes are not supported by Aurora Global Database",
            "`instance_class = \"db.r6g.large\"`, or `\"db.serverless\"`",
        );
    }
    for class in ["db.m5.large", "db.r4.large", "db.x1.16xlarge", "db.c6gd.large", "db.rx.large", "db.r.large"] {
        refuses(
            &format!("[database]\ninstance_class = §\"{class}\"\n"),
            "is not supported by Aurora Global Database, which runs on memory-optimised classes from db.r5 on",
            "db.r6g.large",
        );
    }
    for class in ["r6g.large", "db.r6g", "db.R6G.large", "db.r6g.", "", "db.r6g.large.x", "db.é.large"] {
        refuses(
            &format!("[database]\ninstance_class = §\"{class}\"\n"),
            "is not the name of an instance class",
            "db.r6g.large",
        );
    }
    for class in ["db.r5.large", "db.r6gd.xlarge", "db.r7g.16xlarge", "db.r8g.large", "db.r10g.large", "db.x2g.large"] {
        let database = accepts(&format!("[database]\ninstance_class = \"{class}\"")).database;
        assert_eq!(database.instance_class, InstanceClass::Provisioned(class.to_owned()));
    }
}

#[test]
fn serverless_capacity() {
    let database = accepts("[database]\ninstance_class = \"db.serverless\"\nmin_acu = 2\nmax_acu = 64").database;
    assert_eq!(database.instance_class, InstanceClass::Serverless);
    assert_eq!((database.min_acu, database.max_acu), (2, 64));
    refuses("[database]\nmax_acu = §257\n", "between 1 and 256 capacity units", "from 1 to 256");
    refuses("[database]\nmin_acu = 16\nmax_acu = §8\n", "min_acu (16) is greater than max_acu (8)", "at least 16");
    refuses("[database]\nmin_acu = §64\n", "min_acu (64) is greater than max_acu (32)", "at least 64");
}

#[test]
fn engine_versions() {
    refuses("[database]\nengine_version = §\"17\"\n", "a major and a minor number", "`engine_version = \"17.7\"`");
    refuses("[database]\nengine_version = §\"17.7.1\"\n", "a major and a minor number", "`engine_version = \"17.7\"`");
    refuses("[database]\nengine_version = §\"+17.7\"\n", "a major and a minor number", "`engine_version = \"17.7\"`");
    refuses("[database]\nengine_version = §\"13.20\"\n", "13.20 is out of standard support", "from 14 on");
    assert_eq!(accepts("[database]\nengine_version = \"16.8\"").database.engine_version.to_string(), "16.8");
}

#[test]
fn names_in_the_database() {
    refuses("[database]\nmaster_username = §\"admin\"\n", "Aurora reserves that name", "payments_admin");
    refuses("[database]\nmaster_username = §\"pg_me\"\n", "Aurora reserves that name", "payments_admin");
    refuses("[database]\nmaster_username = §\"1st\"\n", "starting with a letter", "payments_admin");
    refuses(
        "[database]\ndatabase_name = §\"my-db\"\n",
        "letters, digits and underscores",
        "`database_name = \"payments\"`",
    );
    refuses("[database]\ndatabase_name = §\"postgres\"\n", "Aurora reserves that name", "payments");
}

#[test]
fn backups_and_windows() {
    refuses("[database]\nbackup_retention_days = §36\n", "for 1 to 35 days", "from 1 to 35");
    refuses("[database]\nbackup_retention_days = §0\n", "for 1 to 35 days", "from 1 to 35");
    refuses("[database]\nbackup_window = §\"3am\"\n", "is not a daily window", "`backup_window = \"03:00-04:00\"`");
    refuses("[database]\nbackup_window = §\"03:00-03:10\"\n", "half an hour or more", "03:00-04:00");
    refuses("[database]\nmaintenance_window = §\"03:00-04:00\"\n", "is not a weekly window", "sun:05:00-sun:06:00");
    refuses(
        "[database]\nbackup_window = \"02:00-03:00\"\nmaintenance_window = §\"wed:02:30-wed:03:30\"\n",
        "overlaps the daily backup window 02:00-03:00",
        "Move one of them",
    );
    refuses(
        "[database]\nbackup_window = §\"05:30-06:30\"\n",
        "the maintenance window sun:05:00-sun:06:00 overlaps",
        "Move one",
    );
}

#[test]
fn sessions_storage_and_api() {
    refuses(
        "[sessions]\nttl_attribute = §\"expires at\"\n",
        "is not a valid ttl_attribute",
        "`ttl_attribute = \"expires_at\"`",
    );
    refuses("[sessions]\nttl_hours = §0\n", "at least an hour", "from 1 to 8760");
    refuses("[sessions]\nrecovery_days = §36\n", "any point in the last 1 to 35 days", "from 1 to 35");
    refuses("[storage]\nnoncurrent_days = §0\n", "a lifecycle rule accepts", "from 1 to 36500");
    refuses("[storage]\nincomplete_upload_days = §366\n", "of no use after a year", "from 1 to 365");
    refuses("[api]\nthrottle_rate = §0\n", "would refuse every request", "`throttle_rate = 500`");
    refuses("[api]\nthrottle_burst = §1000001\n", "no account has a quota", "`throttle_burst = 1000`");
}

#[test]
fn who_may_pay() {
    assert_eq!(accepts("").api.auth, Auth::Iam);
    assert_eq!(accepts("[api]\nauth = \"iam\"\n").api.auth, Auth::Iam);
    assert_eq!(accepts("[api]\nauth = \"none\"\n").api.auth, Auth::None);
    let jwt = "[api]\nauth = \"jwt\"\njwt_issuer = \"https://id.acme.io/\"\njwt_audience = [\"pay\", \"shop\"]\n";
    let audience = vec!["pay".to_owned(), "shop".to_owned()];
    assert_eq!(accepts(jwt).api.auth, Auth::Jwt { issuer: "https://id.acme.io/".to_owned(), audience });
    refuses("[api]\nauth = §\"oauth\"\n", "cannot be `oauth`", "`auth = \"iam\"` or `auth = \"jwt\"` or");
    refuses("[api]\nauth = §true\n", "must be a string", "`auth = \"iam\"`");
}

#[test]
fn tokens_need_an_issuer_and_an_audience() {
    let issuer = "jwt_issuer = \"https://id.acme.io\"\n";
    let audience = "jwt_audience = [\"pay\"]\n";
    let needs = "needs an issuer and an audience: whose tokens are accepted";
    refuses("[api]\nauth = §\"jwt\"\n", needs, "/us-east-1_Example\"` and `jwt_audience = [\"payments\"]`");
    refuses(&format!("[api]\n{issuer}auth = §\"jwt\"\n"), needs, "Write `jwt_audience = [\"payments\"]`, as");
    refuses(&format!("[api]\nauth = §\"jwt\"\n{audience}"), needs, "Write `jwt_issuer = \"https://");
    refuses(&format!("[api]\nauth = §\"jwt\"\n{issuer}jwt_audience = []\n"), needs, "Write `jwt_audience");
    for (wrong, why) in [
        ("http://id.acme.io", "over HTTPS only"),
        ("id.acme.io", "over HTTPS only"),
        ("https://", "has no host name"),
        ("https:///x", "has no host name"),
        ("https://id.acme.io?tenant=1", "without spaces, user name, query"),
        ("https://id.acme.io/a b", "without spaces"),
        ("https://me@id.acme.io", "without spaces, user name"),
    ] {
        let text = format!("[api]\nauth = \"jwt\"\njwt_issuer = §\"{wrong}\"\n{audience}");
        refuses(&text, why, "exactly as in the `iss` claim of your tokens");
    }
    let long = format!("https://id.acme.io/{}", "a".repeat(2048));
    refuses(&format!("[api]\nauth = \"jwt\"\njwt_issuer = §\"{long}\"\n{audience}"), "2048", "in the `iss` claim");
    for wrong in ["", " ", " pay"] {
        let text = format!("[api]\nauth = \"jwt\"\n{issuer}jwt_audience = [§\"{wrong}\"]\n");
        refuses(&text, "is not an audience", "the `aud` claim");
    }
    let twice = format!("[api]\nauth = \"jwt\"\n{issuer}jwt_audience = [\"pay\", §\"pay\"]\n");
    refuses(&twice, "pay is listed twice", "Remove one");
    let many: Vec<String> = (0..50).map(|number| format!("\"pay-{number}\"")).collect();
    let list = many.join(", ");
    accepts(&format!("[api]\nauth = \"jwt\"\n{issuer}jwt_audience = [{list}]\n"));
    let text = format!("[api]\nauth = \"jwt\"\n{issuer}jwt_audience = [{list}, §\"one-more\"]\n");
    refuses(&text, "takes at most 50 audiences, and the list has 51", "no longer in use");
}

#[test]
fn token_settings_without_token_authorization_are_refused() {
    for auth in ["", "auth = \"iam\"\n", "auth = \"none\"\n"] {
        let issuer = format!("[api]\n{auth}jwt_issuer = §\"https://id.acme.io\"\n");
        refuses(&issuer, "`jwt_issuer` has no effect with `auth = ", "Write `auth = \"jwt\"`");
        let audience = format!("[api]\n{auth}jwt_audience = [§\"pay\"]\n");
        refuses(&audience, "`jwt_audience` has no effect with `auth = ", "Write `auth = \"jwt\"`");
    }
    refuses("[api]\nauth = §\"oauth\"\njwt_issuer = \"https://id.acme.io\"\n", "cannot be `oauth`", "`auth = \"iam\"`");
}

#[test]
fn the_function() {
    refuses("[lambda]\nmemory_mb = §64\n", "128 to 10240 MB", "`memory_mb = 512`");
    refuses("[lambda]\ntimeout_seconds = §60\n", "an HTTP API gives up after 30", "from 1 to 30");
    refuses("[lambda]\nreserved_concurrency = §0\n", "would stop the function", "`reserved_concurrency = -1`");
    refuses("[lambda]\nreserved_concurrency = §-2\n", "write -1 for none", "from -1 to 100000");
    refuses("[lambda]\nledger = §\"mysql\"\n", "cannot be `mysql`", "`ledger = \"aurora\"` or `ledger = \"dynamodb\"`");
    refuses("[lambda]\npackage = §\"\"\n", "`package` is empty", "built-in");
    refuses("[lambda]\nruntime = §\"Python 3.13\"\n", "is not the identifier of a Lambda runtime", "python3.13");
    refuses("[lambda]\nruntime = §\"python3.8\"\n", "python3.8 is retired", "python3.13");
    refuses("[lambda]\nruntime = §\"nodejs24.x\"\n", "the built-in function is Python", "with `package`");
    refuses("[lambda]\nhandler = §\"main.run\"\n", "the built-in function has no handler `main.run`", "with `package`");
    refuses("[lambda]\nhandler = §\"main run\"\n", "is not a valid handler", "payment_processor.handler");

    let own = "[lambda]\npackage = \"dist/app.zip\"\nhandler = \"index.handler\"\nruntime = \"nodejs24.x\"\n\
               reserved_concurrency = 50\nledger = \"dynamodb\"\n";
    let lambda = accepts(own).lambda;
    assert_eq!(lambda.package, Package::Path(PathBuf::from("dist/app.zip")));
    assert_eq!(lambda.reserved_concurrency.map(std::num::NonZeroU32::get), Some(50));
    assert_eq!(lambda.ledger, Ledger::DynamoDb);
}

#[test]
fn domains() {
    for (text, message, better) in [
        ("https://pay.acme.io/", "it is a web address", "`domain = \"pay.acme.io\"`"),
        ("pay.acme.io.", "must not end with a dot", "`domain = \"pay.acme.io\"`"),
        ("Pay.Acme.io", "must be in lower case", "`domain = \"pay.acme.io\"`"),
        ("io", "it has no dot", "pay.your-company.com"),
        ("pay..io", "between its dots", "pay.your-company.com"),
        ("-pay.io", "no hyphen at either end", "pay.your-company.com"),
        ("pay_me.io", "letters, digits and hyphens", "pay.your-company.com"),
        ("*.acme.io", "letters, digits and hyphens", "pay.your-company.com"),
        ("10.0.0.1", "it ends in a number", "pay.your-company.com"),
        ("zahlen-für-alle.de", "letters, digits and hyphens", "pay.your-company.com"),
    ] {
        refuses(&format!("[dns]\ndomain = §\"{text}\"\n"), message, better);
    }
    let long = format!("{}.{}.{}.{}.io", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63));
    refuses(&format!("[dns]\ndomain = §\"{long}\"\n"), "253 characters that DNS allows", "pay.your-company.com");
    let dns = accepts("[dns]\ndomain = \"pay.acme.io\"\nzone_id = \"Z0123456789ABC\"\ncertificate = true").dns;
    assert_eq!(dns.public_name(), "api.pay.acme.io");
    assert_eq!(dns.zone_id.as_deref(), Some("Z0123456789ABC"));
    assert!(!dns.is_placeholder());
}

#[test]
fn zones_and_certificates() {
    refuses(
        "[dns]\nzone_id = §\"Z0123456789ABC\"\n",
        "a hosted zone is given without its domain",
        "the domain of that zone",
    );
    refuses(
        "[dns]\ndomain = \"acme.io\"\nzone_id = §\"/hostedzone/Z0123456789ABC\"\n",
        "is not the id of a hosted zone",
        "`zone_id = \"Z0123456789ABC\"`",
    );
    refuses("[dns]\ncertificate = §true\n", "a certificate needs a domain of your own", "or `certificate = false`");
    refuses(
        "[dns]\ndomain = \"pay.example.com\"\ncertificate = §true\n",
        "a certificate for pay.example.com is impossible",
        "a domain that you own",
    );
    refuses(
        &format!("[dns]\ndomain = \"{}.acme.io\"\ncertificate = §true\n", "a".repeat(60)),
        "the name has 72 characters, and at most 64 are allowed",
        "Write a shorter domain",
    );
}

#[test]
fn emails() {
    for (text, better) in [
        ("oncall", "oncall@your-company.com"),
        ("on call@acme.io", "oncall@your-company.com"),
        ("mailto:oncall@acme.io", "`\"oncall@acme.io\"`"),
        ("On Call <oncall@acme.io>", "`\"oncall@acme.io\"`"),
        ("a@b@acme.io", "oncall@your-company.com"),
        ("oncall@acme", "oncall@your-company.com"),
        (".oncall@acme.io", "oncall@your-company.com"),
        ("", "oncall@your-company.com"),
    ] {
        refuses(&format!("[alerts]\nemails = [\"sre@acme.io\", §\"{text}\"]\n"), "is not an e-mail address", better);
    }
    refuses(
        "[alerts]\nemails = [\n  \"sre@acme.io\",\n  §\"sre@acme.io\",\n]\n",
        "sre@acme.io is listed twice",
        "Remove one",
    );
    assert_eq!(
        accepts("[alerts]\nemails = [\"a.b+c@Acme.io\", \"d@acme.io\"]").alerts.emails,
        ["a.b+c@Acme.io", "d@acme.io"]
    );
}

#[test]
fn log_retention_and_thresholds() {
    refuses("[alerts]\nlog_retention_days = §100\n", "cannot keep entries for 100 days", "`log_retention_days = 120`");
    refuses(
        "[alerts]\nlog_retention_days = §2\n",
        "cannot keep entries for 2 days",
        "Possible values: 1, 3, 5, 7, 14, 30,",
    );
    refuses("[alerts]\nlog_retention_days = §9999\n", "for 1 to 3653 days", "from 1 to 3653");
    refuses("[alerts]\naurora_lag_seconds = §901\n", "the recovery point objective of 15 minutes", "from 1 to 900");
    refuses("[alerts]\nlambda_p99_ms = §30001\n", "times out after 30 seconds", "from 1 to 30000");
    refuses("[alerts]\nlambda_errors = §0\n", "1 to 1000000 events", "`lambda_errors = 5`");
    assert_eq!(accepts("[alerts]\nlog_retention_days = 3653").alerts.log_retention_days, 3653);
}

#[test]
fn protection() {
    assert!(accepts("[protection]\ndeletion = true").protection.deletion);
}

#[test]
fn tags() {
    let tags = accepts("[tags]\nCostCenter = \"4711\"\n\"team:owner\" = \"Zahlungen für alle\"\nempty = \"\"\n").tags;
    assert_eq!(tags["CostCenter"], "4711");
    assert_eq!(tags["team:owner"], "Zahlungen für alle");
    assert_eq!(tags["empty"], "");
    for key in ["aws:cost", "AWS:cost", "drctl:stack", "Name", "name", "a#b", " a", ""] {
        refuses(&format!("[tags]\n\"{key}\" = §\"x\"\n"), &format!("`{key}` is not a valid tag key"), "CostCenter");
    }
    refuses(&format!("[tags]\n{} = §\"x\"\n", "k".repeat(129)), "1 to 128 characters", "CostCenter");
    refuses("[tags]\nTeam = \"a\"\nteam = §\"b\"\n", "IAM considers it the same as `Team`", "CostCenter");
    refuses(&format!("[tags]\nnote = §\"{}\"\n", "v".repeat(257)), "at most 256 characters", "CostCenter");
    refuses("[tags]\nnote = §\"a;b\"\n", "`;` is not among", "CostCenter");
    refuses("[tags]\nnote = §\"a \"\n", "begins or ends with a space", "CostCenter");
    refuses("[tags]\nCostCenter = §4711\n", "must be a string, not a whole number", "`CostCenter = \"4711\"`");
    refuses("[tags]\nteam = §{ owner = \"x\" }\n", "must be a string, not a table", "with the double quotes");
    // What is proposed is what was written, with its quotes, if it is valid so.
    refuses("[tags]\nA = §1\n", "must be a string, not a whole number", "Write `A = \"1\"`");
    refuses("[tags]\nA = §true\n", "must be a string, not true or false", "Write `A = \"true\"`");
    refuses("[database]\nengine_version = §17.7\n", "must be a string", "Write `engine_version = \"17.7\"`");
    refuses("[regions]\nprimary = §1\n", "must be a string", "Write `primary = \"us-east-1\"`");
    let many = |count: usize| (0..count).map(|n| format!("k{n} = \"v\"")).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(accepts(&format!("[tags]\n{}", many(45))).tags.len(), 45);
    refuses(&format!("[tags]\n{}last = §\"v\"\n", many(45)), "more than 45 tags", "Remove tags");
}

#[test]
fn roles() {
    for arn in ["", "arn:aws:iam::123456789012:policy/boundary", "arn:aws:iam::aws:policy/PowerUserAccess"] {
        assert_eq!(accepts(&format!("[iam]\npermissions_boundary = \"{arn}\"")).iam.permissions_boundary, arn);
    }
    for arn in [
        "boundary",
        "arn:aws:iam::123456789012:role/boundary",
        "arn:aws:iam::12345:policy/boundary",
        "arn:aws:iam::123456789012:policy/",
        "arn:aws:iam::123456789012:policy/a b",
    ] {
        refuses(
            &format!("[iam]\npermissions_boundary = §\"{arn}\"\n"),
            "is not the ARN of a managed IAM policy",
            "`permissions_boundary = \"arn:aws:iam::123456789012:policy/boundary\"`",
        );
    }
    for path in ["/", "/payments/", "/a/b/"] {
        assert_eq!(accepts(&format!("[iam]\npath = \"{path}\"")).iam.path, path);
    }
    for (path, better) in [
        ("payments", "/payments/"),
        ("/payments", "/payments/"),
        ("a/b/", "/a/b/"),
        ("", "/payments/"),
        ("//", "/payments/"),
    ] {
        refuses(&format!("[iam]\npath = §\"{path}\"\n"), "is not a valid role path", &format!("`path = \"{better}\"`"));
    }
}
