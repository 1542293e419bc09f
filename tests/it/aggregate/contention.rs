//! Many commands on one aggregate, in one process and in several.

use cosmos_event_store::aggregate::CommandError;
use tokio::task::JoinSet;

use super::{commands::deposited, *};
use crate::fixture::Fixture;

const COMMANDS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_one_process_wait_for_each_other() {
    let fixture = Fixture::new().await;
    let accounts = accounts(&fixture.store);
    let mut tasks = JoinSet::new();
    for _ in 0..COMMANDS {
        let accounts = accounts.clone();
        tasks.spawn(async move {
            accounts.execute("account-1", &Command::Deposit(1), plain()).await.unwrap().conflicts
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 0);
    assert_eq!(accounts.load("account-1").await.unwrap().state.cents, COMMANDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_several_processes_are_decided_again_and_keep_the_rules() {
    let fixture = Fixture::new().await;
    fixture.given("account-1", &[deposited(COMMANDS / 2)]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let options = RepositoryOptions::default().with_decisions_max(1000);
        let accounts: Accounts = Repository::new(fixture.store.clone(), options);
        for _ in 0..COMMANDS / 4 {
            let accounts = accounts.clone();
            tasks.spawn(async move {
                match accounts.execute("account-1", &Command::Withdraw(1), trusting()).await {
                    Ok(_) => 1,
                    Err(CommandError::Rejected { rejection: BalanceTooLow(0), .. }) => 0,
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
    }
    let accepted: u64 = tasks.join_all().await.iter().sum();
    assert_eq!(accepted, COMMANDS / 2, "no more than there was, and all of it");
    let loaded = forgetful(&fixture.store).load("account-1").await.unwrap();
    assert_eq!((loaded.state.cents, loaded.version), (0, 1 + COMMANDS / 2));
}

#[tokio::test]
async fn the_winning_events_decide_the_next_decision() {
    let fixture = Fixture::new().await;
    let (accounts, other) = (accounts(&fixture.store), accounts(&fixture.store));
    accounts.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    other.execute("account-1", &Command::Withdraw(3), plain()).await.unwrap();
    fixture.requests();
    // Load nothing, append, be refused, append again: the refusal brings the winning event.
    let executed = accounts.execute("account-1", &Command::WithdrawAll, trusting()).await.unwrap();
    assert_eq!((executed.state.cents, executed.version, executed.conflicts), (0, 3, 1));
    assert_eq!((executed.usage.round_trips, fixture.requests()), (3, 3));
    // More events than a refusal brings.
    let many: Vec<_> = (0..60).map(|_| deposited(1)).collect();
    fixture.given("account-1", &many).await;
    let executed = accounts.execute("account-1", &Command::Deposit(1), trusting()).await.unwrap();
    assert_eq!((executed.state.cents, executed.version, executed.conflicts), (61, 64, 1));
}

#[tokio::test]
async fn a_command_that_keeps_losing_gives_up() {
    let fixture = Fixture::new().await;
    let options = RepositoryOptions::default().with_decisions_max(1);
    let once: Accounts = Repository::new(fixture.store.clone(), options);
    once.execute("account-1", &Command::Deposit(5), plain()).await.unwrap();
    fixture.given("account-1", &[deposited(1)]).await;
    let refused = once.execute("account-1", &Command::Deposit(5), trusting()).await.unwrap_err();
    assert!(matches!(refused, CommandError::Contended { conflicts: 1, .. }), "{refused:?}");
    assert!(refused.is_retryable());
    assert_eq!(fixture.events("account-1").await.len(), 2);
}
