//! The command `meshproof`: the harness' command line over the catalogue of this crate.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    harness::cli::main(&suites::registry()).await
}
