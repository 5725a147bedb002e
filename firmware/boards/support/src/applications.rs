//! What the device loop asks of the board's applications.

use alloc::string::String;

use wasmbed_agent::{ApplicationEvent, Instance, StartApplication};

/// The applications of a device: they run in slices, beside its tasks.
pub trait Applications {
    /// Starts a run; its events come by [`next_event`](Self::next_event), unless it is refused at once.
    ///
    /// # Errors
    /// Why it is refused, for a person.
    fn start(&mut self, start: StartApplication, module: &'static [u8]) -> Result<(), String>;

    /// Asks a run to end; its last event tells when it did.
    fn stop(&mut self, instance: Instance);

    /// Tells what each run uses. Asked about once a second.
    fn account(&mut self, tell: &mut dyn FnMut(Instance, ApplicationEvent));

    /// Whether any run is there.
    fn is_empty(&self) -> bool;

    /// Waits for what a run does. Nothing is lost when the wait is given up.
    fn next_event(&mut self) -> impl Future<Output = (Instance, ApplicationEvent)>;
}
