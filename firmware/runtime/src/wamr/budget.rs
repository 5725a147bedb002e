//! What an application's memory is charged to.

use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::raw::wasmbed_budget_enter;

/// The memory of one application; the C platform layer keeps it. Same layout as `wasmbed_budget` in `platform/wasmbed.h`.
#[repr(C)]
#[derive(Debug)]
pub struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        })
    }

    /// Refuses all memory from now on, so that a load comes to its end.
    pub fn close(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed) as u64
    }

    /// The most bytes held at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) as u64
    }

    /// How often memory was refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Charges what WAMR allocates on this thread to this budget until the guard is dropped.
    pub(super) fn enter(&self) -> Charging {
        // SAFETY: the budget outlives the guard, because whoever enters it holds an `Arc` of it meanwhile, and outlives every
        // allocation charged to it, because `Program` holds an `Arc` until it has freed everything.
        let previous = unsafe { wasmbed_budget_enter(ptr::from_ref(self).cast_mut()) };
        Charging { previous }
    }
}

pub(super) struct Charging {
    previous: *mut Budget,
}

impl Drop for Charging {
    fn drop(&mut self) {
        // SAFETY: guards nest, so the budget before is still the one of a caller up the stack, or null.
        unsafe { wasmbed_budget_enter(self.previous) };
    }
}
