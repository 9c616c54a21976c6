//! One POST to a receiver, and what its answer means.

use std::time::Duration;

use reqwest::{Client, StatusCode, header, redirect};

use crate::{Error, WebhookConfig, limits, signature::Secret};

/// An endpoint ready to be posted to.
pub(crate) struct Webhook {
    client: Client,
    config: WebhookConfig,
    secret: Option<Secret>,
}

/// What a try came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A status of 2xx.
    Taken,
    /// 410: never again.
    Gone,
    /// Everything else, redirects included; worth another try.
    Refused {
        reason: String,
        retry_after: Option<Duration>,
    },
}

impl Webhook {
    pub(crate) fn new(config: &WebhookConfig) -> Result<Webhook, Error> {
        let client = Client::builder()
            .timeout(config.timeout)
            // Whoever redirects could send log lines anywhere.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("logboom/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let secret = config
            .secret
            .as_deref()
            .map(Secret::parse)
            .transpose()
            .expect("receivers are checked when they are loaded");
        Ok(Webhook {
            client,
            config: config.clone(),
            secret,
        })
    }

    /// What it was made from.
    pub(crate) fn config(&self) -> &WebhookConfig {
        &self.config
    }

    /// Sends `body`; `timestamp` is that of this try, in seconds.
    pub(crate) async fn post(&self, id: &str, body: String, timestamp: i64) -> Answer {
        let mut request = self
            .client
            .post(&self.config.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp);
        if let Some(secret) = &self.secret {
            request = request.header(
                "webhook-signature",
                secret.sign(id, timestamp, body.as_bytes()),
            );
        }
        match request.body(body).send().await {
            Ok(response) if response.status().is_success() => Answer::Taken,
            Ok(response) if response.status() == StatusCode::GONE => Answer::Gone,
            Ok(response) => {
                let retry_after = response
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|value| patience(value.to_str().ok()?));
                let status = response.status();
                Answer::Refused {
                    reason: format!("{status}{}", excerpt(response).await),
                    retry_after,
                }
            }
            // Its url may hold a credential.
            Err(error) => Answer::Refused {
                reason: chain(&error.without_url()),
                retry_after: None,
            },
        }
    }
}

/// `Retry-After`: seconds, or a date.
fn patience(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
            Duration::try_from(date.timestamp().duration_since(jiff::Timestamp::now()))
                .unwrap_or_default()
        }
    };
    Some(wait.min(limits::RETRY_AFTER_MAX))
}

/// The beginning of the answer's body: often says what is wrong.
async fn excerpt(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < limits::ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(
                &chunk[..chunk.len().min(limits::ANSWER_BYTES_MAX - body.len())],
            ),
            Ok(None) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    let text: String = text
        .trim()
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

/// The error with its causes: "error sending request: connection refused".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_bounded() {
        assert_eq!(patience("2"), Some(Duration::from_secs(2)));
        assert_eq!(patience("99999999"), Some(limits::RETRY_AFTER_MAX));
        assert_eq!(
            patience("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(100);
        let soon = jiff::fmt::rfc2822::to_string(&soon.to_zoned_datetime(jiff::tz::TimeZone::UTC))
            .unwrap();
        assert!(
            (95..=100).contains(&patience(&soon).unwrap().as_secs()),
            "{soon}"
        );
        assert_eq!(patience("soon"), None);
    }
}
