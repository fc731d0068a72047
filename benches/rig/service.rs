//! The program in one of the two ways to run.

use super::app::{Process, Server, World};
use super::database::Database;

/// `tinygen serve`, or `tinygen api` and, when it is wanted, `tinygen worker`. They log into files: reading along would be
/// work for this process.
pub(crate) struct Service {
    /// What serves the API.
    pub(crate) api: Server,
    /// In scale-out, when it is wanted.
    pub(crate) worker: Option<Process>,
}

impl Service {
    /// Takes jobs and works on them.
    pub(crate) async fn start(world: &World, database: &Database) -> Self {
        let service = Self::start_api(world, database, &[]).await;
        if database.is_embedded() {
            return service;
        }
        let (worker, _) = world.start_logged("worker", &database.variables, "Working").await;
        Self { worker: Some(worker), ..service }
    }

    /// Takes jobs, with these settings. In embedded mode the same process works on them.
    pub(crate) async fn start_api(world: &World, database: &Database, settings: &[(&'static str, String)]) -> Self {
        let command = if database.is_embedded() { "serve" } else { "api" };
        let variables = [&database.variables, settings].concat();
        let (process, log) = world.start_logged(command, &variables, "Listening").await;
        let event = log.line("Listening").await;
        let url = format!("http://{}", event["address"].as_str().expect("an address"));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { api: Server { process, url, client }, worker: None }
    }

    /// What the table calls the process that serves the API.
    pub(crate) fn name_of_api(database: &Database) -> String {
        let command = if database.is_embedded() { "serve" } else { "api" };
        format!("`{command}`, {}", database.mode)
    }

    /// Its address and port.
    pub(crate) fn address(&self) -> &str {
        self.api.url.trim_start_matches("http://")
    }

    /// Ends all of it.
    pub(crate) async fn terminate(self) {
        if let Some(worker) = self.worker {
            worker.terminate().await;
        }
        self.api.terminate().await;
    }
}
