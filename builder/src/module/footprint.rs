//! What a module takes of a board's memory before it has run a step.
//!
//! A board has a fixed arena for each application. What WAMR's fast interpreter puts into it follows from the module: the linear
//! memory, the code it translates the module's to, and the records of module and instance. Each is counted here from above, with the
//! sizes of a 32-bit core, so that what passes fits; the boards' own tests hold these numbers against what the interpreter takes.

use std::fmt;

use wasmparser::{BrTable, FuncType, Operator};

/// Bytes of a handler's address, with which each translated instruction begins.
const LABEL: u64 = 4;
/// Bytes that name a slot of the frame: an operand, a result, a local.
const SLOT: u64 = 2;
/// Bytes of an immediate: an offset, an index, an address in the code.
const WORD: u64 = 4;
/// Bytes the allocator adds to each allocation, rounding among them.
const ALLOCATION: u64 = 16;

/// The records of a module and its instance, without what depends on its size, and its execution environment.
const FIXED: u64 = 1_600;
/// Of a function: its record in the module (80), in the instance (36), and three allocations.
const FUNCTION: u64 = 116 + 3 * ALLOCATION;
/// Of an imported function: its record in the module, in the instance, and its link.
const IMPORT: u64 = 72 + 36 + 12;
/// Of a type: its record, behind the pointer to it.
const TYPE: u64 = 32 + ALLOCATION;
/// Of a global: in the module and in the instance.
const GLOBAL: u64 = 32 + 24;
/// Of an export: in the module and in the instance.
const EXPORT: u64 = 12 + 8;
/// Of a data or element segment.
const SEGMENT: u64 = 36 + ALLOCATION;
/// Of an entry of a table.
const TABLE_ENTRY: u64 = 4;

/// What a module takes of a board's memory before it has run a step, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Linear memory, as the runtime lays it out.
    pub linear: u64,
    /// The code it is translated to.
    pub translated: u64,
    /// Records of module and instance, tables, and the interpreter's stack.
    pub instance: u64,
}

impl Footprint {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.linear + self.translated + self.instance
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { linear, translated, instance } = self;
        write!(f, "{linear} of linear memory, {translated} of translated code, {instance} of the instance")
    }
}

/// Counts while a module is read.
#[derive(Debug, Default)]
pub(super) struct Count {
    translated: u64,
    records: u64,
}

impl Count {
    /// A type of the module.
    pub(super) fn function_type(&mut self, kind: &FuncType) {
        self.records += TYPE + (kind.params().len() + kind.results().len()) as u64;
    }

    /// An imported function.
    pub(super) fn import(&mut self) {
        self.records += IMPORT;
    }

    /// A global.
    pub(super) fn global(&mut self) {
        self.records += GLOBAL;
    }

    /// An export.
    pub(super) fn export(&mut self, name: &str) {
        self.records += EXPORT + name.len() as u64 + ALLOCATION;
    }

    /// An element segment with so many entries.
    pub(super) fn elements(&mut self, entries: u64) {
        self.records += SEGMENT + entries * TABLE_ENTRY;
    }

    /// A data segment of so many bytes. The interpreter keeps a copy, beside the one in linear memory, as the module may go.
    pub(super) fn data(&mut self, bytes: u64) {
        self.records += SEGMENT + bytes;
    }

    /// Entries of a table.
    pub(super) fn table(&mut self, entries: u64) {
        self.records += entries * TABLE_ENTRY;
    }

    /// A function of the module, with its parameters and locals.
    pub(super) fn function(&mut self, kind: &FuncType, locals: u64) {
        let locals = locals + kind.params().len() as u64;
        // Each has a type and an offset.
        self.records += FUNCTION + locals * (1 + SLOT);
        // What a frame is left by, with a slot for each result; parameters may be kept when they are overwritten.
        self.translated += LABEL + results(kind) + WORD;
    }

    /// An instruction, with the types of the module and of its functions.
    pub(super) fn operator(&mut self, operator: &Operator<'_>, types: &[FuncType], functions: &[u32]) {
        self.translated += translated(operator, types, functions);
    }

    /// The sum, with the interpreter's stack.
    pub(super) fn footprint(&self, linear: u64, stack: u64) -> Footprint {
        Footprint { linear, translated: self.translated, instance: FIXED + self.records + stack }
    }
}

/// Bytes that the interpreter translates an instruction to, at most.
fn translated(operator: &Operator<'_>, types: &[FuncType], functions: &[u32]) -> u64 {
    use Operator as O;
    let function = |index: u32| functions.get(index as usize).and_then(|kind| types.get(*kind as usize));
    match operator {
        // Locals are named where they are used, and say nothing of their own.
        O::Nop | O::Drop | O::LocalGet { .. } => 0,
        // A constant is kept once a function, beside its code.
        O::I32Const { .. } | O::F32Const { .. } | O::RefNull { .. } => 4,
        O::I64Const { .. } | O::F64Const { .. } => 8,
        // What a block takes and gives is copied to where both of its ways expect it.
        O::Block { blockty } | O::Loop { blockty } => moved(values(blockty, types)),
        O::If { blockty } => LABEL + SLOT + 2 * WORD + moved(values(blockty, types)),
        O::Else => LABEL + WORD + moved(1),
        O::End => moved(1),
        O::Br { .. } => LABEL + branch(1),
        O::BrIf { .. } => LABEL + SLOT + branch(1),
        O::BrTable { targets } => LABEL + SLOT + WORD + table(targets),
        O::Return => LABEL + 4 * SLOT,
        O::Call { function_index } => LABEL + WORD + function(*function_index).map_or(8 * SLOT, called),
        O::CallIndirect { type_index, .. } => {
            LABEL + 2 * WORD + SLOT + types.get(*type_index as usize).map_or(8 * SLOT, called)
        }
        O::LocalSet { .. } | O::LocalTee { .. } => LABEL + 2 * SLOT + moved(1),
        O::GlobalGet { .. } | O::GlobalSet { .. } => LABEL + WORD + SLOT,
        O::Select | O::TypedSelect { .. } => LABEL + 4 * SLOT,
        O::MemorySize { .. } => LABEL + SLOT,
        O::MemoryGrow { .. } => LABEL + 2 * SLOT,
        O::MemoryCopy { .. } | O::MemoryFill { .. } => LABEL + 3 * SLOT,
        O::MemoryInit { .. } | O::TableInit { .. } | O::TableCopy { .. } => LABEL + 2 * WORD + 3 * SLOT,
        O::DataDrop { .. } | O::ElemDrop { .. } => LABEL + WORD,
        O::I32Load { .. }
        | O::I64Load { .. }
        | O::F32Load { .. }
        | O::F64Load { .. }
        | O::I32Load8S { .. }
        | O::I32Load8U { .. }
        | O::I32Load16S { .. }
        | O::I32Load16U { .. }
        | O::I64Load8S { .. }
        | O::I64Load8U { .. }
        | O::I64Load16S { .. }
        | O::I64Load16U { .. }
        | O::I64Load32S { .. }
        | O::I64Load32U { .. }
        | O::I32Store { .. }
        | O::I64Store { .. }
        | O::F32Store { .. }
        | O::F64Store { .. }
        | O::I32Store8 { .. }
        | O::I32Store16 { .. }
        | O::I64Store8 { .. }
        | O::I64Store16 { .. }
        | O::I64Store32 { .. } => LABEL + WORD + 2 * SLOT,
        // Two operands and a result at most.
        _ => LABEL + 3 * SLOT,
    }
}

/// Values carried to another place: an instruction for each of them.
const fn moved(values: u64) -> u64 {
    values * (LABEL + 2 * SLOT)
}

/// How a branch is described, with so many values carried: how many, their cells, from where, to where, and the address.
const fn branch(values: u64) -> u64 {
    3 * WORD + values * (1 + 2 * SLOT)
}

fn table(targets: &BrTable<'_>) -> u64 {
    (u64::from(targets.len()) + 1) * branch(1)
}

fn called(kind: &FuncType) -> u64 {
    let parameters = SLOT * kind.params().len() as u64;
    // Results beyond the first are copied out.
    parameters + results(kind) + SLOT
}

fn results(kind: &FuncType) -> u64 {
    SLOT * kind.results().len() as u64
}

fn values(block: &wasmparser::BlockType, types: &[FuncType]) -> u64 {
    match block {
        wasmparser::BlockType::Empty => 0,
        wasmparser::BlockType::Type(_) => 1,
        wasmparser::BlockType::FuncType(kind) => {
            types.get(*kind as usize).map_or(0, |kind| (kind.params().len() + kind.results().len()) as u64)
        }
    }
}
