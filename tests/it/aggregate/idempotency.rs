//! A command that is given again.

use cosmos_event_store::{
    AppendError,
    aggregate::{CommandError, CommandOutcome},
};
use cosmos_local::{Fault, FaultAction};

use super::{commands::deposited, *};
use crate::fixture::Fixture;

#[tokio::test]
async fn a_repeated_command_gives_the_places_of_the_first_time() {
    let fixture = Fixture::new().await;
    let (first, second) = (accounts(&fixture.store), accounts(&fixture.store));
    let deposit = Command::DepositTwice(5);
    assert_eq!(
        places(&first.execute("account-1", &deposit, with_id("c-1")).await.unwrap()),
        (true, 1, 2)
    );
    first.execute("account-1", &Command::Withdraw(10), with_id("c-2")).await.unwrap();
    // The same on the state that it was first decided on, on a later one, in another process.
    for accounts in [&first, &second] {
        let executed = accounts.execute("account-1", &deposit, with_id("c-1")).await.unwrap();
        assert_eq!(places(&executed), (false, 1, 2));
        assert_eq!((executed.version, executed.state.cents), (3, 0));
    }
    assert_eq!(fixture.events("account-1").await.len(), 3);
}

#[tokio::test]
async fn a_repeated_command_that_would_now_be_rejected_is_not() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    let withdraw = Command::Withdraw(5);
    accounts.execute("account-1", &withdraw, with_id("c-1")).await.unwrap();
    let again = accounts.execute("account-1", &withdraw, with_id("c-1")).await.unwrap();
    assert_eq!((places(&again), again.state.cents), ((false, 2, 2), 0));
    let other = accounts.execute("account-1", &withdraw, with_id("c-2")).await;
    assert!(matches!(other, Err(CommandError::Rejected { rejection: BalanceTooLow(0), .. })));
}

#[tokio::test]
async fn a_repeated_command_that_would_now_do_nothing_or_something_else_gives_the_first_answer() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    accounts.execute("account-1", &Command::WithdrawAll, with_id("c-1")).await.unwrap();
    let nothing = accounts.execute("account-1", &Command::WithdrawAll, with_id("c-1")).await;
    assert_eq!(places(&nothing.unwrap()), (false, 2, 2));
    // Another amount than the first time, under the same ids.
    fixture.given("account-1", &[deposited(7)]).await;
    let other = accounts.execute("account-1", &Command::WithdrawAll, with_id("c-1")).await.unwrap();
    assert_eq!((places(&other), other.state.cents, other.version), ((false, 2, 2), 7, 3));
    assert_eq!(fixture.events("account-1").await.len(), 3);
}

#[tokio::test]
async fn a_repeated_command_with_a_definite_version_gives_the_first_answer() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let options = || with_id("c-1").with_expected_version(0);
    accounts.execute("account-1", &Command::Deposit(5), options()).await.unwrap();
    let again = accounts.execute("account-1", &Command::Deposit(5), options()).await.unwrap();
    assert_eq!(places(&again), (false, 1, 1));
}

#[tokio::test]
async fn a_command_without_events_is_not_remembered() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let nothing = accounts.execute("account-1", &Command::WithdrawAll, with_id("c-1")).await;
    assert_eq!(nothing.unwrap().outcome, CommandOutcome::Nothing);
    fixture.given("account-1", &[deposited(7)]).await;
    let executed = accounts.execute("account-1", &Command::WithdrawAll, with_id("c-1")).await;
    assert_eq!(places(&executed.unwrap()), (true, 2, 2));
}

#[tokio::test]
async fn an_id_that_was_used_for_something_else_is_refused() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let asked = |what: &str| with_id("c-1").with_fingerprint(what);
    let deposit = Command::Deposit(5);
    accounts.execute("account-1", &deposit, asked("deposit 5")).await.unwrap();
    let again = accounts.execute("account-1", &deposit, asked("deposit 5")).await.unwrap();
    assert_eq!(places(&again), (false, 1, 1));
    let other = accounts.execute("account-1", &Command::Deposit(6), asked("deposit 6")).await;
    assert!(
        matches!(&other, Err(CommandError::CommandIdReused { id, .. }) if id.as_str() == "c-1")
    );
    // In another stream it is another command.
    let elsewhere = accounts.execute("account-2", &Command::Deposit(6), asked("deposit 6")).await;
    assert_eq!(places(&elsewhere.unwrap()), (true, 1, 1));
    assert_eq!(fixture.events("account-1").await.len(), 1);
}

#[tokio::test]
async fn a_command_whose_answer_is_lost_is_done_once() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    fixture.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(2)).unwrap();
    let executed = accounts.execute("account-1", &Command::Deposit(5), with_id("c-1")).await;
    assert_eq!(places(&executed.unwrap()), (false, 1, 1));
    let again = accounts.execute("account-1", &Command::Withdraw(5), with_id("c-2")).await.unwrap();
    assert_eq!((places(&again), again.state.cents), ((true, 2, 2), 0));
}

#[tokio::test]
async fn what_the_store_refuses_is_told_and_nothing_is_kept() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    let denied = FaultAction::Status { status: 403, substatus: None, retry_after_ms: None };
    fixture.control().inject(Fault::new(denied).on_kind("batch").times(1)).unwrap();
    let refused = accounts.execute("account-1", &Command::Withdraw(5), plain()).await;
    assert!(matches!(refused, Err(CommandError::Append { error: AppendError::Denied { .. }, .. })));
    let loaded = accounts.load("account-1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.cents), (1, 5));
}
