//! Any bytes are refused in one line, or are a plan that can be run. It begins with the plans of the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use segment_sim::world::{Mode, Worker};
use segsim::plan_file::PlanFile;
use segsim::scenario::Scenario;
use std::cell::RefCell;

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker::new().expect("a database in memory opens"));
}

fuzz_target!(|bytes: &[u8]| match PlanFile::parse(bytes) {
    Err(fault) => assert!(!fault.contains('\n')),
    Ok(file) => {
        let scenario = Scenario::named(&file.plan.scenario).expect("it was read");
        let ran = WORKER.with_borrow_mut(|worker| scenario.run(worker, &file.plan, Mode::default()));
        let violations = ran.expect("the harness bears it").record.violations;
        assert!(violations.iter().all(|violation| violation.oracle != "panic"), "{violations:?}");
    }
});
