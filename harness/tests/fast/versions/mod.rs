//! Versions of Istio and Kubernetes: those that are known, and how new ones come to be among them.

mod adding;
mod known;
