//! The history of a scenario as SVG pictures that stand in a page: no script, no font, no address.
//!
//! People and azir alone have pictures of their own, each with its own scale: seconds beside minutes would be a line at
//! the ground. A printer without colours loses nothing: people's bars are full and azir's are hollow, the deadline is
//! dashed, and what was late says so.

use super::history::{Quarter, QuarterId, Series};
use super::plot::{Measure, quarters, who, whole};
use super::span;
use super::verdict::By;
use crate::report::export::markup::escaped;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 42.0;
const INK: &str = "#1f4e79";
const LATE: &str = "#a01515";

/// Draws every series, a picture for each time that is measured; nothing where there was no drill.
pub fn pictures(history: &[Series]) -> Vec<String> {
    let mut all = Vec::new();
    for series in history {
        for measure in Measure::ALL {
            if !series.quarters.is_empty() {
                all.push(picture(series, measure, all.len()));
            }
        }
    }
    all
}

fn picture(series: &Series, measure: Measure, number: usize) -> String {
    let drawn = quarters(series);
    let scale = Scale::of(whole(series, measure));
    let title = format!("{}: {}", capital(&who(series)), measure.words());
    let mut svg = format!(
        "<svg class=trend xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"trend-{number}-title trend-{number}-desc\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#1b1f24\">\n<title id=\"trend-{number}-title\">{} of {}</title>\n<desc id=\"trend-{number}-desc\">{}</desc>\n<text x=\"10\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
        escaped(&title),
        escaped(&series.scenario),
        escaped(&in_words(&drawn, measure)),
        escaped(&title),
    );
    legend(&mut svg, series, &drawn, measure);
    for tick in scale.ticks() {
        let y = scale.y(tick as f64);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#dde1e5\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"#57606a\">{}</text>\n",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            span::brief(tick)
        ));
    }
    let band = (WIDTH - LEFT - RIGHT) / drawn.len() as f64;
    let column = |at: usize| LEFT + band * at as f64;
    // In this order, so that no bar hides the deadline, and no line a word.
    for (at, (id, quarter)) in drawn.iter().enumerate() {
        let middle = column(at) + band / 2.0;
        foot(&mut svg, middle, *id, *quarter, measure);
        let mean = quarter.and_then(|quarter| measure.of(quarter).mean_seconds);
        if let Some(mean) = mean {
            bar(&mut svg, scale.y(mean), middle, band, series.by);
        }
    }
    let mut deadline = None;
    for (at, (_, quarter)) in drawn.iter().enumerate() {
        // Where there was no drill it is as it was before.
        let here = quarter.map(|quarter| measure.of(quarter).deadline_seconds as f64);
        deadline = here.or(deadline);
        if let Some(seconds) = deadline {
            limit(&mut svg, scale.y(seconds), column(at), column(at) + band);
        }
    }
    for (at, (_, quarter)) in drawn.iter().enumerate() {
        if let Some(quarter) = quarter {
            marks(&mut svg, quarter, measure, &scale, column(at) + band / 2.0);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// What the picture shows, for who cannot see it.
fn in_words(drawn: &[(QuarterId, Option<&Quarter>)], measure: Measure) -> String {
    let each = drawn.iter().map(|(id, quarter)| match quarter {
        None => format!("{id}: no drill."),
        Some(quarter) => {
            let times = measure.of(quarter);
            let mean = times.mean_seconds.map_or_else(
                || "never reached".to_owned(),
                |mean| format!("mean {}", span::told(mean)),
            );
            format!(
                "{id}: {mean}, {} of {} within {}.",
                times.kept,
                times.of,
                span::told(times.deadline_seconds as f64)
            )
        }
    });
    each.collect::<Vec<_>>().join(" ")
}

fn legend(
    svg: &mut String,
    series: &Series,
    drawn: &[(QuarterId, Option<&Quarter>)],
    measure: Measure,
) {
    let last = drawn.iter().rev().find_map(|(_, quarter)| *quarter);
    let deadline = last.map_or(0, |quarter| measure.of(quarter).deadline_seconds);
    svg.push_str(&format!(
        "<rect x=\"10\" y=\"32\" width=\"12\" height=\"10\" {}/><text x=\"27\" y=\"41\" font-size=\"11\">mean</text>\n<circle cx=\"76\" cy=\"37\" r=\"3.5\" fill=\"#fff\" stroke=\"#1b1f24\" stroke-width=\"1.2\"/><text x=\"84\" y=\"41\" font-size=\"11\">each drill</text>\n<line x1=\"152\" y1=\"37\" x2=\"176\" y2=\"37\" stroke=\"{LATE}\" stroke-width=\"2\" stroke-dasharray=\"5 3\"/><text x=\"181\" y=\"41\" font-size=\"11\">deadline {}</text>\n",
        look(series.by),
        span::told(deadline as f64)
    ));
}

/// How a bar looks: full for people, hollow for azir alone.
fn look(by: By) -> String {
    match by {
        By::People => format!("fill=\"{INK}\" stroke=\"{INK}\" stroke-width=\"2\""),
        By::Auto => format!("fill=\"#fff\" stroke=\"{INK}\" stroke-width=\"2\""),
    }
}

/// Writes the quarter below its column, and how many were in time.
fn foot(svg: &mut String, x: f64, id: QuarterId, quarter: Option<&Quarter>, measure: Measure) {
    let below = match quarter {
        None => "no drill".to_owned(),
        Some(quarter) => {
            let times = measure.of(quarter);
            format!("{}/{} kept", times.kept, times.of)
        }
    };
    svg.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{id}</text><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#57606a\">{below}</text>\n",
        HEIGHT - BOTTOM + 16.0,
        HEIGHT - BOTTOM + 31.0
    ));
}

fn bar(svg: &mut String, y: f64, middle: f64, band: f64, by: By) {
    let (width, ground) = ((band * 0.5).min(46.0), HEIGHT - BOTTOM);
    // What took next to no time is seen all the same.
    let y = y.min(ground - 2.0);
    svg.push_str(&format!(
        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" {}/>\n",
        middle - width / 2.0,
        ground - y,
        look(by)
    ));
}

fn limit(svg: &mut String, y: f64, from: f64, to: f64) {
    svg.push_str(&format!(
        "<line x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\" stroke=\"{LATE}\" stroke-width=\"2\" stroke-dasharray=\"5 3\"/>\n"
    ));
}

/// Marks each drill of a quarter, and writes the mean above them.
fn marks(svg: &mut String, quarter: &Quarter, measure: Measure, scale: &Scale, middle: f64) {
    let times = measure.of(quarter);
    let mut top = times
        .mean_seconds
        .map_or(HEIGHT - BOTTOM, |mean| scale.y(mean));
    for seconds in measure.each(quarter) {
        let y = scale.y(seconds);
        top = top.min(y - 4.0);
        svg.push_str(&format!(
            "<circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#fff\" stroke=\"#1b1f24\" stroke-width=\"1.2\"/>\n"
        ));
    }
    let deadline = times.deadline_seconds as f64;
    let late = times.mean_seconds.is_none_or(|mean| mean > deadline);
    let words = times
        .mean_seconds
        .map_or_else(|| "never".to_owned(), span::told);
    let (colour, weight) = if late {
        (LATE, "bold")
    } else {
        ("#1b1f24", "normal")
    };
    // A white rim keeps it readable where the deadline runs through it.
    let mut say = |y: f64, words: &str| {
        svg.push_str(&format!(
            "<text x=\"{middle:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"11\" font-weight=\"{weight}\" fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{words}</text>\n"
        ));
    };
    say(top - 5.0, &words);
    if late && times.reached > 0 {
        say(top - 17.0, "LATE");
    }
}

/// From seconds to heights.
struct Scale {
    step: u64,
    top: u64,
}

impl Scale {
    /// Returns one with at most five steps that are round in seconds, minutes or hours.
    fn of(whole: f64) -> Self {
        const STEPS: [u64; 17] = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400,
        ];
        let whole = whole.ceil().max(1.0) as u64;
        let step = STEPS.into_iter().find(|step| whole <= step * 5);
        let step = step.unwrap_or_else(|| whole.div_ceil(5).next_multiple_of(86400));
        Self {
            step,
            top: whole.next_multiple_of(step),
        }
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        (0..=self.top).step_by(self.step as usize)
    }

    fn y(&self, seconds: f64) -> f64 {
        let ground = HEIGHT - BOTTOM;
        ground - seconds / self.top as f64 * (ground - TOP)
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_few_round_steps_and_room_for_all() {
        for (whole, step, top) in [
            (0.2, 1, 1),
            (5.0, 1, 5),
            (252.0, 60, 300),
            (301.0, 120, 360),
            (1800.0, 600, 1800),
            (7300.0, 1800, 9000),
        ] {
            let scale = Scale::of(whole);
            assert_eq!((scale.step, scale.top), (step, top), "{whole}");
        }
        let month = Scale::of(2_592_000.0);
        assert!(month.ticks().count() <= 6 && month.top >= 2_592_000);
    }
}
