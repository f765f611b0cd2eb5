//! Which builds are open, in a registry that knows many that are over.

use super::*;

fn reads(server: &RedisServer) -> usize {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut server.connection(0))
        .unwrap();
    let of_records = info.lines().find(|line| line.starts_with("cmdstat_hmget:"));
    let calls = of_records.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn open_builds_are_listed_without_reading_those_that_are_over() {
    let server = RedisServer::start();
    let registry = RedisRegistry::connect(server.url(0), "test").unwrap();
    for number in 1..=50 {
        let held = submitted(&registry, number, "a").await;
        if number % 10 != 0 {
            let mut end = append(&held, 0, 1);
            end.record.finished_ms = now_ms();
            registry.append(&end).await.unwrap();
        }
    }
    redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .exec(&mut server.connection(0))
        .unwrap();
    let listed = registry.list(3, true).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|build| build.build.as_str()).collect();
    let latest = [50, 40, 30].map(|number| BuildId(number).to_string());
    assert_eq!(ids, latest);
    assert_eq!(reads(&server), 5);
}
