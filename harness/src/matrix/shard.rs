//! Parts of a matrix, for several machines.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One of several parts of nearly the same size: `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Shard = Shard { number: 1, of: 1 };

    /// The shard that a text such as `2/4` says.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn named(text: &str) -> Result<Shard, (String, String)> {
        let instead = || "the number of this part and of all, such as `2/4`".to_string();
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let parts = text.split_once('/').and_then(|(part, of)| Some((number(part)?, number(of)?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            Some((_, 0)) => Err((format!("`{text}` is a part of nothing"), instead())),
            Some((_, of)) => Err((format!("`{text}` is none of the {of} parts"), format!("`1/{of}` to `{of}/{of}`"))),
            None => Err((format!("`{text}` is no part"), instead())),
        }
    }

    /// All of so many parts.
    pub fn all(of: usize) -> impl Iterator<Item = Shard> {
        (1..=of).map(move |number| Shard { number, of })
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether it is everything.
    pub fn is_whole(&self) -> bool {
        self.of == 1
    }

    /// Which of so many things it has. Neighbours stay together, for they share most of what is built.
    pub fn range(self, all: usize) -> Range<usize> {
        (self.number - 1) * all / self.of..self.number * all / self.of
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Shard, String> {
        Shard::named(&text).map_err(|(message, instead)| format!("{message}; {instead}"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Shard;

    #[rstest]
    #[case::words("two of four")]
    #[case::one_number("2")]
    #[case::before_the_first("0/4")]
    #[case::after_the_last("5/4")]
    #[case::of_none("1/0")]
    #[case::less_than_none("-1/4")]
    fn what_is_no_part_is_refused(#[case] text: &str) {
        assert!(Shard::named(text).is_err());
    }

    #[rstest]
    #[case::as_many(4, 4)]
    #[case::uneven(7, 3)]
    #[case::whole(5, 1)]
    fn parts_hold_everything_once_and_none_is_empty(#[case] all: usize, #[case] of: usize) {
        let shards = (1..=of).map(|number| Shard::named(&format!("{number}/{of}")).expect("a part"));
        let ranges: Vec<_> = shards.map(|shard| shard.range(all)).collect();
        assert!(ranges.iter().all(|range| !range.is_empty()));
        assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), (0..all).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_is_kept_as_it_is_written() {
        let shard = Shard::named("2/4").expect("a part");
        let text = serde_json::to_string(&shard).expect("JSON");
        assert_eq!(text, "\"2/4\"");
        assert_eq!(serde_json::from_str::<Shard>(&text).expect("a part"), shard);
    }
}
