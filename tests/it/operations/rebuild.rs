//! Read models that are built anew beside the one that readers use.

use serde_json::json;

use super::{
    desk::{Desk, stop},
    procedure::Procedure,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_is_rebuilt_checked_taken_back_and_cleaned_up() {
    let desk = Desk::new().await;
    desk.import(40, 1..=3, 0);
    let worker = desk.worker("a", "views");
    desk.until_views_are_done().await;
    let mut procedure = Procedure::of("Rebuild, look, go back, clean up");
    procedure.run(&desk.place, "projections rebuild stream-summary").await;
    desk.import(40, 4..=4, 0);
    // Both versions are kept up to date, or going back would lose what came meanwhile.
    desk.until(&["projections", "list"], |versions| {
        let mut both =
            versions.as_array().unwrap().iter().filter(|one| one["projection"] == "stream-summary");
        both.all(|one| one["lagTransactions"] == 0 && one["hosts"] == json!(["a"]))
    })
    .await;
    procedure.run(&desk.place, "projections verify stream-summary").await;
    procedure.run(&desk.place, "projections rollback stream-summary").await;
    procedure.run(&desk.place, "projections verify --all").await;
    procedure.run(&desk.place, "projections clean stream-summary").await;
    procedure.run(&desk.place, "projections").await;
    procedure.end();
    stop(worker);
}
