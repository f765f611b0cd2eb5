//! A module proxy that is a folder (`GOPROXY=file:///...`, <https://go.dev/ref/mod#goproxy-protocol>).

use std::fs;
use std::path::Path;

/// Puts a version of a module there, with these files. Its path and version need no escaping.
pub fn publish(proxy: &Path, module: &str, version: &str, files: &[(&str, &str)]) {
    let folder = proxy.join(module).join("@v");
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    let go_mod = format!("module {module}\n\ngo 1.24\n");
    write("list", format!("{version}\n").as_bytes());
    write(
        &format!("{version}.info"),
        format!("{{\"Version\":\"{version}\",\"Time\":\"2024-01-01T00:00:00Z\"}}").as_bytes(),
    );
    write(&format!("{version}.mod"), go_mod.as_bytes());
    let all = files.iter().copied().chain([("go.mod", go_mod.as_str())]);
    let files: Vec<(String, &str)> = all
        .map(|(name, text)| (format!("{module}@{version}/{name}"), text))
        .collect();
    write(&format!("{version}.zip"), &zip(&files));
}

/// A zip archive of files that are not compressed (APPNOTE.TXT, PKWARE).
fn zip(files: &[(String, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let size = (text.len() as u32).to_le_bytes();
        let offset = (out.len() as u32).to_le_bytes();
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58][..],
            &crc32(text.as_bytes()).to_le_bytes(),
            &size,
            &size,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        out.extend([b"PK\x03\x04", &common[..], name.as_bytes(), text.as_bytes()].concat());
        directory.extend(
            [
                b"PK\x01\x02\x14\x00",
                &common[..],
                &[0; 10],
                &offset,
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let count = (files.len() as u16).to_le_bytes();
    let (start, length) = (
        (out.len() as u32).to_le_bytes(),
        (directory.len() as u32).to_le_bytes(),
    );
    out.extend(directory);
    out.extend(
        [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &length,
            &start,
            &[0, 0],
        ]
        .concat(),
    );
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
