//! A matrix as GitHub takes it for `strategy.matrix`: a job for each shard.
//!
//! <https://docs.github.com/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations#expanding-or-adding-matrix-configurations>

use serde_json::json;

use super::{Combination, Matrix, Shard};

/// One line of JSON, `{"include":[…]}`, with an entry for each of so many shards: the values of its combinations, each once and
/// with commas between them, and the shard by which `--shard` runs it.
pub fn github(matrix: &Matrix, shards: usize) -> String {
    let all = &matrix.combinations;
    let entry = |shard: Shard| {
        let own = &all[shard.range(all.len())];
        let values = |value: fn(&Combination) -> &str| {
            let mut values: Vec<&str> = Vec::new();
            for one in own {
                if !values.contains(&value(one)) {
                    values.push(value(one));
                }
            }
            values.join(",")
        };
        json!({
            "istio": values(|one| &one.istio),
            "kubernetes": values(|one| &one.kubernetes),
            "scenario": values(|one| &one.scenario),
            "shard": shard,
        })
    };
    json!({ "include": Shard::all(shards).map(entry).collect::<Vec<_>>() }).to_string()
}
