//! Data folders that must be refused, and left as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::super::*;
use super::{container, create, key, open};

fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn refused(folder: &Path) -> OpenError {
    let before = snapshot(folder);
    let error = Engine::open(&EngineOptions::new(Some(folder.to_owned()))).unwrap_err();
    assert!(snapshot(folder) == before, "the folder was changed although it was refused: {error}");
    error
}

async fn filled(folder: &Path) {
    let engine = open(folder, 10);
    let container = container(&engine, &json!({}), 1).await;
    for number in 0..50 {
        let document = json!({"id": number.to_string(), "pk": "a", "u": number});
        let item = create(&container, document);
        container.execute(key("a"), vec![item]).await.unwrap();
    }
    engine.close().await.unwrap();
}

#[test]
fn a_foreign_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Foreign { .. }));
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let marker = folder.path().join("cosmos-local.json");
    fs::write(&marker, r#"{"format":"cosmos-local","version":999,"ready":true}"#).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Version { found: 999, .. }), "{error}");
    fs::write(&marker, "{").unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_damaged_folder_is_refused_whatever_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let data = folder.path().join("cosmos-local.redb");
    let good = fs::read(&data).unwrap();
    let len = good.len();
    let damages: [(&str, Vec<u8>); 5] = [
        ("another kind of file", b"hello".repeat(1000)),
        ("emptied", Vec::new()),
        ("cut in half", good[..len / 2].to_vec()),
        ("header overwritten", [&good[..9], &[0xaa; 4087][..], &good[4096..]].concat()),
        ("all pages overwritten", [&good[..4096], &vec![0x55; len - 4096][..]].concat()),
    ];
    for (name, content) in damages {
        fs::write(&data, content).unwrap();
        let error = refused(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("left as it is"), "{error}");
    }
    fs::remove_file(&data).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Damaged { .. }));
    fs::write(&data, good).unwrap();
    let engine = open(folder.path(), 10);
    assert!(engine.container("d", "c").unwrap().read(&key("a"), "7").unwrap().is_some());
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("cosmos-local.json"),
        r#"{"format":"cosmos-local","version":1,"ready":false}"#,
    )
    .unwrap();
    fs::write(folder.path().join("cosmos-local.redb"), "half a file").unwrap();
    filled(folder.path()).await;
}
