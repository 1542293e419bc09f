//! Many quotes: lists of them, and what came of those of each day.

use std::collections::BTreeMap;

use cosmos_event_store::projection::ReceiptToken;
use serde_json::{Value, json};

use super::{Hosted, contact, family, geographic, ids};

#[tokio::test]
async fn quotes_are_listed_by_status_and_by_time() {
    let hosted = Hosted::new().await;
    for n in 0..7 {
        let product = if n % 2 == 0 { "even" } else { "odd" };
        let body = json!({"quoteId": format!("q-{n}"), "product": product});
        let receipt = hosted.command("/quotes", body).await;
        hosted.after("/quotes", &receipt).await;
    }
    // Saved in another order than initiated.
    for n in [3, 0, 5, 1] {
        let receipt = hosted.command(&format!("/quotes/q-{n}/save"), Value::Null).await;
        hosted.after("/quotes", &receipt).await;
    }
    for (query, expected) in [
        ("status=saved", vec!["q-1", "q-5", "q-0", "q-3"]),
        ("status=saved&sort=-changedAt", vec!["q-1", "q-5", "q-0", "q-3"]),
        ("status=saved&sort=changedAt", vec!["q-3", "q-0", "q-5", "q-1"]),
        ("status=saved&sort=initiatedAt", vec!["q-0", "q-1", "q-3", "q-5"]),
        ("status=initiated", vec!["q-6", "q-4", "q-2"]),
        ("status=saved&product=odd", vec!["q-1", "q-5", "q-3"]),
        ("region=-&sort=-initiatedAt", vec!["q-6", "q-5", "q-4", "q-3", "q-2", "q-1", "q-0"]),
        ("region=IN-KA", vec![]),
        ("status=approved", vec![]),
    ] {
        for limit in [1, 2, 100] {
            let (mut found, mut pages) = (Vec::new(), 0);
            let mut next = Some(format!("/quotes?{query}&limit={limit}"));
            while let Some(path) = next {
                let answer = hosted.served.get(&path).await;
                let page = answer.ok(200);
                let row = &page["quotes"][0];
                assert!(row.is_null() || row["contact"].is_null() && row["changedAt"].is_string());
                found.extend(ids(&page).into_iter().map(str::to_owned));
                pages += 1;
                next = page["next"].as_str().map(str::to_owned);
                assert_eq!(answer.header("link").is_empty(), next.is_none());
            }
            assert_eq!(found, expected, "{query}");
            assert_eq!(pages, expected.len().div_ceil(limit).max(1), "{query}");
        }
    }
    // A page goes on only with the list that it is of.
    let page = hosted.served.get("/quotes?status=saved&limit=1").await.ok(200);
    let other = page["next"].as_str().unwrap().replace("saved", "initiated");
    hosted.served.get(&other).await.problem(400, "invalid-parameter");
}

#[tokio::test]
async fn the_summary_counts_what_was_done() {
    let hosted = Hosted::new().await;
    let mut expected: BTreeMap<(String, String), BTreeMap<String, i64>> = BTreeMap::new();
    let mut receipts = Vec::new();
    for n in 0..12 {
        let id = format!("q-{n}");
        hosted.command("/quotes", json!({"quoteId": id})).await;
        let mut region = "-";
        if n % 3 > 0 {
            for (section, body) in
                [("geographic", geographic()), ("contact", contact()), ("family", family())]
            {
                receipts.push(hosted.command(&format!("/quotes/{id}/{section}"), body).await);
            }
            region = "IN-KA";
        }
        if n % 3 > 1 {
            let premium = json!({"amount": 100 + n, "currency": "INR", "period": "month"});
            let path = format!("/quotes/{id}/finalize");
            hosted.command(&path, json!({"premium": premium})).await;
        }
        if n % 6 == 5 {
            hosted.command(&format!("/quotes/{id}/approve"), Value::Null).await;
        } else if n % 4 == 0 {
            hosted.command(&format!("/quotes/{id}/withdraw"), Value::Null).await;
        }
        let quote = hosted.served.get(&format!("/quotes/{id}?fresh=true")).await.ok(200);
        let day = quote["initiatedAt"].as_str().unwrap()[..10].to_owned();
        let counts = expected.entry((day, region.to_owned())).or_default();
        *counts.entry("quotes".to_owned()).or_default() += 1;
        *counts.entry(quote["status"].as_str().unwrap().to_owned()).or_default() += 1;
        if quote["status"] == "approved" {
            *counts.entry("INR".to_owned()).or_default() += 12 * (100 + n);
        }
        let version = quote["version"].as_u64().unwrap();
        receipts.push(ReceiptToken::new(id, version, None).to_string());
    }
    for receipt in &receipts {
        hosted.after("/quotes/summary", receipt).await;
    }
    let mut found = BTreeMap::new();
    let mut next = Some("/quotes/summary?limit=1".to_owned());
    while let Some(path) = next {
        let page = hosted.served.get(&path).await.ok(200);
        next = page["next"].as_str().map(str::to_owned);
        for day in page["days"].as_array().unwrap() {
            let text = |name: &str| day[name].as_str().unwrap().to_owned();
            let mut counts: BTreeMap<String, i64> =
                serde_json::from_value(day["statuses"].clone()).unwrap();
            let quotes = day["quotes"].as_i64().unwrap();
            let approved = counts.get("approved").copied().unwrap_or(0);
            let conversion = f64::from(i32::try_from(10_000 * approved / quotes).unwrap()) / 1e4;
            assert_eq!(day["conversion"], conversion, "{day}");
            counts.insert("quotes".to_owned(), quotes);
            let premiums: BTreeMap<String, i64> =
                serde_json::from_value(day["premiums"].clone()).unwrap();
            counts.extend(premiums);
            found.insert((text("day"), text("region")), counts);
        }
    }
    assert_eq!(found, expected);
    let none = hosted.served.get("/quotes/summary?from=9999-01-01").await.ok(200);
    assert_eq!(none, json!({"days": []}));
    let day = &expected.keys().next().unwrap().0;
    let only = hosted.served.get(&format!("/quotes/summary?from={day}&to={day}")).await.ok(200);
    assert!(!only["days"].as_array().unwrap().is_empty());
}
