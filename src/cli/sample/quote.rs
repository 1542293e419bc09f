//! The history of one made-up quote: details page by page, then its life cycle.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::random::Random;

/// The types of a quote's events.
#[cfg(test)]
pub(super) const TYPES: [&str; 10] = [
    INITIATED, GEOGRAPHIC, CONTACT, FAMILY, SAVED, FINALIZED, APPROVED, REJECTED, WITHDRAWN,
    EXPIRED,
];
const INITIATED: &str = "QuoteInitiated";
const GEOGRAPHIC: &str = "GeographicDetailsSet";
const CONTACT: &str = "ContactDetailsSet";
const FAMILY: &str = "FamilyDetailsSet";
const SAVED: &str = "QuoteSaved";
const FINALIZED: &str = "QuoteFinalized";
const APPROVED: &str = "QuoteApproved";
const REJECTED: &str = "QuoteRejected";
const WITHDRAWN: &str = "QuoteWithdrawn";
const EXPIRED: &str = "QuoteExpired";

/// Monday, 5 January 2026, 09:00 UTC: when the first quote is asked for.
const BEGIN_SECOND: i64 = 1_767_603_600;
/// From one quote to the next.
const BETWEEN_QUOTES: Duration = Duration::from_mins(19);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

const PLACES: [[&str; 4]; 10] = [
    ["IN", "KA", "Bengaluru", "560001"],
    ["IN", "KA", "Mysuru", "570001"],
    ["IN", "MH", "Mumbai", "400001"],
    ["IN", "MH", "Pune", "411001"],
    ["IN", "TN", "Chennai", "600001"],
    ["IN", "KL", "Kochi", "682001"],
    ["IN", "DL", "New Delhi", "110001"],
    ["IN", "WB", "Kolkata", "700001"],
    ["IN", "TG", "Hyderabad", "500001"],
    ["IN", "GJ", "Ahmedabad", "380001"],
];
const FIRST_NAMES: [&str; 12] = [
    "Asha", "Bilal", "Chitra", "Dev", "Esha", "Farhan", "Gita", "Hari", "Indira", "Jatin", "Kavya",
    "Lalit",
];
const LAST_NAMES: [&str; 10] =
    ["Anand", "Bose", "Das", "Gupta", "Iyer", "Khan", "Menon", "Nair", "Rao", "Shah"];
const PRODUCTS: [&str; 3] = ["health-basic", "health-family", "health-plus"];
const CHANNELS: [&str; 3] = ["web", "mobile", "branch"];
const AGENTS: [&str; 3] = ["agent-1", "agent-2", "agent-3"];
const REJECTIONS: [&str; 3] = ["incomplete-documents", "outside-service-area", "sum-too-high"];
const WITHDRAWALS: [&str; 3] = ["bought-elsewhere", "changed-plans", "too-expensive"];

/// An event of a quote.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Event {
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) time: Timestamp,
    pub(in crate::cli) data: Value,
    pub(in crate::cli) metadata: Value,
}

/// A quote in the making.
struct Quote<'a> {
    number: u32,
    random: &'a mut Random,
    time: Timestamp,
    visit: u32,
    customer: &'static str,
    events: Vec<Event>,
}

/// All events of a quote.
pub(super) fn history(number: u32, random: &mut Random) -> Vec<Event> {
    let begin = Timestamp::from_second(BEGIN_SECOND).unwrap_or_default();
    let offset = BETWEEN_QUOTES.saturating_mul(number.saturating_sub(1));
    let time = begin.saturating_add(offset).unwrap_or(begin);
    let customer = if random.percent(75) { "customer" } else { random.pick(&AGENTS) };
    let mut quote = Quote { number, random, time, visit: 1, customer, events: Vec::new() };
    quote.capture();
    quote.decide();
    quote.events
}

impl Quote<'_> {
    /// The pages that a customer fills in, some of them twice, some of them never.
    fn capture(&mut self) {
        let (product, channel) = (self.random.pick(&PRODUCTS), self.random.pick(&CHANNELS));
        self.add(INITIATED, json!({"product": product, "channel": channel}), 0, 40);
        let place = self.place();
        self.add(GEOGRAPHIC, place, 5, 90);
        if self.random.percent(15) {
            let place = self.place();
            self.add(GEOGRAPHIC, place, 10, 120);
        }
        let contact = self.contact();
        self.add(CONTACT, contact, 20, 240);
        if self.random.percent(8) {
            return;
        }
        let family = self.family();
        self.add(FAMILY, family, 20, 300);
        self.save();
        for _ in 0..2 {
            if self.random.percent(40) {
                self.visit = self.visit.saturating_add(1);
                let family = self.family();
                self.add(FAMILY, family, HOUR, 2 * DAY);
                self.save();
            }
        }
    }

    fn save(&mut self) {
        let page = self.random.pick(&["family", "summary"]);
        self.add(SAVED, json!({"page": page}), 5, 60);
    }

    /// How it ends, where it has ended.
    fn decide(&mut self) {
        let was_saved = self.events.iter().any(|event| event.name == SAVED);
        if !was_saved || self.random.percent(12) {
            return self.expire_or_stay();
        }
        let sum_insured = self.random.between(3, 20).saturating_mul(100_000);
        let rate = self.random.between(11, 29);
        let premium = sum_insured.saturating_mul(rate).checked_div(1000).unwrap_or(0);
        let data = json!({
            "sumInsured": sum_insured,
            "premium": {"amount": premium, "currency": "INR", "period": "year"},
        });
        self.add(FINALIZED, data, 30, 2 * HOUR);
        let agent = self.random.pick(&AGENTS);
        match self.random.between(1, 100) {
            1..=60 => {
                let policy = format!("P-{:06}", 100_000_u64.saturating_add(self.number.into()));
                self.add_by(agent, APPROVED, json!({"policyNumber": policy}), HOUR, 3 * DAY);
            }
            61..=75 => {
                let reason = self.random.pick(&REJECTIONS);
                self.add_by(agent, REJECTED, json!({"reason": reason}), HOUR, 3 * DAY);
            }
            76..=90 => {
                let reason = self.random.pick(&WITHDRAWALS);
                self.add(WITHDRAWN, json!({"reason": reason}), HOUR, 5 * DAY);
            }
            _ => self.expire_or_stay(),
        }
    }

    fn expire_or_stay(&mut self) {
        if self.random.percent(60) {
            self.add_by("system", EXPIRED, json!({"afterDays": 14}), 14 * DAY, 14 * DAY + HOUR);
        }
    }

    fn place(&mut self) -> Value {
        let [country, state, city, zip_code] = self.random.pick(&PLACES);
        json!({"country": country, "state": state, "city": city, "zipCode": zip_code})
    }

    fn contact(&mut self) -> Value {
        let (first, last) = (self.random.pick(&FIRST_NAMES), self.random.pick(&LAST_NAMES));
        let email = format!("{first}.{last}@example.com").to_lowercase();
        let phone = format!("+91 00000 {:05}", self.random.between(0, 99_999));
        json!({"firstName": first, "lastName": last, "email": email, "phone": phone})
    }

    fn family(&mut self) -> Value {
        let adults = self.random.between(1, 4);
        let children = self.random.between(0, 3);
        let ages: Vec<u64> = (0..children).map(|_| self.random.between(0, 17)).collect();
        json!({"adults": adults, "children": children, "childAges": ages})
    }

    fn add(&mut self, name: &'static str, data: Value, low: u64, high: u64) {
        self.add_by(self.customer, name, data, low, high);
    }

    /// Adds an event that happens so many seconds after the last one.
    fn add_by(&mut self, actor: &str, name: &'static str, data: Value, low: u64, high: u64) {
        let later = self.random.seconds(low, high);
        self.time = self.time.saturating_add(later).unwrap_or(self.time);
        let visit = format!("visit-{}-{}", self.number, self.visit);
        let metadata = json!({"correlationId": visit, "actor": actor});
        self.events.push(Event { name, time: self.time, data, metadata });
    }
}
