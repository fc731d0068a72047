//! Binary patches: base 85 over zlib over a whole content or a delta (`gitformat-pack(5)`, "Deltified representation").

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Largest content or delta a patch may announce, in bytes.
const MAX_BYTES: usize = 64 << 20;

const DIGITS: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// One direction of a binary patch, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BinaryPatch {
    /// The whole new content.
    Literal(Vec<u8>),
    /// How to build the new content from the old.
    Delta(Vec<u8>),
}

impl BinaryPatch {
    /// The new content; `None` when the patch is damaged or made for another file.
    pub(super) fn apply(&self, old: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Literal(content) => Some(content.clone()),
            Self::Delta(delta) => apply_delta(delta, old),
        }
    }
}

/// Decodes one line of base 85: a letter for the number of bytes, then five digits for each four bytes.
pub(super) fn decode_line(line: &[u8]) -> Option<Vec<u8>> {
    let (&length, digits) = line.split_first()?;
    let length = usize::from(match length {
        b'A'..=b'Z' => length - b'A' + 1,
        b'a'..=b'z' => length - b'a' + 27,
        _ => return None,
    });
    if digits.len() != length.div_ceil(4) * 5 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 5 * 4);
    for group in digits.chunks_exact(5) {
        let mut value: u32 = 0;
        for digit in group {
            let digit = DIGITS.iter().position(|known| known == digit)?;
            value = value.checked_mul(85)?.checked_add(u32::try_from(digit).ok()?)?;
        }
        bytes.extend_from_slice(&value.to_be_bytes());
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Inflates to exactly `length` bytes.
pub(super) fn inflate(compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    ZlibDecoder::new(compressed).take(length as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() == length).then_some(bytes)
}

fn apply_delta(delta: &[u8], old: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta;
    let old_length = take_size(&mut rest)?;
    let new_length = take_size(&mut rest)?;
    if old_length != old.len() || new_length > MAX_BYTES {
        return None;
    }
    let mut new = Vec::with_capacity(new_length);
    while let Some(instruction) = take_byte(&mut rest) {
        if instruction & 0x80 != 0 {
            let offset = take_sparse(&mut rest, instruction, 4)?;
            let size = take_sparse(&mut rest, instruction >> 4, 3)?;
            let size = if size == 0 { 0x1_0000 } else { size };
            new.extend_from_slice(old.get(offset..offset.checked_add(size)?)?);
        } else {
            let size = usize::from(instruction);
            // Instruction 0 is reserved.
            let (insert, tail) = if size == 0 { return None } else { rest.split_at_checked(size)? };
            new.extend_from_slice(insert);
            rest = tail;
        }
        if new.len() > new_length {
            return None;
        }
    }
    (new.len() == new_length).then_some(new)
}

/// Seven bits a byte, lowest first, the high bit says that more follow.
fn take_size(rest: &mut &[u8]) -> Option<usize> {
    let mut size = 0_usize;
    for shift in (0..=28).step_by(7) {
        let byte = take_byte(rest)?;
        size |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

/// A little-endian number of which only the bytes flagged in `present` are there.
fn take_sparse(rest: &mut &[u8], present: u8, bytes: usize) -> Option<usize> {
    let mut value = 0;
    for index in (0..bytes).filter(|index| present & (1 << index) != 0) {
        value |= usize::from(take_byte(rest)?) << (8 * index);
    }
    Some(value)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, tail) = rest.split_first()?;
    *rest = tail;
    Some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_git_prints_for_an_empty_content() {
        let compressed = decode_line(b"HcmV?d00001").expect("base 85");
        assert_eq!(inflate(&compressed, 0), Some(Vec::new()));
        assert_eq!(inflate(&compressed, 1), None);
    }

    #[test]
    fn builds_from_copies_and_inserts() {
        // 6 bytes become 7: copy 3 from 1, insert "xy", copy 2 from 4.
        let delta = [6, 7, 0x91, 1, 3, 2, b'x', b'y', 0x91, 4, 2];
        assert_eq!(apply_delta(&delta, b"abcdef"), Some(b"bcdxyef".to_vec()));
        assert_eq!(apply_delta(&delta, b"abcde"), None);
        assert_eq!(apply_delta(&[6, 7, 0x91, 5, 3], b"abcdef"), None);
        assert_eq!(apply_delta(&[6, 1, 0], b"abcdef"), None);
    }

    #[test]
    fn refuses_lines_of_another_length() {
        for bad in [&b""[..], b"A", b"Acm", b"EcmV?d", b"0cmV?d", b"D\"cmV?"] {
            assert_eq!(decode_line(bad), None);
        }
    }
}
