//! Copies of a server's data, from which other servers can be made.

use std::path::Path;

use crate::sync::lock;

use super::description::Description;
use super::error::PostgresError;
use super::programs::Programs;
use super::server::{Server, Stop};
use super::tree;

impl Server {
    /// Copies the server's data into the folder `snapshot`, which is created. Of a server that is not running, everything
    /// is copied that it had committed, however it ended.
    ///
    /// # Errors
    ///
    /// When there is a snapshot in the folder already, or when the data cannot be copied.
    pub async fn snapshot(&self, snapshot: &Path) -> Result<(), PostgresError> {
        let running = self.running.lock().await;
        let description = lock(&self.description).clone();
        if description.rewinding {
            return Err(PostgresError::Incomplete { folder: self.folder.clone() });
        }
        let copy =
            Self::prepare(&self.programs, snapshot, Description { source: None, port: 0, ..description }).await?;
        if running.is_some() && self.port().is_some() {
            copy.copy_from(self, &copy.data()).await?;
        } else {
            tree::copy(&self.data(), &copy.data(), self.programs.identity().owner()).await?;
        }
        // A copy of a standby does not wait for anybody's changes.
        let signal = copy.data().join("standby.signal");
        if signal.exists() {
            std::fs::remove_file(&signal).map_err(PostgresError::file("remove", &signal))?;
        }
        copy.complete()
    }

    /// Makes a new server in `folder` from a snapshot, which stays as it is, and starts it. It is a primary, with the roles
    /// and passwords of the snapshot.
    ///
    /// # Errors
    ///
    /// When there is a server in the folder, when the snapshot is incomplete, or when the server does not start.
    pub async fn restore(
        programs: &Programs,
        folder: &Path,
        snapshot: &Path,
        port: Option<u16>,
    ) -> Result<Self, PostgresError> {
        let source = Self::open(programs, snapshot)?;
        let description =
            Description { wanted_port: port, port: 0, fenced: false, ..lock(&source.description).clone() };
        let server = Self::prepare(programs, folder, description).await?;
        tree::copy(&source.data(), &server.data(), programs.identity().owner()).await?;
        server.start().await?;
        server.complete()?;
        Ok(server)
    }

    /// Stops the server and removes its folder.
    ///
    /// # Errors
    ///
    /// When the server does not end, or when the folder cannot be removed.
    pub async fn remove(&self) -> Result<(), PostgresError> {
        self.stop(Stop::Immediate).await?;
        tree::remove(&self.folder).await
    }
}
