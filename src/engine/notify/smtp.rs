//! Mail, by SMTP: over TLS from the first byte, by STARTTLS, and in the clear to this machine only.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::channels::needed;
use super::message::Message;
use crate::engine::profile::{MailChannel, MailTls};

/// How long one command of the protocol may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// A server to send through, and who is written to.
pub(super) struct Mail {
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").finish_non_exhaustive()
    }
}

impl Mail {
    pub(super) fn new(
        own: &MailChannel,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        if let Some(unsound) = unsound(own) {
            return Err(unsound);
        }
        let builder = match own.tls {
            MailTls::Implicit => AsyncSmtpTransport::<Tokio1Executor>::relay(&own.host),
            MailTls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&own.host),
            MailTls::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(
                own.host.as_str(),
            )),
        };
        let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let port = own.port.unwrap_or(match own.tls {
            MailTls::Implicit => 465,
            MailTls::Starttls => 587,
            MailTls::None => 25,
        });
        let mut builder = builder.port(port).timeout(Some(PATIENCE));
        if let (Some(user), Some(password)) = (&own.username_env, &own.password_env) {
            builder = builder.credentials(Credentials::new(
                needed(user, environment)?.reveal().to_owned(),
                needed(password, environment)?.reveal().to_owned(),
            ));
        }
        Ok(Self {
            from: mailbox(&own.from)?,
            to: own
                .to
                .iter()
                .map(|to| mailbox(to))
                .collect::<Result<_, _>>()?,
            transport: builder.build(),
        })
    }

    pub(super) async fn tell(&self, message: &Message) -> Result<(), String> {
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.headline())
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let text = format!("{}\n\n{}\n", message.headline(), message.lines().join("\n"));
        let mail = mail
            .body(text)
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            // A server may repeat what it was sent, the password with it.
            Err(error) => Err(match error.status() {
                Some(code) => format!("the server answered {code}"),
                None if error.is_timeout() => "the server does not answer in time".to_owned(),
                None if error.is_tls() => "TLS with the server fails".to_owned(),
                None => "the server cannot be reached, or does not speak SMTP".to_owned(),
            }),
        }
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no mail address"))
}

/// Returns what in a mail channel cannot be meant.
pub(crate) fn unsound(own: &MailChannel) -> Option<String> {
    let local = |host: &str| {
        let url = url::Url::parse(&format!("http://{host}/"));
        url.is_ok_and(|url| crate::azure::is_loopback(&url))
    };
    if own.tls == MailTls::None && !local(&own.host) {
        return Some(format!(
            "tls = \"none\" would send mail to {} in the clear; it is for this machine only",
            own.host
        ));
    }
    if own.username_env.is_some() != own.password_env.is_some() {
        return Some("username_env and password_env belong together".to_owned());
    }
    if own.to.is_empty() {
        return Some("to names nobody".to_owned());
    }
    let mut addresses = std::iter::once(&own.from).chain(&own.to);
    addresses.find_map(|text| mailbox(text).err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_in_the_clear_stays_on_this_machine_and_half_a_sign_in_is_none() {
        let good = MailChannel {
            host: "127.0.0.1".to_owned(),
            port: Some(2525),
            from: "azir@contoso.com".to_owned(),
            to: vec!["Soc <soc@contoso.com>".to_owned()],
            username_env: None,
            password_env: None,
            tls: MailTls::None,
        };
        assert_eq!(unsound(&good), None);
        let bad = [
            MailChannel {
                host: "mail.contoso.com".to_owned(),
                ..good.clone()
            },
            MailChannel {
                username_env: Some("U".to_owned()),
                ..good.clone()
            },
            MailChannel {
                to: Vec::new(),
                ..good.clone()
            },
            MailChannel {
                from: "nobody".to_owned(),
                ..good
            },
        ];
        assert!(bad.iter().all(|bad| unsound(bad).is_some()));
    }
}
