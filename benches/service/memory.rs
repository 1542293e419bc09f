//! The memory of `cosmos-es serve` under load.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{Scale, client::Clients, scratch};

/// How often the memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A process that is killed when it is dropped.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill().is_err();
        self.0.wait().unwrap();
    }
}

/// One-event appends over HTTP for a while, and what the process has of memory meanwhile.
pub(crate) async fn of_serve(scale: &Scale) {
    let folder = scratch();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cosmos-es"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--store-port", "0", "--output", "json"]);
    command.arg("--data-dir").arg(folder.path().join("data"));
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let serve = Serve(process);
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["http"].as_str().unwrap().trim_start_matches("http://");
    let address: SocketAddr = address.parse().unwrap();

    let Some(before) = resident_mb(serve.0.id()) else {
        println!("the system does not tell the memory of a process: no figure");
        return;
    };
    let clients = Clients::connect(address).await;
    let mut looks = Vec::new();
    let mut appends = 0.0;
    let rounds = scale.memory.as_secs() / LOOK.as_secs();
    for _ in 0..rounds {
        appends += clients.appends_per_second(LOOK).await * LOOK.as_secs_f64();
        looks.push(resident_mb(serve.0.id()).unwrap());
    }
    let shown: Vec<_> = looks.iter().map(|mb| format!("{mb:.0}")).collect();
    println!("memory of serve in MB, each second: {}", shown.join(" "));
    // The first half fills caches and buffers to their limits.
    let (first, second) = looks.split_at(looks.len() / 2);
    let middle = first[first.len() / 2];
    let peak = looks.iter().copied().fold(0.0, f64::max);
    println!(
        "figure serve_memory_peak = {peak:.0} MB (reference: before the load = {before:.0} MB)"
    );
    println!(
        "figure serve_memory_growth = {:.2} ratio (reference: after a quarter of the time = {middle:.0} MB)",
        second[second.len() - 1] / middle
    );
    println!("{appends:.0} appends in {} s", scale.memory.as_secs());
}

fn resident_mb(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
