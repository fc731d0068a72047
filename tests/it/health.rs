//! `tinygen health`, which container health checks run.

use crate::app::World;
use standin::claude::{Reply, RequestView};

async fn health(world: &World, listen: &str) -> Option<i32> {
    let output = world.program().arg("health").env("TINYGEN_LISTEN", listen).output().await.expect("it starts");
    output.status.code()
}

#[tokio::test]
async fn says_by_its_exit_code_whether_the_api_is_ready() {
    let world = World::new(|_: &RequestView| Reply::empty()).await;
    let server = world.serve().await;
    let address = server.url.strip_prefix("http://").expect("a URL").to_owned();
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(health(&world, &address).await, Some(0));
    assert_eq!(health(&world, &everywhere).await, Some(0));
    server.kill().await;
    assert_eq!(health(&world, &address).await, Some(1));
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_not_healthy() {
    let world = World::new(|_: &RequestView| Reply::empty()).await;
    // Something listens, but knows no `/readyz`.
    let stranger = world.git.url("greet");
    let address = stranger.trim_start_matches("http://").split('/').next().expect("an address");
    assert_eq!(health(&world, address).await, Some(1));
}
