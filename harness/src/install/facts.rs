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

    /// Whether each remote has its own.
    fn is_of_remote(self) -> bool {
        self == Fact::TokenBeforeSecret
    }
}

/// The facts learnt so far; clones share them, also those that look at another remote.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    known: Arc<Mutex<BTreeMap<String, String>>>,
    /// The remote whose facts are meant, where it is not the first.
    further: Option<String>,
}

impl Facts {
    /// The same, of the remote of this name; of the first, where there is none.
    pub fn of(&self, further: Option<String>) -> Facts {
        Facts { known: Arc::clone(&self.known), further }
    }

    /// Learns or replaces a fact.
    pub fn learn(&self, fact: Fact, value: impl Into<String>) {
        self.lock().insert(self.key(fact), value.into());
    }

    /// What is known.
    pub fn get(&self, fact: Fact) -> Option<String> {
        self.lock().get(&self.key(fact)).cloned()
    }

    fn key(&self, fact: Fact) -> String {
        match &self.further {
            Some(name) if fact.is_of_remote() => format!("{}-{name}", fact.as_str()),
            _ => fact.as_str().to_string(),
        }
    }

    fn snapshot(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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
        Ok(Facts { known: Arc::new(Mutex::new(BTreeMap::deserialize(deserializer)?)), further: None })
    }
}
