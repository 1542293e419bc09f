//! Every route, and who may use it.

use reqwest::Method;
use serde_json::Value;

use super::{
    super::service::{Answer, JSON, Served, send},
    BODY, key, keyed,
};

/// What is answered to everybody.
const OPEN: [&str; 5] = ["/", "/healthz", "/openapi.json", "/problems/{slug}", "/readyz"];

/// All routes that are described, with their methods, and those two that describe themselves.
async fn routes(served: &Served) -> Vec<(Method, String)> {
    let description = served.get("/openapi.json").await.ok(200);
    let mut routes = vec![(Method::GET, "/openapi.json".to_owned())];
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    routes
}

/// A request for a route, whatever stands for its parameters.
async fn ask(served: &Served, method: &Method, route: &str, name: Option<&str>) -> Answer {
    let path = route.replace("{n}", "1").replace("{slug}", "conflict");
    let path = path.replace(['{', '}'], "");
    let mut request = served.request(method.clone(), &path);
    if let Some(name) = name {
        request = request.header("api-key", key(name));
    }
    if *method != Method::GET {
        request = request.header("content-type", JSON).body(BODY);
    }
    send(request).await
}

fn scope_of(method: &Method, route: &str) -> &'static str {
    match route {
        _ if OPEN.contains(&route) => "",
        "/metrics" | "/lag" | "/lag/{processor}" => "admin",
        _ if *method == Method::GET => "read",
        _ => "write",
    }
}

#[tokio::test]
async fn each_route_is_for_who_has_its_scope() {
    let served = keyed().await;
    let routes = routes(&served).await;
    assert!(routes.len() > 25, "{routes:?}");
    for (method, route) in routes {
        let scope = scope_of(&method, &route);
        let nobody = ask(&served, &method, &route, None).await;
        if scope.is_empty() {
            assert_eq!(nobody.status, 200, "{method} {route}: {nobody:?}");
            // Also to who has something that is not accepted.
            assert_eq!(ask(&served, &method, &route, Some("unknown")).await.status, 200);
            continue;
        }
        nobody.problem(401, "unauthenticated");
        for (name, has) in [("reader", "read"), ("writer", "write"), ("admin", "admin")] {
            let answer = ask(&served, &method, &route, Some(name)).await;
            if has == scope {
                assert!(![401, 403].contains(&answer.status), "{method} {route}: {answer:?}");
            } else {
                let problem = answer.problem(403, "forbidden");
                assert_eq!(problem["scope"], scope, "{method} {route}");
            }
        }
        let head = served.request(Method::HEAD, &route.replace(['{', '}'], ""));
        if method == Method::GET {
            assert_eq!(send(head).await.status, 401, "HEAD {route}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_shown_to_strangers() {
    let served = keyed().await;
    for path in ["/nothing", "/streams/", "/lagging"] {
        served.get(path).await.problem(401, "unauthenticated");
        for name in ["reader", "writer", "admin"] {
            let answer = served.get_with(path, &[("api-key", &key(name))]).await;
            answer.problem(404, "route-not-found");
        }
    }
    let delete = |name: &str| {
        served.request(Method::DELETE, "/streams/s-1/events").header("api-key", key(name))
    };
    send(delete("reader")).await.problem(403, "forbidden");
    send(delete("writer")).await.problem(405, "method-not-allowed");
    // What is open is open for reads.
    let write = served.request(Method::POST, "/healthz");
    send(write).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_description_says_who_may_do_what() {
    let served = keyed().await;
    let description = served.get("/openapi.json").await.ok(200);
    let schemes = &description["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!(
        (&schemes["apiKey"]["in"], &schemes["apiKey"]["name"]),
        (&"header".into(), &"api-key".into())
    );
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let scope = scope_of(&method, path);
            let security = &operation["security"];
            if scope.is_empty() {
                assert_eq!(*security, Value::Null, "{path}");
                continue;
            }
            assert_eq!(security[0]["bearer"][0], scope, "{method} {path}");
            assert_eq!(security[1]["apiKey"][0], scope, "{method} {path}");
            for status in ["401", "403", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
            }
        }
    }
    let open = Served::new().await.get("/openapi.json").await.ok(200);
    assert_eq!(open["components"]["securitySchemes"], Value::Null);
    assert_eq!(open["paths"]["/streams"]["get"]["security"], Value::Null);
    assert_eq!(open["paths"]["/streams"]["get"]["responses"]["401"], Value::Null);
}
