//! How far a run is, on stderr: a live line on a terminal, plain lines anywhere else.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Cost, StageKey, TokenUsage};
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::{Progress, ProgressEvent};

/// Shows the events of one run.
pub(crate) struct Display(Mutex<State>);

struct State {
    begun: Instant,
    stage: Option<(StageKey, Instant)>,
    usage: TokenUsage,
    cost: Cost,
    live: Option<ProgressBar>,
}

impl Display {
    /// A display for stderr as it is.
    pub(crate) fn new() -> Arc<Self> {
        let live = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix:<9} {elapsed:>4}   {msg}")
                    .unwrap_or(ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let begun = Instant::now();
        let state = State { begun, stage: None, usage: TokenUsage::default(), cost: Cost::ZERO, live };
        Arc::new(Self(Mutex::new(state)))
    }

    /// The callback that the pipeline calls.
    pub(crate) fn callback(self: &Arc<Self>) -> Progress {
        let display = self.clone();
        Arc::new(move |event| display.0.lock().unwrap_or_else(PoisonError::into_inner).show(&event))
    }

    /// Ends the live line and gives what the run used.
    pub(crate) fn finish(&self) -> (TokenUsage, Cost) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.live.take() {
            bar.finish_and_clear();
        }
        (state.usage, state.cost)
    }
}

impl State {
    fn show(&mut self, event: &ProgressEvent) {
        match event {
            ProgressEvent::StageStarted { key } => {
                self.stage = Some((key.clone(), Instant::now()));
                if let Some(bar) = &self.live {
                    bar.set_prefix(key.to_string());
                    bar.reset_elapsed();
                }
                self.refresh();
            }
            ProgressEvent::StageFinished { key, resumed } => {
                let took = self.stage.take().map_or(Duration::ZERO, |(_, begun)| begun.elapsed());
                let note = if *resumed { "from before".to_owned() } else { format!("{:.1} s", took.as_secs_f64()) };
                self.line(&format!("{:<9} {note:>11}   {}", key.to_string(), self.totals()));
            }
            ProgressEvent::CallSettled { usage, cost, .. } => {
                self.usage += *usage;
                self.cost += *cost;
                self.refresh();
            }
            ProgressEvent::Text { .. } => self.refresh(),
        }
    }

    /// Writes a line that stays.
    fn line(&self, text: &str) {
        let text = format!("[{:>6.1} s] {text}", self.begun.elapsed().as_secs_f64());
        match &self.live {
            Some(bar) => bar.println(text),
            // Progress that nobody can read is no reason to stop.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    fn refresh(&self) {
        if let Some(bar) = &self.live {
            bar.set_message(self.totals());
        }
    }

    fn totals(&self) -> String {
        let (input, output) = (self.usage.total_input(), self.usage.output_tokens);
        format!("{input} tokens in, {output} out, {} so far", self.cost)
    }
}
