//! A step over time, as one small SVG in its row of the table: when it began and how long it took, from the finding on.

use super::verdict::{StepTime, Verdict};

const WIDTH: f64 = 1000.0;
/// Where the last moment is: a line at the very edge would be cut in half.
const END: f64 = 990.0;

/// Returns up to when bars are drawn, in seconds from the finding: the last step, containment and its deadline.
pub(super) fn whole(verdict: &Verdict) -> f64 {
    let ends = verdict
        .steps
        .iter()
        .map(|step| step.began_seconds + step.seconds);
    ends.chain(verdict.contained.seconds)
        .chain([verdict.contained.deadline_seconds as f64])
        .fold(1.0, f64::max)
}

/// Draws the bar of one step. It is stretched to its cell, so that only what lies flat or upright is drawn.
pub(super) fn bar(step: &StepTime, verdict: &Verdict, whole: f64) -> String {
    let x = |seconds: f64| (seconds / whole).clamp(0.0, 1.0) * END;
    let (from, to) = (x(step.began_seconds), x(step.began_seconds + step.seconds));
    let failed = matches!(step.status.as_str(), "failed" | "unknown");
    let colour = if failed { "#a01515" } else { "#1f4e79" };
    // What took next to no time is seen all the same.
    let width = (to - from).max(8.0);
    let from = from.min(WIDTH - width);
    let line = |seconds: f64, colour: &str, dashes: &str| {
        format!(
            "<line x1=\"{0:.1}\" y1=\"0\" x2=\"{0:.1}\" y2=\"18\" stroke=\"{colour}\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"{dashes}/>",
            x(seconds)
        )
    };
    let contained = verdict
        .contained
        .seconds
        .map(|seconds| line(seconds, "#0a6b2d", ""));
    let deadline = line(
        verdict.contained.deadline_seconds as f64,
        "#a01515",
        " stroke-dasharray=\"4 3\"",
    );
    format!(
        "<svg class=bar xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 18\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect x=\"0\" y=\"8\" width=\"{WIDTH}\" height=\"2\" fill=\"#dde1e5\"/>{deadline}{}<rect x=\"{from:.1}\" y=\"3\" width=\"{width:.1}\" height=\"12\" fill=\"{colour}\"/></svg>",
        contained.unwrap_or_default()
    )
}
