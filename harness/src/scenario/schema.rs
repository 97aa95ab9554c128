//! The JSON Schema of scenario files, by which editors complete and check them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{MOST, Scenario};

/// The form of scenario files that is understood: their field `schema`.
pub const FORM: u32 = 1;

/// The name of a verdict; only the schema needs it as a type.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the schema names them")]
pub enum VerdictName {
    /// The check holds.
    Passed,
    /// It does not, and says why.
    Failed,
    /// It could not tell.
    Inconclusive,
    /// It is not asked.
    Skipped,
    /// It cannot be asked, or another takes the blame.
    Blocked,
}

/// Types whose fields have defaults in files, where [`Scenario`] itself is complete.
const WITH_DEFAULTS: [&str; 2] = ["ClusterWish", "Replicas"];

/// The schema, of draft 2020-12.
///
/// What it cannot say is said by `meshproof scenario check` alone: versions, names of checks, steps and sabotages, subnets
/// that overlap.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = serde_json::to_value(generator.into_root_schema_for::<Scenario>()).expect("a schema is JSON");
    schema["title"] = json!("Scenario of meshproof");
    schema["description"] =
        json!("What mesh is built, what is done to it, and what is expected. Only `name` must be said.");
    schema["required"] = json!(["name"]);
    schema["properties"]["schema"] =
        json!({"description": "The form of this file; what is understood now.", "const": FORM});
    schema["properties"]["clusters"] = json!({
        "description": schema["properties"]["clusters"]["description"],
        "type": "object",
        "properties": {
            "primary": {"$ref": "#/$defs/ClusterWish"},
            "remote": {"$ref": "#/$defs/ClusterWish"},
            "remotes": {
                "description": "All remotes, where there are several, in the place of `remote`.",
                "type": "array",
                "items": {"$ref": "#/$defs/ClusterWish"},
                "minItems": 1,
                "maxItems": MOST,
            },
        },
        "not": {"required": ["remote", "remotes"]},
        "additionalProperties": false,
    });
    for name in WITH_DEFAULTS {
        let defined = schema["$defs"][name].as_object_mut().expect("the type has a definition");
        defined.remove("required");
    }
    schema
}
