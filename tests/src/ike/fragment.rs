//! IKE fragmentation as Microsoft and Cisco have it: cutting, and putting together again.

/// Payload number of a fragment.
const FRAGMENT: u8 = 132;
/// ISAKMP header and fragment header.
const OVERHEAD: usize = 28 + 8;

/// A message in packets of at most `size` octets of ISAKMP, or as it is when it is no longer.
pub fn pieces(message: &[u8], size: usize) -> Vec<Vec<u8>> {
    if message.len() <= size {
        return vec![message.to_vec()];
    }
    let chunks: Vec<&[u8]> = message.chunks(size - OVERHEAD).collect();
    (1u8..)
        .zip(&chunks)
        .map(|(number, chunk)| {
            let last = u8::from(usize::from(number) == chunks.len());
            let mut packet = message[..28].to_vec();
            packet[16] = FRAGMENT;
            packet[24..28].copy_from_slice(&((OVERHEAD + chunk.len()) as u32).to_be_bytes());
            let [high, low] = (chunk.len() as u16 + 8).to_be_bytes();
            packet.extend([0, 0, high, low, 0, 1, number, last]);
            packet.extend(*chunk);
            packet
        })
        .collect()
}

/// The message in one or several packets; `None` when they are not one whole message.
pub fn whole(packets: &[Vec<u8>]) -> Option<Vec<u8>> {
    if let [one] = packets
        && one[16] != FRAGMENT
    {
        return Some(one.clone());
    }
    let mut message = Vec::new();
    for (number, packet) in (1u8..).zip(packets) {
        if packet[16] != FRAGMENT || packet[28 + 6] != number {
            return None;
        }
        message.extend(&packet[OVERHEAD..]);
    }
    (packets.last()?[28 + 7] == 1).then_some(message)
}
