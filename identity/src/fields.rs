//! Reading fixed fields of binary formats without panicking.

/// Byte order of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Little,
    Big,
}

/// Bytes with the byte order of their numbers. Every read is checked: `None` means that the file ends before the field.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) order: Order,
}

impl Fields<'_> {
    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        let field = self.array(at)?;
        Some(match self.order {
            Order::Little => u16::from_le_bytes(field),
            Order::Big => u16::from_be_bytes(field),
        })
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        let field = self.array(at)?;
        Some(match self.order {
            Order::Little => u32::from_le_bytes(field),
            Order::Big => u32::from_be_bytes(field),
        })
    }

    pub(crate) fn u64(&self, at: usize) -> Option<u64> {
        let field = self.array(at)?;
        Some(match self.order {
            Order::Little => u64::from_le_bytes(field),
            Order::Big => u64::from_be_bytes(field),
        })
    }

    /// A number of 32 or 64 bits, by the class of the file, as an offset or length.
    pub(crate) fn word(&self, at: usize, wide: bool) -> Option<usize> {
        if wide {
            usize::try_from(self.u64(at)?).ok()
        } else {
            usize::try_from(self.u32(at)?).ok()
        }
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}
