//! Images are built from recipes: real recipes in bash, in a repository and a cache of their own.

mod builds;
mod heads;
mod official;
mod upkeep;
mod yard;
