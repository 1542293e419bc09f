//! The commands in `README.md` do what stands there.
//!
//! A block marked `console` has commands (lines that begin with `$ `, and go on after a backslash at
//! their end), each followed by what it prints. The commands of the event store and those of curl run
//! one after the other in one temporary folder, which has a copy of `samples`, by the binary of this
//! build. Each must succeed, and its standard output must match. Where the expected output has a line
//! that begins with `cosmos-es: `, as errors do, the command must fail instead, and standard error must
//! match. In the expected output `...` stands for any text within a line, and alone on a line for any
//! number of lines, none included.
//!
//! `serve` is started, prints as many lines as stand there, and runs until the last command has ended;
//! then it must stop cleanly. It takes free ports: where the document has 8080 and 8081, commands and
//! expected output get those in their place, so the test needs neither.

pub(crate) mod document;
mod tour;

use std::{fs, path::Path};

use self::{document::steps, tour::Tour};
use crate::tools;

fn copy_samples(folder: &Path) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    fs::create_dir(folder.join("samples")).unwrap();
    for sample in fs::read_dir(samples).unwrap() {
        let sample = sample.unwrap();
        fs::copy(sample.path(), folder.join("samples").join(sample.file_name())).unwrap();
    }
}

#[tokio::test]
async fn the_commands_do_what_stands_there() {
    if !tools::are_there(&["curl"], "the tour of README.md") {
        return;
    }
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy_samples(folder.path());
    let mut tour = Tour::new(folder.path());
    for step in steps(&text) {
        tour.go(&step).await;
    }
    assert!(tour.served(), "the tour serves nothing");
    assert!(tour.count() >= 20, "the tour has {} commands", tour.count());
    tour.end().await;
}
