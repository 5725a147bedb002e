//! The board's persistent flash: the region of the records and of the store.

use alloc::vec;
use alloc::vec::Vec;

use wasmbed_agent::region::{self, Unit};
use wasmbed_agent::store::{self, FlashError, Geometry};

/// A board's flash region. Addresses count from its start.
pub trait Flash {
    /// Bytes of each of the units before the store.
    fn unit(&self) -> u32;

    /// How the store's own region, behind those units, is cut.
    fn geometry(&self) -> Geometry;

    /// Fills `bytes` from this address on.
    ///
    /// # Errors
    /// The flash cannot be read there.
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError>;

    /// Programs whole words that are erased; done once they are durable.
    ///
    /// # Errors
    /// The flash did not take them.
    fn program(&mut self, address: u32, bytes: &[u8]) -> impl Future<Output = Result<(), FlashError>>;

    /// Erases the unit that begins at this address; done once that is durable.
    ///
    /// # Errors
    /// The flash did not do it.
    fn erase(&mut self, address: u32, length: u32) -> impl Future<Output = Result<(), FlashError>>;

    /// Bytes where they lie, for as long as nobody erases them: the store does not while a run of the module lasts.
    ///
    /// # Errors
    /// They are not in the region.
    fn mapped(&self, address: u32, length: u32) -> Result<&'static [u8], FlashError>;
}

/// Carries out an action of the store.
///
/// # Errors
/// What the flash says.
pub(crate) async fn perform(flash: &mut impl Flash, action: &store::Action) -> Result<Vec<u8>, FlashError> {
    let begin = region::store_address(flash.unit());
    match action {
        store::Action::Read { address, length, .. } => {
            let mut bytes = vec![0; *length as usize];
            flash.read(begin + address, &mut bytes).map(|()| bytes)
        }
        store::Action::Program { address, bytes, .. } => {
            flash.program(begin + address, bytes).await.map(|()| Vec::new())
        }
        store::Action::Erase { address, length, .. } => {
            flash.erase(begin + address, *length).await.map(|()| Vec::new())
        }
    }
}

/// Reads the first bytes of a record's unit.
pub(crate) fn read_record(flash: &mut impl Flash, unit: Unit, length: usize) -> Result<Vec<u8>, FlashError> {
    let mut bytes = vec![0; length.min(flash.unit() as usize)];
    flash.read(unit.address(flash.unit()), &mut bytes)?;
    Ok(bytes)
}

/// Replaces a record; done once the new one is durable.
pub(crate) async fn replace_record(flash: &mut impl Flash, unit: Unit, record: &[u8]) -> Result<(), FlashError> {
    let (address, length) = (unit.address(flash.unit()), flash.unit());
    flash.erase(address, length).await?;
    if record.is_empty() {
        return Ok(());
    }
    let mut words = record.to_vec();
    words.resize(record.len().next_multiple_of(flash.geometry().word as usize), 0xFF);
    flash.program(address, &words).await
}
