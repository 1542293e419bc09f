//! The lease store: every operation of a commit, and every way in which one fails.

use cosmos_event_store::feed::{
    CosmosLeases, Done, FeedRange, LeaseStore, OPERATIONS_MAX, Operation, StoreFault,
    documents::{
        Activity, Document, Host, Lease, Parked, Position, Start, Stored, Topology, host_id,
        lease_id, parked_id,
    },
};
use cosmos_local::{Fault, FaultAction, LocalCosmos, Mode};
use serde_json::{Value, json};

use crate::{
    fixture::{DATABASE, options},
    sdk,
};

/// An endpoint with a leases container, and the documents of one processor.
struct Kept {
    endpoint: LocalCosmos,
    leases: CosmosLeases,
}

impl Kept {
    async fn new(mode: Mode) -> Self {
        let endpoint = LocalCosmos::builder().ephemeral().mode(mode).start().await.unwrap();
        let options = options(endpoint.endpoint());
        cosmos_event_store::provision(&options).await.unwrap();
        let leases = CosmosLeases::open(&options, "leases", "views").await.unwrap();
        Self { endpoint, leases }
    }

    async fn of(&self, processor: &str) -> CosmosLeases {
        CosmosLeases::open(&options(self.endpoint.endpoint()), "leases", processor).await.unwrap()
    }

    /// All documents, in the order of their ids.
    async fn all(&self) -> Vec<Stored<Document>> {
        let mut all = self.leases.list().await.unwrap();
        all.sort_by_key(|stored| stored.document.id());
        all
    }

    /// Stores documents, and gives their etags.
    async fn given(&self, documents: &[Document]) -> Vec<String> {
        let operations = documents.iter().cloned().map(Operation::Create).collect();
        let done = self.leases.commit(operations).await.unwrap();
        done.into_iter().map(|done| written(done).0).collect()
    }

    /// Stores a document with anything in it.
    async fn put(&self, document: Value) {
        let client = sdk::client(self.endpoint.endpoint()).await;
        let database = client.database_client(DATABASE);
        let container = database.container_client("leases", None).await.unwrap();
        let id = document["id"].as_str().unwrap().to_owned();
        container.upsert_item("views", &id, &document, None).await.unwrap();
    }

    fn inject(&self, action: FaultAction, kind: &str, times: u64) {
        self.endpoint.control().inject(Fault::new(action).on_kind(kind).times(times)).unwrap();
    }

    async fn end(self) {
        self.endpoint.shutdown().await.unwrap();
    }
}

fn written(done: Done) -> (String, u64) {
    match done {
        Done::Written { etag, stored_at } => (etag, stored_at),
        other => panic!("{other:?}"),
    }
}

fn lease(begin: &str, end: &str, epoch: u64) -> Document {
    Document::Lease(Lease {
        range: FeedRange::new(begin, end).unwrap(),
        owner: None,
        epoch,
        generation: 0,
        position: Position::Continuation("c1.\"quoted\"".to_owned()),
        ordinal: 7,
        done_at: Some(5),
        lag: None,
        is_damaged: false,
    })
}

fn host(incarnation: &str, beat: u64) -> Document {
    let (instance, wants) = ("i".to_owned(), vec![lease_id(&FeedRange::full())]);
    Document::Host(Host { instance, incarnation: incarnation.to_owned(), beat, wants })
}

fn topology() -> Document {
    Document::Topology(Topology {
        start: Start::Time(9),
        made_at: 8,
        generation: 1,
        rewind: None,
        activity: Activity::Paused,
        members: vec!["a".to_owned()],
        handler: Some("count".to_owned()),
    })
}

fn parked(key: &str) -> Document {
    Document::Parked(Parked {
        key: key.to_owned(),
        order: 1,
        lsn: 2,
        reason: "r".to_owned(),
        attempts: 3,
        since: 4,
        range: FeedRange::full(),
        redrive: false,
        discard: None,
    })
}

#[tokio::test]
async fn documents_are_listed_as_they_were_stored() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let kept = Kept::new(mode).await;
        assert_eq!(kept.all().await, []);
        let documents =
            [host("a", 1), lease("", "20", 1), lease("20", "FF", 2), parked("k/?#"), topology()];
        let etags = kept.given(&documents).await;
        let all = kept.all().await;
        let found: Vec<_> = all.iter().map(|stored| stored.document.clone()).collect();
        assert_eq!(found, documents);
        let found: Vec<_> = all.iter().map(|stored| stored.etag.clone()).collect();
        assert_eq!(found, etags);
        assert!(all.iter().all(|stored| stored.stored_at > 1_700_000_000));
        assert_eq!(kept.of("other").await.list().await.unwrap(), []);
        kept.end().await;
    }
}

#[tokio::test]
async fn a_list_has_all_pages_and_a_few_round_trips() {
    let kept = Kept::new(Mode::Strict).await;
    let bounds: Vec<String> = (0..=250).map(|number| format!("{number:04X}")).collect();
    let documents: Vec<_> = bounds.windows(2).map(|pair| lease(&pair[0], &pair[1], 1)).collect();
    for batch in documents.chunks(OPERATIONS_MAX) {
        kept.given(batch).await;
    }
    kept.endpoint.control().reset_counts();
    assert_eq!(kept.all().await.len(), documents.len());
    let counts = kept.endpoint.control().reset_counts();
    assert!(counts.of("query_items") <= 3 && counts.total <= 5, "{counts:?}");
    kept.end().await;
}

#[tokio::test]
async fn a_commit_does_all_kinds_of_operations_in_one_round_trip() {
    for mode in [Mode::Strict, Mode::Lenient] {
        let kept = Kept::new(mode).await;
        let etags = kept.given(&[lease("", "20", 1), lease("20", "FF", 1), host("a", 1)]).await;
        kept.leases.list().await.unwrap();
        kept.endpoint.control().reset_counts();
        let done = kept
            .leases
            .commit(vec![
                Operation::Upsert(host("a", 2)),
                Operation::Read { id: host_id("a") },
                Operation::Create(topology()),
                Operation::Replace { document: lease("", "20", 2), etag: etags[0].clone() },
                Operation::Delete { id: lease("20", "FF", 1).id(), etag: etags[1].clone() },
                Operation::Upsert(parked("k")),
            ])
            .await
            .unwrap();
        assert_eq!(kept.endpoint.control().reset_counts().total, 1);
        let all = kept.all().await;
        let expected = [host("a", 2), lease("", "20", 2), parked("k"), topology()];
        assert_eq!(all.iter().map(|one| one.document.clone()).collect::<Vec<_>>(), expected);

        let [upserted, read, created, replaced, deleted, parked] = done.try_into().unwrap();
        assert_eq!(deleted, Done::Deleted);
        // A read sees what the same commit has written before it.
        assert_eq!(read, Done::Read(Box::new(all[0].clone())));
        for (done, stored) in [(upserted, 0), (replaced, 1), (parked, 2), (created, 3)] {
            assert_eq!(written(done), (all[stored].etag.clone(), all[stored].stored_at));
        }
        kept.end().await;
    }
}

#[tokio::test]
async fn a_conflict_says_which_operation_and_nothing_is_done() {
    let kept = Kept::new(Mode::Strict).await;
    let (first, second) = (lease("", "20", 1), lease("20", "FF", 1));
    let etags = kept.given(&[first.clone(), second.clone(), host("a", 1)]).await;
    let before = kept.all().await;
    let (stale, gone) = (etags[1].clone(), lease("20", "30", 1));
    let conflicts = [
        (Operation::Create(second.clone()), false),
        (Operation::Replace { document: first.clone(), etag: stale.clone() }, false),
        (Operation::Delete { id: first.id(), etag: stale.clone() }, false),
        (Operation::Replace { document: gone.clone(), etag: stale.clone() }, true),
        (Operation::Delete { id: gone.id(), etag: stale }, true),
        (Operation::Read { id: gone.id() }, true),
    ];
    for (operation, missing) in conflicts {
        let operations = vec![
            Operation::Upsert(host("a", 9)),
            Operation::Create(host("b", 1)),
            operation.clone(),
            Operation::Read { id: host_id("a") },
        ];
        let refused = kept.leases.commit(operations).await.unwrap_err();
        assert_eq!(refused, StoreFault::Conflict { operation: 2, missing }, "{operation:?}");
        assert_eq!(kept.all().await, before, "{operation:?}");
    }
    kept.end().await;
}

#[tokio::test]
async fn a_commit_is_bounded() {
    let kept = Kept::new(Mode::Strict).await;
    assert_eq!(kept.leases.commit(Vec::new()).await, Ok(Vec::new()));
    let hosts = |count: usize| {
        (0..count).map(|number| Operation::Upsert(host(&number.to_string(), 1))).collect()
    };
    assert_eq!(kept.leases.commit(hosts(OPERATIONS_MAX)).await.unwrap().len(), OPERATIONS_MAX);
    kept.endpoint.control().reset_counts();
    let refused = kept.leases.commit(hosts(OPERATIONS_MAX + 1)).await.unwrap_err();
    assert!(matches!(refused, StoreFault::Refused(_)), "{refused:?}");
    assert_eq!(kept.endpoint.control().counts().total, 0);
    kept.end().await;
}

#[tokio::test]
async fn hosts_that_are_gone_expire_and_leases_do_not() {
    let kept = Kept::new(Mode::Strict).await;
    kept.given(&[lease("", "FF", 1), host("a", 1), host("b", 1)]).await;
    kept.endpoint.control().advance_clock(200);
    kept.leases.commit(vec![Operation::Upsert(host("a", 2))]).await.unwrap();
    kept.endpoint.control().advance_clock(200);
    let found: Vec<_> = kept.all().await.into_iter().map(|one| one.document).collect();
    assert_eq!(found, [host("a", 2), lease("", "FF", 1)]);
    let read = kept.leases.commit(vec![Operation::Read { id: host_id("b") }]).await;
    assert_eq!(read, Err(StoreFault::Conflict { operation: 0, missing: true }));
    kept.end().await;
}

#[tokio::test]
async fn documents_of_others_are_told_and_left_alone() {
    let parked = parked_id("x");
    let document = json!({"id": parked, "processor": "views", "schema": 1, "kind": "parked",
        "key": "x", "order": 1, "lsn": 1, "reason": "r", "attempts": 1, "since": 1,
        "range": {"min": "", "max": "FF"}});
    let with = |name: &str, value: Value| {
        let mut changed = document.clone();
        changed[name] = value;
        changed
    };
    for (document, expected) in [
        (document.clone(), None),
        (with("new", json!(1)), None),
        (with("schema", json!(2)), Some("schema 2")),
        (with("schema", json!(0)), Some("no schema")),
        (with("schema", Value::Null), Some("no schema")),
        (with("kind", json!("beacon")), Some("form")),
        (with("lsn", json!("secret")), Some("form")),
        (with("key", json!("y")), Some("id")),
    ] {
        let kept = Kept::new(Mode::Strict).await;
        kept.put(document.clone()).await;
        let read = vec![Operation::Read { id: parked.clone() }];
        let answers =
            [kept.leases.list().await.map(|_| ()), kept.leases.commit(read).await.map(|_| ())];
        for answer in answers {
            match (&answer, expected) {
                (Ok(()), None) => {}
                (Err(StoreFault::Foreign { id, reason }), Some(expected)) => {
                    assert_eq!(*id, parked);
                    assert!(reason.contains(expected) && !reason.contains("secret"), "{reason}");
                }
                _ => panic!("{document}: {answer:?}"),
            }
        }
        kept.end().await;
    }
}

/// Leases and hosts can be written anew, so that one spoiled document does not stop all hosts; but not those
/// of a newer version.
#[tokio::test]
async fn of_a_spoiled_lease_or_host_the_id_is_read() {
    let kept = Kept::new(Mode::Strict).await;
    let lease = json!({"id": "lease:05-0A", "processor": "views", "schema": 1, "kind": "lease",
        "range": {"min": "05", "max": "0A"}, "epoch": "many"});
    kept.put(lease.clone()).await;
    kept.put(json!({"id": "host:x", "processor": "views", "beat": 7})).await;
    let all = kept.all().await;
    let (Document::Host(host), Document::Lease(found)) = (&all[0].document, &all[1].document)
    else {
        panic!("{all:?}")
    };
    assert_eq!((host.incarnation.as_str(), host.beat), ("x", 0));
    assert_eq!(found.range, FeedRange::new("05", "0A").unwrap());
    assert!(found.is_damaged);
    // Its version is known, so it can be replaced.
    let document = Document::Lease(Lease { is_damaged: false, epoch: 9, ..found.clone() });
    let replace = Operation::Replace { document, etag: all[1].etag.clone() };
    kept.leases.commit(vec![replace]).await.unwrap();
    let Document::Lease(mended) = &kept.all().await[1].document else { panic!() };
    assert_eq!((mended.epoch, mended.is_damaged), (9, false));
    let mut newer = lease;
    newer["schema"] = json!(2);
    kept.put(newer).await;
    let Err(StoreFault::Foreign { id, .. }) = kept.leases.list().await else { panic!() };
    assert_eq!(id, "lease:05-0A");
    kept.end().await;
}

#[tokio::test]
async fn what_was_stored_has_the_documented_form() {
    let kept = Kept::new(Mode::Strict).await;
    kept.given(&[host("a", 1), lease("", "FF", 1)]).await;
    let client = sdk::client(kept.endpoint.endpoint()).await;
    let container =
        client.database_client(DATABASE).container_client("leases", None).await.unwrap();
    let stored = async |id: String| -> Value {
        let mut document: Value =
            container.read_item("views", &id, None).await.unwrap().into_model().unwrap();
        document.as_object_mut().unwrap().retain(|name, _| !name.starts_with('_'));
        document
    };
    let expected = json!({"id": "host:a", "processor": "views", "schema": 1, "ttl": 300,
        "kind": "host", "instance": "i", "incarnation": "a", "beat": 1, "wants": ["lease:-FF"]});
    assert_eq!(stored(host_id("a")).await, expected);
    let expected = json!({"id": "lease:-FF", "processor": "views", "schema": 1, "kind": "lease",
        "range": {"min": "", "max": "FF"}, "epoch": 1, "generation": 0,
        "position": {"continuation": "c1.\"quoted\""}, "ordinal": 7, "doneAt": 5});
    assert_eq!(stored("lease:-FF".to_owned()).await, expected);
    kept.end().await;
}

#[tokio::test]
async fn a_lost_answer_is_no_conflict() {
    let kept = Kept::new(Mode::Strict).await;
    let etags = kept.given(&[lease("", "FF", 1)]).await;
    let replace = Operation::Replace { document: lease("", "FF", 2), etag: etags[0].clone() };
    for operation in [replace, Operation::Create(topology())] {
        kept.inject(FaultAction::DropAfter, "batch", 1);
        let failed = kept.leases.commit(vec![operation]).await.unwrap_err();
        assert!(matches!(failed, StoreFault::Unavailable(_)), "{failed:?}");
    }
    let found: Vec<_> = kept.all().await.into_iter().map(|one| one.document).collect();
    assert_eq!(found, [lease("", "FF", 2), topology()], "both were done");
    // What is not done twice in effect is done.
    kept.inject(FaultAction::DropAfter, "batch", 1);
    kept.leases.commit(vec![Operation::Upsert(host("a", 1))]).await.unwrap();
    kept.inject(FaultAction::DropBefore, "batch", 1);
    kept.leases.commit(vec![Operation::Create(host("b", 1))]).await.unwrap();
    // And a conflict is one also after a refusal.
    let throttled =
        FaultAction::Status { status: 429, substatus: Some(3200), retry_after_ms: Some(1) };
    kept.inject(throttled, "batch", 1);
    let refused = kept.leases.commit(vec![Operation::Create(host("b", 1))]).await;
    assert_eq!(refused, Err(StoreFault::Conflict { operation: 0, missing: false }));
    kept.end().await;
}

#[tokio::test]
async fn what_goes_wrong_says_what_to_do() {
    let kept = Kept::new(Mode::Strict).await;
    kept.given(&[lease("", "FF", 1)]).await;
    kept.leases.list().await.unwrap();
    let status = |status| FaultAction::Status { status, substatus: None, retry_after_ms: Some(1) };
    for (action, unavailable) in [
        (status(429), true),
        (status(503), true),
        (FaultAction::DropBefore, true),
        (FaultAction::Delay { ms: 6_000 }, true),
        (status(401), false),
        (status(403), false),
        (status(400), false),
    ] {
        for kind in ["batch", "query_items"] {
            kept.inject(action.clone(), kind, u64::MAX);
        }
        let answers = [
            kept.leases.list().await.map(|_| ()),
            kept.leases.commit(vec![Operation::Upsert(host("a", 1))]).await.map(|_| ()),
        ];
        for answer in answers {
            let is_right = match &answer {
                Err(StoreFault::Unavailable(_)) => unavailable,
                Err(StoreFault::Refused(_)) => !unavailable,
                _ => false,
            };
            assert!(is_right, "{action:?}: {answer:?}");
        }
        kept.endpoint.control().clear_faults();
    }
    let found: Vec<_> = kept.all().await.into_iter().map(|one| one.document).collect();
    assert_eq!(found, [lease("", "FF", 1)]);
    let here = options(kept.endpoint.endpoint());
    let refused = CosmosLeases::open(&here, "nothing", "views").await.unwrap_err();
    assert!(matches!(refused, StoreFault::Refused(_)), "{refused:?}");
    kept.end().await;
}
