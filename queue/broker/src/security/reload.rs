//! Looks again at the files that users and listeners were made of.
//!
//! By their contents: a few KiB every few seconds cost nothing, and neither times that a copy keeps nor links that are
//! swapped (as Kubernetes does) can hide a change.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::tls::Tls;
use crate::node::Node;

/// Runs until `stop`.
pub(crate) async fn run(node: Arc<Node>, tls: Vec<Arc<Tls>>, stop: CancellationToken) {
    let tls: Arc<[Arc<Tls>]> = tls.into();
    let pause = || tokio::time::sleep(node.config.reload_interval);
    while stop.run_until_cancelled(pause()).await.is_some() {
        let (node, tls) = (node.clone(), tls.clone());
        let looking = tokio::task::spawn_blocking(move || {
            node.admissions.users().reload();
            tls.iter().for_each(|tls| tls.reload());
        });
        if let Err(panic) = looking.await {
            std::panic::resume_unwind(panic.into_panic());
        }
    }
}
