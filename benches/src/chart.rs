//! The chart for the README: one bar a work, our cost as a share of the best peer's. Pure; plain SVG that is readable
//! on a light and on a dark page.

use std::fmt::Write;

use crate::results::{Compared, Ratio, Results};

const WIDTH: f64 = 780.0;
const LABELS: f64 = 270.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;
const BAR: f64 = 18.0;
const BOTTOM: f64 = 44.0;

/// Text and lines follow the page: a picture of its own asks the system, not the page, which of both it is on.
const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#1f2328}.small{font-size:12px;fill:#59636e}\
.title{font-size:16px;font-weight:600}.less{fill:#1a7f37}.more{fill:#bf5700}.line{stroke:#1f2328;stroke-width:1}\
.parity{stroke:#59636e;stroke-width:1.5;stroke-dasharray:4 3}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.less{fill:#3fb950}.more{fill:#e8912d}\
.line{stroke:#e6edf3}.parity{stroke:#9198a1}}";

/// Draws it. Works that were not measured have no bar and say so.
pub fn svg(results: &Results) -> String {
    let height = TOP + ROW * results.works.len() as f64 + BOTTOM;
    let scale = Scale::over(&results.works);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">Cost of one operation on the \
         edge, as a multiple of the best of nginx, HAProxy and Caddy</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"16\" y=\"26\">Cost of one operation, best peer = 1</text>\n\
         <text class=\"small\" x=\"16\" y=\"46\">shorter is better; whisker: lowest and highest round</text>\n"
    );
    for (index, compared) in results.works.iter().enumerate() {
        row(&mut svg, compared, TOP + ROW * index as f64, &scale);
    }
    axis(&mut svg, height, &scale);
    svg.push_str("</svg>\n");
    svg
}

/// From ratios to places on the page.
struct Scale {
    highest: f64,
}

impl Scale {
    /// Parity is always on the page, with a little room beyond it.
    fn over(works: &[Compared]) -> Self {
        let highest = works.iter().filter_map(|work| Some(work.ours?.high)).fold(1.0, f64::max);
        Self { highest: (highest * 10.0).ceil() / 10.0 + 0.1 }
    }

    fn x(&self, ratio: f64) -> f64 {
        LABELS + (WIDTH - LABELS - RIGHT) * ratio / self.highest
    }
}

fn row(svg: &mut String, compared: &Compared, top: f64, scale: &Scale) {
    let middle = top + ROW / 2.0;
    let text_y = middle + 5.0;
    let label_x = LABELS - 10.0;
    let _ = writeln!(svg, "<text x=\"{label_x}\" y=\"{text_y}\" text-anchor=\"end\">{}</text>", compared.work.short());
    let Some(ratio) = compared.ours else {
        let _ = writeln!(svg, "<text class=\"small\" x=\"{}\" y=\"{text_y}\">not measured</text>", LABELS + 6.0);
        return;
    };
    bar(svg, ratio, middle, scale);
    let peer = compared.best_peer.as_deref().unwrap_or_default();
    let beside = scale.x(ratio.high.max(1.0)) + 10.0;
    let _ = writeln!(
        svg,
        "<text x=\"{beside:.1}\" y=\"{text_y}\">{:.2} <tspan class=\"small\">of {peer}</tspan></text>",
        ratio.median
    );
}

fn bar(svg: &mut String, ratio: Ratio, middle: f64, scale: &Scale) {
    let class = if ratio.median <= 1.0 { "less" } else { "more" };
    let (low, high) = (scale.x(ratio.low), scale.x(ratio.high));
    let cap = format!("{:.1}v6", middle - 3.0);
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
         <path class=\"line\" fill=\"none\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {cap}M{high:.1} {cap}\"/>",
        middle - BAR / 2.0,
        scale.x(ratio.median) - LABELS,
    );
}

fn axis(svg: &mut String, height: f64, scale: &Scale) {
    let bottom = height - BOTTOM + 6.0;
    let parity = scale.x(1.0);
    let _ = writeln!(
        svg,
        "<line class=\"line\" x1=\"{LABELS}\" y1=\"{TOP}\" x2=\"{LABELS}\" y2=\"{bottom}\"/>\n\
         <line class=\"parity\" x1=\"{parity:.1}\" y1=\"{TOP}\" x2=\"{parity:.1}\" y2=\"{bottom}\"/>\n\
         <text class=\"small\" x=\"{LABELS}\" y=\"{0}\" text-anchor=\"middle\">0</text>\n\
         <text class=\"small\" x=\"{parity:.1}\" y=\"{0}\" text-anchor=\"middle\">1 = best peer</text>",
        bottom + 18.0
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{load::Sample, machine::Machine, results::Samples, server::Kind, work::Work};

    fn chart(ours: Option<f64>) -> String {
        let sample = |cost| Sample { cost, p50_us: None, p99_us: None };
        let mut round = Samples::from([(Kind::Nginx, sample(10.0))]);
        round.extend(ours.map(|cost| (Kind::Namegate, sample(cost))));
        svg(&Results {
            quick: true,
            machine: Machine { cores: 1, processor: None, memory_gib: None, kernel: None, load: None },
            servers: Vec::new(),
            works: vec![Compared::of(Work::Http1, &[round], BTreeMap::new())],
            issuance: Vec::new(),
            start_up: None,
        })
    }

    #[test]
    fn a_bar_tells_by_its_class_which_side_of_parity_it_is_on() {
        assert!(chart(Some(5.0)).contains("<rect class=\"less\""));
        assert!(chart(Some(15.0)).contains("<rect class=\"more\""));
    }

    #[test]
    fn a_work_that_was_not_measured_has_no_bar() {
        let svg = chart(None);
        assert!(!svg.contains("<rect"));
        assert!(svg.contains("not measured"));
    }

    #[test]
    fn parity_is_always_on_the_page() {
        assert!(Scale::over(&[]).x(1.0) < WIDTH - RIGHT);
    }
}
