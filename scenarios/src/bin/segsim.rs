fn main() {
    use segsim::scenario::SCENARIOS;
    use segment_sim::world::{Worker,Mode};
    let n: u64 = std::env::args().nth(1).map_or(3000, |a| a.parse().unwrap());
    println!("broken {:?}", segment_sim::oracle::broken());
    for s in &SCENARIOS {
        let mut w = Worker::new().unwrap();
        let t = std::time::Instant::now();
        let mut tally = segment_sim::record::Tally::default();
        for seed in 0..n {
            let plan = s.plan(seed, None);
            let o = s.run(&mut w, &plan, Mode::default()).unwrap();
            tally.add(&o.record);
        }
        let e = t.elapsed();
        println!("{} {:.0} runs/s sites/run {:.1} joined {:.2} departed {:.2} failed {}", s.name, n as f64 / e.as_secs_f64(), tally.sites as f64 / n as f64, tally.joined as f64 / n as f64, tally.departed as f64/n as f64, tally.failed);
        for g in tally.groups.values() { println!("   {g:?}"); }
        for g in &tally.windows { println!("   {g:?}"); }
        println!("   {:?}", tally.interference);
    }
}
