//! What a check is and how it is judged.

pub mod case;
pub mod evidence;
pub mod explanation;
pub mod layer;
pub mod path;
pub mod right;
pub mod tally;
pub mod verdict;

pub use crate::context::Context;
pub use crate::mesh::Mesh;
pub use case::Case;
pub use evidence::{Evidence, Sample};
pub use explanation::{ByHand, Explanation};
pub use layer::{Broken, Layer};
pub use path::Path;
pub use verdict::{Fault, Finding, Verdict};
