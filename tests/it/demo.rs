//! `tinygen demo`: the recording must fit the requests that this version makes.

use crate::app::{World, diligent};

#[tokio::test]
async fn the_recording_fits_this_version() {
    let world = World::new(diligent).await;
    let output = world.tinygen(&["demo"]).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "the demo failed. If a template, a tool or the sheet changed, its recorded answers are stale: record them again as \
         demo/README.md says.\n{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.contains("RECORDING"), "it says that the answers are a recording");
    assert!(stdout.contains("FAILED (failures=3)") && stdout.contains("\n  OK"), "{stdout}");
    assert!(stdout.contains("failed before the diff and pass after it"), "{stdout}");
    assert_eq!(world.generations(), 0);
}
