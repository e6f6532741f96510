//! The history of a scenario on a terminal: a bar for each quarter, drawn against the deadline.
//!
//! Nothing is told by colour alone, so nothing is lost without: that a bar is late is said in words, and can be seen by
//! its passing the mark of the deadline. The same for a page is drawn by [`trend`](super::trend).

use super::history::{Quarter, QuarterId, Series, Times};
use super::span;
use super::verdict::{By, Place};

/// Quarters that are drawn: two years.
pub const DRAWN: usize = 8;

/// Which time is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measure {
    /// To contain.
    Contain,
    /// To eradicate.
    Eradicate,
}

impl Measure {
    /// Both, in their order.
    pub const ALL: [Self; 2] = [Self::Contain, Self::Eradicate];

    /// Returns what a person calls it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Contain => "time to contain",
            Self::Eradicate => "time to eradicate",
        }
    }

    /// Returns the times of a quarter.
    pub fn of(self, quarter: &Quarter) -> &Times {
        match self {
            Self::Contain => &quarter.contained,
            Self::Eradicate => &quarter.eradicated,
        }
    }

    /// Returns the seconds of each drill of a quarter in which it was reached.
    pub fn each(self, quarter: &Quarter) -> impl Iterator<Item = f64> {
        quarter.drills.iter().filter_map(move |drill| match self {
            Self::Contain => drill.contained_seconds,
            Self::Eradicate => drill.eradicated_seconds,
        })
    }
}

/// A quarter on the terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Which.
    pub quarter: String,
    /// The bar, with the mark of the deadline in it; as wide as was asked for.
    pub bar: String,
    /// The mean, and how many were in time.
    pub words: String,
    /// Whether not every drill was in time.
    pub late: bool,
}

/// Returns who answered and where, as people say it: `people, tabletop`.
pub fn who(series: &Series) -> String {
    let by = match series.by {
        By::People => "people",
        By::Auto => "azir alone (--auto)",
    };
    let place = match series.place {
        Place::Lab => "lab",
        Place::Tabletop => "tabletop",
    };
    format!("{by}, {place}")
}

/// Returns every quarter from the first that is drawn to the last, with what there is of it: one without a drill is a
/// gap and no step.
pub fn quarters(series: &Series) -> Vec<(QuarterId, Option<&Quarter>)> {
    let from = series.quarters.len().saturating_sub(DRAWN);
    let known = &series.quarters[from..];
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Vec::new();
    };
    let mut all: Vec<_> = std::iter::successors(Some(first.quarter), |quarter| {
        Some(quarter.next()).filter(|next| *next <= last.quarter)
    })
    .map(|id| (id, known.iter().find(|quarter| quarter.quarter == id)))
    .collect();
    all.drain(..all.len().saturating_sub(DRAWN));
    all
}

/// Returns the longest that has to be drawn: the means, each drill, and the deadline.
pub fn whole(series: &Series, measure: Measure) -> f64 {
    quarters(series)
        .into_iter()
        .filter_map(|(_, quarter)| quarter)
        .flat_map(|quarter| {
            let deadline = measure.of(quarter).deadline_seconds as f64;
            measure.each(quarter).chain([deadline])
        })
        .fold(1.0, f64::max)
}

/// Draws a series in bars of `width` columns.
pub fn rows(series: &Series, measure: Measure, width: usize) -> Vec<Row> {
    let whole = whole(series, measure);
    quarters(series)
        .into_iter()
        .map(|(id, quarter)| match quarter {
            Some(quarter) => row(id, measure.of(quarter), whole, width),
            None => Row {
                quarter: id.to_string(),
                bar: " ".repeat(width),
                words: "no drill".to_owned(),
                late: false,
            },
        })
        .collect()
}

fn row(id: QuarterId, times: &Times, whole: f64, width: usize) -> Row {
    let mean = times
        .mean_seconds
        .map_or_else(|| "never".to_owned(), span::told);
    Row {
        quarter: id.to_string(),
        bar: bar(
            times.mean_seconds.unwrap_or_default() / whole,
            times.deadline_seconds as f64 / whole,
            width,
        ),
        words: format!("{mean:>7}  {} of {} in time", times.kept, times.of),
        late: times.kept < times.of,
    }
}

/// Draws one bar to an eighth of a column; `mark` is where the deadline is.
fn bar(share: f64, mark: f64, width: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    // What took any time at all is seen.
    let eighths = eighths.max(usize::from(share > 0.0));
    let mark = ((mark.clamp(0.0, 1.0) * width as f64) as usize).min(width.saturating_sub(1));
    (0..width)
        .map(|column| match eighths.saturating_sub(column * 8) {
            _ if column == mark => '┃',
            0 => ' ',
            part @ 1..8 => PARTS[part],
            _ => '█',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_time_and_the_deadline_stays_in_sight() {
        assert_eq!(bar(0.5, 1.0, 8), "████   ┃");
        assert_eq!(bar(1.0, 0.5, 8), "████┃███");
        assert_eq!(bar(0.0, 1.0, 8), "       ┃");
        assert_eq!(bar(0.001, 1.0, 8), "▏      ┃");
        assert_eq!(bar(0.3125, 0.9, 8), "██▌    ┃");
        assert_eq!(bar(7.0, 9.0, 4), "███┃");
    }
}
