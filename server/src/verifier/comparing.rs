//! How a run of a verification comes by its pass, and is held back by its throttle.

use std::sync::Arc;

use super::{Verifier, pace::Pace, pass::Pass};
use crate::{
    domain::verify::{plan::Plan, progress::Progress},
    jobs::Throttle,
};

impl Pace for Throttle {
    fn portion(&self) -> usize {
        Throttle::portion(self)
    }

    async fn admit(&self, orders: usize) {
        Throttle::admit(self, orders).await;
    }

    async fn due(&self) {
        Throttle::due(self).await;
    }

    fn took(&self, orders: usize) {
        Throttle::took(self, orders);
    }

    fn done(&self, orders: usize) {
        Throttle::done(self, orders);
    }
}

impl Verifier {
    /// The pass of a verification that does this, and goes on from what was saved.
    pub(super) fn pass(
        &self,
        plan: Plan,
        saved: Progress,
        throttle: Arc<Throttle>,
    ) -> Pass<Throttle> {
        let differences = self.store.differences_of(&plan.verification);
        let reader = self.store.comparison_reader();
        Pass::new(reader, differences, plan, saved, throttle, self.chunk_size)
    }
}
