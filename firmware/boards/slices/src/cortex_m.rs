//! Switching between the device's stack and an application's: the one module here with assembly, registers and unsafe code.
//!
//! # Why it is sound
//!
//! - **Two stacks.** The device runs on the main stack (MSP), the application that has the processor on its own (PSP). [`switch_to`]
//!   pends PendSV, which parks the device's registers on the main stack and takes the application's from its own; the next PendSV, pended
//!   by SysTick, by [`end_slice`] or by the application, does the reverse. To the compiler `switch_to` is a call that may change all of
//!   memory, and so is [`suspend`] for the application; a slice that ends anywhere else is an interrupt to it, after which every
//!   register is what it was. r0 to r3, r12, lr, pc and the flags are saved by the core, r4 to r11 by the handler.
//! - **Floating point.** Bit 4 of EXC_RETURN says whether the stack that is left has a floating-point context. If so, the handler saves
//!   s16 to s31, and its first such instruction makes the core save s0 to s15 lazily where it reserved room for them. An
//!   application that is ended by a fault does not get there: the fault handler clears LSPACT, so that its registers are never saved into
//!   a stack that is gone. A core without an FPU sets bit 4 always, and targets without one leave these instructions out.
//! - **Who runs.** [`CURRENT`] is null unless an application has the processor; it and [`NEXT`] are only ever set to a context
//!   whose owner is inside of [`switch_to`], which returns when it is null again. There is one core.
//! - **Alignment.** The core aligns the stack it pushes to, which is the application's: so what the handler leaves on the main stack
//!   is a multiple of eight bytes, and interrupts find it aligned.
//! - **The stack's end.** PendSV looks whether what it pushes has room above the guard, before it does; the core's own pushes into the
//!   guard are memory faults. Either way the application is ended and nothing of its stack is used again.
//! - **Data shared with handlers** is atomic. A slice does not end while [`HELD`] is not 0.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, Ordering, compiler_fence};

use crate::shared::Wide;
use crate::stack::GUARD_BYTES;

const ICSR: usize = 0xE000_ED04;
const ICSR_PENDSVSET: u32 = 1 << 28;
const ICSR_PENDSTCLR: u32 = 1 << 25;
const SHPR3: usize = 0xE000_ED20;
/// The lowest priority, for PendSV and SysTick.
const SHPR3_LOWEST: u32 = 0xFFFF_0000;
const SHCSR: usize = 0xE000_ED24;
const SHCSR_FAULTS: u32 = 0b111 << 16;
const CFSR: usize = 0xE000_ED28;
const MMFAR: usize = 0xE000_ED34;
const BFAR: usize = 0xE000_ED38;
#[cfg(target_abi = "eabihf")]
const FPCCR: usize = 0xE000_EF34;
const MPU_TYPE: usize = 0xE000_ED90;
const MPU_CTRL: usize = 0xE000_ED94;
const MPU_CTRL_ENABLE_WITH_DEFAULT_MAP: u32 = 0b101;
const MPU_RNR: usize = 0xE000_ED98;
const MPU_RBAR: usize = 0xE000_ED9C;
/// The write names the region, too.
const MPU_RBAR_VALID: u32 = 1 << 4;
const MPU_RASR: usize = 0xE000_EDA0;
/// No access for anybody, never executed, ordinary memory, 256 bytes, enabled.
const MPU_RASR_GUARD: u32 = 1 << 28 | 0b011 << 16 | (GUARD_BYTES.ilog2() - 1) << 1 | 1;
const SYST_CSR: usize = 0xE000_E010;
const SYST_CSR_ON: u32 = 0b111;
const SYST_RVR: usize = 0xE000_E014;
const SYST_CVR: usize = 0xE000_E018;
/// The longest slice, in cycles of the core: SysTick counts 24 bits.
const LONGEST: u32 = 0x00FF_FFFF;

/// What PendSV pushes on a stack: r4 to r11, lr, and s16 to s31.
const PUSHED: usize = 4 * (9 + 16);

/// Where an application's stack stands while it is not running.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Context {
    stack_pointer: usize,
    /// Below this PendSV must not find the stack pointer.
    limit: usize,
}

/// The registers of an application that begins: what PendSV takes, then what the core takes.
#[repr(C)]
struct FirstFrame {
    r4_to_r11: [u32; 8],
    exc_return: u32,
    r0: usize,
    r1_to_r3: [u32; 3],
    r12: u32,
    lr: u32,
    pc: usize,
    xpsr: u32,
}

/// Thread mode, on the process stack, without a floating-point context.
const EXC_RETURN_APPLICATION: u32 = 0xFFFF_FFFD;
const XPSR_THUMB: u32 = 1 << 24;

static CURRENT: AtomicPtr<Context> = AtomicPtr::new(ptr::null_mut());
static NEXT: AtomicPtr<Context> = AtomicPtr::new(ptr::null_mut());
/// How many holds there are on the stack that runs.
static HELD: AtomicU32 = AtomicU32::new(0);
/// The slice was to end while it was held.
static DUE: AtomicBool = AtomicBool::new(false);
/// The device has something to do.
static WANTED: AtomicBool = AtomicBool::new(false);
static HAS_GUARD: AtomicBool = AtomicBool::new(false);
/// What names the guard's region, and says so, in the lower bits of `MPU_RBAR`. Named at every write: the board may use others.
static GUARD_REGION: AtomicU32 = AtomicU32::new(0);
/// Why the application gave the processor back: an [`End`].
static END: AtomicU8 = AtomicU8::new(End::Preempted as u8);
static WAITS: AtomicBool = AtomicBool::new(false);
static UNTIL: Wide = Wide::new();
static FAULT_STATUS: AtomicU32 = AtomicU32::new(0);
static FAULT_ADDRESS: AtomicU32 = AtomicU32::new(0);

/// Why an application gave the processor back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum End {
    Preempted,
    Suspended,
    Finished,
    Faulted,
    Overflowed,
}

/// What the core said about a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultRegisters {
    pub(crate) status: u32,
    pub(crate) address: u32,
}

fn read(register: usize) -> u32 {
    // SAFETY: a system register of ARMv7-M, from the constants above; reading it changes nothing.
    unsafe { ptr::with_exposed_provenance::<u32>(register).read_volatile() }
}

/// # Safety
///
/// What the register does with the value must be sound.
unsafe fn write(register: usize, value: u32) {
    // SAFETY: a system register of ARMv7-M, from the constants above; the rest the caller promises.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
}

fn pend_switch() {
    // SAFETY: PendSV does nothing unless a switch is due. The barriers make it happen here and not some instructions later.
    unsafe {
        write(ICSR, ICSR_PENDSVSET);
        asm!("dsb", "isb", options(nostack, preserves_flags));
    }
}

/// Whether the caller is in an exception handler.
fn is_in_handler() -> bool {
    let ipsr: u32;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, IPSR", out(reg) ipsr, options(nomem, nostack, preserves_flags)) };
    ipsr != 0
}

/// Whether interrupts are disabled.
fn is_masked() -> bool {
    let (primask, basepri): (u32, u32);
    // SAFETY: reads registers.
    unsafe {
        asm!("mrs {}, PRIMASK", "mrs {}, BASEPRI", out(reg) primask, out(reg) basepri, options(nomem, nostack, preserves_flags));
    }
    primask & 1 != 0 || basepri != 0
}

/// Sets priorities, faults and the guard up. To be called once, by the device, before anything runs in slices.
pub fn start() {
    // SAFETY: PendSV and SysTick are handled below and do nothing while no application runs; faults that are not an
    // application's go where they would have gone. The MPU's default map lets privileged code, which all of it is, go on as without it,
    // and its last region, the strongest, is empty until an application runs.
    unsafe {
        write(SHPR3, read(SHPR3) | SHPR3_LOWEST);
        write(SHCSR, read(SHCSR) | SHCSR_FAULTS);
        let regions = read(MPU_TYPE) >> 8 & 0xFF;
        if regions > 0 {
            write(MPU_RNR, regions - 1);
            write(MPU_RASR, 0);
            write(MPU_CTRL, read(MPU_CTRL) | MPU_CTRL_ENABLE_WITH_DEFAULT_MAP);
            asm!("dsb", "isb", options(nostack, preserves_flags));
            GUARD_REGION.store(MPU_RBAR_VALID | (regions - 1), Ordering::Relaxed);
            HAS_GUARD.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether the core has an MPU, which guards the stack of the application that runs. Known after [`start`].
pub fn has_guard() -> bool {
    HAS_GUARD.load(Ordering::Relaxed)
}

/// Whether an application has the processor, be it that an interrupt has it from the application right now.
pub fn is_in_application() -> bool {
    !CURRENT.load(Ordering::Relaxed).is_null()
}

/// Ends the slice of the application that runs, at once or when it is held no more; and any that would begin before the next
/// [`begin_pass`]. For whoever gives the device something to do: an interrupt, an executor's `__pender`.
pub fn end_slice() {
    WANTED.store(true, Ordering::Relaxed);
    end_now();
}

fn end_now() {
    if !is_in_application() {
        return;
    }
    if HELD.load(Ordering::Relaxed) == 0 {
        pend_switch();
    } else {
        DUE.store(true, Ordering::Relaxed);
    }
}

/// Says that the device is about to do all there is to do: what wakes it from now on ends slices. To be called before each pass of
/// the device's loop or executor.
pub fn begin_pass() {
    WANTED.store(false, Ordering::Relaxed);
}

/// Whether [`end_slice`] was called since the pass began.
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// While it lives, the slice does not end. Holds nest; they are no lock against interrupts.
#[derive(Debug)]
#[must_use = "the hold ends when it is dropped"]
pub struct Hold(());

/// Keeps the processor until the hold is dropped: for a few instructions that others must not see half done.
pub fn hold() -> Hold {
    begin_hold();
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        end_hold();
    }
}

pub(crate) fn begin_hold() {
    HELD.store(HELD.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
}

pub(crate) fn end_hold() {
    compiler_fence(Ordering::SeqCst);
    let held = HELD.load(Ordering::Relaxed).saturating_sub(1);
    HELD.store(held, Ordering::Relaxed);
    if held == 0 && DUE.load(Ordering::Relaxed) && is_in_application() {
        DUE.store(false, Ordering::Relaxed);
        pend_switch();
    }
}

/// Gives the rest of the slice up, holds or not, and does not come back before the application is resumed: after `until`, in ticks of
/// the device's clock, or whenever its owner sees fit; so whoever waits for something looks again, and calls this again. Holds
/// are as before then. Outside of an application it does nothing.
pub fn suspend(until: Option<u64>) {
    if !is_in_application() || is_in_handler() {
        return;
    }
    let held = HELD.load(Ordering::Relaxed);
    // From here until it is back it is held, so that nothing else takes the processor in between: it comes back so.
    HELD.store(held.max(1), Ordering::Relaxed);
    WAITS.store(until.is_some(), Ordering::Relaxed);
    UNTIL.set(until.unwrap_or_default());
    leave(End::Suspended);
    if held == 0 {
        end_hold();
    } else {
        HELD.store(held, Ordering::Relaxed);
    }
}

/// Held, so this is the only switch that is pended.
fn leave(end: End) {
    END.store(end as u8, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    pend_switch();
    compiler_fence(Ordering::SeqCst);
}

/// Until when the application that was suspended last waits.
pub(crate) fn waits_until() -> Option<u64> {
    WAITS.load(Ordering::Relaxed).then(|| UNTIL.get())
}

/// What the core said about the last fault of an application.
pub(crate) fn fault_registers() -> FaultRegisters {
    FaultRegisters { status: FAULT_STATUS.load(Ordering::Relaxed), address: FAULT_ADDRESS.load(Ordering::Relaxed) }
}

impl Context {
    /// A context that will call `begin(argument)` on that stack, held once. `begin` must not return.
    ///
    /// # Safety
    ///
    /// The addresses from `start` to `end`, multiples of eight, are memory of nothing else.
    pub(crate) unsafe fn new(start: usize, end: usize, begin: extern "C" fn(usize) -> !, argument: usize) -> Self {
        let frame = FirstFrame {
            r4_to_r11: [0; 8],
            exc_return: EXC_RETURN_APPLICATION,
            r0: argument,
            r1_to_r3: [0; 3],
            r12: 0,
            lr: u32::MAX,
            pc: begin as usize & !1,
            xpsr: XPSR_THUMB,
        };
        let place = (end - size_of::<FirstFrame>() - 4) & !3;
        // What the core takes must be aligned to eight.
        let place = place - (place + offset_of!(FirstFrame, r0)) % 8;
        // SAFETY: as the caller promises; the frame fits, as a stack has more than 256 bytes.
        unsafe { ptr::with_exposed_provenance_mut::<FirstFrame>(place).write(frame) };
        Self { stack_pointer: place, limit: start + PUSHED }
    }
}

/// Runs an application for at most so many cycles, and says why it gave the processor back.
///
/// # Safety
///
/// The context is of a live stack with the guard at `guard`, was not used since it came back `Preempted` or `Suspended`, and is
/// referred to by nobody else. `is_held` says that it never ran, or came back `Suspended`.
pub(crate) unsafe fn switch_to(context: *mut Context, guard: usize, is_held: bool, cycles: u32) -> End {
    assert!(!is_in_handler() && !is_in_application(), "an application is resumed from the device's stack");
    assert!(!is_masked(), "an application is resumed with interrupts enabled");
    // SAFETY: the guard is aligned to its size, and no one has business there. SysTick is ours.
    unsafe {
        if has_guard() {
            write(MPU_RBAR, guard as u32 | GUARD_REGION.load(Ordering::Relaxed));
            write(MPU_RASR, MPU_RASR_GUARD);
        }
        write(SYST_CSR, 0);
        write(SYST_RVR, cycles.clamp(1, LONGEST));
        write(SYST_CVR, 0);
        write(ICSR, ICSR_PENDSTCLR);
        write(SYST_CSR, SYST_CSR_ON);
    }
    DUE.store(false, Ordering::Relaxed);
    END.store(End::Preempted as u8, Ordering::Relaxed);
    HELD.store(u32::from(is_held), Ordering::Relaxed);
    NEXT.store(context, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    pend_switch();
    // The application has run.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: SysTick is ours.
    unsafe { write(SYST_CSR, 0) };
    HELD.store(0, Ordering::Relaxed);
    match END.load(Ordering::Relaxed) {
        end if end == End::Suspended as u8 => End::Suspended,
        end if end == End::Finished as u8 => End::Finished,
        end if end == End::Faulted as u8 => End::Faulted,
        end if end == End::Overflowed as u8 => End::Overflowed,
        _ => End::Preempted,
    }
}

/// Takes the guard away, before its memory goes.
pub(crate) fn remove_guard() {
    if has_guard() {
        // SAFETY: an empty region.
        unsafe {
            write(MPU_RBAR, GUARD_REGION.load(Ordering::Relaxed));
            write(MPU_RASR, 0);
        }
    }
}

/// Lets the processor be taken from the caller while it does something, although turns are held.
pub fn with_turns<R>(work: impl FnOnce() -> R) -> R {
    end_hold();
    let result = work();
    begin_hold();
    result
}

/// Ends the application that runs, by its own will.
pub(crate) fn finish() -> ! {
    loop {
        leave(End::Finished);
    }
}

#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "named as cortex-m-rt wants it")]
extern "C" fn SysTick() {
    end_now();
}

#[cfg(target_abi = "eabihf")]
macro_rules! with_fpu {
    ($($text:literal),*) => { concat!(".fpu fpv4-sp-d16\n tst lr, #16\n it eq\n", $($text, "\n"),*) };
}

#[cfg(not(target_abi = "eabihf"))]
macro_rules! with_fpu {
    ($($text:literal),*) => {
        ""
    };
}

/// The switch: from an application to the device, or the other way if [`NEXT`] says so.
#[unsafe(no_mangle)]
#[unsafe(naked)]
#[allow(non_snake_case, reason = "named as cortex-m-rt wants it")]
unsafe extern "C" fn PendSV() {
    naked_asm!(
        "movw r1, #:lower16:{current}",
        "movt r1, #:upper16:{current}",
        "tst lr, #4",
        "beq 2f",
        // From an application. If its registers have no room above its guard, it has ended.
        "mrs r0, PSP",
        "ldr r2, [r1]",
        "ldr r3, [r2, {limit}]",
        "cmp r0, r3",
        "blo {overflowed}",
        with_fpu!("vstmdbeq r0!, {{s16-s31}}"),
        "stmdb r0!, {{r4-r11, lr}}",
        "str r0, [r2]",
        // To the device.
        "movs r2, #0",
        "str r2, [r1]",
        "pop {{r3-r11, lr}}",
        with_fpu!("vpopeq {{s16-s31}}"),
        "bx lr",
        // From the device, if an application is to run.
        "2:",
        "movw r3, #:lower16:{next}",
        "movt r3, #:upper16:{next}",
        "ldr r2, [r3]",
        "cbz r2, 3f",
        with_fpu!("vpusheq {{s16-s31}}"),
        // r3 only for alignment.
        "push {{r3-r11, lr}}",
        "str r2, [r1]",
        "movs r0, #0",
        "str r0, [r3]",
        "ldr r0, [r2]",
        "ldmia r0!, {{r4-r11, lr}}",
        with_fpu!("vldmiaeq r0!, {{s16-s31}}"),
        "msr PSP, r0",
        "3:",
        "bx lr",
        current = sym CURRENT,
        next = sym NEXT,
        limit = const offset_of!(Context, limit),
        overflowed = sym overflowed,
    )
}

/// In PendSV, where an application's stack is used up.
#[unsafe(naked)]
unsafe extern "C" fn overflowed() {
    naked_asm!("bl {note}", "b {abandon}", note = sym note_overflow, abandon = sym abandon)
}

/// In a handler: back to the device, and never back to the application.
#[unsafe(naked)]
unsafe extern "C" fn abandon() {
    naked_asm!(
        "movw r1, #:lower16:{current}",
        "movt r1, #:upper16:{current}",
        "movs r2, #0",
        "str r2, [r1]",
        "pop {{r3-r11, lr}}",
        with_fpu!("vpopeq {{s16-s31}}"),
        "bx lr",
        current = sym CURRENT,
    )
}

macro_rules! fault_handler {
    ($name:ident) => {
        /// An application that had the processor, and was not held, has ended; any other fault is the device's.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[allow(non_snake_case, reason = "named as cortex-m-rt wants it")]
        unsafe extern "C" fn $name() {
            naked_asm!(
                // Thread mode on the process stack.
                "and r0, lr, #12",
                "cmp r0, #12",
                "bne 2f",
                "movw r1, #:lower16:{held}",
                "movt r1, #:upper16:{held}",
                "ldr r0, [r1]",
                "cbnz r0, 2f",
                "bl {note}",
                "b {abandon}",
                "2:",
                "movw r0, #:lower16:HardFault",
                "movt r0, #:upper16:HardFault",
                "bx r0",
                held = sym HELD,
                note = sym note_fault,
                abandon = sym abandon,
            )
        }
    };
}

fault_handler!(MemoryManagement);
fault_handler!(BusFault);
fault_handler!(UsageFault);

extern "C" fn note_overflow() {
    END.store(End::Overflowed as u8, Ordering::Relaxed);
    forget_floating_point();
}

extern "C" fn note_fault() {
    END.store(End::Faulted as u8, Ordering::Relaxed);
    let status = read(CFSR);
    let address = if status & 0x80 != 0 { read(MMFAR) } else { read(BFAR) };
    FAULT_STATUS.store(status, Ordering::Relaxed);
    FAULT_ADDRESS.store(address, Ordering::Relaxed);
    // SAFETY: bits are cleared by writing them.
    unsafe { write(CFSR, status) };
    forget_floating_point();
}

/// The application's floating-point registers, if they are still to be saved, are not: its stack is gone.
fn forget_floating_point() {
    #[cfg(target_abi = "eabihf")]
    // SAFETY: the context that would be saved is of an application that does not go on.
    unsafe {
        write(FPCCR, read(FPCCR) & !1);
    }
}
