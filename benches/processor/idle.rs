//! What two hosts cost when nothing happens.

use std::{sync::Arc, time::Duration};

use cosmos_local::LocalCosmos;
use tokio::task::JoinSet;

use crate::{
    Scale,
    account::{Account, append_to_streams, wait_until_shared},
    ledger::Ledger,
};

/// Leases of the rows.
const LEASES: [usize; 3] = [1, 10, 100];
const HOSTS: f64 = 2.0;
/// How long polls take to become as rare as they will, with room.
const SETTLE: Duration = Duration::from_secs(15);
/// Streams with an event each, so that ranges are not empty.
const STREAMS: u64 = 300;

/// What the .NET processor is set to, in seconds.
#[derive(Clone, Copy)]
struct Net {
    /// Between two renewals of a lease, each a read and a replacement.
    renew: f64,
    /// Between two lists of the leases by a host.
    acquire: f64,
    /// Between two polls of a range.
    poll: f64,
}

/// Its defaults: a lease expires after 60 s.
const DEFAULTS: Net = Net { renew: 17.0, acquire: 13.0, poll: 5.0 };
/// The same scaled to the expiry of 9 s that we have.
const AS_SOON: Net = Net { renew: 17.0 * 9.0 / 60.0, acquire: 13.0 * 9.0 / 60.0, poll: 5.0 };

impl Net {
    fn requests_per_minute(self, leases: f64) -> f64 {
        leases * 2.0 * 60.0 / self.renew + HOSTS * 60.0 / self.acquire + leases * 60.0 / self.poll
    }
}

/// Requests in a minute of two hosts.
struct Row {
    leases: usize,
    kinds: Vec<(String, f64)>,
    total: f64,
}

pub(crate) async fn requests(scale: &Scale) {
    let mut rows = JoinSet::new();
    for leases in LEASES {
        rows.spawn(Box::pin(row(leases, scale.idle)));
    }
    let mut rows = rows.join_all().await;
    rows.sort_by_key(|row| row.leases);
    println!(
        "requests per minute of two idle hosts, counted for {} s; .NET from its rules, L leases, H hosts: L x \
         2 x 60 / renew + H x 60 / acquire + L x 60 / poll, with 17 s, 13 s and 5 s at its defaults, and {:.2} s, \
         {:.2} s and 5 s for a fail-over as soon as ours",
        scale.idle.as_secs(),
        AS_SOON.renew,
        AS_SOON.acquire
    );
    println!("| leases | ours | .NET, defaults | .NET, same fail-over | ours by kind |");
    println!("|---|---|---|---|---|");
    for Row { leases, kinds, total } in &rows {
        let net = |net: Net| net.requests_per_minute(*leases as f64);
        let kinds: Vec<_> = kinds.iter().map(|(kind, rate)| format!("{kind} {rate:.0}")).collect();
        println!(
            "| {leases} | {total:.0} | {:.0} | {:.0} | {} |",
            net(DEFAULTS),
            net(AS_SOON),
            kinds.join(", ")
        );
    }
    for Row { leases, total, .. } in rows {
        let (name, net) =
            if leases == 1 { ("same fail-over", AS_SOON) } else { ("defaults", DEFAULTS) };
        println!(
            "figure idle_requests_{leases}_leases = {total:.0} per minute (reference: .NET, {name} = {:.0} per \
             minute)",
            net.requests_per_minute(leases as f64)
        );
    }
}

async fn row(leases: usize, time: Duration) -> Row {
    let partitions = u32::try_from(leases).unwrap();
    let cosmos = LocalCosmos::builder().ephemeral().partitions(partitions).start().await.unwrap();
    let account = Account::new(cosmos.endpoint(), cosmos.key());
    append_to_streams(&account.store().await, "idle", STREAMS).await;
    let ledger = Arc::new(Ledger::default());
    let mut hosts = Vec::new();
    for instance in ["one", "two"] {
        let handler = Arc::<Ledger>::clone(&ledger);
        hosts.push(account.start_host("idle", instance, handler).await);
    }
    let control = account.control("idle").await;
    wait_until_shared(&control, leases, hosts.len()).await;
    tokio::time::sleep(SETTLE).await;
    assert_eq!(ledger.handled(), STREAMS);
    cosmos.control().reset_counts();
    tokio::time::sleep(time).await;
    let counts = cosmos.control().counts();
    let per_minute = |count: u64| count as f64 * 60.0 / time.as_secs_f64();
    let kinds = counts.kinds.iter().map(|(kind, count)| (kind.clone(), per_minute(*count)));
    let row = Row { leases, kinds: kinds.collect(), total: per_minute(counts.total) };
    for host in hosts {
        host.shutdown(Duration::from_secs(5)).await.unwrap();
    }
    cosmos.shutdown().await.unwrap();
    row
}
