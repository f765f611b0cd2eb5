//! A module proxy in a folder (<https://go.dev/ref/mod#goproxy-protocol>), with zip files that hold their files as they are.

use std::fs;
use std::io;
use std::path::Path;

/// Adds a version of a module.
pub(super) fn publish(
    proxy: &Path,
    module: &str,
    version: &str,
    files: &[(&str, &str)],
) -> io::Result<()> {
    let folder = proxy.join(module).join("@v");
    fs::create_dir_all(&folder)?;
    let list = folder.join("list");
    let mut versions = fs::read_to_string(&list).unwrap_or_default();
    versions.push_str(version);
    versions.push('\n');
    fs::write(list, versions)?;
    fs::write(
        folder.join(format!("{version}.info")),
        format!("{{\"Version\":\"{version}\",\"Time\":\"2024-01-02T03:04:05Z\"}}"),
    )?;
    let go_mod = files
        .iter()
        .find(|(name, _)| *name == "go.mod")
        .map_or(String::new(), |(_, text)| (*text).to_owned());
    fs::write(folder.join(format!("{version}.mod")), go_mod)?;
    let prefix = format!("{module}@{version}/");
    fs::write(folder.join(format!("{version}.zip")), zip(&prefix, files))
}

/// An archive without compression.
fn zip(prefix: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, text) in files {
        let name = format!("{prefix}{name}");
        let at = out.len() as u32;
        // Version, flags, method, time, date, checksum, both sizes, lengths of name and extra field.
        let mut common = Vec::new();
        for half in [20_u16, 0, 0, 0, 0x5821] {
            common.extend(half.to_le_bytes());
        }
        for word in [crc32(text.as_bytes()), text.len() as u32, text.len() as u32] {
            common.extend(word.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        // Comment, disk, attributes within and without.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, size) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06");
    out.extend([0; 4]);
    for count in [files.len() as u16; 2] {
        out.extend(count.to_le_bytes());
    }
    out.extend(size.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
