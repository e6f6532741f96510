//! `PagerDuty`, by its Events API v2: an incident of azir is an alert there, by the same name.
//!
//! Every message triggers it, the good ones as information: what one run contained says nothing of an alert that
//! another raised, so whoever is on call resolves it.

use serde_json::{Value, json};
use url::Url;

use super::channels::{HTTP_PATIENCE, needed};
use super::message::{Message, News};
use crate::azure::{Http, Post};
use crate::engine::profile::PagerDutyChannel;
use crate::report::model::RunStatus;
use crate::secret::Secret;

/// Where events go where the profile names no other region.
const DEFAULT: &str = "https://events.pagerduty.com";

/// The longest summary that is taken.
const LONGEST: usize = 1_024;

/// A service to send events to.
#[derive(Debug)]
pub(super) struct PagerDuty {
    routing_key: Secret,
    url: Url,
    http: Http,
}

impl PagerDuty {
    pub(super) fn new(
        own: &PagerDutyChannel,
        http: Http,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let base = own.url.as_deref().unwrap_or(DEFAULT).trim_end_matches('/');
        let url = Url::parse(&format!("{base}/v2/enqueue")).ok();
        let url = url.filter(|url| {
            url.scheme() == "https" || url.scheme() == "http" && crate::azure::is_loopback(url)
        });
        Ok(Self {
            url: url.ok_or_else(|| format!("{base} is no https address"))?,
            routing_key: needed(&own.routing_key_env, environment)?,
            http,
        })
    }

    pub(super) async fn tell(&self, message: &Message) -> Result<(), String> {
        let post = Post {
            content_type: "application/json",
            accept: "application/json",
            body: self.event(message).to_string().into_bytes(),
            most: 64 << 10,
            patience: HTTP_PATIENCE,
        };
        let answer = self.http.post(&self.url, post).await;
        let answer = answer.map_err(|error| crate::engine::error::chain(&error))?;
        match answer.status {
            200..=299 => Ok(()),
            // The answer may repeat what it was sent.
            status => Err(format!("it answered {status}")),
        }
    }

    fn event(&self, message: &Message) -> Value {
        let severity = match message.news {
            News::ResidualEnded(_) | News::Ended(RunStatus::Contained) => "info",
            News::Ended(RunStatus::ContainedResidual | RunStatus::Unchecked) => "warning",
            News::Ended(_) => "critical",
        };
        let summary: String = message.headline().chars().take(LONGEST).collect();
        json!({
            "routing_key": self.routing_key.reveal(),
            "event_action": "trigger",
            "dedup_key": message.incident,
            "client": "azir",
            "payload": {
                "summary": summary,
                "source": "azir",
                "severity": severity,
                "timestamp": crate::clock::seconds(message.at),
                "component": message.runbook,
                "class": match message.news {
                    News::Ended(status) => json!(status),
                    News::ResidualEnded(_) => json!("residual_ended"),
                },
                "custom_details": {
                    "incident": message.incident,
                    "run": message.run,
                    "drill": message.drill,
                    "open_until": message.until(),
                    "lines": message.lines(),
                },
            },
        })
    }
}
