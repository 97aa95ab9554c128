//! What the install learns on its way and later steps and checks need.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// Something that a step teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// External address of the east-west gateway: the guide's `DISCOVERY_ADDRESS`.
    GatewayAddress,
    /// What each istiod answered to a token of the remote cluster before it had the remote secret; JSON of who to answer.
    TokenBeforeSecret,
    /// The CA root of the primary cluster, PEM: the expected value everywhere.
    RootCert,
}

impl Fact {
    /// Its name in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Fact::GatewayAddress => "gateway-address",
            Fact::TokenBeforeSecret => "token-before-secret",
            Fact::RootCert => "root-cert",
        }
    }
}

/// The facts learnt so far; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Facts(Arc<Mutex<BTreeMap<Fact, String>>>);

impl Facts {
    /// Learns or replaces a fact.
    pub fn learn(&self, fact: Fact, value: impl Into<String>) {
        self.lock().insert(fact, value.into());
    }

    /// What is known.
    pub fn get(&self, fact: Fact) -> Option<String> {
        self.lock().get(&fact).cloned()
    }

    fn snapshot(&self) -> BTreeMap<Fact, String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Fact, String>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot() == other.snapshot()
    }
}

impl Serialize for Facts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.lock().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Facts(Arc::new(Mutex::new(BTreeMap::deserialize(deserializer)?))))
    }
}
