//! The description of the API, and the page that shows it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::server::Server;

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&api::description()).expect("the description is JSON"));

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_file_is_what_the_code_describes() {
    let description = api::description();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &description).expect("it can be written");
    }
    let file = std::fs::read_to_string(FILE).expect("it is there");
    assert!(file == description, "api/openapi.json is not up to date: run the test with UPDATE_OPENAPI=1");
}

#[tokio::test]
async fn the_description_is_served() {
    let server = Server::start().await;
    let answer = server.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(String::from_utf8(answer.body.clone()).expect("text"), api::description());
    assert_eq!(answer.json()["openapi"].as_str().map(|version| &version[..4]), Some("3.1."));
}

/// What a reader needs of each answer: what it means, what is in it, and the request's id.
#[test]
fn every_answer_is_described() {
    for (name, operation) in operations() {
        assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{name}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        for (status, response) in responses {
            let response = resolved(response);
            assert!(!response["description"].as_str().expect("text").is_empty(), "{name} {status}");
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            let is_error = status.starts_with(['4', '5']);
            assert!(!is_error || response["content"].is_object(), "{name} {status}");
        }
    }
}

/// What many operations have in common is written once.
#[test]
fn nothing_is_described_twice() {
    let mut described = Vec::new();
    for (name, operation) in operations() {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            if response["$ref"].is_string() {
                continue;
            }
            let is_problem = response["content"]["application/problem+json"].is_object();
            assert!(!is_problem, "{name} {status} describes a problem by itself");
            let headers = response["headers"].as_object().expect("headers");
            described.extend(headers.iter().map(|(header, value)| (header.clone(), value)));
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        described.extend(parameters.map(|parameter| (parameter["name"].to_string(), parameter)));
    }
    described.retain(|(_, value)| value["$ref"].is_null());
    for (index, (name, value)) in described.iter().enumerate() {
        let is_again = described[..index].contains(&(name.clone(), value));
        // Another one of this name is in `components`.
        assert!(!is_again || name == "Retry-After", "{name} is described twice: {value}");
    }
}

/// A link leads to an operation, and gives parameters that it has.
#[test]
fn every_link_leads_to_an_operation() {
    let mut found = 0;
    for (name, operation) in operations() {
        for response in operation["responses"].as_object().expect("responses").values() {
            for (target, link) in resolved(response)["links"].as_object().into_iter().flatten() {
                let link = resolved(link);
                let (_, operation) = operations()
                    .find(|(_, operation)| operation["operationId"] == link["operationId"])
                    .unwrap_or_else(|| panic!("{name} leads to {target}"));
                let parameters = operation["parameters"].as_array().expect("parameters");
                let names: Vec<_> = parameters.iter().map(|parameter| resolved(parameter)["name"].clone()).collect();
                let given = link["parameters"].as_object().expect("parameters");
                assert!(given.keys().all(|parameter| names.contains(&parameter.as_str().into())), "{name} {target}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found}");
}

/// Every code of the table is one that some operation can answer with, under the status of the table.
#[test]
fn every_code_is_described() {
    let described: BTreeSet<(String, String)> = operations()
        .flat_map(|(_, operation)| operation["responses"].as_object().expect("responses"))
        .flat_map(|(status, response)| codes_of(resolved(response)).into_iter().map(|code| (status.clone(), code)))
        .collect();
    let table = api::wire::error_table();
    let rows = table.lines().skip(2).take_while(|line| !line.is_empty());
    let listed: BTreeSet<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned());
            (cells.next().expect("a status"), cells.next().expect("a code"))
        })
        .collect();
    assert!(listed.len() > 20, "{table}");
    assert_eq!(described, listed);
}

/// Every operation, with its method and path.
fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    let paths = DESCRIPTION["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

/// What is there, or what it refers to.
fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DESCRIPTION.pointer(reference.trim_start_matches('#')).expect("it leads to something"),
        None => value,
    }
}

/// The codes that an answer's schema allows.
fn codes_of(response: &Value) -> Vec<String> {
    let schema = &response["content"]["application/problem+json"]["schema"];
    let codes = schema.pointer("/allOf/1/properties/code/enum").and_then(Value::as_array);
    codes.into_iter().flatten().map(|code| code.as_str().expect("text").to_owned()).collect()
}

/// A message has the form that the description gives it.
#[test]
fn webhooks_are_described() {
    let description = &*DESCRIPTION;
    let names: Vec<&String> = description["webhooks"].as_object().expect("webhooks").keys().collect();
    let expected = ["job.canceled", "job.failed", "job.started", "job.succeeded", "stage.succeeded", "webhook.test"];
    assert_eq!(names, expected);
    for (name, item) in description["webhooks"].as_object().expect("webhooks") {
        let parameters = item["post"]["parameters"].as_array().expect("parameters");
        let headers: Vec<_> = parameters.iter().map(|header| header["name"].as_str().expect("text")).collect();
        assert_eq!(headers, ["webhook-id", "webhook-timestamp", "webhook-signature", "traceparent"], "{name}");
        assert!(item["post"]["requestBody"]["content"]["application/json"]["schema"].is_object(), "{name}");
    }
}

/// What a reader follows leads somewhere.
#[test]
fn every_reference_leads_to_something() {
    let description = &*DESCRIPTION;
    let text = description.to_string();
    let references: BTreeSet<&str> =
        text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().expect("a pointer")).collect();
    assert!(references.len() > 30, "{references:?}");
    for pointer in references {
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_page_needs_no_other_host() {
    let server = Server::start().await;
    let page = server.get("/docs/").await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.body).expect("text");
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http") && !html.contains("\"//"), "{html}");
    let parts: Vec<&str> =
        html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(parts.len() >= 3, "{html}");
    for part in parts {
        let answer = server.get(&format!("/docs/{}", part.trim_start_matches("./"))).await;
        assert_eq!(answer.status, 200, "{part}");
        assert!(!answer.body.is_empty(), "{part}");
    }
    // What the page's program is told.
    let settings = String::from_utf8(server.get("/docs/swagger-initializer.js").await.body).expect("text");
    assert!(settings.contains(r#""validatorUrl": "none""#) && !settings.contains("http"), "{settings}");
    assert_eq!(page.headers["content-security-policy"], "frame-ancestors 'none'");
}
