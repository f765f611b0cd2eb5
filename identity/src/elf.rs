//! Where an ELF file keeps its GNU build ID.

use std::ops::Range;

use crate::fields::{Fields, Order};

const SECTION: &[u8] = b".note.gnu.build-id";

/// Length of what stands before the ID in its note: three words and the owner `GNU\0`.
const NOTE_HEADER: usize = 16;

/// Whether the file says that it is ELF.
pub(crate) fn is_elf(file: &[u8]) -> bool {
    file.starts_with(b"\x7fELF")
}

/// Where the payload of the section `.note.gnu.build-id` lies in an ELF file: the section without its first 16 bytes, the
/// first such section if there are several. `Ok(None)` if there is none; `Err` says what is malformed.
///
/// cmd/go goes by the section's name, not by program headers, so a file without section names has no GNU build ID to it.
pub(crate) fn gnu_build_id(file: &[u8]) -> Result<Option<Range<usize>>, &'static str> {
    let wide = match file.get(4) {
        Some(1) => false,
        Some(2) => true,
        _ => return Err("unknown ELF class"),
    };
    let order = match file.get(5) {
        Some(1) => Order::Little,
        Some(2) => Order::Big,
        _ => return Err("unknown ELF byte order"),
    };
    let elf = Fields { bytes: file, order };
    let table = Sections::of(elf, wide).ok_or("the ELF header is cut off")?;
    if table.offset == 0 || table.names == 0 {
        return Ok(None);
    }
    // As debug/elf does. With headers of no size there would be any number of them in a file of any length.
    if table.entry < if wide { 64 } else { 40 } {
        return Err("the ELF section headers are too short");
    }
    let cut_off = "the ELF section headers reach past the end of the file";
    let names = table.extent(table.names).ok_or(cut_off)?;
    let names = file.get(names).ok_or(cut_off)?;
    for index in 0..table.count {
        let name = table.name(index).ok_or(cut_off)?;
        let name = names.get(name..).ok_or("bad ELF section name")?;
        if name
            .strip_prefix(SECTION)
            .is_some_and(|rest| rest.first() == Some(&0))
        {
            let section = table.extent(index).ok_or(cut_off)?;
            if section.end > file.len() || section.len() < NOTE_HEADER {
                return Err("the ELF section .note.gnu.build-id is cut off");
            }
            return Ok(Some(section.start + NOTE_HEADER..section.end));
        }
    }
    Ok(None)
}

/// Whether programs that are linked with this file record the path that the linker was given: an ELF shared library that does
/// not name itself (DT_SONAME). A file that cannot be read as ELF is none.
pub fn records_its_path(file: &[u8]) -> bool {
    is_elf(file) && names_itself(file) == Some(false)
}

/// `None` when the file is no shared library, or malformed.
fn names_itself(file: &[u8]) -> Option<bool> {
    const DYNAMIC: u16 = 3;
    const SECTION_DYNAMIC: u32 = 6;
    const SONAME: usize = 14;
    let wide = match file.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let order = match file.get(5)? {
        1 => Order::Little,
        2 => Order::Big,
        _ => return None,
    };
    let elf = Fields { bytes: file, order };
    if elf.u16(16)? != DYNAMIC {
        return None;
    }
    let table = Sections::of(elf, wide)?;
    let word = if wide { 8 } else { 4 };
    for index in 0..table.count {
        if elf.u32(table.field(index, 4)?)? != SECTION_DYNAMIC {
            continue;
        }
        let section = table.extent(index)?;
        let mut entries = (section.start..section.end.min(file.len())).step_by(2 * word);
        return Some(entries.any(|at| elf.word(at, wide) == Some(SONAME)));
    }
    None
}

/// The table of section headers.
struct Sections<'a> {
    elf: Fields<'a>,
    wide: bool,
    /// Offset of the first header in the file, 0 if there are no sections.
    offset: usize,
    entry: usize,
    count: usize,
    /// Index of the section that holds the names, 0 if there is none.
    names: usize,
}

impl<'a> Sections<'a> {
    fn of(elf: Fields<'a>, wide: bool) -> Option<Self> {
        let base = if wide { 58 } else { 46 };
        let mut table = Sections {
            elf,
            wide,
            offset: elf.word(if wide { 40 } else { 32 }, wide)?,
            entry: elf.u16(base)?.into(),
            count: elf.u16(base + 2)?.into(),
            names: elf.u16(base + 4)?.into(),
        };
        // Numbers too big for the file header stand in the header of section 0 (System V gABI, "ELF Header").
        if table.offset != 0 && table.count == 0 {
            table.count = elf.word(table.field(0, if wide { 32 } else { 20 })?, wide)?;
        }
        if table.names == 0xffff {
            let link = table.field(0, if wide { 40 } else { 24 })?;
            table.names = usize::try_from(elf.u32(link)?).ok()?;
        }
        Some(table)
    }

    /// Offset in the file of what stands at an offset of a section's header.
    fn field(&self, index: usize, at: usize) -> Option<usize> {
        let header = self.offset.checked_add(index.checked_mul(self.entry)?)?;
        header.checked_add(at)
    }

    /// Where a section's name begins in the names.
    fn name(&self, index: usize) -> Option<usize> {
        usize::try_from(self.elf.u32(self.field(index, 0)?)?).ok()
    }

    /// Where a section lies in the file.
    fn extent(&self, index: usize) -> Option<Range<usize>> {
        let (offset, size) = if self.wide { (24, 32) } else { (16, 20) };
        let start = self.elf.word(self.field(index, offset)?, self.wide)?;
        let size = self.elf.word(self.field(index, size)?, self.wide)?;
        Some(start..start.checked_add(size)?)
    }
}
