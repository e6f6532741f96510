//! Parameters: from what was typed to a typed value, or one sentence about why not.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::model::{ObjectKind, ParamKind};

impl ParamKind {
    /// Returns the value that `text` means.
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::String | Self::Run | Self::Resource(_) | Self::Object(_) => {
                if text.is_empty() {
                    return Err("it is empty".to_owned());
                }
                if text.chars().any(char::is_control) {
                    return Err("it holds a control character".to_owned());
                }
                Ok(json!(text))
            }
            Self::Bool => match text {
                "true" => Ok(json!(true)),
                "false" => Ok(json!(false)),
                _ => Err("it is neither true nor false".to_owned()),
            },
            Self::Int { min, max } => int(text, *min, *max),
            Self::Enum(values) if values.iter().any(|value| value == text) => Ok(json!(text)),
            Self::Enum(values) => Err(format!("it is none of {}", values.join(", "))),
            Self::Duration => duration(text)
                .map(|duration| json!(duration.as_secs()))
                .ok_or_else(|| "it is no span such as 90s, 5m, 24h or 7d".to_owned()),
            Self::Cidr => cidr(text).map(|range| json!(range)),
            Self::List(of) => text
                .split(',')
                .map(|part| of.parse(part.trim()))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
        }
    }

    /// Returns whether a default given in a file is of this kind, as the value it becomes.
    ///
    /// # Errors
    /// One sentence that says what was expected.
    pub fn accept(&self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (_, Value::String(text)) => self.parse(text),
            (Self::Bool, Value::Bool(_)) => Ok(value.clone()),
            (Self::Int { .. }, Value::Number(number)) => self.parse(&number.to_string()),
            (Self::List(of), Value::Array(items)) => items
                .iter()
                .map(|item| of.accept(item))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            _ => Err(format!("it is not {}", self.word())),
        }
    }

    /// Returns what a person calls this kind.
    pub fn word(&self) -> String {
        match self {
            Self::String => "text".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Int { .. } => "a whole number".to_owned(),
            Self::Enum(values) => format!("one of {}", values.join(", ")),
            Self::Duration => "a span such as 90s, 5m, 24h or 7d".to_owned(),
            Self::Cidr => "an address range such as 10.99.0.0/24".to_owned(),
            Self::Resource(kind) => format!("the name or resource id of a {kind}"),
            Self::Run => "an earlier run: its id, or last".to_owned(),
            Self::Object(ObjectKind::User) => "a principal name or object id".to_owned(),
            Self::Object(ObjectKind::Application) => {
                "an appId, object id or exact name of an application".to_owned()
            }
            Self::Object(ObjectKind::Device) => {
                "an object id, deviceId or exact name of a device".to_owned()
            }
            Self::Object(ObjectKind::Principal) => {
                "a principal name, object id or exact name of a user, application or group"
                    .to_owned()
            }
            Self::List(of) => format!("a list of {}", of.word()),
        }
    }
}

fn int(text: &str, min: Option<i64>, max: Option<i64>) -> Result<Value, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| "it is no whole number".to_owned())?;
    if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
        let low = min.map_or_else(|| "any".to_owned(), |min| min.to_string());
        let high = max.map_or_else(|| "any".to_owned(), |max| max.to_string());
        return Err(format!("it lies outside {low} to {high}"));
    }
    Ok(json!(number))
}

/// Reads a span: a number and one of `s`, `m`, `h`, `d`.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    let unit = text.chars().last()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    // A sign would parse, and mean nothing.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().ok()?;
    Some(std::time::Duration::from_secs(number.checked_mul(factor)?))
}

/// Returns an address range in canonical form: the host bits zero.
///
/// # Errors
/// One sentence that says what is wrong.
pub fn cidr(text: &str) -> Result<String, String> {
    let refuse = || "it is no address range such as 10.99.0.0/24".to_owned();
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().map_err(|_| refuse())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = if length.is_empty() {
        most
    } else {
        length.parse().map_err(|_| refuse())?
    };
    if length > most {
        return Err(refuse());
    }
    Ok(match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            format!(
                "{}/{length}",
                std::net::Ipv4Addr::from_bits(address.to_bits() & mask)
            )
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            format!(
                "{}/{length}",
                std::net::Ipv6Addr::from_bits(address.to_bits() & mask)
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_takes_its_values_and_refuses_others() {
        assert_eq!(ParamKind::Duration.parse("24h"), Ok(json!(86_400)));
        assert!(ParamKind::Duration.parse("24").is_err());
        assert!(ParamKind::Duration.parse("+5m").is_err());
        assert!(ParamKind::Duration.parse("99999999999999999999d").is_err());
        assert!(ParamKind::Duration.parse("ä").is_err());
        assert_eq!(
            ParamKind::Cidr.parse("10.99.0.7/24"),
            Ok(json!("10.99.0.0/24"))
        );
        assert_eq!(ParamKind::Cidr.parse("0.0.0.0/0"), Ok(json!("0.0.0.0/0")));
        assert_eq!(ParamKind::Cidr.parse("fe80::1/64"), Ok(json!("fe80::/64")));
        assert!(ParamKind::Cidr.parse("10.0.0.0/33").is_err());
        assert_eq!(
            ParamKind::Int {
                min: Some(1),
                max: Some(5)
            }
            .parse("5"),
            Ok(json!(5))
        );
        assert!(
            ParamKind::Int {
                min: Some(1),
                max: Some(5)
            }
            .parse("6")
            .is_err()
        );
        assert!(ParamKind::Enum(vec!["cut".into()]).parse("Cut").is_err());
        assert_eq!(
            ParamKind::List(Box::new(ParamKind::Bool)).parse("true, false"),
            Ok(json!([true, false]))
        );
        assert!(ParamKind::String.parse("a\nb").is_err());
        assert_eq!(ParamKind::Bool.accept(&json!(true)), Ok(json!(true)));
        assert!(ParamKind::Bool.accept(&json!(1)).is_err());
    }
}
