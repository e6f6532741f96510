//! MD5, which Blob storage checks bodies in transit with. Not a proof of anything: azir's own digests are SHA-256.

/// Returns the MD5 of `bytes` (RFC 1321).
pub(super) fn of(bytes: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    let constants = constants();
    for block in padded.as_chunks::<64>().0 {
        digest_block(&mut state, block, &constants);
    }
    let mut sum = [0; 16];
    for (out, word) in sum.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *out = word.to_le_bytes();
    }
    sum
}

const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

fn digest_block(state: &mut [u32; 4], block: &[u8; 64], constants: &[u32; 64]) {
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for (round, constant) in constants.iter().enumerate() {
        let (mixed, at) = match round / 16 {
            0 => ((b & c) | (!b & d), round),
            1 => ((d & b) | (!d & c), 5 * round + 1),
            2 => (b ^ c ^ d, 3 * round + 5),
            _ => (c ^ (b | !d), 7 * round),
        };
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(*constant)
            .wrapping_add(words[at % 16]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(SHIFTS[round / 16][round % 4]));
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(new);
    }
}

/// The integer parts of 2^32 times the sines of 1 to 64.
fn constants() -> [u32; 64] {
    let mut table = [0; 64];
    for (entry, number) in table.iter_mut().zip(1_u32..) {
        let scaled = f64::from(number).sin().abs() * 4_294_967_296.0;
        *entry = format!("{:.0}", scaled.floor()).parse().unwrap_or(0);
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn sums_are_those_of_the_standard() {
        for (text, sum) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex::encode(super::of(text.as_bytes())), sum);
        }
    }
}
