//! A channel of Microsoft Teams, through a workflow that takes a webhook request.
//!
//! The body is a message with an Adaptive Card (Microsoft: "Create incoming webhooks with Workflows for Microsoft
//! Teams"). Whoever has the address may post to it, so the address is a secret: it comes from the environment, and no
//! part of it, the host included, is ever shown.

use serde_json::{Value, json};
use url::Url;

use super::channels::{HTTP_PATIENCE, needed};
use super::message::Message;
use crate::azure::{Http, Post};
use crate::engine::profile::TeamsChannel;
use crate::secret::Secret;

/// A workflow to post to.
#[derive(Debug)]
pub(super) struct Teams {
    url: Secret,
    http: Http,
}

impl Teams {
    pub(super) fn new(
        own: &TeamsChannel,
        http: Http,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let url = needed(&own.url_env, environment)?;
        let parsed = Url::parse(url.reveal()).ok();
        let sound = parsed.is_some_and(|url| {
            url.scheme() == "https" || url.scheme() == "http" && crate::azure::is_loopback(&url)
        });
        if !sound {
            return Err(format!("{} holds no https address", own.url_env));
        }
        Ok(Self { url, http })
    }

    pub(super) async fn tell(&self, message: &Message) -> Result<(), String> {
        // It was one when this was made.
        let url = Url::parse(self.url.reveal()).map_err(|_| "its address is none".to_owned())?;
        let post = Post {
            content_type: "application/json",
            accept: "*/*",
            body: card(message).to_string().into_bytes(),
            most: 64 << 10,
            patience: HTTP_PATIENCE,
        };
        // What the client says of it names the host.
        let answer = self.http.post(&url, post).await;
        let answer = answer.map_err(|_| "its address cannot be reached".to_owned())?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(format!("it answered {status}")),
        }
    }
}

fn card(message: &Message) -> Value {
    // A text block would read Markdown out of the names that an attacker gives to things; a run of text does not
    // (Adaptive Cards schema, "TextRun").
    let text = |run: Value| json!({"type": "RichTextBlock", "inlines": [run]});
    let head = message.headline();
    let mut body = vec![text(
        json!({"type": "TextRun", "text": head, "weight": "Bolder", "size": "Medium"}),
    )];
    let lines = message.lines();
    body.extend(
        lines
            .iter()
            .map(|line| text(json!({"type": "TextRun", "text": line}))),
    );
    let content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": content,
        }],
    })
}
