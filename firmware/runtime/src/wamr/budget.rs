//! What an application's memory is charged to, and where it lies.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ffi::c_void;
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::raw::{wasmbed_arena, wasmbed_budget_enter};

/// The memory of one application.
pub struct Budget {
    account: Account,
    /// What lends the arena its memory; `None` without an arena. It is only kept, to be dropped last.
    lender: Option<NonNull<dyn Lender>>,
}

/// The C platform layer keeps it. Same layout as `wasmbed_budget` in `platform/wasmbed.h`.
#[repr(C)]
pub(super) struct Account {
    limit: AtomicUsize,
    used: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicUsize,
    arena: *mut c_void,
}

/// What owns an arena's memory.
trait Lender: Send {}

impl<M: AsMut<[u8]> + Send> Lender for M {}

// SAFETY: counters are atomic. The arena is only touched by the C layer, for the one application that is charged to this budget
// and is loaded, run and dropped by one thread at a time. The lender is `Send`, and nobody refers to it until it is dropped.
unsafe impl Send for Budget {}
// SAFETY: as above: shared references read the counters only.
unsafe impl Sync for Budget {}

impl Budget {
    /// A budget of so many bytes, of the heap that all share.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { account: Account::new(limit, ptr::null_mut()), lender: None })
    }

    /// A budget of so many bytes, all of which lie in memory of their own: its translated module, its instance, its stack and its
    /// linear memory. What one application does there fragments nothing of another's, and to free the memory is to free all
    /// of it. The arena takes some hundred bytes for itself, and a few for each allocation, and its free memory can come to lie in
    /// pieces: it may be some kilobytes larger than the limit. Its memory is given back when the budget is dropped.
    ///
    /// `None` if the memory is too small for any application.
    pub fn in_arena<M: AsMut<[u8]> + Send + 'static>(limit: u64, memory: M) -> Option<Arc<Self>> {
        let lender = Box::into_raw(Box::new(memory));
        // SAFETY: just boxed. What `as_mut` gives stays valid while the box is neither moved out of nor used again.
        let memory = unsafe { (*lender).as_mut() };
        let (start, size) = (memory.as_mut_ptr(), memory.len());
        // SAFETY: the memory is writable and nobody else's.
        let arena = unsafe { wasmbed_arena(start.cast(), size) };
        if arena.is_null() {
            // SAFETY: from `into_raw` above, and referred to by nothing else.
            drop(unsafe { Box::from_raw(lender) });
            return None;
        }
        Some(Arc::new(Self { account: Account::new(limit, arena), lender: NonNull::new(lender as *mut dyn Lender) }))
    }

    /// Whether its memory lies in an arena of its own, so that an application may be given up wherever it is.
    pub fn has_arena(&self) -> bool {
        self.lender.is_some()
    }

    /// Refuses all memory from now on, so that a load comes to its end.
    pub fn close(&self) {
        self.account.limit.store(0, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.account.used.load(Ordering::Relaxed) as u64
    }

    /// The most bytes held at once.
    pub fn peak(&self) -> u64 {
        self.account.peak.load(Ordering::Relaxed) as u64
    }

    /// How often memory was refused.
    pub(crate) fn refused(&self) -> usize {
        self.account.refused.load(Ordering::Relaxed)
    }

    /// All of its memory is free again, as the application it was for is given up.
    pub(crate) fn forget_all(&self) {
        self.account.used.store(0, Ordering::Relaxed);
    }

    /// Charges what WAMR allocates on this thread to this budget until the guard is dropped.
    pub(super) fn enter(&self) -> Charging {
        // SAFETY: the budget outlives the guard, because whoever enters it holds an `Arc` of it meanwhile, and outlives every
        // allocation charged to it, because `Program` holds an `Arc` until it has freed everything.
        let previous = unsafe { wasmbed_budget_enter(ptr::from_ref(&self.account).cast_mut()) };
        Charging { previous }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("limit", &self.account.limit)
            .field("used", &self.used())
            .field("peak", &self.peak())
            .field("arena", &self.has_arena())
            .finish()
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(lender) = self.lender {
            // SAFETY: from `into_raw`, once; the last `Arc` is gone, so no program is left that lies in the arena.
            drop(unsafe { Box::from_raw(lender.as_ptr()) });
        }
    }
}

impl Account {
    fn new(limit: u64, arena: *mut c_void) -> Self {
        Self {
            limit: AtomicUsize::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            arena,
        }
    }
}

pub(super) struct Charging {
    previous: *mut Account,
}

impl Drop for Charging {
    fn drop(&mut self) {
        // SAFETY: guards nest, so the budget before is still the one of a caller up the stack, or null.
        unsafe { wasmbed_budget_enter(self.previous) };
    }
}

/// Whom a processor that many applications share charges with what is allocated. A scheduler that takes the processor from an
/// application in the middle of its work keeps this for it, as an operating system keeps what belongs to a thread.
#[derive(Debug)]
pub struct Charge(*mut Account);

impl Charge {
    /// Nobody: to begin with.
    pub const NOBODY: Self = Self(ptr::null_mut());

    /// Puts this in the place of what is there, and takes that.
    ///
    /// # Safety
    ///
    /// To be called in pairs, around the time an application has the processor: with [`Charge::NOBODY`] when it begins, later with
    /// what the call at the end of its last turn took, and only while the stack of that application lives.
    pub unsafe fn exchange(&mut self) {
        // SAFETY: what is put there is a budget that the application's stack keeps alive, or null, as the caller promises.
        self.0 = unsafe { wasmbed_budget_enter(self.0) };
    }
}

// SAFETY: it is only a name here; who exchanges it is on the thread that runs the application.
unsafe impl Send for Charge {}
