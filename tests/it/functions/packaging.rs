//! The package: made, looked into, unpacked with its modes, and run.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use serde_json::{Value, json};
use zip::ZipArchive;

use super::{
    app::{App, FUNCTIONS, PUMP_SECONDS},
    encode::{Rewrite, documents},
    host::Host,
};
use crate::{
    cli::program::{Place, program},
    fixture::DATABASE,
};

/// The names, modes and contents of a package.
fn entries(file: &str) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = ZipArchive::new(File::open(file).unwrap()).unwrap();
    let entries = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.name().to_owned(), entry.unix_mode().unwrap(), content)
    };
    (0..entries).map(read).collect()
}

/// Unpacks as a function app does: files get the modes that stand in the package.
fn unpack(file: &str, folder: &Path) {
    let mut archive = ZipArchive::new(File::open(file).unwrap()).unwrap();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let path = folder.join(entry.enclosed_name().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::copy(&mut entry, &mut File::create(&path).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(entry.unix_mode().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_runs_as_it_is() {
    let app = App::new().await;
    app.append(0..10, 2).await;
    let place = Place::new();
    let file = place.path("functions.zip");
    let ran = place.run(&["package", "functions", "--out", &file, "--output", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.is_empty() || ran.err.contains("is linked at run time"), "{ran:?}");
    let names = json!([
        "api/function.json",
        "cosmos-es",
        "host.json",
        "lag/function.json",
        "pump/function.json",
        "wakeup/function.json",
    ]);
    assert_eq!(ran.json()["entries"], names);
    let root = tempfile::tempdir().unwrap();
    unpack(&file, root.path());
    let endpoint = app.endpoint.endpoint();
    let settings = [
        ("COSMOS_ES_ENDPOINT", endpoint),
        ("COSMOS_ES_DATABASE", DATABASE),
        ("COSMOS_ES_PUMP_SECONDS", PUMP_SECONDS),
    ];
    let host = Host::of(root.path(), &settings);
    host.start().await;
    let woken =
        host.invoke("wakeup", documents(&[json!({"id": "e"})], Rewrite::Nothing)).await.unwrap();
    assert_eq!(woken.value["isCaughtUp"], true);
    app.verify().await;
    app.assert_released().await;
    assert!(host.stop().await.success());
}

#[test]
fn a_package_has_what_it_must_and_nothing_else() {
    let place = Place::new();
    // Not the program, so that it takes no time.
    let binary = place.file("program", "MZ");
    let root = place.path("root");
    for folder in ["api", "pump", "wakeup", "lag", ".vscode"] {
        fs::create_dir_all(format!("{root}/{folder}")).unwrap();
    }
    for name in [
        ".funcignore",
        "host.json",
        "api/function.json",
        "pump/function.json",
        "wakeup/function.json",
        "lag/function.json",
    ] {
        fs::copy(format!("{FUNCTIONS}/{name}"), format!("{root}/{name}")).unwrap();
    }
    for name in [
        "local.settings.json",
        ".env",
        ".vscode/settings.json",
        "README.md",
        "lag/local.settings.json",
    ] {
        fs::write(format!("{root}/{name}"), "a secret").unwrap();
    }
    fs::write(format!("{root}/lag/notes.txt"), "more").unwrap();
    let make = |out: &str, more: &[&str]| {
        let args = ["package", "functions", "--out", out, "--binary", &binary, "--app-root", &root];
        place.run(&[&args[..], more].concat())
    };
    let (first, second) = (place.path("1.zip"), place.path("2.zip"));
    let ran = make(&first, &[]);
    assert_eq!((ran.code, ran.out.starts_with("7 files in ")), (0, true), "{ran:?}");
    assert!(ran.err.contains("is no Linux program"), "{ran:?}");
    let found = entries(&first);
    let names: Vec<(&str, u32)> =
        found.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
    let expected = [
        ("api/function.json", 0o100_644),
        ("cosmos-es", 0o100_755),
        ("host.json", 0o100_644),
        ("lag/function.json", 0o100_644),
        ("lag/notes.txt", 0o100_644),
        ("pump/function.json", 0o100_644),
        ("wakeup/function.json", 0o100_644),
    ];
    assert_eq!(names, expected);
    assert_eq!(found[1].2, b"MZ");
    // The same files make the same package, whenever it is made.
    fs::write(format!("{root}/host.json"), fs::read(format!("{root}/host.json")).unwrap()).unwrap();
    assert_eq!(make(&second, &[]).code, 0);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    // What is there stays, unless it is said otherwise.
    make(&first, &[]).failed(2, "is there already; --force");
    assert_eq!(make(&first, &["--force"]).code, 0);
    fs::remove_file(format!("{root}/lag/function.json")).unwrap();
    let broken = make(&place.path("3.zip"), &[]);
    broken.failed(2, "lag/function.json is missing");
    assert!(!Path::new(&place.path("3.zip")).exists());
    fs::write(format!("{root}/.funcignore"), "!host.json").unwrap();
    make(&place.path("3.zip"), &[]).failed(2, "\"!host.json\" is not known");
}

#[test]
fn a_program_alone_makes_its_package() {
    let place = Place::new();
    let (binary, out) = (place.file("program", "MZ"), place.path("a.zip"));
    let mut command = program(&["package", "functions", "--out", &out, "--binary", &binary]);
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success());
    for (name, _, content) in entries(&out).into_iter().filter(|entry| entry.0 != "cosmos-es") {
        let _parsed: Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(content, fs::read(format!("{FUNCTIONS}/{name}")).unwrap(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_package_is_not_followed() {
    let place = Place::new();
    let (binary, other) = (place.file("program", "MZ"), place.file("other", "precious"));
    let out = place.path("a.zip");
    std::os::unix::fs::symlink(&other, format!("{out}.part")).unwrap();
    let ran = place.run(&["package", "functions", "--out", &out, "--binary", &binary]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    assert!(fs::symlink_metadata(&out).unwrap().is_file());
    assert!(!Path::new(&format!("{out}.part")).exists());
}
