//! The channels that a profile names, each ready or with the reason why it is not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};

use super::message::Message;
use super::pagerduty::PagerDuty;
use super::smtp::Mail;
use super::teams::Teams;
use crate::azure::Http;
use crate::clock::Clock;
use crate::engine::profile::Notify;

/// How long one channel has: who is not told by then is told by the summary.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom to tell.
#[derive(Clone, Debug, Default)]
pub struct Channels(Arc<Vec<Configured>>);

#[derive(Debug)]
struct Configured {
    name: String,
    channel: Result<Channel, String>,
}

#[derive(Debug)]
enum Channel {
    Mail(Mail),
    PagerDuty(PagerDuty),
    Teams(Teams),
}

impl Channels {
    /// Prepares the channels of a profile with what the environment holds for them; reaches nobody yet.
    pub fn new(
        notify: &[Notify],
        http: &Http,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let each = notify.iter().map(|one| Configured {
            name: one.name(),
            channel: match one {
                Notify::Teams(teams) => {
                    Teams::new(teams, http.clone(), environment).map(Channel::Teams)
                }
                Notify::Pagerduty(pager) => {
                    PagerDuty::new(pager, http.clone(), environment).map(Channel::PagerDuty)
                }
                Notify::Smtp(mail) => Mail::new(mail, environment).map(Channel::Mail),
            },
        });
        Self(Arc::new(each.collect()))
    }

    /// Returns each channel's name, and why it could not be used.
    pub fn look(&self) -> impl Iterator<Item = (&str, Result<(), &str>)> {
        self.0.iter().map(|one| {
            let ready = one.channel.as_ref().map(|_| ()).map_err(String::as_str);
            (one.name.as_str(), ready)
        })
    }

    /// Tells everybody at once; returns a sentence for each who could not be told.
    pub async fn tell(&self, message: &Message, clock: &Arc<dyn Clock>) -> Vec<String> {
        let told = self.0.iter().map(|one| async move {
            let why = one.tell(message, clock).await.err()?;
            Some(format!("{} was not told of this: {why}", one.name))
        });
        join_all(told).await.into_iter().flatten().collect()
    }
}

impl Configured {
    async fn tell(&self, message: &Message, clock: &Arc<dyn Clock>) -> Result<(), String> {
        let channel = self.channel.as_ref().map_err(Clone::clone)?;
        let sent = async {
            match channel {
                Channel::Mail(mail) => mail.tell(message).await,
                Channel::PagerDuty(pager) => pager.tell(message).await,
                Channel::Teams(teams) => teams.tell(message).await,
            }
        };
        match select(Box::pin(sent), clock.sleep(PATIENCE)).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Returns the value of an environment variable that a channel needs.
pub(super) fn needed(
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::secret::Secret, String> {
    environment(name)
        .filter(|value| !value.trim().is_empty())
        .map(|value| crate::secret::Secret::new(value.trim()))
        .ok_or_else(|| format!("the environment variable {name} is not set"))
}

/// How long the HTTP side waits; a little less than the whole.
pub(super) const HTTP_PATIENCE: Duration = Duration::from_secs(9);
