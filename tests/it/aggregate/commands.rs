//! What a command costs, and what it is decided on.

use cosmos_event_store::{
    ExpectedVersion, Metadata, NewEvent,
    aggregate::{CommandError, CommandOutcome, DecodeProblem, LoadError, LoadOptions},
};
use serde_json::json;

use super::*;
use crate::{fixture::Fixture, sdk};

#[tokio::test]
async fn a_command_on_a_cached_state_is_a_probe_and_an_append() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.requests();
    let executed = accounts.execute("account-1", &Command::Withdraw(2), plain()).await.unwrap();
    assert_eq!((executed.usage.round_trips, fixture.requests()), (2, 2));
    assert_eq!((executed.state.cents, executed.version), (3, 2));
    let executed = accounts.execute("account-1", &Command::Withdraw(2), trusting()).await.unwrap();
    assert_eq!((executed.usage.round_trips, fixture.requests()), (1, 1));
    assert_eq!((executed.state.cents, executed.version), (1, 3));
    assert!(executed.usage.request_charge > 0.0);
}

#[tokio::test]
async fn a_command_without_a_cached_state_is_a_query_and_an_append() {
    let fixture = Fixture::new().await;
    fixture.given("account-1", &[deposited(5), deposited(6)]).await;
    fixture.requests();
    let forgetful = forgetful(&fixture.store);
    let executed = forgetful.execute("account-1", &Command::Withdraw(10), plain()).await.unwrap();
    assert_eq!((executed.usage.round_trips, fixture.requests()), (2, 2));
    assert_eq!((executed.state.cents, executed.version), (1, 3));
}

#[tokio::test]
async fn a_load_is_one_round_trip_and_sees_what_others_have_appended() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let empty = accounts.load("account-1").await.unwrap();
    assert_eq!((empty.version, *empty.state == Account::initial()), (0, true));
    fixture.given("account-1", &[deposited(5)]).await;
    assert_eq!(accounts.load("account-1").await.unwrap().state.cents, 5);
    let again = accounts.load("account-1").await.unwrap();
    assert_eq!((again.version, again.usage.round_trips), (1, 1));
    fixture.given("account-1", &[deposited(6), deposited(7)]).await;
    let trusting = LoadOptions::default().trusting_the_cache();
    let old = accounts.load_with("account-1", trusting).await.unwrap();
    assert_eq!((old.state.cents, old.usage.round_trips), (5, 0));
    let fresh = accounts.load("account-1").await.unwrap();
    assert_eq!((fresh.state.cents, fresh.version, fresh.usage.round_trips), (18, 3, 2));
}

#[tokio::test]
async fn long_streams_are_folded_page_by_page() {
    let fixture = Fixture::with(|options| options.with_page_events(7)).await;
    let events: Vec<NewEvent> = (0..30).map(deposited).collect();
    fixture.given("account-1", &events).await;
    let loaded = forgetful(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents, loaded.state.events), (30, 435, 30));
}

#[tokio::test]
async fn a_rejection_on_a_cached_state_is_decided_again_on_a_fresh_one() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.given("account-1", &[deposited(100)]).await;
    let executed = accounts.execute("account-1", &Command::Withdraw(50), trusting()).await.unwrap();
    assert_eq!((executed.state.cents, executed.conflicts), (55, 0));
    let rejected = accounts.execute("account-1", &Command::Withdraw(56), plain()).await;
    assert!(
        matches!(rejected, Err(CommandError::Rejected { rejection: BalanceTooLow(55), .. })),
        "{rejected:?}"
    );
}

#[tokio::test]
async fn that_there_is_nothing_to_do_is_decided_again_on_a_fresh_state() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    accounts.execute("account-1", &Command::WithdrawAll, plain()).await.unwrap();
    let nothing = accounts.execute("account-1", &Command::WithdrawAll, trusting()).await.unwrap();
    assert_eq!((nothing.outcome, nothing.version), (CommandOutcome::Nothing, 2));
    fixture.given("account-1", &[deposited(9)]).await;
    let executed = accounts.execute("account-1", &Command::WithdrawAll, trusting()).await.unwrap();
    assert_eq!((places(&executed), executed.state.cents), ((true, 4, 4), 0));
}

#[tokio::test]
async fn a_definite_version_is_met_or_refused() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let at = |version| plain().with_expected_version(version);
    accounts.execute("account-1", &Command::Deposit(5), at(0)).await.unwrap();
    let refused = accounts.execute("account-1", &Command::Deposit(5), at(0)).await;
    assert!(matches!(refused, Err(CommandError::VersionMismatch { expected: 0, actual: 1, .. })));
    // The cached state says version 1, and the stream has moved on.
    fixture.given("account-1", &[deposited(1)]).await;
    let old = at(1).trusting_the_cache();
    let refused = accounts.execute("account-1", &Command::Deposit(5), old).await.unwrap_err();
    let CommandError::VersionMismatch { expected: 1, actual: 2, events, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(events.len(), 1);
    accounts.execute("account-1", &Command::Deposit(5), at(2)).await.unwrap();
    assert_eq!(fixture.events("account-1").await.len(), 3);
}

#[tokio::test]
async fn events_carry_the_type_the_metadata_and_the_command() {
    let fixture = Fixture::new().await;
    let metadata = Metadata::default().with_actor("teller").with_correlation_id("day-1");
    let options = with_id("c-1").with_metadata(metadata.clone());
    let executed =
        accounts(&fixture.store).execute("vault-1", &Command::DepositTwice(1), options).await;
    assert_eq!(places(&executed.unwrap()), (true, 1, 2));
    let id = CommandId::new("c-1").unwrap();
    for (event, index) in fixture.events("vault-1").await.iter().zip(0..) {
        assert_eq!(event.aggregate_type(), "account");
        assert_eq!(event.metadata(), &metadata.clone().with_causation_id("c-1"));
        assert_eq!(event.id(), id.event_id(index));
    }
}

#[tokio::test]
async fn an_event_that_the_program_does_not_know_is_not_passed_over() {
    let fixture = Fixture::new().await;
    let closed = NewEvent::new("Closed", json!({})).unwrap();
    fixture.given("account-1", &[deposited(5), closed]).await;
    let accounts = accounts(&fixture.store);
    let refused = accounts.execute("account-1", &Command::Withdraw(1), plain()).await.unwrap_err();
    let CommandError::Load { error: LoadError::Decode(error), .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((error.sequence_number, error.problem), (2, DecodeProblem::UnknownType));
    assert_eq!(fixture.events("account-1").await.len(), 2);
}

#[tokio::test]
async fn a_cached_state_of_another_history_is_discarded() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    for cents in [5, 6, 7] {
        accounts.execute("account-1", &Command::Deposit(cents), plain()).await.unwrap();
    }
    // As after a restore to an earlier moment: the last two events are gone, another one came.
    let container = sdk::events_container(fixture.endpoint.endpoint()).await;
    for number in [2, 3] {
        container.delete_item("account-1", &format!("{number:020}"), None).await.unwrap();
    }
    fixture.store.append("account-1", ExpectedVersion::Exact(1), vec![deposited(1)]).await.unwrap();
    let executed = accounts.execute("account-1", &Command::Withdraw(6), plain()).await.unwrap();
    assert_eq!((executed.version, executed.state.cents, executed.conflicts), (3, 0, 1));
    // Nothing is rejected on a state that the stream does not have either.
    container.delete_item("account-1", &format!("{:020}", 3), None).await.unwrap();
    let executed = accounts.execute("account-1", &Command::WithdrawAll, trusting()).await.unwrap();
    assert_eq!((executed.version, executed.state.cents), (3, 0));
    assert_eq!(places(&executed), (true, 3, 3));
}

#[tokio::test]
async fn a_cached_state_is_told_from_another_history_of_the_same_length() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    for cents in [5, 6] {
        accounts.execute("account-1", &Command::Deposit(cents), plain()).await.unwrap();
    }
    let container = sdk::events_container(fixture.endpoint.endpoint()).await;
    container.delete_item("account-1", &format!("{:020}", 2), None).await.unwrap();
    fixture.given("account-1", &[deposited(1)]).await;
    // The probe cannot tell, and so the rule is asked again on a state that can be trusted.
    let rejected = accounts.execute("account-1", &Command::Withdraw(12), plain()).await;
    assert!(
        matches!(rejected, Err(CommandError::Rejected { rejection: BalanceTooLow(6), .. })),
        "{rejected:?}"
    );
    let executed = accounts.execute("account-1", &Command::WithdrawAll, plain()).await.unwrap();
    assert_eq!((executed.version, executed.state.cents), (3, 0));
}

#[tokio::test]
async fn a_rejection_on_what_somebody_else_has_seen_is_decided_again_on_what_this_process_has_seen()
{
    let fixture = Fixture::new().await;
    let executed =
        accounts(&fixture.store).execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    let token = || executed.session_token.clone().unwrap();
    let forgetful = forgetful(&fixture.store);
    fixture.requests();
    for (options, queries) in [(plain(), 1), (plain().with_session_token(token()), 2)] {
        let rejected = forgetful.execute("account-1", &Command::Withdraw(6), options).await;
        assert!(matches!(
            rejected,
            Err(CommandError::Rejected { rejection: BalanceTooLow(5), .. })
        ));
        assert_eq!(fixture.requests(), queries);
    }
    // What is stored needs no second look.
    let options = plain().with_session_token(token());
    let executed = forgetful.execute("account-1", &Command::Withdraw(5), options).await.unwrap();
    assert_eq!((executed.usage.round_trips, fixture.requests()), (2, 2));
}

pub(super) fn deposited(cents: u64) -> NewEvent {
    AccountEvent::Deposited { cents }.encode().unwrap()
}
