//! Packs written byte by byte, so that they can be wrong in any way.
//!
//! Source: `Documentation/gitformat-pack.adoc` of Git.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Oid};
use standin::git::Fault;

pub(crate) const COMMIT: u8 = 1;
pub(crate) const TREE: u8 = 2;
pub(crate) const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// A pack that grows object by object.
#[derive(Default)]
pub(crate) struct PackWriter {
    objects: Vec<u8>,
    count: u32,
}

impl PackWriter {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn blob(&mut self, content: &[u8]) -> Oid {
        self.object(BLOB, content);
        Oid::hash_object(ObjectType::Blob, content).expect("hashed")
    }

    /// Entries must be in Git's order, unless the wrong order is the point.
    pub(crate) fn tree(&mut self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            content.extend_from_slice(id.as_bytes());
        }
        self.object(TREE, &content);
        Oid::hash_object(ObjectType::Tree, &content).expect("hashed")
    }

    pub(crate) fn commit(&mut self, tree: Oid) -> Oid {
        let person = "Eve <eve@example.org> 1704067200 +0000";
        let content = format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nhostile\n");
        self.object(COMMIT, content.as_bytes());
        Oid::hash_object(ObjectType::Commit, content.as_bytes()).expect("hashed")
    }

    /// An object as it should be.
    pub(crate) fn object(&mut self, kind: u8, content: &[u8]) {
        self.raw(kind, content.len() as u64, &[], &deflated(content));
    }

    /// A delta against the object that begins `distance` bytes before this one.
    pub(crate) fn ofs_delta(&mut self, distance: u64, delta: &[u8]) {
        self.raw(OFS_DELTA, delta.len() as u64, &offset(distance), &deflated(delta));
    }

    /// A delta against an object by its id.
    pub(crate) fn ref_delta(&mut self, base: Oid, delta: &[u8]) {
        self.raw(REF_DELTA, delta.len() as u64, base.as_bytes(), &deflated(delta));
    }

    /// Anything: a kind, a size that need not be true, and the bytes that follow.
    pub(crate) fn raw(&mut self, kind: u8, declared_bytes: u64, base: &[u8], data: &[u8]) {
        let mut rest = declared_bytes >> 4;
        let mut byte = (kind << 4) | low_bits(declared_bytes, 0x0f);
        while rest > 0 {
            self.objects.push(byte | 0x80);
            byte = low_bits(rest, 0x7f);
            rest >>= 7;
        }
        self.objects.push(byte);
        self.objects.extend_from_slice(base);
        self.objects.extend_from_slice(data);
        self.count += 1;
    }

    /// Bytes so far, without the pack's header.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        self.finish_with_count(self.count)
    }

    pub(crate) fn finish_with_count(&self, count: u32) -> Vec<u8> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        pack.extend_from_slice(&count.to_be_bytes());
        pack.extend_from_slice(&self.objects);
        let trailer = sha1(&pack);
        pack.extend_from_slice(&trailer);
        pack
    }
}

/// The answer of protocol version 2 that carries a pack.
pub(crate) fn sideband_answer(pack: &[u8]) -> Fault {
    let mut bytes = b"000dpackfile\n".to_vec();
    for piece in pack.chunks(65_515) {
        bytes.extend_from_slice(format!("{:04x}\x01", piece.len() + 5).as_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(b"0000");
    Fault::Body { content_type: "application/x-git-upload-pack-result".to_owned(), bytes }
}

/// A delta's numbers: seven bits a byte, least significant first.
pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(low_bits(number, 0x7f) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number, 0x7f));
    bytes
}

pub(crate) fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

/// `length` zeros, compressed without ever being in memory.
pub(crate) fn deflated_zeros(length: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), length), &mut encoder).expect("in memory");
    encoder.finish().expect("in memory")
}

fn offset(mut distance: u64) -> Vec<u8> {
    let mut bytes = vec![low_bits(distance, 0x7f)];
    while distance > 0x7f {
        distance = (distance >> 7) - 1;
        bytes.push(low_bits(distance, 0x7f) | 0x80);
    }
    bytes.reverse();
    bytes
}

fn low_bits(number: u64, mask: u8) -> u8 {
    number.to_le_bytes()[0] & mask
}

/// SHA-1 (RFC 3174): a pack ends with the hash of its bytes.
#[expect(clippy::many_single_char_names, reason = "the RFC's names")]
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
        }
        for t in 16..80 {
            words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (t, word) in words.iter().enumerate() {
            let (mix, constant) = match t / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(mix).wrapping_add(e).wrapping_add(*word).wrapping_add(constant);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(value);
        }
    }
    let mut hash = [0; 20];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}
