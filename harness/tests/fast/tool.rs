//! What is said of a tool that fails: its error first, for reports begin with the first line and cut a long one.

use std::time::Duration;

use harness::tool::Tool;
use rstest::rstest;

/// What the error says of a tool that prints this and fails.
async fn told(prints: &str) -> String {
    let failed = Tool::new("sh").args(["-c", "cat >&2; exit 3"]).input(prints).run().await;
    failed.expect_err("it ends with an error").to_string()
}

/// kind says that kubeadm failed; why stands far below, and a stack trace below that.
const KIND: &str = "\
Creating cluster \"a\" ...
ERROR: failed to create cluster: command \"kubeadm init\" failed with error: exit status 1

Command Output: [init] Using Kubernetes version: v1.36.3
[certs] Generating \"ca\" certificate and key
I1122 10:21:12.315106     113 initconfiguration.go:262] loading configuration
error: error execution phase wait-control-plane: context deadline exceeded
k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1
\tk8s.io/kubernetes@v1.36.3/cmd/kubeadm/app/cmd/phases/workflow/runner.go:262
runtime.goexit
\truntime/asm_amd64.s:1771
";

#[rstest]
#[case::of_kind(KIND, &[
    "error: error execution phase wait-control-plane: context deadline exceeded",
    "ERROR: failed to create cluster: command \"kubeadm init\" failed with error: exit status 1",
])]
#[case::with_more_below("a banner\nError: first\n1\n2\n3\n4\n5\n6\n7\n", &["Error: first", "3", "4", "5", "6", "7"])]
#[case::many("error: 1\nerror: 2\nerror: 3\nerror: 4\nerror: 5\nerror: 6\nerror: 7\nthen\n", &[
    "error: 7", "error: 1", "error: 2", "error: 3", "error: 4", "error: 5",
])]
#[case::none("1\n2\n3\n4\n5\n6\n7\n", &["2", "3", "4", "5", "6", "7"])]
#[case::silent("\n", &[])]
#[tokio::test]
async fn the_error_goes_before_the_command(#[case] prints: &str, #[case] expected: &[&str]) {
    let command = "`sh -c 'cat >&2; exit 3'` ended with exit status: 3";
    assert_eq!(told(prints).await.lines().collect::<Vec<_>>(), [expected, &[command]].concat());
}

#[tokio::test]
async fn that_it_took_too_long_goes_before_the_command() {
    let slow = Tool::new("sh").args(["-c", "echo error: early; for n in 1 2 3 4 5 6; do echo $n; done; sleep 60"]);
    let error = slow.limit(Duration::from_millis(500)).run().await.expect_err("it is ended").to_string();
    assert!(error.starts_with("did not end within 0 s: `sh -c "), "{error}");
    assert!(error.ends_with("its last lines: 1\n2\n3\n4\n5\n6"), "{error}");
}
