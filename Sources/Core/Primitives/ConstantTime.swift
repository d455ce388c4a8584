// SPDX-License-Identifier: Apache-2.0

/// Compares two byte strings in time that depends on their lengths alone, never on where they differ.
///
/// Use it for whatever a client could guess byte by byte: keys, tags, digests, codes. The lengths are not hidden.
package func constantTimeEquals(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    guard first.count == second.count else { return false }
    var difference: UInt8 = 0
    for index in first.indices {
        difference |= first[index] ^ second[index]
    }
    return difference == 0
}
