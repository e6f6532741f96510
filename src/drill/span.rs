//! How long something took, as people read it.

/// Returns a span: `4.2s`, `47s`, `5m 00s`, `1h 05m`. Below ten seconds a tenth counts, above an hour no second does.
pub fn told(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1}s", seconds.max(0.0));
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

/// Returns a span of whole seconds as short as it can be: `5m`, `90s`, `2h`.
pub fn brief(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        whole if whole.is_multiple_of(3600) => format!("{}h", whole / 3600),
        whole if whole.is_multiple_of(60) => format!("{}m", whole / 60),
        whole => format!("{whole}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_exactly_as_they_matter() {
        for (seconds, words) in [
            (0.0, "0.0s"),
            (9.94, "9.9s"),
            (9.96, "10s"),
            (59.6, "1m 00s"),
            (252.0, "4m 12s"),
            (3599.7, "1h 00m"),
            (7500.0, "2h 05m"),
        ] {
            assert_eq!(told(seconds), words);
        }
        assert_eq!(
            [brief(0), brief(90), brief(300), brief(7200)],
            ["0", "90s", "5m", "2h"]
        );
    }
}
