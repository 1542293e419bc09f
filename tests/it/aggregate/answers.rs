//! No answer is lost: whatever stands in the way of a command that was stored, its places are found.

use cosmos_event_store::{
    AppendError, BadInput,
    aggregate::{CommandError, CommandOutcome},
};
use cosmos_local::{Fault, FaultAction};

use super::{commands::deposited, *};
use crate::fixture::Fixture;

fn denied() -> FaultAction {
    FaultAction::Status { status: 403, substatus: None, retry_after_ms: None }
}

#[tokio::test]
async fn a_full_batch_that_opened_the_stream_is_recognised_behind_it() {
    let fixture = Fixture::new().await;
    let (first, second) = (accounts(&fixture.store), accounts(&fixture.store));
    let command = Command::DepositCents(100);
    let opened = first.execute("account-1", &command, with_id("c-1")).await.unwrap();
    assert_eq!(places(&opened), (true, 1, 100));
    // It fits only into an empty stream, so it cannot even be sent again.
    for (accounts, options) in
        [(&first, with_id("c-1").trusting_the_cache()), (&second, with_id("c-1"))]
    {
        let again = accounts.execute("account-1", &command, options).await.unwrap();
        assert_eq!((places(&again), again.state.cents), ((false, 1, 100), 100));
    }
    let other = first.execute("account-1", &command, with_id("c-2")).await;
    assert!(matches!(
        other,
        Err(CommandError::Append {
            error: AppendError::BadInput(BadInput::TooManyEvents { max: 99, .. }),
            ..
        })
    ));
    assert_eq!(fixture.events("account-1").await.len(), 100);
}

#[tokio::test]
async fn a_repeated_command_that_now_decides_what_cannot_be_stored_gives_the_first_answer() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    fixture.given("account-1", &[deposited(2)]).await;
    let command = Command::WithdrawCents;
    let first = accounts.execute("account-1", &command, with_id("c-1")).await.unwrap();
    assert_eq!(places(&first), (true, 2, 3));
    fixture.given("account-1", &[deposited(200)]).await;
    let again = accounts.execute("account-1", &command, with_id("c-1")).await.unwrap();
    assert_eq!((places(&again), again.state.cents), ((false, 2, 3), 200));
}

#[tokio::test]
async fn what_cannot_be_stored_is_decided_again_on_a_fresh_state() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(150), plain()).await.unwrap();
    let others = vec![AccountEvent::Withdrawn { cents: 147 }.encode().unwrap()];
    fixture.given("account-1", &others).await;
    let executed =
        accounts.execute("account-1", &Command::WithdrawCents, trusting()).await.unwrap();
    assert_eq!((places(&executed), executed.state.cents), ((true, 3, 5), 0));
}

#[tokio::test]
async fn other_numbers_of_events_under_the_same_id_give_the_first_answer() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let first = accounts.execute("account-1", &Command::DepositCents(3), with_id("c-1")).await;
    assert_eq!(places(&first.unwrap()), (true, 1, 3));
    accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap();
    for times in [1, 2, 4, 7] {
        let command = Command::DepositCents(times);
        for options in [with_id("c-1"), with_id("c-1").trusting_the_cache()] {
            let again = accounts.execute("account-1", &command, options).await.unwrap();
            assert_eq!((places(&again), again.state.cents), ((false, 1, 3), 4), "{times}");
        }
        let again = forgetful(&fixture.store).execute("account-1", &command, with_id("c-1")).await;
        assert_eq!(places(&again.unwrap()), (false, 1, 3), "{times}");
    }
    // The one of several streams is not the one of another.
    let elsewhere = accounts.execute("account-2", &Command::DepositCents(2), with_id("c-1")).await;
    assert_eq!(places(&elsewhere.unwrap()), (true, 1, 2));
}

#[tokio::test]
async fn an_answer_is_not_lost_when_the_state_behind_it_cannot_be_read() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(1)).unwrap();
    // The first query finds out that the events are stored; the next one would read the state.
    fixture.control().inject(Fault::new(denied()).on_kind("query_items").after(1)).unwrap();
    let executed = accounts.execute("account-1", &Command::Withdraw(2), trusting()).await.unwrap();
    assert_eq!((places(&executed), executed.version), ((false, 2, 2), 2));
    assert_eq!(executed.state.cents, 3);
    fixture.control().clear_faults();
    assert_eq!(fixture.events("account-1").await.len(), 2);
    assert_eq!(accounts.load("account-1").await.unwrap().state.cents, 3);
}

#[tokio::test]
async fn a_command_whose_outcome_is_unknown_is_found_out_by_its_id() {
    let fixture = Fixture::with(|options| {
        options.with_append_time_max(std::time::Duration::from_millis(300))
    })
    .await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch")).unwrap();
    fixture.control().inject(Fault::new(denied()).on_kind("query_items")).unwrap();
    let unknown = accounts
        .execute("account-1", &Command::Withdraw(5), with_id("c-1").trusting_the_cache())
        .await
        .unwrap_err();
    let CommandError::Append { error: AppendError::OutcomeUnknown { .. }, .. } = unknown else {
        panic!("{unknown:?}");
    };
    assert!(unknown.is_retryable());
    fixture.control().clear_faults();
    // Trusted or not: the rule that the first time has used up does not stand in the way.
    for options in [with_id("c-1").trusting_the_cache(), with_id("c-1")] {
        let again = accounts.execute("account-1", &Command::Withdraw(5), options).await.unwrap();
        assert_eq!((places(&again), again.state.cents), ((false, 2, 2), 0));
    }
}

#[tokio::test]
async fn an_id_that_was_used_for_the_same_events_of_another_request_is_refused() {
    let fixture = Fixture::new().await;
    let (first, second) = (accounts(&fixture.store), accounts(&fixture.store));
    let asked = |what: &str| with_id("c-1").with_fingerprint(what);
    let deposit = Command::Deposit(5);
    first.execute("account-1", &deposit, asked("for rent")).await.unwrap();
    for accounts in [&first, &second] {
        let other = accounts.execute("account-1", &deposit, asked("for food")).await;
        assert!(matches!(other, Err(CommandError::CommandIdReused { .. })), "{other:?}");
        let same = accounts.execute("account-1", &deposit, asked("for rent")).await.unwrap();
        assert_eq!(places(&same), (false, 1, 1));
        let unsaid = accounts.execute("account-1", &deposit, with_id("c-1")).await.unwrap();
        assert_eq!(places(&unsaid), (false, 1, 1));
    }
    // The answer is lost, and the comparison has to tell that it is the same request all the same.
    fixture.control().inject(Fault::new(FaultAction::DropAfter).on_kind("batch").times(1)).unwrap();
    let options = with_id("c-2").with_fingerprint("for rent");
    let lost = first.execute("account-1", &deposit, options).await.unwrap();
    assert_eq!((places(&lost), lost.state.cents), ((false, 2, 2), 10));
}

#[tokio::test]
async fn a_definite_version_that_is_not_met_comes_with_the_events_behind_it() {
    let fixture = Fixture::with(|options| options.with_page_events(7)).await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    let more: Vec<_> = (0..60).map(deposited).collect();
    fixture.given("account-1", &more).await;
    let stored = fixture.events("account-1").await;
    for (accounts, version, seen) in [(&accounts, 1, 32), (&forgetful(&fixture.store), 59, 2)] {
        let options = plain().with_expected_version(version);
        let refused = accounts.execute("account-1", &Command::Deposit(1), options).await;
        let Err(CommandError::VersionMismatch { actual: 61, events, .. }) = refused else {
            panic!("{refused:?}");
        };
        let from = usize::try_from(version).unwrap();
        assert_eq!(events, stored[from..from + seen]);
    }
    let ahead = plain().with_expected_version(62);
    let refused = accounts.execute("account-1", &Command::Deposit(1), ahead).await;
    let Err(CommandError::VersionMismatch { actual: 61, events, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(events, []);
}

#[tokio::test]
async fn a_command_that_is_dropped_leaves_its_lane() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.control().inject(Fault::new(FaultAction::DropBefore).on_kind("batch")).unwrap();
    let withdraw = Command::Withdraw(5);
    fixture.requests();
    {
        let mut dropped = Box::pin(accounts.execute("account-1", &withdraw, with_id("c-1")));
        let mut waiting = Box::pin(accounts.execute("account-1", &withdraw, with_id("c-2")));
        // One is on its way and one waits for it when both are given up.
        while fixture.control().counts().total == 0 {
            assert!(futures::poll!(&mut dropped).is_pending());
            assert!(futures::poll!(&mut waiting).is_pending());
            tokio::task::yield_now().await;
        }
    }
    fixture.control().clear_faults();
    let executed = accounts.execute("account-1", &withdraw, with_id("c-1")).await.unwrap();
    assert_eq!((executed.version, executed.state.cents), (2, 0));
    let other = accounts.execute("account-1", &withdraw, with_id("c-2")).await;
    assert!(
        matches!(other, Err(CommandError::Rejected { rejection: BalanceTooLow(0), .. })),
        "{other:?}"
    );
    let nothing = accounts.execute("account-1", &Command::WithdrawAll, plain()).await.unwrap();
    assert_eq!(nothing.outcome, CommandOutcome::Nothing);
}
