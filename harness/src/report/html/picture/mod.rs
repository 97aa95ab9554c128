//! A picture of the mesh: both clusters with what runs there, and the ways between them, proved or broken.

mod parts;
mod ways;

use maud::{Markup, html};

use self::parts::{Pair, Shown, pairs};
use self::ways::Way;
use super::mark::{Tone, mark};
use crate::check::Path;
use crate::report::Summary;
use crate::report::text::cut;

/// Where things stand, in the picture's units.
const WIDTH: u32 = 1000;
const LEFT: u32 = 20;
const RIGHT: u32 = 600;
const WIDE: u32 = 380;
const TALL: u32 = 372;
const TOP: u32 = 46;

/// A point of the picture.
type Point = (u32, u32);

/// Each way with its two ends and the place of its label; all of it follows from what stands where.
const LINES: [(Path, [Point; 3]); 6] = [
    (Path::Discovery, [(195, 138), (640, 138), (500, 130)]),
    (Path::Writes, [(195, 160), (640, 160), (470, 174)]),
    (Path::Injection, [(640, 182), (382, 240), (515, 190)]),
    (Path::ControlPlane, [(640, 300), (382, 262), (505, 256)]),
    (Path::Requests, [(382, 320), (640, 320), (500, 313)]),
    (Path::PodToPod, [(382, 382), (640, 382), (500, 374)]),
];

/// One picture for each remote; none where the run does not say which clusters there are, or never came to a mesh.
pub fn of(summary: &Summary) -> Option<Markup> {
    let pairs = pairs(summary);
    let begun =
        summary.steps.iter().any(|step| step.started) || summary.cases.iter().any(|case| case.verdict.is_some());
    (begun && !pairs.is_empty()).then(|| html! { @for pair in &pairs { (picture(pair, &ways::of(summary, pair))) } })
}

fn picture(pair: &Pair, ways: &[Way]) -> Markup {
    let title = format!("{} and {}", pair.primary.name, pair.remote.name);
    html! {
        div.wide tabindex="0" role="region" aria-label={ "Picture of " (title) } {
            svg.picture viewBox=(format!("0 0 {WIDTH} {}", TOP + TALL + 20)) role="img" aria-label={ (title) ": " (told(ways)) } {
                rect.net x="6" y="6" width=(WIDTH - 12) height=(TOP + TALL + 8) rx="10" {}
                text.soft x="20" y="28" { @if pair.network.is_empty() { "one network" } @else { (pair.network) } ", and what the guide has there" }
                (cluster(LEFT, &pair.primary, "primary"))
                (cluster(RIGHT, &pair.remote, "remote"))
                (a_box(40, 118, 155, 62, "istiod", &[]))
                (a_box(212, 228, 170, 48, "east-west gateway", &[&pair.gateway]))
                (a_box(640, 118, 320, 72, "API server", &["Namespace, webhooks, root configmaps", "Service istiod, EndpointSlice of the gateway"]))
                (workloads(40, 342, &pair.primary))
                (workloads(640, 320, &pair.remote))
                (a_box(40, 368, 342, 30, "probes, outside of the mesh", &[]))
                (a_box(640, 368, 320, 30, "probes, outside of the mesh", &[]))
                @if !ways.is_empty() { (inner(ways)) }
                @for (path, [from, to, label]) in LINES { @if let Some(way) = ways.iter().find(|way| way.path == path) { (line(way, from, to, label)) } }
            }
        }
        @if !ways.is_empty() {
            ul.counts aria-label={ "Ways between " (title) } {
                @for way in ways { li { (mark(way.tone, &format!("{}: {}", way.path.name(), way.label()))) } }
            }
        }
    }
}

/// What a picture says to who does not see it.
fn told(ways: &[Way]) -> String {
    let told = |way: &Way| {
        let how = match way.tone {
            Tone::Good => "proved",
            Tone::Bad => "broken",
            Tone::Warn => "not told",
            Tone::Calm if way.by.is_empty() => "not asked",
            Tone::Calm => "not wholly asked",
        };
        format!("{} {how}", way.path.name())
    };
    ways.iter().map(told).collect::<Vec<_>>().join(", ")
}

fn cluster(left: u32, shown: &Shown, role: &str) -> Markup {
    let nodes = match &shown.nodes[..] {
        [] => String::new(),
        [(name, address)] => format!("node {name}, {address}"),
        [(name, address), more @ ..] => format!("node {name}, {address}, and {} more", more.len()),
    };
    html! {
        rect.cluster x=(left) y=(TOP) width=(WIDE) height=(TALL) rx="8" {}
        text.head x=(left + 16) y=(TOP + 26) { (cut(&shown.name, 30)) " · " (role) }
        text.soft.small x=(left + 16) y=(TOP + 46) { (cut(&nodes, 58)) }
    }
}

fn a_box(x: u32, y: u32, width: u32, height: u32, name: &str, lines: &[&str]) -> Markup {
    html! {
        rect.box x=(x) y=(y) width=(width) height=(height) rx="5" {}
        text x=(x + 10) y=(y + 20) { (name) }
        @for (at, line) in lines.iter().enumerate() { text.small.soft x=(x + 10) y=(y + 37 + 17 * at as u32) { (cut(line, 46)) } }
    }
}

fn workloads(x: u32, width: u32, shown: &Shown) -> Markup {
    let named = |(name, address): &(String, String)| {
        if address.is_empty() { name.clone() } else { format!("{name} {address}") }
    };
    let names: Vec<String> = shown.workloads.iter().map(named).collect();
    let lines: Vec<String> = names.chunks(2).take(2).map(|two| two.join(", ")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    a_box(x, 292, width, 66, "workloads, with sidecars", &lines)
}

/// The way from the gateway to istiod, which is a part of two: injection, and what proxies get.
fn inner(ways: &[Way]) -> Markup {
    let through = |way: &&Way| matches!(way.path, Path::Injection | Path::ControlPlane);
    let order = [Tone::Bad, Tone::Warn, Tone::Good, Tone::Calm];
    let tone = order.into_iter().find(|tone| ways.iter().filter(through).any(|way| way.tone == *tone));
    let tone = tone.unwrap_or(Tone::Calm);
    html! { (arrow(tone, (212, 244), (120, 180))) }
}

fn line(way: &Way, from: Point, to: Point, (x, y): Point) -> Markup {
    // Requests and packets go both ways.
    let both = matches!(way.path, Path::Requests | Path::PodToPod);
    html! {
        g {
            title { (way.path.name()) ": " (way.by.join(", ")) }
            (arrow(way.tone, from, to))
            @if both { (tip(way.tone, to, from)) }
            text.small.(way.tone.class()) x=(x) y=(y) text-anchor="middle" { (way.path.name()) ": " (way.label()) }
        }
    }
}

fn arrow(tone: Tone, from: Point, to: Point) -> Markup {
    html! {
        path.way.(tone.class()) d=(format!("M{} {}L{} {}", from.0, from.1, to.0, to.1)) {}
        (tip(tone, from, to))
    }
}

/// The tip of an arrow that comes from one point and ends at the other.
fn tip(tone: Tone, from: Point, to: Point) -> Markup {
    let (dx, dy) = (f64::from(to.0) - f64::from(from.0), f64::from(to.1) - f64::from(from.1));
    let angle = dy.atan2(dx).to_degrees();
    html! { path.tip.(tone.class()) d="M0 0L-10 -5L-10 5Z" transform=(format!("translate({} {}) rotate({angle:.1})", to.0, to.1)) {} }
}
