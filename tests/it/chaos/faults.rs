//! The faults. To come: F9, a receiver of webhooks that fails (with I6), and F12, a network that delays and drops.

mod exact;
mod machine;
mod outside;
mod poison;
mod postgres;
mod random;
mod redis;
mod stop;
mod zombie;

use std::time::Duration;

use standin::claude::{Reply, RequestView};

use crate::app::diligent;

/// A model that takes its time.
fn thinking(time: Duration) -> impl Fn(&RequestView) -> Reply + Send + Sync + 'static {
    move |request: &RequestView| diligent(request).after(time)
}
