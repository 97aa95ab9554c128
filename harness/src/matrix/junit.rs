//! The JUnit file of a matrix: every run is a testsuite.

use crate::report::{Summary, junit};

/// One run, for JUnit.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The name of its combination.
    pub name: String,
    /// What its events say, or why there are none.
    pub run: Result<Summary, String>,
}

/// All runs; one without events is a testsuite with one error, which says why.
pub fn junit(suites: &[Suite]) -> String {
    let suite = |suite: &Suite| match &suite.run {
        Ok(summary) => junit::suite(summary, &suite.name),
        Err(why) => junit::suite_of_nothing(&suite.name, why),
    };
    junit::written(suites.iter().map(suite))
}
