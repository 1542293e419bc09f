//! Input becomes an action, or all of its problems are named.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::quotes::{
    ActionKind,
    examples::{action, contact, family, geographic, offer},
    stored,
};

/// The pointer and rule of each problem.
fn problems<I>(input: Value) -> Vec<(String, &'static str)>
where
    I: DeserializeOwned,
    Action: TryFrom<I, Error = ValidationError>,
{
    let input: I = serde_json::from_value(input).unwrap();
    let found = Action::try_from(input).err().map(|error| error.problems).unwrap_or_default();
    found.into_iter().map(|problem| (problem.pointer, problem.rule)).collect()
}

fn pairs(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected.iter().map(|(pointer, rule)| (String::from(*pointer), *rule)).collect()
}

#[test]
fn the_wire_form_is_what_a_client_writes() {
    let parsed: GeographicInput = serde_json::from_value(json!({
        "country": "IN", "state": "KA", "city": "Bengaluru", "zipCode": "560001",
    }))
    .unwrap();
    assert!(parsed == geographic());
    let parsed: ContactInput = serde_json::from_value(json!({
        "firstName": "Asha", "lastName": "Rao", "email": "asha.rao@example.com",
        "phone": "+91 00000 12345",
    }))
    .unwrap();
    assert!(parsed == contact());
    let parsed: FamilyInput =
        serde_json::from_value(json!({"dependants": 3, "children": 2, "childAges": [4, 9]}))
            .unwrap();
    assert!(parsed == family());
    let parsed: FinalizeInput = serde_json::from_value(json!({
        "sumInsured": 1_800_000,
        "premium": {"amount": 32_400, "currency": "INR", "period": "year"},
    }))
    .unwrap();
    assert!(parsed == offer());
    let parsed: ApproveInput = serde_json::from_value(json!({"policyNumber": "P-1"})).unwrap();
    assert_eq!(parsed.policy_number.as_deref(), Some("P-1"));
}

#[test]
fn a_field_of_another_name_is_refused() {
    let other = json!({"zipcode": "560001"});
    assert!(serde_json::from_value::<GeographicInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<ContactInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<FamilyInput>(json!({"adults": 2})).is_err());
    assert!(serde_json::from_value::<InitiateInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<SaveInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<FinalizeInput>(json!({"premium": other})).is_err());
    assert!(serde_json::from_value::<ApproveInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<RejectInput>(other.clone()).is_err());
    assert!(serde_json::from_value::<WithdrawInput>(other).is_err());
}

#[test]
fn what_may_be_left_out_may_be_null_too() {
    for input in [json!({}), json!({"product": null, "channel": null})] {
        assert_eq!(problems::<InitiateInput>(input), []);
    }
    assert_eq!(problems::<SaveInput>(json!({})), []);
    assert_eq!(problems::<FinalizeInput>(json!({})), []);
    assert_eq!(problems::<ApproveInput>(json!({})), []);
    assert_eq!(problems::<WithdrawInput>(json!({})), []);
}

#[test]
fn everything_that_is_missing_is_named() {
    let required = |fields: &[&str]| {
        fields.iter().map(|field| (String::from(*field), "required")).collect::<Vec<_>>()
    };
    assert_eq!(problems::<GeographicInput>(json!({})), required(&["/country", "/city"]));
    assert_eq!(
        problems::<GeographicInput>(json!({"country": "IN"})),
        required(&["/state", "/city", "/zipCode"])
    );
    assert_eq!(
        problems::<ContactInput>(json!({"email": null})),
        required(&["/firstName", "/lastName", "/email", "/phone"])
    );
    assert_eq!(
        problems::<FamilyInput>(json!({})),
        required(&["/dependants", "/children", "/childAges"])
    );
    assert_eq!(
        problems::<FinalizeInput>(json!({"premium": {}})),
        required(&["/premium/amount", "/premium/currency", "/premium/period"])
    );
    assert_eq!(problems::<RejectInput>(json!({})), required(&["/reason"]));
}

#[test]
fn everything_that_is_wrong_is_named() {
    let wrong = json!({"country": "DE", "state": "", "city": "a\u{0}", "zipCode": "560001"});
    assert_eq!(
        problems::<GeographicInput>(wrong),
        pairs(&[
            ("/state", "length"),
            ("/city", "no-control-characters"),
            ("/zipCode", "postal-code"),
        ])
    );
    let wrong = json!({"country": "de", "city": "Bonn", "zipCode": "1"});
    assert_eq!(problems::<GeographicInput>(wrong), pairs(&[("/country", "country-code")]));
    let wrong = json!({"firstName": " ", "lastName": "\n", "email": "a", "phone": "b"});
    assert_eq!(
        problems::<ContactInput>(wrong),
        pairs(&[
            ("/firstName", "length"),
            ("/lastName", "no-control-characters"),
            ("/email", "email"),
            ("/phone", "phone"),
        ])
    );
    let wrong = json!({"product": "", "channel": "a b"});
    assert_eq!(
        problems::<InitiateInput>(wrong),
        pairs(&[("/product", "short-name"), ("/channel", "short-name")])
    );
    let wrong = json!({
        "sumInsured": u64::MAX,
        "premium": {"amount": u64::MAX, "currency": "rupees", "period": "decade"},
    });
    assert_eq!(
        problems::<FinalizeInput>(wrong),
        pairs(&[
            ("/sumInsured", "range"),
            ("/premium/amount", "range"),
            ("/premium/currency", "currency-code"),
            ("/premium/period", "period"),
        ])
    );
    assert_eq!(problems::<SaveInput>(json!({"page": ""})), pairs(&[("/page", "short-name")]));
    let wrong = json!({"policyNumber": ""});
    assert_eq!(problems::<ApproveInput>(wrong), pairs(&[("/policyNumber", "length")]));
    assert_eq!(problems::<RejectInput>(json!({"reason": ""})), pairs(&[("/reason", "length")]));
    assert_eq!(problems::<WithdrawInput>(json!({"reason": ""})), pairs(&[("/reason", "length")]));
}

#[test]
fn families_are_consistent() {
    let family = |dependants: u64, children: u64, ages: &[u64]| {
        problems::<FamilyInput>(
            json!({"dependants": dependants, "children": children, "childAges": ages}),
        )
    };
    assert_eq!(family(0, 0, &[]), []);
    assert_eq!(family(30, 2, &[0, 25]), []);
    assert_eq!(family(2, 2, &[3, 3]), []);
    assert_eq!(family(1, 2, &[3, 3]), pairs(&[("/children", "children-are-dependants")]));
    assert_eq!(family(31, 0, &[]), pairs(&[("/dependants", "range")]));
    assert_eq!(family(2, 2, &[3]), pairs(&[("/childAges", "one-age-per-child")]));
    assert_eq!(family(2, 0, &[3]), pairs(&[("/childAges", "one-age-per-child")]));
    assert_eq!(
        family(1, 2, &[26, 3, 99]),
        pairs(&[
            ("/children", "children-are-dependants"),
            ("/childAges", "one-age-per-child"),
            ("/childAges/0", "range"),
            ("/childAges/2", "range"),
        ])
    );
    let without =
        |children: u64| problems::<FamilyInput>(json!({"dependants": 2, "children": children}));
    assert_eq!(without(0), []);
    assert_eq!(without(1), pairs(&[("/childAges", "required")]));
    // However long a list is, its problems are not.
    assert_eq!(family(0, 0, &vec![99; 5000]).len(), 31);
}

#[test]
fn an_address_abroad_is_complete_without_what_there_is_not() {
    let input = json!({"country": "AE", "city": "Dubai"});
    let input: GeographicInput = serde_json::from_value(input).unwrap();
    let details = GeographicDetails::try_from(input).unwrap();
    let stored = serde_json::to_value(stored::Geographic::from(&details)).unwrap();
    assert_eq!(stored, json!({"country": "AE", "city": "Dubai"}));
    let singapore = json!({"country": "SG", "city": "Singapore", "zipCode": "018956"});
    assert_eq!(problems::<GeographicInput>(singapore), []);
}

#[test]
fn every_input_becomes_its_action() {
    for (input, kind) in [
        (Action::try_from(InitiateInput::default()), ActionKind::Initiate),
        (Action::try_from(geographic()), ActionKind::SetGeographic),
        (Action::try_from(contact()), ActionKind::SetContact),
        (Action::try_from(family()), ActionKind::SetFamily),
        (Action::try_from(SaveInput::default()), ActionKind::Save),
        (Action::try_from(offer()), ActionKind::Finalize),
        (Action::try_from(ApproveInput::default()), ActionKind::Approve),
        (
            Action::try_from(RejectInput { reason: Some("too expensive".to_owned()) }),
            ActionKind::Reject,
        ),
        (
            Action::try_from(WithdrawInput { reason: Some("too expensive".to_owned()) }),
            ActionKind::Withdraw,
        ),
    ] {
        assert_eq!(input, Ok(action(kind)));
    }
}

#[test]
fn nobodys_data_is_in_an_error() {
    let input = ContactInput {
        first_name: Some("Secret\n".to_owned()),
        last_name: Some("Secret".repeat(99)),
        email: Some("secret".to_owned()),
        phone: Some("secret".to_owned()),
    };
    let shown = format!("{input:?}").to_lowercase();
    let error = Action::try_from(input).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the input is not valid: /firstName (no-control-characters), /lastName (length), \
         /email (email), /phone (phone)"
    );
    assert!(!format!("{error:?} {shown}").contains("secret"));
}
