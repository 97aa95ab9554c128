//! The flags of `images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Common, Sources, VersionFlags};

/// What to do with images.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Images {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ImagesVerb,
}

/// What to do with images.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ImagesVerb {
    /// List the images that the scenario needs, and whether they are there.
    ///
    /// With --print: each official image with its digest and each file of a release with its URL and checksum, as far as
    /// these are known, one a line; needs neither engine nor network.
    ///
    /// Example: `meshproof images list --print --registry mirror.example.com`
    List(Listing),
    /// Pull or build what is missing or has changed.
    Build(Getting),
    /// Check that each image is what its recipe gave, and each fetched file what was fetched.
    Verify(Getting),
    /// Remove images and caches that no version needs any more.
    Prune(Making),
    /// Write all that a lab of these versions needs into one file, for machines without any network.
    ///
    /// A plain tar of images, release files, kind and what is known of them. Everything has to be there: `images build`.
    ///
    /// Example: `meshproof images save lab.tar --images official`
    Save(Archive),
    /// Take over what `images save` wrote on another machine of this kind.
    ///
    /// Verifies all of it first; afterwards `meshproof run` needs no network.
    ///
    /// Example: `meshproof images load lab.tar`
    Load(Archive),
}

impl ImagesVerb {
    /// Its flags.
    pub fn making(&self) -> &Making {
        match self {
            ImagesVerb::List(listing) => &listing.getting.making,
            ImagesVerb::Save(archive) | ImagesVerb::Load(archive) => &archive.getting.making,
            ImagesVerb::Build(getting) | ImagesVerb::Verify(getting) => &getting.making,
            ImagesVerb::Prune(making) => making,
        }
    }

    /// The versions that it is about; nothing said for what is about all of them.
    pub fn versions(&self) -> VersionFlags {
        match self {
            ImagesVerb::List(listing) => listing.getting.versions.clone(),
            ImagesVerb::Save(archive) | ImagesVerb::Load(archive) => archive.getting.versions.clone(),
            ImagesVerb::Build(getting) | ImagesVerb::Verify(getting) => getting.versions.clone(),
            ImagesVerb::Prune(_) => VersionFlags::default(),
        }
    }
}

/// Flags of verbs that look after images.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Making {
    /// Flags of every verb.
    #[command(flatten)]
    pub common: Common,
    /// Where images come from.
    #[command(flatten)]
    pub sources: Sources,
}

/// Flags of verbs that look after the images of one lab.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Getting {
    /// Flags of verbs that look after images.
    #[command(flatten)]
    pub making: Making,
    /// The versions of that lab.
    #[command(flatten)]
    pub versions: VersionFlags,
}

/// Flags of `images list`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Listing {
    /// Flags of verbs that look after the images of one lab.
    #[command(flatten)]
    pub getting: Getting,
    /// Print what to mirror: `image NAME DIGEST` and `file URL DIGEST`, one a line.
    #[arg(long)]
    pub print: bool,
}

/// Flags of `images save` and `images load`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Archive {
    /// The archive.
    pub file: PathBuf,
    /// Flags of verbs that look after the images of one lab.
    #[command(flatten)]
    pub getting: Getting,
}
