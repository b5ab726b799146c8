//! `/_drctl/…`: the sandbox's own HTTP interface.
//!
//! | request | answer |
//! |---|---|
//! | `GET /_drctl/health` | `{pid, pace, time_scale, upstream, ministack, dns}` |
//! | `POST /_drctl/reset` | empties the emulator and the proxy's memory |
//! | `GET /_drctl/calls?account=…` | the recorded calls, in order; with `&requests` also the requests, without secrets |
//! | `DELETE /_drctl/calls?account=…` | forgets them |
//! | `PUT /_drctl/faults?account=…`, a fault file | puts faults in force, for one account or for all of them |
//! | `GET /_drctl/faults?account=…` | how often each of them has matched and struck |
//! | `DELETE /_drctl/faults?account=…` | lifts them |
//! | `GET /_drctl/held?account=…` | waits until a call is held, and answers as `faults` does |
//! | `PUT /_drctl/regions?account=…`, an order for each Region | changes the Regions' conditions, for one account or for all of them |
//! | `GET /_drctl/regions?account=…` | the orders in force and to come, for each Region that is not simply up |
//! | `PUT /_drctl/replication?account=…`, `{"dynamodb": {"lag": 5}}` | sets how many seconds replication takes, for one account or for all of them; `null`: as long as usual |
//! | `GET /_drctl/replication?account=…` | the lag of each service, and what is on its way |
//! | `GET /_drctl/aurora?account=…` | Aurora's clusters: port, role, how far they are |
//! | `DELETE /_drctl/aurora?account=…` | ends their servers and removes the data: for tests that are over |
//! | `POST /_drctl/psql`, `{"account": …, "region": …}` | how `psql` gets to the cluster of a Region, or to the writer |
//! | `GET /_drctl/dns?account=…` | where a name server listens, where the names lead, and the status of each health check with what the checkers saw; of one account, which gets a name server of its own, or of all |
//!
//! An order for a Region is `{"us-east-1": {"is": "out", "for": ["dynamodb"], "after": 30, "manner": "reset"}}`. `is` is `out`,
//! `isolated`, `slow`, or `up`; the rest may be left out. `for` names services, otherwise it is for all of them; `after`
//! is the number of seconds until it takes effect. `out` has a `manner`, `hang` (the default) or `reset`; `slow` has
//! `by`, the seconds by which answers are late (2).

use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use http::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::Proxy;
use crate::error::with_causes;
use crate::rules::faults::FaultFile;
use crate::wire::answer::Answer;
use crate::wire::form::Form;
use crate::world::aurora::listing::PsqlAccess;
use crate::world::replication::LagOrders;

/// Which cluster `psql` is to get to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PsqlRequest {
    account: Option<String>,
    region: Option<String>,
}

/// The prefix of the interface's paths. No AWS operation has a path like this.
pub(super) const PREFIX: &str = "/_drctl/";

pub(super) async fn answer(proxy: &Proxy, method: &Method, uri: &Uri, body: &Bytes) -> Answer {
    let query = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let account = query.get("account").filter(|account| !account.is_empty());
    let name = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match (method.as_str(), name) {
        ("GET", "health") => health(proxy),
        ("POST", "reset") => reset(proxy).await,
        ("GET", "calls") => match serde_json::to_value(proxy.calls.list(account, query.get("requests").is_some())) {
            Ok(calls) => Answer::json(StatusCode::OK, &calls),
            Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        ("DELETE", "calls") => Answer::json(StatusCode::OK, &json!({"forgotten": proxy.calls.forget(account)})),
        ("PUT", "faults") => match FaultFile::parse(&String::from_utf8_lossy(body)) {
            Ok(file) => {
                proxy.faults.put(account, &file);
                faults(proxy, account)
            }
            Err(why) => problem(StatusCode::BAD_REQUEST, &why),
        },
        ("GET", "faults") => faults(proxy, account),
        ("DELETE", "faults") => {
            let answer = faults(proxy, account);
            proxy.faults.lift(account);
            answer
        }
        ("GET", "held") => {
            proxy.faults.wait_for_held(account.unwrap_or_default()).await;
            faults(proxy, account)
        }
        ("PUT", "regions") => match order_regions(proxy, account, body) {
            Ok(()) => regions(proxy, account),
            Err(why) => problem(StatusCode::BAD_REQUEST, &why),
        },
        ("GET", "regions") => regions(proxy, account),
        ("PUT", "replication") => match order_replication(proxy, account, body) {
            Ok(()) => replication(proxy, account),
            Err(why) => problem(StatusCode::BAD_REQUEST, &why),
        },
        ("GET", "replication") => replication(proxy, account),
        ("GET", "aurora") => Answer::json(StatusCode::OK, &json!(proxy.world.aurora.status(account).await)),
        ("DELETE", "aurora") => match proxy.world.aurora.reset(account).await {
            Ok(()) => Answer::json(StatusCode::OK, &json!({"removed": true})),
            Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
        },
        ("POST", "psql") => match psql(proxy, body).await {
            Ok(access) => Answer::json(StatusCode::OK, &json!(access)),
            Err(why) => problem(StatusCode::CONFLICT, &why),
        },
        ("GET", "dns") => match dns(proxy, account).await {
            Ok(picture) => Answer::json(StatusCode::OK, &picture),
            Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
        },
        (
            _,
            "health" | "reset" | "calls" | "faults" | "held" | "regions" | "replication" | "aurora" | "psql" | "dns",
        ) => problem(StatusCode::METHOD_NOT_ALLOWED, &format!("{} does not take {method}", uri.path())),
        _ => problem(
            StatusCode::NOT_FOUND,
            "/_drctl/ has health, reset, calls, faults, held, regions, replication, aurora, psql, and dns",
        ),
    }
}

fn faults(proxy: &Proxy, account: Option<&str>) -> Answer {
    Answer::json(StatusCode::OK, &json!(proxy.faults.tally(account)))
}

fn regions(proxy: &Proxy, account: Option<&str>) -> Answer {
    Answer::json(StatusCode::OK, &json!(proxy.world.regions.orders(account)))
}

fn order_regions(proxy: &Proxy, account: Option<&str>, body: &Bytes) -> Result<(), String> {
    let orders = serde_json::from_slice(body).map_err(|error| format!("this is not an order for Regions: {error}"))?;
    proxy.world.regions.order(account, &orders)
}

fn replication(proxy: &Proxy, account: Option<&str>) -> Answer {
    Answer::json(StatusCode::OK, &json!(proxy.world.replication.shown(account)))
}

fn order_replication(proxy: &Proxy, account: Option<&str>, body: &Bytes) -> Result<(), String> {
    let orders: LagOrders =
        serde_json::from_slice(body).map_err(|error| format!("this is not an order for lags: {error}"))?;
    proxy.world.replication.order(account, &orders)?;
    // Aurora's servers replicate by themselves.
    if let Some(order) = orders.get("aurora") {
        let lag = order.lag.map(Duration::try_from_secs_f64).transpose().map_err(|error| error.to_string())?;
        proxy.world.aurora.set_lag(account, lag);
    }
    Ok(())
}

async fn psql(proxy: &Proxy, body: &Bytes) -> Result<PsqlAccess, String> {
    let asked: PsqlRequest =
        serde_json::from_slice(body).map_err(|error| format!("this does not say which cluster is meant: {error}"))?;
    proxy.world.aurora.psql(asked.account.as_deref(), asked.region.as_deref()).await
}

async fn dns(proxy: &Proxy, account: Option<&str>) -> Result<serde_json::Value, String> {
    let route53 = &proxy.route53;
    let address = match account {
        Some(account) => route53.address_of(account).await.map_err(|error| with_causes(&error))?,
        None => route53.address(),
    };
    let accounts = account.map_or_else(|| route53.accounts(), |account| vec![account.to_owned()]);
    let pictures = accounts.into_iter().map(|account| async move {
        let picture = route53.picture(&account).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((account, serde_json::to_value(picture).map_err(|error| error.to_string())?))
    });
    let accounts: serde_json::Map<_, _> = try_join_all(pictures).await?.into_iter().collect();
    Ok(json!({"address": address, "accounts": accounts}))
}

fn health(proxy: &Proxy) -> Answer {
    let ministack = if proxy.options.own_ministack { "running" } else { "none" };
    let body = json!({
        "pid": std::process::id(),
        "pace": proxy.options.pace,
        "time_scale": proxy.options.time_scale,
        "upstream": proxy.aws.upstream.url(),
        "ministack": ministack,
        "dns": proxy.route53.address(),
    });
    Answer::json(StatusCode::OK, &body)
}

async fn reset(proxy: &Proxy) -> Answer {
    let emulator = if proxy.options.own_ministack {
        proxy.aws.upstream.post("/_ministack/reset").await
    } else {
        Err(format!("drctl does not know how to empty the emulator at {}", proxy.aws.upstream.url()))
    };
    // After the emulator, so that no rule learns again what is about to be emptied.
    for rule in proxy.way.iter().chain(&proxy.aws.rules) {
        rule.reset();
    }
    proxy.route53.reset().await;
    proxy.calls.forget(None);
    if let Err(why) = proxy.world.aurora.reset(None).await {
        return problem(StatusCode::BAD_GATEWAY, &format!("the PostgreSQL servers are not gone: {why}"));
    }
    match emulator {
        Ok(status) if status.is_success() => Answer::json(StatusCode::OK, &json!({"reset": true})),
        Ok(status) => problem(StatusCode::BAD_GATEWAY, &format!("MiniStack answered {status}")),
        Err(why) => problem(StatusCode::BAD_GATEWAY, &format!("only the proxy's memory is empty: {why}")),
    }
}

fn problem(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message}))
}
