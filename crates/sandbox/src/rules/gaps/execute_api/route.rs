//! Selects the route of a request.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>

use serde_json::{Map, Value};

/// How well a route matches; the route with the greatest value is taken. A full match comes before one with a greedy
/// variable, literal path segments before variables, and a method before `ANY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    is_full: bool,
    literals: usize,
    has_method: bool,
}

/// A route that matches.
#[derive(Debug)]
pub(super) struct Match<'a> {
    /// The route as API Gateway describes it.
    pub(super) route: &'a Value,
    /// The values of the variables in its path, by name.
    pub(super) parameters: Map<String, Value>,
}

/// The route for a request, if there is one.
pub(super) fn select<'a>(routes: &'a [Value], method: &str, path: &str) -> Option<Match<'a>> {
    let matching = routes.iter().filter_map(|route| {
        let key = route.get("routeKey")?.as_str()?;
        let (fit, parameters) = fit(key, method, path)?;
        Some((fit, Match { route, parameters }))
    });
    matching.max_by_key(|(fit, _)| *fit).map(|(_, found)| found)
}

fn fit(key: &str, method: &str, path: &str) -> Option<(Fit, Map<String, Value>)> {
    let mut parameters = Map::new();
    if key == "$default" {
        return Some((Fit { is_full: false, literals: 0, has_method: false }, parameters));
    }
    let (wanted, pattern) = key.split_once(' ')?;
    let has_method = wanted == method;
    if !has_method && wanted != "ANY" {
        return None;
    }
    let mut segments = path.split('/');
    let mut literals = 0;
    let mut is_full = true;
    for part in pattern.split('/') {
        let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let value = match variable.and_then(|name| name.strip_suffix('+')) {
            Some(_) => {
                is_full = false;
                segments.by_ref().collect::<Vec<_>>().join("/")
            }
            None => segments.next()?.to_owned(),
        };
        match variable {
            Some(_) if value.is_empty() => return None,
            Some(name) => {
                parameters.insert(name.trim_end_matches('+').to_owned(), Value::String(value));
            }
            None if value == part => literals += 1,
            None => return None,
        }
    }
    if segments.next().is_some() {
        return None;
    }
    Some((Fit { is_full, literals, has_method }, parameters))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_most_specific_route_is_taken() {
        let keys = [
            "$default",
            "ANY /{proxy+}",
            "GET /payments/{id}",
            "ANY /payments/{id}",
            "GET /payments/mine",
            "POST /payments",
            "GET /health",
        ];
        let routes: Vec<Value> = keys.iter().map(|key| json!({"routeKey": key})).collect();
        for (method, path, key, parameters) in [
            ("GET", "/health", "GET /health", json!({})),
            ("GET", "/payments/pay_1", "GET /payments/{id}", json!({"id": "pay_1"})),
            ("PUT", "/payments/pay_1", "ANY /payments/{id}", json!({"id": "pay_1"})),
            ("GET", "/payments/mine", "GET /payments/mine", json!({})),
            ("POST", "/payments", "POST /payments", json!({})),
            ("GET", "/payments", "ANY /{proxy+}", json!({"proxy": "payments"})),
            ("GET", "/payments/a/b", "ANY /{proxy+}", json!({"proxy": "payments/a/b"})),
            ("GET", "/health/", "ANY /{proxy+}", json!({"proxy": "health/"})),
            ("GET", "/", "$default", json!({})),
        ] {
            let found = select(&routes, method, path).expect("a route");
            assert_eq!(found.route["routeKey"], key, "{method} {path}");
            assert_eq!(Value::Object(found.parameters), parameters, "{method} {path}");
        }
        for (method, path) in [("GET", "/payments/"), ("DELETE", "/health"), ("GET", "/payments/a/b")] {
            assert!(select(&routes[2..], method, path).is_none(), "{method} {path}");
        }
    }
}
