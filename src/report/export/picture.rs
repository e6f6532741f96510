//! The steps of a run over time, as one SVG picture that stands in the page itself: no script, no font, no address.

use chrono::{DateTime, FixedOffset};

use super::markup::escaped;
use crate::ids::ArmId;
use crate::report::model::{RunReport, StepReport, StepStatus};

/// Steps that are drawn; a run over a thousand machines has a table for the rest.
const DRAWN: usize = 80;
const LEFT: f64 = 300.0;
const WIDTH: f64 = 1000.0;
const ROW: f64 = 18.0;

/// A bar: whose step, and from when to when.
struct Bar<'a> {
    label: String,
    step: &'a StepReport,
    from: f64,
    to: f64,
}

/// Draws a run; nothing where no step has a time.
pub(super) fn picture(report: &RunReport) -> String {
    let Some(began) = report.started_at.as_deref().and_then(moment) else {
        return String::new();
    };
    let since =
        |time: &str| moment(time).map(|time| (time - began).num_milliseconds().max(0) as f64 / 1e3);
    let end = report.finished_at.as_deref().and_then(since);
    let many = report.targets.len() > 1;
    let mut bars = Vec::new();
    for target in &report.targets {
        for step in &target.steps {
            let Some(from) = step.started_at.as_deref().and_then(since) else {
                continue;
            };
            let to = step
                .ended_at
                .as_deref()
                .and_then(since)
                .or(end)
                .unwrap_or(from);
            let label = if many {
                format!("{}: {}", ArmId::name_of(&target.target), step.id)
            } else {
                step.id.clone()
            };
            bars.push(Bar {
                label,
                step,
                from,
                to: to.max(from),
            });
        }
    }
    if bars.is_empty() {
        return String::new();
    }
    let left_out = bars.len().saturating_sub(DRAWN);
    bars.truncate(DRAWN);
    let whole = bars
        .iter()
        .map(|bar| bar.to)
        .chain(end)
        .fold(0.001, f64::max);
    let contained = report.contained_at.as_deref().and_then(since);
    let mut svg = draw(&bars, whole, contained, report);
    if left_out > 0 {
        svg.push_str(&format!(
            "<p>{left_out} further steps are in the table below and not in the picture.</p>\n"
        ));
    }
    svg
}

fn draw(bars: &[Bar<'_>], whole: f64, contained: Option<f64>, report: &RunReport) -> String {
    let height = ROW * bars.len() as f64 + 40.0;
    let x = |seconds: f64| LEFT + seconds / whole * (WIDTH - LEFT - 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"The steps of the run over {whole:.1} seconds\" font-family=\"sans-serif\" font-size=\"11\">\n"
    );
    for part in 0..=4 {
        let seconds = whole * f64::from(part) / 4.0;
        svg.push_str(&format!(
            "<line x1=\"{0:.1}\" y1=\"20\" x2=\"{0:.1}\" y2=\"{1:.1}\" stroke=\"#ccc\"/><text x=\"{0:.1}\" y=\"12\" text-anchor=\"middle\" fill=\"#555\">{seconds:.1} s</text>\n",
            x(seconds),
            height - 16.0
        ));
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = 24.0 + ROW * row as f64;
        let (colour, word) = look(bar.step.status);
        let title = format!(
            "{}: {word}, {:.1} s to {:.1} s",
            bar.step.title, bar.from, bar.to
        );
        svg.push_str(&format!(
            "<g><title>{}</title><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\"/></g>\n",
            escaped(&title),
            LEFT - 8.0,
            y + 10.0,
            escaped(&shortened(&bar.label)),
            x(bar.from),
            (x(bar.to) - x(bar.from)).max(2.0),
        ));
    }
    let mut mark = |seconds: f64, colour: &str, word: &str, row: f64| {
        if seconds <= whole {
            svg.push_str(&format!(
                "<line x1=\"{0:.1}\" y1=\"20\" x2=\"{0:.1}\" y2=\"{1:.1}\" stroke=\"{colour}\" stroke-dasharray=\"4 3\"/><text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"end\" fill=\"{colour}\">{word} {seconds:.1} s</text>\n",
                x(seconds),
                height - row
            ));
        }
    };
    if let Some(seconds) = contained {
        mark(seconds, "#0a6b2d", "contained", 4.0);
    }
    if let Some(deadline) = report.deadline {
        mark(deadline.seconds as f64, "#a01515", "deadline", 14.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The colour of a status, and its word: a printer without colours must not lose it.
fn look(status: StepStatus) -> (&'static str, &'static str) {
    match status {
        StepStatus::Pending => ("#bbbbbb", "not begun"),
        StepStatus::Done => ("#2b7a4b", "done"),
        StepStatus::Failed => ("#b3261e", "failed"),
        StepStatus::Unknown => ("#d08700", "unknown"),
        StepStatus::Skipped => ("#9aa5b1", "skipped"),
        StepStatus::Undone => ("#4967a8", "put back"),
    }
}

fn shortened(label: &str) -> String {
    const LONGEST: usize = 46;
    if label.chars().count() <= LONGEST {
        return label.to_owned();
    }
    let end: String = label.chars().take(LONGEST - 1).collect();
    format!("{end}\u{2026}")
}

fn moment(text: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}
