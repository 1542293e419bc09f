//! A writer that cannot go on.

use serde_json::json;

use super::super::*;
use super::{create, in_memory, key};

#[tokio::test]
async fn everyone_hears_why_the_writer_stopped() {
    let (engine, container) = in_memory(&json!({})).await;
    assert_eq!(engine.failure(), None);
    let panics = |_: &mut super::super::writer::Writer| -> Result<(), StorageError> {
        panic!("as if by a defect")
    };
    let first = engine.shared.host.writer.exclusive(panics).await;
    let item = create(&container, json!({"id": "1", "pk": "a"}));
    let second = container.execute(key("a"), vec![item]).await.map(|_| ());
    let closed = engine.close().await;
    // Its own caller may be told before the reason is known.
    assert!(matches!(first, Err(StorageError::Unavailable(_))), "{first:?}");
    for answer in [second, closed] {
        let Err(StorageError::Unavailable(reason)) = answer else { panic!("{answer:?}") };
        assert!(reason.contains("panicked"), "{reason}");
    }
    assert!(engine.failure().is_some());
    assert!(container.read(&key("a"), "1").unwrap().is_none(), "reads go on");
}
