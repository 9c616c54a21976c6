//! Who is told: the table `receivers`, and what becomes of the outbox when it changes.

use logboom_metastore::Write;
use sqlx::Row;

use crate::{Error, ReceiverConfig, WebhookConfig};

/// Takes note of who is told. A receiver that was disabled is enabled by another address, and what
/// waits for its turn there is tried at once, with the whole schedule before it.
pub(super) async fn put_receivers(
    write: &mut Write,
    receivers: &[ReceiverConfig],
    now_ms: i64,
) -> Result<(), Error> {
    let known = sqlx::query("SELECT name, address FROM receivers")
        .fetch_all(&mut **write)
        .await?;
    for row in known {
        let name: String = row.try_get("name")?;
        let former: String = row.try_get("address")?;
        let moved = |receiver: &ReceiverConfig| {
            receiver.name == name && address(&receiver.webhook) != former
        };
        if receivers.iter().any(moved) {
            sqlx::query("UPDATE outbox SET attempts = 0, next_try = $1 WHERE receiver = $2 AND state = 'pending'")
                    .bind(now_ms)
                    .bind(&name)
                    .execute(&mut **write)
                    .await?;
        }
        if !receivers.iter().any(|receiver| receiver.name == name) {
            sqlx::query("DELETE FROM receivers WHERE name = $1")
                .bind(&name)
                .execute(&mut **write)
                .await?;
            finish_all(
                write,
                &name,
                "the receiver is not configured any more",
                now_ms,
            )
            .await?;
        }
    }
    for receiver in receivers {
        sqlx::query(
            "INSERT INTO receivers (name, url, address) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE SET url = excluded.url, address = excluded.address,
                 disabled = CASE WHEN address = excluded.address THEN disabled END",
        )
        .bind(&receiver.name)
        .bind(receiver.webhook.shown_url())
        .bind(address(&receiver.webhook))
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// Gives up all that a receiver was still to be told.
pub(crate) async fn finish_all(
    write: &mut Write,
    receiver: &str,
    reason: &str,
    now_ms: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE outbox SET state = 'disabled', last_error = $1, done_at = $2 WHERE receiver = $3 AND state = 'pending'")
        .bind(reason)
        .bind(now_ms)
        .bind(receiver)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// The full address is compared, not shown: it may hold a credential.
fn address(webhook: &WebhookConfig) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(webhook.url.as_bytes())[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
