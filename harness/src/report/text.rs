//! Text as reports show it: seconds, single lines, and nothing that a terminal or an XML reader would trip over.

/// Seconds for people: `12.3 s`, `4 min 02 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}

/// A number with its noun: `1 case`, `14 cases`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The text with line breaks made visible, so that it stays on one line.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    printable(&lines.join(" ⏎ ")).replace('\t', " ")
}

/// The text with control characters shown as pictures; line breaks and tabs stay.
///
/// XML 1.0 cannot carry control characters in any form, and a terminal would obey them.
pub fn printable(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(picture).collect()
}

fn picture(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// What stands in the place of a blank at which a line must not end.
pub const UNBROKEN: &str = "\u{a0}";

/// The text in lines of at most so many characters, broken at blanks; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in text.split([' ', '\t', '\n']).filter(|word| !word.is_empty()) {
        let word = word.replace(UNBROKEN, " ");
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if length < room => {
                *line += " ";
                *line += &word;
                room -= length + 1;
            }
            _ => {
                lines.push(word);
                room = width.saturating_sub(length);
            }
        }
    }
    lines
}

/// The text cut to so many characters, the last of them an ellipsis where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.trim_end().to_string() + "…"
}

/// The text in exactly so many columns of a terminal: cut, or with blanks behind it.
pub fn fit(text: &str, width: usize) -> String {
    let all: usize = text.chars().map(columns_of).sum();
    if all <= width {
        return format!("{text}{}", " ".repeat(width - all));
    }
    let (mut kept, mut used) = (String::new(), 0);
    for c in text.chars() {
        if used + columns_of(c) + 1 > width {
            break;
        }
        kept.push(c);
        used += columns_of(c);
    }
    format!("{kept}…{}", " ".repeat(width.saturating_sub(used + 1)))
}

/// Columns that a character takes at most: from Hangul on it may be two.
fn columns_of(c: char) -> usize {
    match c {
        '\u{2000}'..='\u{2fff}' => 1,
        c if c < '\u{1100}' => 1,
        _ => 2,
    }
}

/// Bytes as people read them.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if size < 9.95 { format!("{size:.1} {}", UNITS[unit]) } else { format!("{size:.0} {}", UNITS[unit]) }
}

/// Lines of cells, each column as wide as its widest cell.
pub fn columns(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().filter_map(|line| Some(line.get(column)?.len())).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line.iter().enumerate().map(|(at, cell)| format!("{cell:0$}", width(at))).collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text
}
