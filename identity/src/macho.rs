//! What a Mach-O file says about its UUID, its code signature and its text.

use std::ops::Range;

use crate::fields::{Fields, Order};

const LC_SEGMENT: u32 = 0x1;
const LC_SEGMENT_64: u32 = 0x19;
const LC_UUID: u32 = 0x1b;
const LC_CODE_SIGNATURE: u32 = 0x1d;

/// The file type of a main executable.
const MH_EXECUTE: u32 = 2;

/// The parts of a Mach-O file that follow from its build ID.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MachO {
    /// Payload of the first `LC_UUID`, 16 bytes.
    pub(crate) uuid: Option<Range<usize>>,
    /// Where the code signature lies, by the first `LC_CODE_SIGNATURE`.
    pub(crate) signature: Option<Range<usize>>,
    /// Where the segment `__TEXT` lies in the file.
    pub(crate) text: Option<Range<u64>>,
    /// Whether the file is a main executable, not a library or an object.
    pub(crate) executable: bool,
    /// Where header and load commands end.
    pub(crate) commands_end: usize,
}

/// Whether the file says that it is Mach-O for one architecture. (The Go toolchain makes no other Mach-O.)
pub(crate) fn is_macho(file: &[u8]) -> bool {
    magic(file).is_some()
}

/// The byte order, and whether it is 64 bits wide.
fn magic(file: &[u8]) -> Option<(Order, bool)> {
    match file.get(..4)? {
        [0xfe, 0xed, 0xfa, 0xce] => Some((Order::Big, false)),
        [0xfe, 0xed, 0xfa, 0xcf] => Some((Order::Big, true)),
        [0xce, 0xfa, 0xed, 0xfe] => Some((Order::Little, false)),
        [0xcf, 0xfa, 0xed, 0xfe] => Some((Order::Little, true)),
        _ => None,
    }
}

impl MachO {
    /// Reads the load commands. An error says what is malformed.
    pub(crate) fn parse(file: &[u8]) -> Result<MachO, &'static str> {
        let (order, wide) = magic(file).ok_or("not a Mach-O file")?;
        let fields = Fields { bytes: file, order };
        let cut_off = "the Mach-O load commands are cut off";
        let mut macho = MachO {
            executable: fields.u32(12).ok_or(cut_off)? == MH_EXECUTE,
            ..MachO::default()
        };
        let count = fields.u32(16).ok_or(cut_off)?;
        let mut at: usize = if wide { 32 } else { 28 };
        for _ in 0..count {
            let command = fields.u32(at).ok_or(cut_off)?;
            let length = fields.word(at + 4, false).ok_or(cut_off)?;
            let end = at.checked_add(length).filter(|&end| end <= file.len());
            let end = end.ok_or(cut_off)?;
            if length < 8 {
                return Err("bad length of a Mach-O load command");
            }
            macho
                .read_command(fields, command, at..end)
                .ok_or(cut_off)?;
            at = end;
        }
        macho.commands_end = at;
        for part in [&macho.uuid, &macho.signature].into_iter().flatten() {
            if part.end > file.len() {
                return Err("the Mach-O code signature reaches past the end of the file");
            }
        }
        Ok(macho)
    }

    fn read_command(&mut self, fields: Fields, command: u32, range: Range<usize>) -> Option<()> {
        let at = range.start;
        match command {
            LC_UUID if self.uuid.is_none() => self.uuid = Some(at + 8..range.end),
            LC_CODE_SIGNATURE if self.signature.is_none() => {
                let start = fields.word(at + 8, false)?;
                let size = fields.word(at + 12, false)?;
                self.signature = Some(start..start.checked_add(size)?);
            }
            LC_SEGMENT | LC_SEGMENT_64 if self.text.is_none() => {
                let name = fields.bytes.get(at + 8..at + 24)?;
                if name.starts_with(b"__TEXT\0") {
                    let (start, size) = if command == LC_SEGMENT_64 {
                        (fields.u64(at + 40)?, fields.u64(at + 48)?)
                    } else {
                        (fields.u32(at + 32)?.into(), fields.u32(at + 36)?.into())
                    };
                    self.text = Some(start..start.checked_add(size)?);
                }
            }
            _ => {}
        }
        Some(())
    }
}
