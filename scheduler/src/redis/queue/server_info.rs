//! What the queue expects of the server that it is given.

use super::link::{QueueLink, unavailable};
use gofarm_queue::QueueError;

/// Looks at the server's version and at what it does when memory is used up.
pub(super) async fn check(link: &QueueLink) -> Result<(), QueueError> {
    let info: redis::InfoDict = link
        .call(async |mut connection| redis::cmd("INFO").query_async(&mut connection).await)
        .await?;
    let version: String = info.get("redis_version").unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|n| n.parse::<u32>().ok());
    if major.is_some_and(|major| major < 7) {
        let what = format!("redis at {}", link.address());
        let why = format!("it is version {version}; gofarm needs Redis 7 or later, or Valkey");
        return Err(unavailable(&what, why));
    }
    let policy: Option<String> = info.get("maxmemory_policy");
    if let Some(warning) = eviction(policy.as_deref()) {
        tracing::warn!(address = link.address(), "{warning}");
    }
    Ok(())
}

fn eviction(policy: Option<&str>) -> Option<String> {
    match policy {
        Some("noeviction") => None,
        Some(policy) => Some(format!(
            "redis evicts keys when its memory is used up (maxmemory-policy {policy}), so builds may lose tasks and repeat work; set maxmemory-policy noeviction"
        )),
        None => Some(
            "redis does not tell its maxmemory-policy; make sure that it is noeviction, or builds may lose tasks and repeat work".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_keeps_everything_is_fine() {
        assert_eq!(eviction(Some("noeviction")), None);
        let warning = eviction(Some("allkeys-lru")).unwrap();
        assert!(
            warning.contains("maxmemory-policy allkeys-lru"),
            "{warning}"
        );
        assert!(warning.contains("set maxmemory-policy noeviction"));
        assert!(eviction(None).is_some());
    }
}
