//! What was measured of many machines, kept beside the benches (`figures.csv`), and drawn from there (`figures.svg`).
//!
//! A measurement takes the place of the earlier one of the same kind. The drawing is SVG by hand, readable on light and on
//! dark; what the Azure CLI would take for more machines than it was given is drawn dashed and called extrapolated.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// `azir`, or `az`.
    pub(crate) tool: String,
    /// How many machines.
    pub(crate) machines: usize,
    /// What operations asked for between polls, in seconds; 0: nothing.
    pub(crate) poll_after: u64,
    /// Until all were isolated and what was to be collected was.
    pub(crate) seconds: f64,
    /// Until the last was contained; 0 where nobody says.
    pub(crate) contained: f64,
    /// The least that it can take; 0 where it was not computed.
    pub(crate) bound: f64,
    pub(crate) requests: usize,
    pub(crate) polls: usize,
    pub(crate) refused: usize,
    /// Refused after the first Retry-After was known.
    pub(crate) refused_later: usize,
    /// Peak memory in MB; 0 where it was not read.
    pub(crate) megabytes: f64,
}

const HEAD: &str = "tool,machines,poll_after,seconds,contained,bound,requests,polls,refused,refused_later,megabytes";

impl Row {
    fn line(&self) -> String {
        format!(
            "{},{},{},{:.1},{:.1},{:.1},{},{},{},{},{:.0}",
            self.tool,
            self.machines,
            self.poll_after,
            self.seconds,
            self.contained,
            self.bound,
            self.requests,
            self.polls,
            self.refused,
            self.refused_later,
            self.megabytes
        )
    }

    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells.get(at)?.parse::<f64>().ok();
        let whole = |at: usize| cells.get(at)?.parse::<usize>().ok();
        Some(Self {
            tool: (*cells.first()?).to_owned(),
            machines: whole(1)?,
            poll_after: whole(2)? as u64,
            seconds: number(3)?,
            contained: number(4)?,
            bound: number(5)?,
            requests: whole(6)?,
            polls: whole(7)?,
            refused: whole(8)?,
            refused_later: whole(9)?,
            megabytes: number(10)?,
        })
    }

    fn kind(&self) -> (&str, u64, usize) {
        (&self.tool, self.poll_after, self.machines)
    }
}

/// Keeps measurements and draws all that are kept.
pub(crate) fn keep(new: &[Row]) {
    let text = std::fs::read_to_string(beside("figures.csv")).unwrap_or_default();
    let mut rows: Vec<Row> = text.lines().skip(1).filter_map(Row::read).collect();
    rows.retain(|row| !new.iter().any(|other| other.kind() == row.kind()));
    rows.extend_from_slice(new);
    rows.sort_by(|a, b| a.kind().cmp(&b.kind()));
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    let text = format!("{HEAD}\n{}\n", lines.join("\n"));
    std::fs::write(beside("figures.csv"), text).expect("the table");
    std::fs::write(beside("figures.svg"), draw(&rows)).expect("the drawing");
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join(name)
}

/// The plane of the drawing, in its own units: both axes are logarithmic.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 370.0;
/// Machines, and what stands at the axis.
const ACROSS: [(f64, &str); 4] = [(1.0, "1"), (10.0, "10"), (100.0, "100"), (1_000.0, "1,000")];
/// Seconds, and what stands at the axis.
const UP: [(f64, &str); 6] = [
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (36_000.0, "10 h"),
    (360_000.0, "100 h"),
];

fn x(machines: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * machines.log10() / 3.0
}

fn y(seconds: f64) -> f64 {
    let (least, most) = (UP[0].0 / 1.25, UP[UP.len() - 1].0);
    BOTTOM - (BOTTOM - TOP) * (seconds / least).ln() / (most / least).ln()
}

const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.quiet { fill: #59636e } .middle { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5 }
.azir { stroke: #0969da } .azir-dot { fill: #0969da }
.az { stroke: #bc4c00 } .az-dot { fill: #bc4c00 }
.bound { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 2 4 }
.guess { stroke-dasharray: 7 6 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid { stroke: #3d444d }
.azir { stroke: #4493f8 } .azir-dot { fill: #4493f8 }
.az { stroke: #f0883e } .az-dot { fill: #f0883e }
.bound { stroke: #9198a1 }
}
";

fn draw(rows: &[Row]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 430\" role=\"img\">\n<title>Machines isolated: azir and a script of Azure CLI calls</title>\n<style>{STYLE}</style>\n"
    );
    text(
        &mut svg,
        (LEFT, 24.0),
        "label",
        "Time to isolate so many machines, under the documented throttles",
    );
    for (machines, label) in ACROSS {
        let x = x(machines);
        grid(&mut svg, (x, TOP), (x, BOTTOM));
        text(&mut svg, (x, BOTTOM + 20.0), "quiet middle", label);
    }
    text(
        &mut svg,
        (f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0),
        "quiet middle",
        "machines",
    );
    for (seconds, label) in UP {
        let y = y(seconds);
        grid(&mut svg, (LEFT, y), (RIGHT, y));
        text(&mut svg, (LEFT - 8.0, y + 4.0), "quiet end", label);
    }
    let of = |tool: &str| -> Vec<&Row> {
        let mine = rows
            .iter()
            .filter(|row| row.tool == tool && row.poll_after == 0);
        mine.collect()
    };
    let azir = of("azir");
    line(
        &mut svg,
        "bound",
        azir.iter().map(|row| (row.machines as f64, row.bound)),
    );
    line(
        &mut svg,
        "azir",
        azir.iter().map(|row| (row.machines as f64, row.seconds)),
    );
    dots(&mut svg, "azir", &azir);
    if let Some(last) = azir.last() {
        let at = (x(last.machines as f64) + 12.0, y(last.seconds) + 14.0);
        text(&mut svg, at, "label", "azir, measured");
        text(
            &mut svg,
            (at.0, at.1 + 18.0),
            "quiet",
            "dotted: the least that",
        );
        text(
            &mut svg,
            (at.0, at.1 + 34.0),
            "quiet",
            "the throttles allow",
        );
    }
    let az = of("az");
    line(
        &mut svg,
        "az",
        az.iter().map(|row| (row.machines as f64, row.seconds)),
    );
    dots(&mut svg, "az", &az);
    if let Some(last) = az.last() {
        // One after the other, so twice as many take twice as long; it does not come near the throttles.
        let (from, each) = (last.machines as f64, last.seconds / last.machines as f64);
        line(
            &mut svg,
            "az guess",
            [from, 100.0, 1_000.0]
                .map(|machines| (machines, machines * each))
                .into_iter(),
        );
        let most = 1_000.0 * each;
        let at = (x(1_000.0) + 12.0, y(most) + 4.0);
        text(&mut svg, at, "label", "Azure CLI script");
        let guess = format!("extrapolated: {}", spoken(most));
        text(&mut svg, (at.0, at.1 + 18.0), "quiet", &guess);
        text(
            &mut svg,
            (at.0, at.1 + 34.0),
            "quiet",
            &format!("(measured up to {})", last.machines),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), class: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\">{text}</text>",
        at.0, at.1
    );
}

fn line(svg: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<String> = points
        .map(|(machines, seconds)| format!("{:.1},{:.1}", x(machines), y(seconds)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline class=\"line {class}\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn dots(svg: &mut String, class: &str, rows: &[&Row]) {
    for row in rows {
        let (x, y) = (x(row.machines as f64), y(row.seconds));
        let _ = writeln!(
            svg,
            "<circle class=\"{class}-dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
        );
        text(svg, (x + 7.0, y - 8.0), "quiet", &spoken(row.seconds));
    }
}

fn spoken(seconds: f64) -> String {
    match seconds {
        0.0..90.0 => format!("{seconds:.0} s"),
        90.0..5_400.0 => format!("{:.0} min", seconds / 60.0),
        5_400.0..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}
