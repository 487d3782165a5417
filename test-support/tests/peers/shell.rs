//! A document's blocks run as in one terminal.

use std::path::Path;

use test_support::{Shell, wait};

#[tokio::test]
async fn variables_and_folders_outlive_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(folder.path(), &[("GIVEN", "by the test")]).await;
    assert_eq!(shell.run_text("one", "word=$GIVEN\nmkdir inner && cd inner\n").await, "");
    assert_eq!(shell.run_text("two", "basename \"$PWD\"; echo \"$word\"\n").await, "inner\nby the test\n");
    assert_eq!(shell.variable("word").await, "by the test");
}

#[tokio::test]
async fn a_failing_command_stops_the_test_and_is_named() {
    let run = tokio::spawn(async {
        let mut shell = Shell::start(Path::new("/"), &[]).await;
        shell.run_text("a.md:7", "echo before\nls /no/such/folder | cat\necho after\n").await
    });
    let panic = run.await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    for part in ["a.md:7 failed", "before", "line 2: status 2", "/no/such/folder"] {
        assert!(message.contains(part), "{message}");
    }
    let (_, output) = message.split_once("--- standard output\n").unwrap();
    assert!(!output.starts_with("before\nafter"), "{message}");
}

#[tokio::test]
async fn what_runs_in_the_background_ends_with_the_shell() {
    let mut shell = Shell::start(Path::new("/"), &[]).await;
    let id = shell.run_text("one", "sleep 600 &\necho $!\n").await;
    let process = format!("/proc/{}/stat", id.trim());
    assert!(Path::new(&process).exists());
    drop(shell);
    // Whoever adopts it may take a moment to bury it.
    let dead = || std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "));
    wait::until("the job has ended", async || dead().then_some(())).await;
}
