//! The faults.

mod exact;
mod machine;
mod network;
mod outside;
mod poison;
mod postgres;
mod random;
mod receivers;
mod redis;
mod stop;
mod zombie;

use std::time::Duration;

use standin::claude::{Reply, RequestView};

use crate::app::diligent;

/// The rig's first job, which runs before the faults.
const UNDISTURBED: &str = "Request 1.";

/// A model that takes its time in every pass.
fn thinking(time: Duration) -> impl Fn(&RequestView) -> Reply + Send + Sync + 'static {
    move |request: &RequestView| {
        let is_quick = request.first_text().contains(UNDISTURBED);
        diligent(request).after(if is_quick { Duration::ZERO } else { time })
    }
}

/// A model that takes its time in the first pass.
fn planning(time: Duration) -> impl Fn(&RequestView) -> Reply + Send + Sync + 'static {
    let thinking = thinking(time);
    move |request: &RequestView| {
        let is_plan = request.first_text().contains("This is the analysis pass");
        if is_plan { thinking(request) } else { diligent(request) }
    }
}
