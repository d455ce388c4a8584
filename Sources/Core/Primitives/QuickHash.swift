// SPDX-License-Identifier: Apache-2.0

/// A hash for tables in memory: several bytes a step, where the standard library's takes one for hundreds of bytes of text a noticeable
/// part of a small request. Seeded anew in each process, so that nobody outside can choose what collides; of no use as a checksum.
package enum QuickHash {
    private static let seeds = (
        UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max) | 1
    )

    package static func of(_ text: String) -> Int {
        // Text from Foundation or of other encodings has no bytes to lend.
        let hash = text.utf8.withContiguousStorageIfAvailable { of(UnsafeRawBufferPointer($0)) }
        return hash ?? Array(text.utf8).withUnsafeBytes { of($0) }
    }

    package static func of(_ bytes: UnsafeRawBufferPointer) -> Int {
        let (first, second) = seeds
        var state = first ^ UInt64(truncatingIfNeeded: bytes.count)
        var offset = 0
        while bytes.count - offset >= 16 {
            state = mixed(
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ second,
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self) ^ state)
            offset += 16
        }
        var low: UInt64 = 0
        var high: UInt64 = 0
        if bytes.count - offset >= 8 {
            low = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < bytes.count {
            high = high << 8 | UInt64(bytes[offset])
            offset += 1
        }
        state = mixed(low ^ second, high ^ state)
        return Int(truncatingIfNeeded: mixed(state ^ first, second))
    }

    /// Both halves of the product: every bit of either number moves every bit of the result.
    private static func mixed(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
