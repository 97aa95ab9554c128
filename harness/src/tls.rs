//! One provider of cryptography for everything that speaks TLS.

/// Makes ring the provider, as kube has it; reqwest panics where none was chosen. May be called any number of times.
pub fn provide() {
    // Chosen already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
