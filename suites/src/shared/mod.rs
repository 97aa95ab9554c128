//! What several checks look at.

pub mod access_log;
pub mod address;
pub mod certificate;
pub mod chain;
pub mod deployment;
pub mod election;
pub mod envoy;
pub mod gateway_traffic;
pub mod headless;
pub mod istiod;
pub mod ladder;
pub mod leading;
pub mod listed;
pub mod peers;
pub mod root_configmap;
pub mod rows;
pub mod sample;
pub mod scaling;
pub mod shards;
pub mod webhook;
pub mod writer;
